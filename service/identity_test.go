package service

import (
	"testing"
	"time"

	"throng"
)

func TestAuthenticateKey(t *testing.T) {
	s := open(t)
	made := must(s.AddCaller(t.Context(), "ann", CallerSettings{}))
	right := func(key string) bool { return key == made.APIKey }
	for range 2 { // from the database, and from memory
		c, err := s.AuthenticateKey(t.Context(), made.AccessKey, right)
		if err != nil || c.Name != "ann" {
			t.Fatalf("AuthenticateKey() = %+v, %v, want ann", c, err)
		}
		c.Name = "changed by who got it"
		_, err = s.AuthenticateKey(t.Context(), made.AccessKey, func(string) bool { return false })
		wantCode(t, err, throng.Unauthorized)
	}
	for _, key := range []string{"", "nobody", made.APIKey, made.Token} {
		asked := 0
		_, err := s.AuthenticateKey(t.Context(), key, func(secret string) bool {
			if asked++; secret == "" || secret == made.APIKey {
				t.Errorf("check() of an unknown key was given no secret, or somebody's")
			}
			return true
		})
		wantCode(t, err, throng.Unauthorized)
		if asked != 1 {
			t.Errorf("check() was asked %d times for an unknown key, want once, as for a known one", asked)
		}
	}
}

// TestAuthenticateKeySeesChanges: at once what this process changes, soon what
// another one does.
func TestAuthenticateKeySeesChanges(t *testing.T) {
	s := open(t)
	other := s.again()
	yes := func(string) bool { return true }
	made := must(s.AddCaller(t.Context(), "ann", CallerSettings{}))
	for _, p := range []*testService{s, other} {
		if _, err := p.AuthenticateKey(t.Context(), made.AccessKey, yes); err != nil {
			t.Fatal(err)
		}
	}
	two := 2
	if err := s.SetCaller(t.Context(), "ann", CallerSettings{ConcurrentBuilds: &two}); err != nil {
		t.Fatal(err)
	}
	if c, err := s.AuthenticateKey(t.Context(), made.AccessKey, yes); err != nil || c.ConcurrentBuilds != 2 {
		t.Errorf("after SetCaller = %+v, %v, want what was set", c, err)
	}
	if err := s.RevokeCaller(t.Context(), "ann"); err != nil {
		t.Fatal(err)
	}
	_, err := s.AuthenticateKey(t.Context(), made.AccessKey, yes)
	wantCode(t, err, throng.Unauthorized)
	s.clock.Add(2 * time.Second)
	_, err = other.AuthenticateKey(t.Context(), made.AccessKey, yes)
	wantCode(t, err, throng.Unauthorized)
}
