package service

import (
	"context"
	"testing"

	"throng"
	"throng/sqldb"
	"throng/webhook"
)

func TestCallback(t *testing.T) {
	r := receive(t, 500)
	s := start(t)
	d := definition(everyone)
	d.CallbackURL = r.URL + "/path?q=1"
	a := s.wait(s.caller, s.create(s.caller, d).ID)
	list, next, err := s.Callbacks(t.Context(), s.caller, CallbackFilter{})
	if err != nil || len(list) != 1 || next != "" || list[0].AudienceID != a.ID || list[0].URL != d.CallbackURL {
		t.Fatalf("Callbacks = %+v, %q, %v, want one of audience %d", list, next, err, a.ID)
	}
	id := list[0].ID
	state := func() *Callback { return must(s.Callback(t.Context(), s.caller, id)) }
	waitFor(t, func() bool { return state().Status == sqldb.CallbackDelivered })
	c := state()
	if len(c.Attempts) != 2 || c.Attempts[0].HTTPStatus != 500 || c.Attempts[0].Error == "" || c.Attempts[1].HTTPStatus != 200 || c.Attempts[1].Error != "" || !c.NextAttemptAt.IsZero() {
		t.Errorf("callback = %+v, want a 500 and a 200", c)
	}
	if want := string(must(render(*a))); r.bodies[0] != want || r.bodies[1] != want {
		t.Errorf("bodies = %q, want %s twice", r.bodies, want)
	}
	if r.got[0].Header.Get("webhook-id") != r.got[1].Header.Get("webhook-id") || r.got[0].Header.Get("webhook-signature") == "" {
		t.Error("attempts differ in their id, or are not signed")
	}
	if _, err := s.ReplayCallback(t.Context(), s.caller, id, nil); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool { return len(state().Attempts) == 3 && state().Status == sqldb.CallbackDelivered })
	other := s.add("other", CallerSettings{})
	_, err = s.Callback(t.Context(), other, id)
	wantCode(t, err, throng.NotFound)
	_, err = s.ReplayCallback(t.Context(), other, id, nil)
	wantCode(t, err, throng.NotFound)
}

func TestCallbackGone(t *testing.T) {
	r := receive(t, 410)
	s := start(t)
	d := definition(everyone)
	d.CallbackURL = r.URL
	s.create(s.caller, d)
	var list []Callback
	waitFor(t, func() bool {
		list, _, _ = s.Callbacks(t.Context(), s.caller, CallbackFilter{Status: "failed"})
		return len(list) == 1
	})
	if len(list[0].Attempts) != 1 || list[0].Attempts[0].HTTPStatus != 410 || r.count() != 1 {
		t.Errorf("callback = %+v, want one attempt alone", list[0])
	}
}

func TestCallbackRefused(t *testing.T) {
	r := receive(t)
	s := start(t, func(c *Config) {
		c.Sender = webhook.NewSender(webhook.Config{})
		c.AllowPrivateCallbacks = false
	})
	d := definition(everyone)
	d.CallbackURL = r.URL
	a := s.wait(s.caller, s.create(s.caller, d).ID)
	if a.Status != throng.Done {
		t.Errorf("status = %s, want done all the same", a.Status)
	}
	var list []Callback
	waitFor(t, func() bool {
		list, _, _ = s.Callbacks(t.Context(), s.caller, CallbackFilter{Status: "refused"})
		return len(list) == 1
	})
	if len(list[0].Attempts) != 1 || list[0].Attempts[0].Error == "" || r.count() != 0 {
		t.Errorf("callback = %+v after %d calls, want one refused attempt and no call", list[0], r.count())
	}
}

// A callback that is not delivered yet outlives the server that made it.
func TestCallbackAfterRestart(t *testing.T) {
	r := receive(t, 503)
	s := start(t)
	d := definition(everyone)
	d.CallbackURL = r.URL
	s.create(s.caller, d)
	waitFor(t, func() bool { return r.count() == 1 })
	if err := s.jobs.Stop(context.Background()); err != nil {
		t.Fatal(err)
	}
	two := s.again()
	two.run()
	waitFor(t, func() bool {
		list, _, _ := two.Callbacks(t.Context(), two.caller, CallbackFilter{Status: "delivered"})
		return len(list) == 1 && r.count() == 2
	})
}
