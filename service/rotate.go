package service

import (
	"context"
	"errors"
	"fmt"
	"time"

	"throng"
	"throng/internal/seal"
	"throng/sqldb"
	"throng/webhook"
)

// Rotation says which secrets of a caller are replaced. At least one.
type Rotation struct {
	Token, APIKey, WebhookSecret bool
	// Overlap is for how long the old ones go on. nil is what suits each: a day
	// for the webhook secret, which receivers have to be told first, and nothing
	// for what lets somebody in. At most 90 days.
	Overlap *time.Duration
}

const (
	// webhookOverlap is long enough to bring a secret to every receiver.
	webhookOverlap = 24 * time.Hour
	// maxOverlap keeps old secrets from being forgotten.
	maxOverlap = 90 * 24 * time.Hour
)

// Rotated holds the new secrets, which are told this once; "" are those that
// stay.
type Rotated struct {
	Secrets
	// Ends tells until when the old ones go on, which were replaced.
	Ends map[sqldb.SecretKind]time.Time
}

// Rotate replaces secrets of a caller. Older ones end with the one that is
// replaced now, or before. Sessions on the page end with a token, whatever the
// overlap. Invalid for a rotation of nothing or an overlap that cannot be;
// NotFound where there is no such caller, or it is revoked.
func (s *Service) Rotate(ctx context.Context, name string, r Rotation) (*Rotated, error) {
	switch {
	case !r.Token && !r.APIKey && !r.WebhookSecret:
		return nil, throng.Errorf(throng.Invalid, "say which secret is replaced: the token, the API key or the webhook secret")
	case r.Overlap != nil && (*r.Overlap < 0 || *r.Overlap > maxOverlap):
		return nil, throng.Errorf(throng.Invalid, "the overlap must be from 0 to %d hours", int(maxOverlap.Hours()))
	}
	var out *Rotated
	var accessKey string
	err := s.db.Tx(ctx, func(tx *sqldb.Tx) error {
		row, err := tx.CallerByName(ctx, name)
		if err != nil {
			return known(err, "no caller is named %q", name)
		}
		if !row.RevokedAt.IsZero() {
			return throng.Errorf(throng.NotFound, "the caller %q is revoked", name)
		}
		accessKey = row.AccessKey
		out, err = s.rotate(ctx, tx, row, r)
		return err
	})
	if err != nil {
		return nil, err
	}
	s.owners.Forget(accessKey)
	return out, nil
}

func (s *Service) rotate(ctx context.Context, tx *sqldb.Tx, row sqldb.Caller, r Rotation) (*Rotated, error) {
	out := &Rotated{Secrets: Secrets{Name: row.Name, AccessKey: row.AccessKey}, Ends: map[sqldb.SecretKind]time.Time{}}
	var u sqldb.CallerUpdate
	retire := func(old sqldb.OldSecret, otherwise time.Duration) error {
		ends := s.now().Add(or(r.Overlap, otherwise))
		old.CallerID, old.EndsAt, out.Ends[old.Kind] = row.ID, ends, ends
		if err := tx.EndOldSecrets(ctx, row.ID, old.Kind, ends); err != nil {
			return err
		}
		if !ends.After(s.now()) {
			return nil
		}
		return tx.KeepOldSecret(ctx, old)
	}
	var errs []error
	if r.Token {
		out.Token = seal.NewToken()
		u.TokenHash, u.TokenID = new(seal.HashToken(out.Token)), new(seal.TokenID(out.Token))
		errs = append(errs, retire(sqldb.OldSecret{Kind: sqldb.SecretToken, Hash: row.TokenHash}, 0), tx.DeleteCallerSessions(ctx, row.ID))
	}
	if r.APIKey {
		out.APIKey = seal.NewSecret()
		u.APIKeySealed = new(s.cfg.Secrets.Seal(out.APIKey, apiKeyBinding(row.Name)))
		errs = append(errs, retire(sqldb.OldSecret{Kind: sqldb.SecretAPIKey, Sealed: row.APIKeySealed}, 0))
	}
	if r.WebhookSecret {
		out.WebhookSecret = webhook.NewSecret()
		u.WebhookSecretSealed = new(s.cfg.Secrets.Seal(out.WebhookSecret, webhookBinding(row.Name)))
		errs = append(errs, retire(sqldb.OldSecret{Kind: sqldb.SecretWebhook, Sealed: row.WebhookSecretSealed}, webhookOverlap))
	}
	return out, errors.Join(append(errs, tx.UpdateCaller(ctx, row.ID, u))...)
}

// RenewToken gives a caller a new bearer token, told this once; the old one
// ends. NotFound where there is no such caller, or it is revoked.
func (s *Service) RenewToken(ctx context.Context, name string) (string, error) {
	out, err := s.Rotate(ctx, name, Rotation{Token: true})
	if err != nil {
		return "", err
	}
	return out.Token, nil
}

// opened gives a secret of a caller and the older ones of its kind that still
// hold, the newest first.
func (s *Service) opened(ctx context.Context, c sqldb.Caller, kind sqldb.SecretKind, sealed, binding string) ([]string, error) {
	old, err := s.db.OldSecrets(ctx, c.ID, kind, s.now())
	if err != nil {
		return nil, err
	}
	all := make([]string, 0, 1+len(old))
	for _, text := range append([]string{sealed}, sealedOf(old)...) {
		secret, err := s.cfg.Secrets.Open(text, binding)
		if err != nil {
			return nil, fmt.Errorf("open %s secret: %w", kind, err)
		}
		all = append(all, secret)
	}
	return all, nil
}

func sealedOf(old []sqldb.OldSecret) []string {
	out := make([]string, len(old))
	for i, o := range old {
		out[i] = o.Sealed
	}
	return out
}
