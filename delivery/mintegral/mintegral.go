// Package mintegral delivers to Mintegral's open API, version 1, or to one that
// answers as it does, throng's own among them.
//
// Each list goes up as gzip files of one device type: pre-signed by name and
// MD5, then PUT to the address that came back. When all are there, one request
// makes the audience of their paths, or gives its new files to one that is
// there. The vendor takes new files for an audience once in 12 hours.
//
// The API has no idempotency key. So before an audience is made the ones of its
// name are noted, and an attempt after the first that finds another one, of the
// same files or, where the receiver does not list these, of the same platform and
// types, has found what an attempt before it made and never heard of.
package mintegral

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"throng"
	"throng/delivery"
	"throng/identifier"
	"throng/webhook"
)

// Endpoint is the vendor's.
const Endpoint = "https://ss-api.mintegral.com"

const (
	// lockTime is for how long the vendor takes no new files for an audience.
	lockTime = 12 * time.Hour
	// defaultMaxRows keeps a file far below the 5 GiB that are allowed, before
	// it is packed and after.
	defaultMaxRows = 50_000_000
	maxName        = 255
	// slack is how near the end of the lock the receiver is asked to decide
	// itself: it tells whole seconds, and its clock is another.
	slack = 2 * time.Second
)

// Config is how a [Kind] works. Zero means the default.
type Config struct {
	// AllowPrivate permits receivers of the operator's own network.
	AllowPrivate bool
	// Timeout bounds every question to the API; a file that goes up may take
	// as long as it moves, and is given up where it does not for this long.
	// Defaults to a minute.
	Timeout time.Duration
	// MaxRows is how many ids a file has at most. Defaults to 50 million.
	MaxRows int64
	// Now is the clock. Defaults to time.Now.
	Now func() time.Time
}

// Kind calls receivers that orders name.
type Kind struct {
	cfg    Config
	client *http.Client
}

var _ delivery.Kind = (*Kind)(nil)

