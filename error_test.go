package throng

import (
	"errors"
	"fmt"
	"io/fs"
	"testing"
	"time"
)

func TestErrorf(t *testing.T) {
	cause := fmt.Errorf("open file: %w", fs.ErrNotExist)
	err := fmt.Errorf("create audience: %w", Errorf(NotFound, "audience %d does not exist", 7))
	if got := CodeOf(err); got != NotFound {
		t.Errorf("CodeOf() = %s, want %s", got, NotFound)
	}
	if got, want := MessageOf(err), "audience 7 does not exist"; got != want {
		t.Errorf("MessageOf() = %q, want %q", got, want)
	}
	if wrapped := Errorf(Invalid, "bad file: %w", cause); !errors.Is(wrapped, fs.ErrNotExist) {
		t.Errorf("%v does not wrap its cause", wrapped)
	}
	if got := CodeOf(cause); got != Internal {
		t.Errorf("CodeOf(%v) = %s, want %s", cause, got, Internal)
	}
	if got, want := MessageOf(cause), "internal error"; got != want {
		t.Errorf("MessageOf(%v) = %q, want %q: the inside stays inside", cause, got, want)
	}
}

func TestRefuse(t *testing.T) {
	details := []Detail{{"a", "is bad"}, {"", "nothing fits"}, {"c", "is worse"}, {"d", "is worst"}, {"e", "is too"}}
	for n, want := range map[int]string{
		0: "", 1: "a is bad", 2: "a is bad; nothing fits", 3: "a is bad; nothing fits; c is worse",
		5: "a is bad; nothing fits; c is worse; and 2 more",
	} {
		got := Refuse(Conflict, details[:n])
		if got.Code != Conflict || got.Message != want || len(got.Details) != n {
			t.Errorf("Refuse(%d problems) = %s, %q with %d details, want %q with all", n, got.Code, got.Message, len(got.Details), want)
		}
	}
}

// absent is the error of something below that is away.
type absent struct{}

func (absent) Error() string { return "host 10.0.0.1 does not answer" }
func (absent) Unavailable() (message string, retryAfter time.Duration) {
	return "come back later", 3 * time.Second
}

func TestAway(t *testing.T) {
	err := fmt.Errorf("read audience: %w", absent{})
	if !IsAway(err) || CodeOf(err) != Unavailable || MessageOf(err) != "come back later" || RetryAfter(err) != 3*time.Second {
		t.Errorf("%v is %s, %q, again after %v; away: %v", err, CodeOf(err), MessageOf(err), RetryAfter(err), IsAway(err))
	}
	refused := errors.Join(Errorf(NotFound, "no such thing"), err)
	if CodeOf(refused) != NotFound || RetryAfter(refused) != 0 {
		t.Errorf("a refusal with something away is %s, want that of the refusal", CodeOf(refused))
	}
	if plain := errors.New("x"); IsAway(plain) || RetryAfter(plain) != 0 {
		t.Error("a plain error is away")
	}
}
