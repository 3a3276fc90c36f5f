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

// sessionLife is how long the web page stays signed in.
const sessionLife = 12 * time.Hour

// Authenticate finds the caller of a bearer token. Unauthorized otherwise.
func (s *Service) Authenticate(ctx context.Context, token string) (*throng.Caller, error) {
	if token == "" {
		return nil, throng.Errorf(throng.Unauthorized, "a bearer token is needed")
	}
	row, err := s.db.CallerByTokenHash(ctx, seal.HashToken(token))
	if errors.Is(err, sqldb.ErrNotFound) || err == nil && !row.RevokedAt.IsZero() {
		return nil, throng.Errorf(throng.Unauthorized, "the token is not known")
	}
	if err != nil {
		return nil, err
	}
	return fromCaller(row), nil
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

// SessionCaller finds whose session it is. Unauthorized where there is none.
func (s *Service) SessionCaller(ctx context.Context, session string) (*throng.Caller, error) {
	row, err := s.db.Session(ctx, seal.HashToken(session), s.now())
	if errors.Is(err, sqldb.ErrNotFound) {
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
	return fromCaller(caller), nil
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
