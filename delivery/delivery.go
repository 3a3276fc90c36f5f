// Package delivery is the way of lists of device ids to where they are used: an
// ad platform, or a drop of files that somebody else collects. It knows no
// audience, no database and no job; what it is asked to do is in an [Order].
//
// delivery/mintegral and delivery/drop are the kinds of destinations;
// deliverytest is the suite that each passes.
package delivery

import (
	"context"
	"encoding/json"
	"io"
	"time"

	"throng"
	"throng/identifier"
)

// Order says what is delivered. It does not change while that goes on.
type Order struct {
	// ID is the same for a delivery whenever it is taken up again, and no other
	// delivery of the installation has it.
	ID int64
	// CallerID and AudienceID say whose order it is, and of which audience.
	CallerID, AudienceID int64
	// Name is what the audience is called where it is sent to.
	Name string
	// Endpoint is the address of the receiver; "" is the kind's own.
	Endpoint string
	// Platform is what the devices run.
	Platform throng.Platform
	// Update is what the receiver calls the audience that is given new files;
	// "" makes one.
	Update string
	// CreatedAt is when it was ordered.
	CreatedAt time.Time
}

// Secret is what the receiver knows its client by. It is never written down
// unsealed. The zero value is none.
type Secret struct {
	AccessKey string `json:"access_key"`
	APIKey    string `json:"api_key"`
}

// Given tells whether any part of it is there.
func (s Secret) Given() bool { return s != Secret{} }

// List is all device ids of one type, each once, in their normal form.
type List struct {
	Type identifier.Type
	Rows int64
	// Open gives the ids, one a line, each followed by '\n': the same bytes
	// whenever it is called. The caller closes it.
	Open func(ctx context.Context) (io.ReadCloser, error)
}

// Kind is a sort of destinations. It is safe for concurrent use.
type Kind interface {
	// Name is what an order calls it by.
	Name() string
	// Check says what is wrong with an order, by the field: name, endpoint,
	// platform, update, credentials.
	Check(o Order, s Secret) []throng.Detail
	// Open gives the destination of an order that Check finds nothing wrong
	// with. It calls nobody.
	Open(o Order, s Secret) (Destination, error)
}

// Destination is where one order's lists go. It is for one goroutine at a time.
type Destination interface {
	// Step takes the delivery one step further and returns where it stands.
	// lists are the same at every step; state is that of the step before, nil
	// for the first.
	//
	// A step can be repeated: whoever dies between a step and the storing of
	// its state takes the step again, with the state before and a new
	// Destination, and what arrives is the same as if nothing had happened.
	// Nothing is complete at the receiver before all of it is.
	//
	// A failure that is understood is a [Problem].
	Step(ctx context.Context, lists []List, state json.RawMessage) (Result, error)
}

// Result is where a delivery stands after a step.
type Result struct {
	// State is for the next step, and for nobody else. It is stored before
	// that begins. It holds no secret.
	State json.RawMessage
	// Done: nothing is left to do.
	Done bool
	// Next tells what the next step does, for people, as in "sending gaid".
	Next string
	// Sent is every file that was sent so far.
	Sent []Sent
	// RemoteID is what the receiver calls the audience, once that is known.
	RemoteID string
}

// Sent is one file that the receiver has.
type Sent struct {
	Type   identifier.Type `json:"type"`
	Rows   int64           `json:"rows"`             // device ids
	Bytes  int64           `json:"bytes"`            // of the file as sent
	MD5    string          `json:"md5,omitempty"`    // of these, lower-case hex
	SHA256 string          `json:"sha256,omitempty"` // likewise
	Path   string          `json:"path"`             // what the receiver calls the file
}

// Problem is why a step failed, in words for the user. They say what to do, and
// hold no secret and no device id.
type Problem struct {
	Message string
	// Final: another attempt would only fail again.
	Final bool
	// Until is set where the receiver takes the order at that time and not
	// sooner. The State that comes with it is the one to go on with.
	Until time.Time
	// RetryAfter is how long the receiver asks to be left alone; 0 if it does
	// not.
	RetryAfter time.Duration
}

// Error gives the message.
func (p *Problem) Error() string { return p.Message }

// ParsePlatform reads android, ios or mix.
func ParsePlatform(name string) (throng.Platform, bool) {
	for p, n := range platforms {
		if n == name {
			return p, true
		}
	}
	return 0, false
}

// PlatformName is what ParsePlatform reads; "" for none.
func PlatformName(p throng.Platform) string { return platforms[p] }

var platforms = map[throng.Platform]string{throng.Android: "android", throng.IOS: "ios", throng.Mixed: "mix"}

// Runs tells which platform devices of a type run; false for a type of none.
func Runs(t identifier.Type) (throng.Platform, bool) {
	switch t {
	case identifier.IMEI, identifier.IMEIMD5, identifier.GAID, identifier.GAIDMD5, identifier.OAID, identifier.OAIDMD5:
		return throng.Android, true
	case identifier.IDFA, identifier.IDFAMD5, identifier.IDFV, identifier.IDFVMD5:
		return throng.IOS, true
	default:
		return 0, false
	}
}
