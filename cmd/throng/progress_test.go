package main

import (
	"os"
	"strings"
	"testing"
	"time"

	"throng/server"
)

// TestProgressLines shows steps where there is no terminal: a line each, with
// the time left where it is known.
func TestProgressLines(t *testing.T) {
	var out strings.Builder
	p := newProgress(&out)
	for _, now := range []server.Progress{
		{Step: "read people"},
		{Step: "read people", Done: 1, Total: 2, Left: time.Second},
		{Step: "read follows", Left: 95 * time.Second},
		{Step: "write postings", StepLeft: 1400 * time.Millisecond},
		{Step: "make current", Left: 42*time.Minute + 29*time.Second, StepLeft: time.Second},
	} {
		p.update(now)
	}
	p.end()
	want := "read people\nread follows (about 1m40s left)\nwrite postings (about 1s left of this step)\nmake current (about 42m0s left)\n"
	if out.String() != want {
		t.Errorf("shown:\n%swant:\n%s", out.String(), want)
	}
}

// TestIsTerminal takes a new terminal for one, and nothing that only looks like
// a device.
func TestIsTerminal(t *testing.T) {
	for name, want := range map[string]bool{"/dev/ptmx": true, os.DevNull: false, os.Args[0]: false} {
		f, err := os.Open(name)
		if err != nil {
			t.Logf("not looked at: %v", err)
			continue
		}
		if got := isTerminal(f); got != want {
			t.Errorf("isTerminal(%s) = %t, want %t", name, got, want)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
}
