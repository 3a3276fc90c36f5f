package cache

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestRecent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := NewRecent[string, int](time.Now)
		reads := 0
		read := func() (int, error) { reads++; return reads, nil }
		want := func(what string, value int) {
			t.Helper()
			if got, err := r.Get("k", read); got != value || err != nil {
				t.Errorf("Get() %s = %d, %v, want %d", what, got, err, value)
			}
		}
		want("at first", 1)
		time.Sleep(Life - 1)
		want("within its life", 1)
		time.Sleep(time.Nanosecond)
		want("after it", 2)
		r.Forget("other")
		want("after another was forgotten", 2)
		r.Forget("k")
		want("after it was forgotten", 3)
		r.ForgetAll()
		want("after all was forgotten", 4)
	})
}

func TestRecentForgottenWhileRead(t *testing.T) {
	r := NewRecent[string, int](time.Now)
	if got, _ := r.Get("k", func() (int, error) { r.Forget("k"); return 1, nil }); got != 1 {
		t.Errorf("Get() = %d, want what was read", got)
	}
	if got, _ := r.Get("k", func() (int, error) { return 2, nil }); got != 2 {
		t.Errorf("Get() = %d, want it read again: it was changed meanwhile", got)
	}
}

func TestRecentKeepsNoErrors(t *testing.T) {
	r := NewRecent[string, int](time.Now)
	bad := errors.New("bad")
	if _, err := r.Get("k", func() (int, error) { return 0, bad }); !errors.Is(err, bad) {
		t.Errorf("Get() = %v, want %v", err, bad)
	}
	if got, err := r.Get("k", func() (int, error) { return 2, nil }); got != 2 || err != nil {
		t.Errorf("Get() = %d, %v, want 2", got, err)
	}
}

func TestRecentIsBounded(t *testing.T) {
	r := NewRecent[int, int](time.Now)
	for i := range maxRecent + 10 {
		if _, err := r.Get(i, func() (int, error) { return i, nil }); err != nil {
			t.Fatal(err)
		}
	}
	if len(r.kept) > maxRecent {
		t.Errorf("%d kept, want at most %d", len(r.kept), maxRecent)
	}
}

func TestRecentOfAClockSetBack(t *testing.T) {
	now := time.Unix(1000, 0)
	r := NewRecent[string, int](func() time.Time { return now })
	_, _ = r.Get("k", func() (int, error) { return 1, nil })
	now = now.Add(-time.Hour)
	if got, _ := r.Get("k", func() (int, error) { return 2, nil }); got != 2 {
		t.Errorf("Get() = %d, want it read again: its age is not known", got)
	}
}
