package service

import (
	"context"
	"errors"
	"time"

	"throng"
	"throng/identifier"
	"throng/internal/seal"
	"throng/sqldb"
)

const (
	// sessionLife is how long the web page stays signed in.
	sessionLife = 12 * time.Hour
	// sessionMost is how long at most, where the clock was set back meanwhile: a
	// session that ends later was opened by a clock that was far ahead.
	sessionMost = 2 * sessionLife
)

// Authenticate finds the caller of a bearer token. Unauthorized otherwise, and
// RateLimited where the caller has sent too many requests.
func (s *Service) Authenticate(ctx context.Context, token string) (*throng.Caller, error) {
	if token == "" {
		return nil, throng.Errorf(throng.Unauthorized, "a bearer token is needed")
	}
	if !seal.IsToken(token) {
		return nil, throng.Errorf(throng.Unauthorized, "the token is not known")
	}
	hash := seal.HashToken(token)
	row, err := s.db.CallerByTokenHash(ctx, hash)
	if errors.Is(err, sqldb.ErrNotFound) {
		row, err = s.db.CallerByOldToken(ctx, hash, s.now())
	}
	if errors.Is(err, sqldb.ErrNotFound) || err == nil && !row.RevokedAt.IsZero() {
		return nil, throng.Errorf(throng.Unauthorized, "the token is not known")
	}
	if err != nil {
		return nil, err
	}
	return s.admitted(fromCaller(row))
}

// keyOwner is a caller and the secrets that requests are signed with: one, and
// those that it has replaced.
type keyOwner struct {
	caller  *throng.Caller
	apiKeys []string
}

// AuthenticateKey finds the caller of an access key for whose secret check is
// true. Unauthorized otherwise: a key that nobody has is looked for, opened and
// checked as one that was not asked for lately, with a secret of nobody's. check
// must take the same time for every secret. RateLimited as Authenticate.
func (s *Service) AuthenticateKey(ctx context.Context, accessKey string, check func(apiKey string) bool) (*throng.Caller, error) {
	owner, err := s.owners.Get(accessKey, func() (keyOwner, error) { return s.keyOwner(ctx, accessKey) })
	if err != nil && throng.CodeOf(err) != throng.Unauthorized {
		return nil, err
	}
	signed := false
	for _, key := range owner.apiKeys { // all, whichever it is
		signed = check(key) || signed
	}
	if !signed || err != nil {
		return nil, errSignature()
	}
	caller := *owner.caller
	return s.admitted(&caller)
}

// errSignature does not tell whether the key is known.
func errSignature() error {
	return throng.Errorf(throng.Unauthorized, "the access key is not known, or the token is not signed with its API key")
}

// keyOwner finds who has an access key. Where nobody has it the error is
// Unauthorized, and the secret another one.
func (s *Service) keyOwner(ctx context.Context, accessKey string) (keyOwner, error) {
	row, err := s.db.CallerByAccessKey(ctx, accessKey)
	nobody := errors.Is(err, sqldb.ErrNotFound) || err == nil && !row.RevokedAt.IsZero()
	if err != nil && !nobody {
		return keyOwner{}, err
	}
	if nobody {
		keys, err := s.opened(ctx, sqldb.Caller{}, sqldb.SecretAPIKey, s.nobody, apiKeyBinding(""))
		return keyOwner{apiKeys: keys}, errors.Join(err, errSignature())
	}
	keys, err := s.opened(ctx, row, sqldb.SecretAPIKey, row.APIKeySealed, apiKeyBinding(row.Name))
	if err != nil {
		return keyOwner{}, err
	}
	return keyOwner{fromCaller(row), keys}, nil
}

// Login opens a session of 12 hours for the web page and returns its id, a
// secret of which only the hash is kept.
func (s *Service) Login(ctx context.Context, token string) (session string, caller *throng.Caller, err error) {
	caller, err = s.Authenticate(ctx, token)
	if err != nil {
		return "", nil, err
	}
	session = seal.NewSecret()
	err = s.db.PutSession(ctx, sqldb.Session{
		IDHash: seal.HashToken(session), CallerID: caller.ID, ExpiresAt: s.now().Add(sessionLife),
	})
	return session, caller, err
}

// SessionCaller finds whose session it is. Unauthorized where there is none,
// RateLimited as Authenticate.
func (s *Service) SessionCaller(ctx context.Context, session string) (*throng.Caller, error) {
	now := s.now()
	row, err := s.db.Session(ctx, seal.HashToken(session), now)
	if errors.Is(err, sqldb.ErrNotFound) || err == nil && row.ExpiresAt.After(now.Add(sessionMost)) {
		return nil, throng.Errorf(throng.Unauthorized, "the session has ended")
	}
	if err != nil {
		return nil, err
	}
	caller, err := s.db.CallerByID(ctx, row.CallerID)
	if err != nil {
		return nil, err
	}
	if !caller.RevokedAt.IsZero() {
		return nil, throng.Errorf(throng.Unauthorized, "the session has ended")
	}
	return s.admitted(fromCaller(caller))
}

// Logout ends a session.
func (s *Service) Logout(ctx context.Context, session string) error {
	return s.db.DeleteSession(ctx, seal.HashToken(session))
}

func fromCaller(c sqldb.Caller) *throng.Caller {
	return &throng.Caller{
		ID: c.ID, Name: c.Name,
		CanGenerate:      retype[identifier.Type](c.CanGenerate),
		CanView:          retype[identifier.Type](c.CanView),
		CanDownload:      retype[identifier.Type](c.CanDownload),
		Grants:           retype[throng.Grant](c.Grants),
		ConcurrentBuilds: int(c.ConcurrentBuilds),
		Limits: throng.CallerLimits{
			RequestsPerSecond: int(c.RequestsPerSecond), WaitingBuilds: int(c.WaitingBuilds), StoredMiB: c.StoredMiB,
		},
	}
}

// retype changes the type of a list's texts.
func retype[To, From ~string](list []From) []To {
	out := make([]To, len(list))
	for i, v := range list {
		out[i] = To(v)
	}
	return out
}
