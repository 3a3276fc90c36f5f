package service

import (
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"throng"
	"throng/sqldb"
	"throng/webhook"
)

func TestRotateToken(t *testing.T) {
	s := open(t)
	first := must(s.AddCaller(t.Context(), "ann", CallerSettings{})).Token
	session, _, err := s.Login(t.Context(), first)
	if err != nil {
		t.Fatal(err)
	}
	hour := time.Hour
	second := must(s.Rotate(t.Context(), "ann", Rotation{Token: true, Overlap: &hour}))
	third := must(s.Rotate(t.Context(), "ann", Rotation{Token: true, Overlap: &hour}))
	if second.Token == first || third.Token == second.Token || second.APIKey != "" || second.WebhookSecret != "" {
		t.Fatal("a token that was there before, or secrets that were not asked for")
	}
	if want := s.clock.Now().Add(hour); !third.Ends[sqldb.SecretToken].Equal(want) {
		t.Errorf("old token ends at %v, want %v", third.Ends, want)
	}
	_, err = s.SessionCaller(t.Context(), session)
	wantCode(t, err, throng.Unauthorized)
	holds := func(token string, want bool) {
		t.Helper()
		c, err := s.Authenticate(t.Context(), token)
		if (err == nil) != want || err == nil && c.Name != "ann" {
			t.Errorf("Authenticate = %+v, %v, want it known: %t", c, err, want)
		}
	}
	for _, token := range []string{first, second.Token, third.Token} {
		holds(token, true)
	}
	s.clock.Add(hour)
	holds(first, false)
	holds(second.Token, false)
	holds(third.Token, true)

	// What ends at once ends what others had left, too.
	fourth := must(s.Rotate(t.Context(), "ann", Rotation{Token: true, Overlap: &hour}))
	fifth := must(s.Rotate(t.Context(), "ann", Rotation{Token: true}))
	holds(third.Token, false)
	holds(fourth.Token, false)
	holds(fifth.Token, true)

	sixth := must(s.Rotate(t.Context(), "ann", Rotation{Token: true, Overlap: &hour}))
	if err := s.RevokeCaller(t.Context(), "ann"); err != nil {
		t.Fatal(err)
	}
	holds(fifth.Token, false)
	holds(sixth.Token, false)
	_, err = s.Rotate(t.Context(), "ann", Rotation{Token: true})
	wantCode(t, err, throng.NotFound)
}

func TestRotateAPIKey(t *testing.T) {
	s := open(t)
	made := must(s.AddCaller(t.Context(), "ann", CallerSettings{}))
	holds := func(key string, want bool) {
		t.Helper()
		_, err := s.AuthenticateKey(t.Context(), made.AccessKey, func(k string) bool { return k == key })
		if (err == nil) != want {
			t.Errorf("AuthenticateKey = %v, want it known: %t", err, want)
		}
	}
	holds(made.APIKey, true)
	hour := time.Hour
	second := must(s.Rotate(t.Context(), "ann", Rotation{APIKey: true, Overlap: &hour}))
	if second.AccessKey != made.AccessKey {
		t.Error("the access key has changed")
	}
	holds(made.APIKey, true)
	holds(second.APIKey, true)
	third := must(s.Rotate(t.Context(), "ann", Rotation{APIKey: true}))
	holds(made.APIKey, false)
	holds(second.APIKey, false)
	holds(third.APIKey, true)
}

func TestRotateRefuses(t *testing.T) {
	s := open(t)
	must(s.AddCaller(t.Context(), "ann", CallerSettings{}))
	negative, long := -time.Second, 91*24*time.Hour
	for _, r := range []Rotation{{}, {Token: true, Overlap: &negative}, {Token: true, Overlap: &long}} {
		_, err := s.Rotate(t.Context(), "ann", r)
		wantCode(t, err, throng.Invalid)
	}
	_, err := s.Rotate(t.Context(), "bob", Rotation{Token: true})
	wantCode(t, err, throng.NotFound)
}

