package service

import (
	"context"

	"throng"
	"throng/internal/seal"
	"throng/sqldb"
)

// RenewToken gives a caller a new bearer token, told this once; the old one
// ends. NotFound where there is no such caller, or it is revoked.
func (s *Service) RenewToken(ctx context.Context, name string) (string, error) {
	row, err := s.callerNamed(ctx, name)
	if err != nil {
		return "", err
	}
	if !row.RevokedAt.IsZero() {
		return "", throng.Errorf(throng.NotFound, "the caller %q is revoked", name)
	}
	token := seal.NewToken()
	hash, id := seal.HashToken(token), seal.TokenID(token)
	if err := s.db.UpdateCaller(ctx, row.ID, sqldb.CallerUpdate{TokenHash: &hash, TokenID: &id}); err != nil {
		return "", err
	}
	return token, nil
}
