package service

import (
	"strings"
	"testing"
	"time"

	"throng"
)

// Both ways to be known lead to one bucket.
func TestRateLimit(t *testing.T) {
	peers := 1
	s := open(t, func(c *Config) { c.Peers = func() int { return peers } })
	ctx := t.Context()
	limit := 4
	made, err := s.AddCaller(ctx, "busy", CallerSettings{CallerLimits: CallerLimits{RequestsPerSecond: &limit}})
	if err != nil {
		t.Fatal(err)
	}
	session, _, err := s.Login(ctx, made.Token) // one
	if err != nil {
		t.Fatal(err)
	}
	ways := map[string]func() error{
		"token": func() error { _, err := s.Authenticate(ctx, made.Token); return err },
		"key": func() error {
			_, err := s.AuthenticateKey(ctx, made.AccessKey, func(string) bool { return true })
			return err
		},
		"session": func() error { _, err := s.SessionCaller(ctx, session); return err },
	}
	for name, way := range ways { // three
		if err := way(); err != nil {
			t.Errorf("%s within the limit: %v", name, err)
		}
	}
	for name, way := range ways {
		wantCode(t, way(), throng.RateLimited)
		e := way().(*throng.Error) //nolint:errorlint // the service returns it bare
		if e.RetryAfter != 250*time.Millisecond || !strings.Contains(e.Message, "4 requests a second") {
			t.Errorf("%s: %q after %v, want the limit after 250ms", name, e.Message, e.RetryAfter)
		}
	}
	// Two servers answer half as many each, and who signs wrongly takes nothing.
	peers = 2
	s.clock.Add(time.Second)
	for range 10 {
		_, err := s.AuthenticateKey(ctx, made.AccessKey, func(string) bool { return false })
		wantCode(t, err, throng.Unauthorized)
	}
	for range 2 {
		if err := ways["token"](); err != nil {
			t.Errorf("half of the limit: %v", err)
		}
	}
	err = ways["token"]()
	wantCode(t, err, throng.RateLimited)
	if !strings.Contains(err.Error(), "2 servers") {
		t.Errorf("refusal of one of two servers = %q", err)
	}
	none := 0
	if err := s.SetCaller(ctx, "busy", CallerSettings{CallerLimits: CallerLimits{RequestsPerSecond: &none}}); err != nil {
		t.Fatal(err)
	}
	for range 50 {
		if err := ways["key"](); err != nil {
			t.Fatalf("without a limit: %v", err)
		}
	}
}