// While the overlap lasts, a receiver can verify with the old secret or the new
// one.
func TestRotateWebhookSecret(t *testing.T) {
	r := receive(t)
	s := start(t)
	grants := throng.Grants()
	made := must(s.AddCaller(t.Context(), "ann", CallerSettings{Grants: &grants}))
	c := must(s.Authenticate(t.Context(), made.Token))
	verifies := func(what string, secrets map[string]bool) {
		t.Helper()
		d := definition(everyone)
		d.CallbackURL = r.URL
		before := r.count()
		s.create(c, d)
		waitFor(t, func() bool { return r.count() > before })
		r.mu.Lock()
		defer r.mu.Unlock()
		for secret, want := range secrets {
			v, err := standardwebhooks.NewWebhook(secret)
			if err != nil {
				t.Fatal(err)
			}
			if err := v.Verify([]byte(r.bodies[before]), r.got[before].Header); (err == nil) != want {
				t.Errorf("%s: Verify = %v, want it to hold: %t", what, err, want)
			}
		}
	}
	first := made.WebhookSecret
	verifies("before", map[string]bool{first: true})
	second := must(s.Rotate(t.Context(), "ann", Rotation{WebhookSecret: true})).WebhookSecret
	verifies("in the overlap", map[string]bool{first: true, second: true, webhook.NewSecret(): false})
	s.clock.Add(23 * time.Hour)
	third := must(s.Rotate(t.Context(), "ann", Rotation{WebhookSecret: true})).WebhookSecret
	verifies("in two overlaps", map[string]bool{first: true, second: true, third: true})
	s.clock.Add(time.Hour)
	verifies("after the first overlap", map[string]bool{first: false, second: true, third: true})
	none := time.Duration(0)
	fourth := must(s.Rotate(t.Context(), "ann", Rotation{WebhookSecret: true, Overlap: &none})).WebhookSecret
	verifies("without an overlap", map[string]bool{first: false, second: false, third: false, fourth: true})
	if err := s.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	verifies("after a sweep", map[string]bool{third: false, fourth: true})
}

// A callback can be sent again whatever became of it, and whatever becomes of it
// is counted.
func TestReplayInEveryState(t *testing.T) {
	ended := make(chan string, 100)
	r := receive(t, 410, 503, 410)
	s := start(t, func(c *Config) { c.Observe.CallbackEnded = func(status string) { ended <- status } })
	d := definition(everyone)
	d.CallbackURL = r.URL
	s.create(s.caller, d)
	var id int64
	becomes := func(status string, attempts int) {
		t.Helper()
		waitFor(t, func() bool {
			list, _, err := s.Callbacks(t.Context(), s.caller, CallbackFilter{})
			if err != nil || len(list) != 1 {
				return false
			}
			id = list[0].ID
			return list[0].Status == status && len(list[0].Attempts) == attempts
		})
	}
	replay := func() {
		t.Helper()
		c, err := s.ReplayCallback(t.Context(), s.caller, id, nil)
		if err != nil || c.Status != sqldb.CallbackPending {
			t.Fatalf("ReplayCallback = %+v, %v, want it pending", c, err)
		}
	}
	becomes(sqldb.CallbackFailed, 1) // 410
	replay()                         // failed
	becomes(sqldb.CallbackPending, 2)
	replay() // pending: now instead of later, and once
	becomes(sqldb.CallbackFailed, 3)
	replay()
	becomes(sqldb.CallbackDelivered, 4)
	replay() // delivered
	becomes(sqldb.CallbackDelivered, 5)
	for _, want := range []string{"failed", "failed", "delivered", "delivered"} {
		if got := <-ended; got != want {
			t.Errorf("a callback has ended %s, want %s", got, want)
		}
	}

	// Refused: by a server that calls nothing private.
	if err := s.jobs.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	sender := webhook.NewSender(webhook.Config{})
	t.Cleanup(sender.Close)
	s = s.again(func(c *Config) { c.Sender = sender })
	s.run()
	replay()
	becomes(sqldb.CallbackRefused, 6)
	replay()
	becomes(sqldb.CallbackRefused, 7)
	if n := r.count(); n != 5 {
		t.Errorf("the receiver was called %d times, want 5", n)
	}
	if _, err := s.ReplayCallback(t.Context(), s.caller, 999, nil); throng.CodeOf(err) != throng.NotFound {
		t.Errorf("ReplayCallback of none = %v, want not found", err)
	}
}
