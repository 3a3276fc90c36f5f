package service

import (
	"io"
	"time"

	"throng"
	"throng/identifier"
	"throng/service/export"
)

// Definition is a request for an audience as an API read it. Problems and
// Warnings are what the API found in it; the service adds its own, so that one
// answer tells all. It may be incomplete where it has problems.
type Definition struct {
	Name, Description string
	Build
	Parameters []throng.Parameter
}

// Build is what a request says beside whom it is about.
type Build struct {
	CallbackURL, InsightCallbackURL string
	AutoInsight                     bool
	// Outputs are the types asked for, as sent; nil where the request does
	// not speak of them.
	Outputs  *[]string
	Problems []throng.Detail
	Warnings []string
}

// Once makes that a request is carried out once, however often it is sent.
type Once struct {
	Method, Path, Key string
	// BodyHash tells whether a repeat is the same request.
	BodyHash string
	// Answer words the answer to what was made: an *throng.Audience, an
	// *throng.Upload, a *Callback or a *Delivery. It is kept as it is.
	Answer func(made any) (status int, body []byte, err error)
}

// Kept is the answer that a request was given before.
type Kept struct {
	Status int
	Body   []byte
}

// AudienceFilter says which audiences are listed. What is zero does not limit,
// but Kind, which is throng.Built unless given.
type AudienceFilter struct {
	Query  string
	Status throng.Status
	Kind   throng.AudienceKind
	throng.Page
}

// Format is the form of a file of identifiers.
type Format = export.Format

// The formats.
const (
	Text    = export.Text
	CSV     = export.CSV
	Parquet = export.Parquet
)

// File is a finished file. The receiver closes it.
type File struct {
	io.ReadSeekCloser
	Name        string // as it is saved, as in audience-67454-md5.txt
	ContentType string
	// Tag changes whenever the bytes do. It holds no quote.
	Tag     string
	Size    int64 // bytes; see StatOutput
	ModTime time.Time
}

// Affinity is a node of the taxonomy as a search shows it.
type Affinity struct {
	ID, Name string
	Category bool
	Root     bool   // a root cannot be asked for, and has no Followers
	People   uint64 // who have it, or any below it
	Match    bool   // the search was for this one
	Children []Affinity
}

// AffinityFilter says which part of the taxonomy is shown.
type AffinityFilter struct {
	Query      string // words of a name, or an exact id
	ParentID   string // this node's children, one level
	Categories bool   // categories only
}

// Term is a job title or an employer.
type Term struct {
	ID, Name string
	People   uint64 // who hold it
}

// Place is a place of the generation's location table.
type Place struct {
	ID, Name, Kind string
	Region         string // names, where known; of cities
	Country        string
}

// Callback is one message to a caller's URL.
type Callback struct {
	ID, AudienceID int64
	URL            string
	Status         string // pending, delivered, failed or refused
	NextAttemptAt  time.Time
	Attempts       []Attempt
}

// Attempt is one try to deliver a callback.
type Attempt struct {
	At         time.Time
	HTTPStatus int    // 0 where no answer came
	Error      string // "" after a success
	MS         int64  // how long it took
}

// CallbackFilter says which callbacks are listed.
type CallbackFilter struct {
	Status string
	throng.Page
}

// CallerSettings are what an operator sets of a caller. What is nil stays, or
// is the default: every type, no grant, unlimited credits, no limit of builds.
type CallerSettings struct {
	CanGenerate, CanView, CanDownload *[]identifier.Type
	Grants                            *[]throng.Grant
	Builds, Insights, Expansions      *int64 // credits; -1 is unlimited
	ConcurrentBuilds                  *int   // 0 is no limit
	CallerLimits
}

// CallerLimits are what an operator sets of a caller's limits. What is nil stays,
// or is the default: no limit, and of builds that wait
// throng.DefaultWaitingBuilds. 0 is no limit.
type CallerLimits struct {
	RequestsPerSecond, WaitingBuilds *int
	StoredMiB                        *int64
}

// Secrets are told once, when a caller is made.
type Secrets struct {
	Name          string
	Token         string // the bearer token
	AccessKey     string
	APIKey        string
	WebhookSecret string // whsec_…
}

// CallerInfo is a caller as the operator sees it.
type CallerInfo struct {
	throng.Caller
	Credits   throng.Credits
	TokenID   string // the beginning of the token
	AccessKey string
	Stored    int64 // bytes that are kept for it
	CreatedAt time.Time
	RevokedAt time.Time // zero while valid
}