// New gives the kind; close it with Close.
func New(cfg Config) *Kind {
	if cfg.Timeout == 0 {
		cfg.Timeout = time.Minute
	}
	if cfg.MaxRows == 0 {
		cfg.MaxRows = defaultMaxRows
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Kind{cfg: cfg, client: &http.Client{
		Transport: webhook.Transport(cfg.AllowPrivate, cfg.Timeout),
		// A redirect would take the headers that sign a request elsewhere.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Close closes the connections that are kept for later.
func (k *Kind) Close() { k.client.CloseIdleConnections() }

// Name implements [delivery.Kind].
func (k *Kind) Name() string { return "mintegral" }

// Check implements [delivery.Kind].
func (k *Kind) Check(o delivery.Order, s delivery.Secret) (problems []throng.Detail) {
	bad := func(path, message string) { problems = append(problems, throng.Detail{Path: path, Message: message}) }
	if o.Endpoint != "" {
		problem, private := webhook.CheckURL(o.Endpoint)
		if problem != "" {
			bad("endpoint", problem)
		} else if strings.ContainsAny(o.Endpoint, "@?#") {
			bad("endpoint", "must be an address alone: no user, no query, no fragment")
		} else if private && !k.cfg.AllowPrivate {
			bad("endpoint", "must not be a private address; an operator may allow these with --allow-private-callbacks")
		}
	}
	if o.Update != "" {
		if id, err := strconv.ParseInt(o.Update, 10, 64); err != nil || id < 1 {
			bad("update", "must be the receiver's number of the audience (ta_id)")
		}
	}
	if len(o.Name) > maxName {
		bad("name", "must be at most "+strconv.Itoa(maxName)+" bytes long")
	}
	if s.AccessKey == "" || s.APIKey == "" {
		bad("credentials", "must have an access key and an API key")
	} else if !visible(s.AccessKey) {
		bad("credentials", "must have an access key of visible characters of ASCII")
	}
	return problems
}

// visible tells whether a text can stand in a header.
func visible(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// Open implements [delivery.Kind].
func (k *Kind) Open(o delivery.Order, s delivery.Secret) (delivery.Destination, error) {
	api, err := newAPI(k, o.Endpoint, s)
	if err != nil {
		return nil, err
	}
	d := &destination{cfg: k.cfg, api: api, order: o}
	if o.Update != "" {
		if d.update, err = strconv.ParseInt(o.Update, 10, 64); err != nil {
			return nil, fmt.Errorf("read number of audience: %w", err)
		}
	}
	return d, nil
}

// The numbers of the device types.
var deviceTypes = map[identifier.Type]int{
	identifier.IMEI: 1, identifier.IDFA: 2, identifier.GAID: 3, identifier.OAID: 4,
	identifier.IMEIMD5: 6, identifier.IDFAMD5: 7, identifier.GAIDMD5: 8, identifier.OAIDMD5: 9,
	identifier.IDFV: 10, identifier.IDFVMD5: 11,
}

// destination is one order.
type destination struct {
	cfg    Config
	api    *api
	order  delivery.Order
	update int64 // the audience that is given the files; 0 makes one
	// first is set between noting what is there and the first attempt to change
	// it: as long as nobody else can have attempted it for this order.
	first bool
}

// state is how far a delivery is.
type state struct {
	// Unlocked: the audience to be given files was asked for, and takes some.
	Unlocked bool `json:"unlocked,omitempty"`
	// Files are those that are there, in the order of parts.
	Files []sentFile `json:"files,omitempty"`
	// Before is what was there just before the audience was made or changed.
	Before *before `json:"before,omitempty"`
	// ID is the audience's, once all is done.
	ID int64 `json:"ta_id,omitempty"`
}

type sentFile struct {
	Type  identifier.Type `json:"type"`
	Rows  int64           `json:"rows"`
	Bytes int64           `json:"bytes"`
	MD5   string          `json:"md5"`
	Path  string          `json:"path"`
}

type before struct {
	IDs     []int64 `json:"ids,omitempty"`   // of audiences with the name
	Updated int64   `json:"utime,omitempty"` // of the audience that is updated
}

// Step implements [delivery.Destination].
func (d *destination) Step(ctx context.Context, lists []delivery.List, raw json.RawMessage) (delivery.Result, error) {
	var s state
	if raw != nil {
		if err := json.Unmarshal(raw, &s); err != nil {
			return delivery.Result{}, fmt.Errorf("read state of delivery: %w", err)
		}
	}
	if err := ctx.Err(); err != nil {
		return delivery.Result{}, err
	}
	parts := d.parts(lists)
	err := d.step(ctx, parts, &s)
	if p, ok := locked(err); ok {
		// By then the files may be gone: they are sent when it is time.
		res, resErr := d.result(parts, state{})
		if resErr != nil {
			return delivery.Result{}, resErr
		}
		return res, p
	}
	if err != nil {
		return delivery.Result{}, err
	}
	return d.result(parts, s)
}

// step does what is next and changes s accordingly.
func (d *destination) step(ctx context.Context, parts []part, s *state) error {
	switch {
	case s.ID != 0:
		return nil
	case d.update != 0 && !s.Unlocked:
		s.Unlocked = true
		_, err := d.unlocked(ctx)
		return err
	case len(s.Files) < len(parts):
		f, err := d.send(ctx, parts[len(s.Files)])
		s.Files = append(s.Files, f)
		return err
	case s.Before == nil:
		b, err := d.look(ctx)
		s.Before, d.first = &b, err == nil
		return err
	case d.update != 0:
		return d.replace(ctx, s)
	}
	return d.create(ctx, s)
}

func (d *destination) result(parts []part, s state) (r delivery.Result, err error) {
	for _, f := range s.Files {
		r.Sent = append(r.Sent, delivery.Sent{Type: f.Type, Rows: f.Rows, Bytes: f.Bytes, MD5: f.MD5, Path: f.Path})
	}
	switch {
	case s.ID != 0:
		r.Done, r.RemoteID = true, strconv.FormatInt(s.ID, 10)
	case d.update != 0 && !s.Unlocked:
		r.Next = "asking whether the audience takes new files"
	case len(s.Files) < len(parts):
		p := parts[len(s.Files)]
		r.Next = fmt.Sprintf("sending %s, file %d of %d", p.list.Type, len(s.Files)+1, len(parts))
	case s.Before == nil:
		r.Next = "asking for the audiences that are there"
	case d.update != 0:
		r.Next = "giving the audience its new files"
	default:
		r.Next = "making the audience"
	}
	r.State, err = json.Marshal(s)
	return r, err
}

// send brings one part up.
func (d *destination) send(ctx context.Context, p part) (sentFile, error) {
	f := sentFile{Type: p.list.Type, Rows: p.rows}
	name := fmt.Sprintf("delivery-%d-%s-%d.txt.gz", d.order.ID, p.list.Type, p.number)
	var err error
	// The address is asked for by the sum, so the file is made twice.
	if f.MD5, f.Bytes, err = measure(ctx, p); err != nil {
		return f, err
	}
	to, err := d.api.presign(ctx, name, f.MD5)
	if err != nil {
		return f, err
	}
	f.Path = to.DataPath
	return f, d.api.put(ctx, to.URL, p, f.Bytes)
}

// look notes what is there before the audience is made or changed.
func (d *destination) look(ctx context.Context) (b before, err error) {
	if d.update != 0 {
		a, err := d.unlocked(ctx)
		return before{Updated: a.Updated}, err
	}
	all, err := d.api.named(ctx, d.order.Name)
	for _, a := range all {
		b.IDs = append(b.IDs, a.ID)
	}
	return b, err
}

// unlocked finds the audience to be given files, or the Problem that it takes
// none at present.
func (d *destination) unlocked(ctx context.Context) (remoteAudience, error) {
	a, err := d.api.audience(ctx, d.update)
	if err != nil {
		return a, err
	}
	if until := a.lockedUntil(); until.After(d.cfg.Now().Add(slack)) && a.tells() {
		return a, lockedProblem(until)
	}
	return a, nil
}

func lockedProblem(until time.Time) *delivery.Problem {
	return &delivery.Problem{
		Message: "the receiver takes new files for this audience once in 12 hours, and again from " + until.UTC().Format(time.RFC3339) +
			"; deliver again then, or ask to wait for it (--wait, \"wait\": true)",
		Until: until,
	}
}

// create makes the audience, unless an attempt before did.
func (d *destination) create(ctx context.Context, s *state) (err error) {
	if !d.first {
		all, err := d.api.named(ctx, d.order.Name)
		if err != nil {
			return err
		}
		for _, a := range all {
			if d.made(a, s) {
				s.ID = a.ID
				return nil
			}
		}
	}
	d.first = false
	s.ID, err = d.api.create(ctx, d.order, s.Files)
	return err
}

// made tells whether an audience is what an attempt before made.
func (d *destination) made(a remoteAudience, s *state) bool {
	if len(a.Files) > 0 {
		return sameFiles(a.Files, s.Files)
	}
	return !slices.Contains(s.Before.IDs, a.ID) && a.Platform == int(d.order.Platform) && sameTypes(a.DeviceType, s.Files)
}

// replace gives the audience its files, unless an attempt before did: then it
// has changed since it was looked at.
func (d *destination) replace(ctx context.Context, s *state) error {
	a, err := d.api.audience(ctx, d.update)
	if err != nil {
		return err
	}
	if d.first || a.Updated == s.Before.Updated {
		d.first = false
		if err := d.api.update(ctx, d.update, s.Files); err != nil {
			return d.refusedUpdate(err, a)
		}
	}
	s.ID = d.update
	return nil
}

// refusedUpdate finds the lock behind a refusal. The vendor does not say by
// which code it refuses; that the audience is young tells.
func (d *destination) refusedUpdate(err error, a remoteAudience) error {
	r, ok := asRefusal(err)
	if !ok || !r.mayBeLock() {
		return err
	}
	if until := a.lockedUntil(); until.After(d.cfg.Now()) {
		return lockedProblem(until)
	}
	return err
}
