package service

import (
	"context"
	"errors"
	"io"

	"throng"
	"throng/engine"
)

var errPending = errors.New("not written yet")

// ErrAnswered says that a request with the same key was carried out meanwhile;
// Answered gives its answer.
var ErrAnswered = errors.New("the request was answered before")

// Authenticate finds the caller of a bearer token. Unauthorized otherwise.
func (s *Service) Authenticate(ctx context.Context, token string) (*throng.Caller, error) {
	return nil, errPending
}

// Login opens a session for the web page and returns its id, a secret.
func (s *Service) Login(ctx context.Context, token string) (session string, caller *throng.Caller, err error) {
	return "", nil, errPending
}

// SessionCaller finds whose session it is. Unauthorized where there is none.
func (s *Service) SessionCaller(ctx context.Context, session string) (*throng.Caller, error) {
	return nil, errPending
}

// Logout ends a session.
func (s *Service) Logout(ctx context.Context, session string) error { return errPending }

// AddCaller makes a caller. Conflict where the name is taken.
func (s *Service) AddCaller(ctx context.Context, name string, set CallerSettings) (*Secrets, error) {
	return nil, errPending
}

// SetCaller changes a caller. NotFound where there is none.
func (s *Service) SetCaller(ctx context.Context, name string, set CallerSettings) error {
	return errPending
}

// RevokeCaller ends a caller's access for good.
func (s *Service) RevokeCaller(ctx context.Context, name string) error { return errPending }

// ListCallers lists all callers by name, the revoked too.
func (s *Service) ListCallers(ctx context.Context) ([]CallerInfo, error) { return nil, errPending }

// CreateAudience accepts a definition and starts its build.
func (s *Service) CreateAudience(ctx context.Context, c *throng.Caller, def Definition, once *Once) (*throng.Audience, error) {
	return nil, errPending
}

// RegenerateAudience builds an audience's definition again on the current generation.
func (s *Service) RegenerateAudience(ctx context.Context, c *throng.Caller, id int64, b Build, once *Once) (*throng.Audience, error) {
	return nil, errPending
}

// PreviewAudience counts a definition and stores nothing.
func (s *Service) PreviewAudience(ctx context.Context, c *throng.Caller, def Definition) (*throng.Preview, error) {
	return nil, errPending
}

// Count counts a definition with every grant; uploads and audiences are those
// of the caller of that name, or of any for "".
func (s *Service) Count(ctx context.Context, callerName string, def Definition) (*throng.Preview, error) {
	return nil, errPending
}

// ListAudiences lists a caller's audiences, newest first; next is "" at the end.
func (s *Service) ListAudiences(ctx context.Context, c *throng.Caller, f AudienceFilter) (list []throng.Audience, next string, err error) {
	return nil, "", errPending
}

// Audience tells how an audience stands.
func (s *Service) Audience(ctx context.Context, c *throng.Caller, id int64) (*throng.Audience, error) {
	return nil, errPending
}

// CancelAudience ends a running build; the audience stays.
func (s *Service) CancelAudience(ctx context.Context, c *throng.Caller, id int64) error {
	return errPending
}

// DeleteAudience removes an audience and its files, and ends its build.
func (s *Service) DeleteAudience(ctx context.Context, c *throng.Caller, id int64) error {
	return errPending
}

// OpenOutput opens a finished file of identifiers.
func (s *Service) OpenOutput(ctx context.Context, c *throng.Caller, id int64, typ string, f Format) (*File, error) {
	return nil, errPending
}

// Credits tells what a caller may still do.
func (s *Service) Credits(ctx context.Context, c *throng.Caller) (throng.Credits, error) {
	return throng.Credits{}, errPending
}

// CreateUpload reads a file of identifiers, plain, gzip or zstd.
func (s *Service) CreateUpload(ctx context.Context, c *throng.Caller, typ, name string, body io.Reader, once *Once) (*throng.Upload, error) {
	return nil, errPending
}

// Uploads lists a caller's uploads, newest first.
func (s *Service) Uploads(ctx context.Context, c *throng.Caller, p throng.Page) (list []throng.Upload, next string, err error) {
	return nil, "", errPending
}

// Upload finds a caller's upload by its key.
func (s *Service) Upload(ctx context.Context, c *throng.Caller, key string) (*throng.Upload, error) {
	return nil, errPending
}

// DeleteUpload removes an upload. Conflict while a running build uses it.
func (s *Service) DeleteUpload(ctx context.Context, c *throng.Caller, key string) error {
	return errPending
}

// Affinities shows the taxonomy.
func (s *Service) Affinities(ctx context.Context, f AffinityFilter) ([]Affinity, error) {
	return nil, errPending
}

// JobTitles searches job titles, most people first.
func (s *Service) JobTitles(ctx context.Context, query string, p throng.Page) (list []Term, next string, err error) {
	return nil, "", errPending
}

// Employers searches employers, most people first.
func (s *Service) Employers(ctx context.Context, query string, p throng.Page) (list []Term, next string, err error) {
	return nil, "", errPending
}

// PersonalityTypes lists the 52 terms in their order.
func (s *Service) PersonalityTypes() []string { return nil }

// Places searches places of a kind: city, region, dma or country.
func (s *Service) Places(ctx context.Context, kind, query string) ([]Place, error) {
	return nil, errPending
}

// Callbacks lists a caller's callbacks, newest first.
func (s *Service) Callbacks(ctx context.Context, c *throng.Caller, f CallbackFilter) (list []Callback, next string, err error) {
	return nil, "", errPending
}

// Callback finds a caller's callback.
func (s *Service) Callback(ctx context.Context, c *throng.Caller, id int64) (*Callback, error) {
	return nil, errPending
}

// ReplayCallback sends a callback again, whatever became of it.
func (s *Service) ReplayCallback(ctx context.Context, c *throng.Caller, id int64, once *Once) (*Callback, error) {
	return nil, errPending
}

// Answered gives the answer that the same request was given before, nil where
// there is none. Conflict where the key was used for another body.
func (s *Service) Answered(ctx context.Context, c *throng.Caller, once Once) (*Kept, error) {
	return nil, errPending
}

// Ready says why requests cannot be served; nil when they can.
func (s *Service) Ready(ctx context.Context) error { return errPending }

// Dataset describes the current generation. Unavailable where there is none.
func (s *Service) Dataset(ctx context.Context) (engine.Info, error) {
	return engine.Info{}, errPending
}

// Sweep removes what is no longer needed: generations, old answers, sessions
// and files that belong to nothing. Call it after a load and every hour.
func (s *Service) Sweep(ctx context.Context) error { return errPending }
