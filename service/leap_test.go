package service

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"throng"
	"throng/job"
)

// lockedText is a log that is read while it is written.
type lockedText struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lockedText) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lockedText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// TestLeap has the clock leap ahead by a year. What the sweep would remove stays
// for a day, in which the clock can be set right; then it goes.
func TestLeap(t *testing.T) {
	var log lockedText
	s := start(t, keep(30), func(c *Config) { c.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	key := &Once{Method: "POST", Path: "/audiences", Key: "k", BodyHash: "h", Answer: func(made any) (int, []byte, error) {
		return 200, []byte(fmt.Sprint(made.(*throng.Audience).ID)), nil
	}}
	a := must(s.CreateAudience(t.Context(), s.caller, definition(everyone), key))
	s.wait(s.caller, a.ID)
	session, _, err := s.Login(t.Context(), must(s.RenewToken(t.Context(), s.caller.Name)))
	if err != nil {
		t.Fatal(err)
	}
	sweep := func() {
		t.Helper()
		j := job.Job{Kind: jobSweep, Key: jobSweep}
		if err := s.runSweep(t.Context(), j); !errors.Is(err, job.ErrLost) { // it is no job of the table
			t.Fatalf("runSweep() = %v, want that the job is not there", err)
		}
	}
	there := func(want bool) {
		t.Helper()
		_, err := s.Audience(t.Context(), s.caller, a.ID)
		if got := err == nil; got != want {
			t.Errorf("the audience is there: %t (%v), want %t", got, err, want)
		}
		kept, err := s.Answered(t.Context(), s.caller, *key)
		if got := kept != nil; err != nil || got != want {
			t.Errorf("the answer is there: %t (%v), want %t", got, err, want)
		}
	}
	sweep()
	const year = 365 * 24 * time.Hour
	s.clock.Add(year)
	there(true) // also before anybody has looked at the clock
	if _, err := s.CreateAudience(t.Context(), s.caller, definition(everyone), key); !errors.Is(err, ErrAnswered) {
		t.Errorf("the same again after the leap: %v, want ErrAnswered", err)
	}
	sweep()
	there(true)
	if n := strings.Count(log.String(), "the clock has leapt ahead"); n != 1 || !strings.Contains(log.String(), "was=2026-11-21T12:00:00Z is=2027-11-21T12:00:00Z until=2027-11-22T12:00:00Z") {
		t.Errorf("the log tells of %d leaps, want one, from when to when:\n%s", n, log.String())
	}

	s.clock.Add(-year)
	sweep()
	there(true)
	if _, err := s.SessionCaller(t.Context(), session); err != nil {
		t.Errorf("session after the clock was set right: %v", err)
	}
	s.clock.Add(17 * time.Hour) // what comes is no leap
	sweep()
	s.clock.Add(8 * time.Hour)
	if kept, err := s.Answered(t.Context(), s.caller, *key); kept != nil || err != nil {
		t.Errorf("Answered() after a day = %v, %v, want nothing", kept, err)
	}

	s.clock.Add(year)
	sweep()
	for range 2 {
		s.clock.Add(10 * time.Hour)
		sweep()
		if _, err := s.Audience(t.Context(), s.caller, a.ID); err != nil {
			t.Errorf("within a day after the leap: %v", err)
		}
	}
	s.clock.Add(5 * time.Hour)
	sweep()
	there(false)
}

// TestClockSetBack has the clock set back. What was made by the clock that was
// ahead ends in its time, and locks nobody out.
func TestClockSetBack(t *testing.T) {
	for _, d := range []time.Duration{time.Hour, 30 * 24 * time.Hour} {
		s := withDevices(t)
		session, _, err := s.Login(t.Context(), must(s.RenewToken(t.Context(), s.caller.Name)))
		if err != nil {
			t.Fatal(err)
		}
		in := must(s.PresignFile(t.Context(), s.caller, "a.txt", ""))
		s.clock.Add(-d)
		_, err = s.SessionCaller(t.Context(), session)
		if good := d == time.Hour; good != (err == nil) {
			t.Errorf("set back by %v: session: %v, want it good: %t", d, err, good)
		}
		_, err = s.Receive(t.Context(), in.URL[strings.LastIndexByte(in.URL, '/')+1:], -1, strings.NewReader("x"))
		if good := d == time.Hour; good != (err == nil) {
			t.Errorf("set back by %v: sending to an address: %v, want it good: %t", d, err, good)
		}
	}
}
