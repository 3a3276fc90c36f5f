package server

import (
	"context"
	"io"
	"slices"
	"strings"
	"time"

	"throng"
	"throng/identifier"
	"throng/service"
)

// CallerSpec says what a caller may do, in the words of the command line.
// What is nil stays as it is; of a new caller it is nothing beyond ss_id, no
// grant, unlimited credits, no limit but of builds that wait, 1,000.
type CallerSpec struct {
	CanGenerate, CanView, CanDownload *[]string // types, or "all"
	Grants                            *[]string // grants, or "all"
	Builds, Insights, Expansions      *int64
	ConcurrentBuilds                  *int
	CallerLimits
}

// CallerLimits are what a caller may take; 0 is no limit.
type CallerLimits struct {
	RequestsPerSecond, WaitingBuilds *int
	StoredMiB                        *int64
}

// Secrets are told once.
type Secrets struct {
	Name          string `json:"name"`
	Token         string `json:"token"`
	AccessKey     string `json:"access_key"`
	APIKey        string `json:"api_key"`
	WebhookSecret string `json:"webhook_secret"`
}

// Caller is a caller as the operator sees it.
type Caller struct {
	Name              string    `json:"name"`
	CanGenerate       []string  `json:"can_generate"`
	CanView           []string  `json:"can_view"`
	CanDownload       []string  `json:"can_download"`
	Grants            []string  `json:"grants"`
	Builds            int64     `json:"builds"`
	Insights          int64     `json:"insights"`
	Expansions        int64     `json:"expansions"`
	ConcurrentBuilds  int       `json:"concurrent_builds"`
	RequestsPerSecond int       `json:"requests_per_second"`
	WaitingBuilds     int       `json:"waiting_builds"`
	StoredMiB         int64     `json:"stored_mib"`
	StoredBytes       int64     `json:"stored_bytes"` // of files that are kept for it now
	AccessKey         string    `json:"access_key"`
	CreatedAt         time.Time `json:"created_at"`
	Revoked           bool      `json:"revoked"`
}

// AddCaller makes a caller.
func (s *Server) AddCaller(ctx context.Context, name string, spec CallerSpec) (*Secrets, error) {
	none := []string{}
	for _, list := range []**[]string{&spec.CanGenerate, &spec.CanView, &spec.CanDownload, &spec.Grants} {
		if *list == nil {
			*list = &none
		}
	}
	settings, err := spec.settings()
	if err != nil {
		return nil, err
	}
	made, err := s.service.AddCaller(ctx, name, settings)
	if throng.CodeOf(err) == throng.Invalid && err != nil {
		return nil, &UsageError{Message: throng.MessageOf(err)}
	}
	if err != nil {
		return nil, err
	}
	return &Secrets{Name: made.Name, Token: made.Token, AccessKey: made.AccessKey, APIKey: made.APIKey, WebhookSecret: made.WebhookSecret}, nil
}

// DemoCaller makes the demo's caller, who may do everything, or gives it a new
// token where it is there already. It returns the token.
func (s *Server) DemoCaller(ctx context.Context, name string) (string, error) {
	all := []string{"all"}
	made, err := s.AddCaller(ctx, name, CallerSpec{CanGenerate: &all, CanView: &all, CanDownload: &all, Grants: &all})
	if throng.CodeOf(err) == throng.Conflict && err != nil {
		return s.service.RenewToken(ctx, name)
	}
	if err != nil {
		return "", err
	}
	return made.Token, nil
}

// DemoUpload keeps a list of people's keys for the demo's caller, whose token is
// given, under the key that the vendor's examples name.
func (s *Server) DemoUpload(ctx context.Context, token, key string, people io.Reader) error {
	c, err := s.service.Authenticate(ctx, token)
	if err != nil {
		return err
	}
	_, err = s.service.KeepUpload(ctx, c, key, string(identifier.SSID), "the upload of the documentation's examples", people)
	return err
}

