package server

import (
	"context"
	"time"

	"throng"
	"throng/service"
)

// RotationSpec says which secrets of a caller are replaced, and for how long
// the old ones go on; nil is a day for the webhook secret and nothing for the
// others.
type RotationSpec struct {
	Token, APIKey, WebhookSecret bool
	Overlap                      *time.Duration
}

// Rotated are the new secrets, which are told this once.
type Rotated struct {
	Name          string `json:"name"`
	Token         string `json:"token,omitempty"`
	AccessKey     string `json:"access_key,omitempty"` // beside a new API key
	APIKey        string `json:"api_key,omitempty"`
	WebhookSecret string `json:"webhook_secret,omitempty"`
	// OldEndsAt tells until when the old ones go on, by the names above.
	OldEndsAt map[string]time.Time `json:"old_ends_at"`
}

// RotateCaller replaces secrets of a caller; a running server sees it within
// 2 s.
func (s *Server) RotateCaller(ctx context.Context, name string, spec RotationSpec) (*Rotated, error) {
	made, err := s.service.Rotate(ctx, name, service.Rotation(spec))
	if throng.CodeOf(err) == throng.Invalid && err != nil {
		return nil, &UsageError{Message: throng.MessageOf(err)}
	}
	if err != nil {
		return nil, err
	}
	out := &Rotated{Name: made.Name, Token: made.Token, APIKey: made.APIKey, WebhookSecret: made.WebhookSecret, OldEndsAt: map[string]time.Time{}}
	if out.APIKey != "" {
		out.AccessKey = made.AccessKey
	}
	names := map[string]string{"webhook": "webhook_secret"}
	for kind, ends := range made.Ends {
		name := string(kind)
		if other, ok := names[name]; ok {
			name = other
		}
		out.OldEndsAt[name] = ends
	}
	return out, nil
}

// EraseCaller ends a caller's access and erases all that was theirs. done is
// told how far it is. It can be interrupted, and begun again.
func (s *Server) EraseCaller(ctx context.Context, name string, done func(audiences, uploads int)) error {
	return s.service.EraseCaller(ctx, name, done)
}
