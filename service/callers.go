package service

import (
	"context"
	"errors"
	"slices"
	"strings"
	"unicode"

	"throng"
	"throng/identifier"
	"throng/internal/seal"
	"throng/sqldb"
	"throng/webhook"
)

// AddCaller makes a caller with new secrets, which are told this once.
// Conflict where the name is taken, also by a revoked caller.
func (s *Service) AddCaller(ctx context.Context, name string, set CallerSettings) (*Secrets, error) {
	if err := checkCallerName(name); err != nil {
		return nil, err
	}
	if err := set.check(); err != nil {
		return nil, err
	}
	out := &Secrets{
		Name: name, Token: seal.NewToken(), AccessKey: seal.NewSecret()[:accessKeyLen], APIKey: seal.NewSecret(),
		WebhookSecret: webhook.NewSecret(),
	}
	all := identifier.Outputs()
	_, err := s.db.CreateCaller(ctx, sqldb.Caller{
		Name: name, TokenHash: seal.HashToken(out.Token), TokenID: seal.TokenID(out.Token), AccessKey: out.AccessKey,
		APIKeySealed:        s.cfg.Secrets.Seal(out.APIKey, apiKeyBinding(name)),
		WebhookSecretSealed: s.cfg.Secrets.Seal(out.WebhookSecret, webhookBinding(name)),
		CanGenerate:         texts(set.CanGenerate, all), CanView: texts(set.CanView, all), CanDownload: texts(set.CanDownload, all),
		Grants: grants(set.Grants),
		Builds: or(set.Builds, sqldb.Unlimited), Insights: or(set.Insights, sqldb.Unlimited),
		Expansions:       or(set.Expansions, sqldb.Unlimited),
		ConcurrentBuilds: int64(or(set.ConcurrentBuilds, 0)),
		CallerLimits:     set.row(),
		CreatedAt:        s.now(),
	})
	if errors.Is(err, sqldb.ErrExists) {
		return nil, throng.Errorf(throng.Conflict, "a caller named %q is there already", name)
	}
	if err != nil {
		return nil, err
	}
	return out, nil
}

// accessKeyLen is enough to be unique; the key is no secret.
const accessKeyLen = 20

// Where sealed secrets belong: moved elsewhere they do not open.
func apiKeyBinding(name string) string  { return "callers.api_key:" + name }
func webhookBinding(name string) string { return "callers.webhook_secret:" + name }

// SetCaller changes what set holds. NotFound where there is no such caller.
func (s *Service) SetCaller(ctx context.Context, name string, set CallerSettings) error {
	if err := set.check(); err != nil {
		return err
	}
	row, err := s.callerNamed(ctx, name)
	if err != nil {
		return err
	}
	u := sqldb.CallerUpdate{Builds: set.Builds, Insights: set.Insights, Expansions: set.Expansions}
	for _, list := range []struct {
		to   **[]string
		from *[]identifier.Type
	}{{&u.CanGenerate, set.CanGenerate}, {&u.CanView, set.CanView}, {&u.CanDownload, set.CanDownload}} {
		if list.from != nil {
			t := texts(list.from, nil)
			*list.to = &t
		}
	}
	if set.Grants != nil {
		g := grants(set.Grants)
		u.Grants = &g
	}
	if set.ConcurrentBuilds != nil {
		n := int64(*set.ConcurrentBuilds)
		u.ConcurrentBuilds = &n
	}
	u.RequestsPerSecond, u.WaitingBuilds, u.StoredMiB = wide(set.RequestsPerSecond), wide(set.WaitingBuilds), set.StoredMiB
	defer s.owners.Forget(row.AccessKey)
	return s.db.UpdateCaller(ctx, row.ID, u)
}

// RevokeCaller ends a caller's access for good. NotFound where there is none.
func (s *Service) RevokeCaller(ctx context.Context, name string) error {
	row, err := s.callerNamed(ctx, name)
	if err != nil {
		return err
	}
	defer s.owners.Forget(row.AccessKey)
	return s.db.RevokeCaller(ctx, row.ID, s.now())
}

