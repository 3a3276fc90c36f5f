package service

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"throng"
	"throng/identifier"
)

func TestCallers(t *testing.T) {
	s := open(t)
	types, grants, five, two := []identifier.Type{identifier.EmailRaw}, []throng.Grant{throng.AgeFirst}, int64(5), 2
	made, err := s.AddCaller(t.Context(), "ann", CallerSettings{CanGenerate: &types, Grants: &grants, Insights: &five, ConcurrentBuilds: &two})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(made.WebhookSecret, "whsec_") || made.Token == "" || made.AccessKey == "" || made.APIKey == "" {
		t.Errorf("secrets are missing: %d, %d, %d, %d bytes", len(made.Token), len(made.AccessKey), len(made.APIKey), len(made.WebhookSecret))
	}
	got, err := s.Authenticate(t.Context(), made.Token)
	want := &throng.Caller{
		ID: got.ID, Name: "ann", CanGenerate: []identifier.Type{"ss_id", "email_raw"}, CanView: identifier.Outputs(),
		CanDownload: identifier.Outputs(), Grants: grants, ConcurrentBuilds: 2,
		Limits: throng.CallerLimits{WaitingBuilds: throng.DefaultWaitingBuilds},
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("Authenticate, %v (-want +got):\n%s", err, diff)
	}
	row, err := s.db.CallerByName(t.Context(), "ann")
	if err != nil || strings.Contains(row.TokenHash+row.APIKeySealed+row.WebhookSecretSealed, made.Token[5:]) || strings.Contains(row.APIKeySealed, made.APIKey) {
		t.Errorf("the database holds a secret, or %v", err)
	}
	if key, err := s.cfg.Secrets.Open(row.APIKeySealed, apiKeyBinding("ann")); err != nil || key != made.APIKey {
		t.Errorf("the API key cannot be read again: %v", err)
	}
	_, err = s.AddCaller(t.Context(), "ann", CallerSettings{})
	wantCode(t, err, throng.Conflict)

	none := []throng.Grant{}
	if err := s.SetCaller(t.Context(), "ann", CallerSettings{Grants: &none, CanView: &types}); err != nil {
		t.Fatal(err)
	}
	got, err = s.Authenticate(t.Context(), made.Token)
	if err != nil || len(got.Grants) != 0 || len(got.CanView) != 2 || len(got.CanGenerate) != 2 {
		t.Errorf("after SetCaller: %+v, %v", got, err)
	}
	wantCode(t, s.SetCaller(t.Context(), "bob", CallerSettings{}), throng.NotFound)

	list, err := s.ListCallers(t.Context())
	if err != nil || len(list) != 2 || list[1].Name != "ann" || list[1].Credits != (throng.Credits{Builds: -1, Insights: 5, Expansions: -1}) {
		t.Errorf("ListCallers = %+v, %v", list, err)
	}
	session, _, err := s.Login(t.Context(), made.Token)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.RevokeCaller(t.Context(), "ann"); err != nil {
		t.Fatal(err)
	}
	_, err = s.Authenticate(t.Context(), made.Token)
	wantCode(t, err, throng.Unauthorized)
	_, err = s.SessionCaller(t.Context(), session)
	wantCode(t, err, throng.Unauthorized)
	_, _, err = s.Login(t.Context(), made.Token)
	wantCode(t, err, throng.Unauthorized)
}

func TestRenewToken(t *testing.T) {
	s := open(t)
	made := must(s.AddCaller(t.Context(), "ann", CallerSettings{}))
	token, err := s.RenewToken(t.Context(), "ann")
	if err != nil || token == made.Token {
		t.Fatalf("RenewToken: the old token again, or %v", err)
	}
	if c, err := s.Authenticate(t.Context(), token); err != nil || c.Name != "ann" {
		t.Errorf("Authenticate with the new token = %+v, %v, want ann", c, err)
	}
	_, err = s.Authenticate(t.Context(), made.Token)
	wantCode(t, err, throng.Unauthorized)
	_, err = s.RenewToken(t.Context(), "bob")
	wantCode(t, err, throng.NotFound)
	if err := s.RevokeCaller(t.Context(), "ann"); err != nil {
		t.Fatal(err)
	}
	_, err = s.RenewToken(t.Context(), "ann")
	wantCode(t, err, throng.NotFound)
}

func TestCallerRefusals(t *testing.T) {
	s := open(t)
	ramp, grant, minus, negative := []identifier.Type{identifier.RampID}, []throng.Grant{"fly"}, int64(-2), -1
	for name, set := range map[string]CallerSettings{
		"": {}, " x": {}, "a\nb": {}, strings.Repeat("n", 256): {},
		"type": {CanView: &ramp}, "grant": {Grants: &grant}, "credits": {Builds: &minus}, "builds": {ConcurrentBuilds: &negative},
	} {
		_, err := s.AddCaller(t.Context(), name, set)
		wantCode(t, err, throng.Invalid)
	}
	for _, token := range []string{"", "thr_unknown"} {
		_, err := s.Authenticate(t.Context(), token)
		wantCode(t, err, throng.Unauthorized)
	}
}

func TestSessions(t *testing.T) {
	s := open(t)
	made := must(s.AddCaller(t.Context(), "ann", CallerSettings{}))
	session, c, err := s.Login(t.Context(), made.Token)
	if err != nil || c.Name != "ann" {
		t.Fatalf("Login = %+v, %v", c, err)
	}
	s.clock.Add(sessionLife - time.Second)
	if c, err := s.SessionCaller(t.Context(), session); err != nil || c.Name != "ann" {
		t.Errorf("SessionCaller = %+v, %v, want ann", c, err)
	}
	s.clock.Add(2 * time.Second)
	_, err = s.SessionCaller(t.Context(), session)
	wantCode(t, err, throng.Unauthorized)

	session, _, err = s.Login(t.Context(), made.Token)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Logout(t.Context(), session); err != nil {
		t.Fatal(err)
	}
	_, err = s.SessionCaller(t.Context(), session)
	wantCode(t, err, throng.Unauthorized)
	_, err = s.SessionCaller(t.Context(), "")
	wantCode(t, err, throng.Unauthorized)
}

// A caller's limit of builds leaves the others' alone.
func TestConcurrentBuilds(t *testing.T) {
	g := &gate{match: "/text-md5", hold: make(chan struct{})}
	s := start(t, gated(g), func(c *Config) { c.BuildWorkers = 4 })
	one := 1
	c := s.add("one at a time", CallerSettings{ConcurrentBuilds: &one})
	d := definition(`[{"operation":"OR","affinities":{"affinities":[{"id":"a1"}]}}]`)
	first, second := s.create(c, d), s.create(c, d)
	<-g.seen
	other := s.create(s.caller, d)
	<-g.seen
	step := func(c *throng.Caller, id int64) string { return must(s.Audience(t.Context(), c, id)).Step }
	waitFor(t, func() bool { return step(c, first.ID) == stepFiles && step(s.caller, other.ID) == stepFiles })
	if got := step(c, second.ID); got != stepQueued {
		t.Errorf("the caller's second build is at %q, want %q", got, stepQueued)
	}
	close(g.hold)
	for _, id := range []int64{first.ID, second.ID} {
		if a := s.wait(c, id); a.Status != throng.Done {
			t.Errorf("audience %d: %s, want done", id, a.Status)
		}
	}
	if err := s.jobs.Stop(context.Background()); err != nil {
		t.Fatal(err)
	}
}