// SetCaller changes what a caller may do; a running server sees it at once.
func (s *Server) SetCaller(ctx context.Context, name string, spec CallerSpec) error {
	settings, err := spec.settings()
	if err != nil {
		return err
	}
	return s.service.SetCaller(ctx, name, settings)
}

// RevokeCaller ends a caller's access for good.
func (s *Server) RevokeCaller(ctx context.Context, name string) error {
	return s.service.RevokeCaller(ctx, name)
}

// Callers lists all callers by name.
func (s *Server) Callers(ctx context.Context) ([]Caller, error) {
	list, err := s.service.ListCallers(ctx)
	if err != nil {
		return nil, err
	}
	callers := make([]Caller, len(list))
	for i, c := range list {
		callers[i] = Caller{
			Name: c.Name, CanGenerate: texts(c.CanGenerate), CanView: texts(c.CanView), CanDownload: texts(c.CanDownload),
			Grants: texts(c.Grants), Builds: c.Credits.Builds, Insights: c.Credits.Insights, Expansions: c.Credits.Expansions,
			ConcurrentBuilds: c.ConcurrentBuilds, RequestsPerSecond: c.Limits.RequestsPerSecond, WaitingBuilds: c.Limits.WaitingBuilds,
			StoredMiB: c.Limits.StoredMiB, StoredBytes: c.Stored, AccessKey: c.AccessKey, CreatedAt: c.CreatedAt, Revoked: !c.RevokedAt.IsZero(),
		}
	}
	return callers, nil
}

func texts[T ~string](list []T) []string {
	out := make([]string, len(list))
	for i, v := range list {
		out[i] = string(v)
	}
	return out
}

// settings checks the words of a spec.
func (c CallerSpec) settings() (set service.CallerSettings, err error) {
	if set.CanGenerate, err = words("can-generate", c.CanGenerate, identifier.Outputs()); err != nil {
		return set, err
	}
	if set.CanView, err = words("can-view", c.CanView, identifier.Outputs()); err != nil {
		return set, err
	}
	if set.CanDownload, err = words("can-download", c.CanDownload, identifier.Outputs()); err != nil {
		return set, err
	}
	if set.Grants, err = words("grant", c.Grants, throng.Grants()); err != nil {
		return set, err
	}
	for flag, n := range map[string]*int64{"builds": c.Builds, "insights": c.Insights, "expansions": c.Expansions} {
		if n != nil && *n < -1 {
			return set, usage(flag, "want -1 for unlimited, or a number from 0")
		}
	}
	if c.ConcurrentBuilds != nil && *c.ConcurrentBuilds < 0 {
		return set, usage("concurrent-builds", "want a number from 0")
	}
	set.Builds, set.Insights, set.Expansions, set.ConcurrentBuilds = c.Builds, c.Insights, c.Expansions, c.ConcurrentBuilds
	set.CallerLimits = service.CallerLimits(c.CallerLimits)
	return set, c.check()
}

// words turns the words of a flag into values of a closed set.
func words[T ~string](flag string, given *[]string, allowed []T) (*[]T, error) {
	if given == nil {
		return nil, nil
	}
	list := []T{}
	for _, w := range *given {
		switch {
		case w == "all":
			list = slices.Clone(allowed)
		case slices.Contains(allowed, T(w)):
			if !slices.Contains(list, T(w)) {
				list = append(list, T(w))
			}
		default:
			return nil, usage(flag, "%q is none of %s or all", w, strings.Join(texts(allowed), ", "))
		}
	}
	return &list, nil
}

func (l CallerLimits) check() error {
	whole := func(flag string, n int64) error {
		if n < 0 || n > throng.MaxStoredMiB {
			return usage(flag, "want a number from 0 to %d; 0 is no limit", int64(throng.MaxStoredMiB))
		}
		return nil
	}
	for flag, n := range map[string]*int{"requests-per-second": l.RequestsPerSecond, "waiting-builds": l.WaitingBuilds} {
		if n == nil {
			continue
		}
		if err := whole(flag, int64(*n)); err != nil {
			return err
		}
	}
	if l.StoredMiB == nil {
		return nil
	}
	return whole("stored-mib", *l.StoredMiB)
}
