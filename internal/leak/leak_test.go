package leak

import (
	"runtime"
	"testing"
	"time"
)

func TestWait(t *testing.T) {
	before := runtime.NumGoroutine()
	end := make(chan bool)
	go func() { <-end }()
	if wait(before, 10*time.Millisecond) {
		t.Error("a goroutine that is left was not noticed")
	}
	close(end)
	if !wait(before, patience) {
		t.Error("a goroutine that has ended was taken for one that is left")
	}
}