// ListCallers lists all callers by name, the revoked too.
func (s *Service) ListCallers(ctx context.Context) ([]CallerInfo, error) {
	rows, err := s.db.ListCallers(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]CallerInfo, len(rows))
	for i, r := range rows {
		stored, err := s.db.StoredBytes(ctx, r.ID)
		if err != nil {
			return nil, err
		}
		list[i] = CallerInfo{
			Caller: *fromCaller(r), Credits: credits(r), TokenID: r.TokenID, AccessKey: r.AccessKey, Stored: stored.Total(),
			CreatedAt: r.CreatedAt, RevokedAt: r.RevokedAt,
		}
	}
	return list, nil
}

// Credits tells what a caller may still do.
func (s *Service) Credits(ctx context.Context, c *throng.Caller) (throng.Credits, error) {
	row, err := s.db.CallerByID(ctx, c.ID)
	if err != nil {
		return throng.Credits{}, err
	}
	return credits(row), nil
}

func credits(c sqldb.Caller) throng.Credits {
	return throng.Credits{Builds: c.Builds, Insights: c.Insights, Expansions: c.Expansions}
}

func (s *Service) callerNamed(ctx context.Context, name string) (sqldb.Caller, error) {
	row, err := s.db.CallerByName(ctx, name)
	return row, known(err, "no caller is named %q", name)
}

func checkCallerName(name string) error {
	bad := strings.ContainsFunc(name, func(r rune) bool { return unicode.IsControl(r) || r == unicode.ReplacementChar })
	if name == "" || len(name) > throng.MaxName || bad || strings.TrimSpace(name) != name {
		return throng.Errorf(throng.Invalid, "a caller's name has 1 to %d characters, none of them a control character, and no space at its ends", throng.MaxName)
	}
	return nil
}

func (set CallerSettings) check() error {
	for _, list := range []*[]identifier.Type{set.CanGenerate, set.CanView, set.CanDownload} {
		if list == nil {
			continue
		}
		for _, t := range *list {
			if !slices.Contains(identifier.Outputs(), t) {
				return throng.Errorf(throng.Invalid, "%q is no type of output", string(t))
			}
		}
	}
	if set.Grants != nil {
		for _, g := range *set.Grants {
			if !slices.Contains(throng.Grants(), g) {
				return throng.Errorf(throng.Invalid, "%q is no grant", string(g))
			}
		}
	}
	for _, n := range []*int64{set.Builds, set.Insights, set.Expansions} {
		if n != nil && *n < sqldb.Unlimited {
			return throng.Errorf(throng.Invalid, "credits are a number from 0, or -1 for unlimited")
		}
	}
	if set.ConcurrentBuilds != nil && *set.ConcurrentBuilds < 0 {
		return throng.Errorf(throng.Invalid, "concurrent builds are a number from 0; 0 is no limit")
	}
	return set.CallerLimits.check()
}

// texts lists types in the order of identifier.Outputs, ss_id always with them.
func texts(given *[]identifier.Type, otherwise []identifier.Type) []string {
	types := otherwise
	if given != nil {
		types = *given
	}
	var out []string
	for _, t := range identifier.Outputs() {
		if t == identifier.SSID || slices.Contains(types, t) {
			out = append(out, string(t))
		}
	}
	return out
}

func grants(given *[]throng.Grant) []string {
	if given == nil {
		return nil
	}
	var out []string
	for _, g := range throng.Grants() {
		if slices.Contains(*given, g) {
			out = append(out, string(g))
		}
	}
	return out
}

func or[T any](v *T, otherwise T) T {
	if v == nil {
		return otherwise
	}
	return *v
}

// row is what is stored of the limits of a new caller.
func (l CallerLimits) row() sqldb.CallerLimits {
	return sqldb.CallerLimits{
		RequestsPerSecond: int64(or(l.RequestsPerSecond, 0)),
		WaitingBuilds:     int64(or(l.WaitingBuilds, throng.DefaultWaitingBuilds)),
		StoredMiB:         or(l.StoredMiB, 0),
	}
}

func (l CallerLimits) check() error {
	for _, n := range []*int64{wide(l.RequestsPerSecond), wide(l.WaitingBuilds), l.StoredMiB} {
		if n != nil && (*n < 0 || *n > throng.MaxStoredMiB) {
			return throng.Errorf(throng.Invalid, "limits are a number from 0 to %d; 0 is no limit", int64(throng.MaxStoredMiB))
		}
	}
	return nil
}

func wide(n *int) *int64 {
	if n == nil {
		return nil
	}
	w := int64(*n)
	return &w
}
