package throng

import (
	"errors"
	"fmt"
	"io/fs"
	"testing"
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
