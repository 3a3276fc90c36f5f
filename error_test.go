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
