// Package leak fails the tests of a package that leave goroutines behind.
package leak

import (
	"fmt"
	"net/http"
	"os"
	"runtime"
	"runtime/pprof"
	"testing"
	"time"
)

// patience is how long goroutines may take to end after the last test, on a
// machine that is busy with others.
const patience = 30 * time.Second

// Main runs the tests of a package and returns the exit status: that of the
// tests, or 1 where goroutines are left that were not there before, which it
// then lists. It is called by TestMain.
func Main(m *testing.M) int {
	before := runtime.NumGoroutine()
	status := m.Run()
	if status != 0 || wait(before, patience) {
		return status
	}
	fmt.Fprintf(os.Stderr, "%d goroutines are left behind, %d were there before the tests:\n", runtime.NumGoroutine(), before)
	_ = pprof.Lookup("goroutine").WriteTo(os.Stderr, 1) // there is nobody else to tell
	return 1
}

// wait waits until there are at most so many goroutines; false where that does
// not come to be.
func wait(most int, patience time.Duration) bool {
	for deadline := time.Now().Add(patience); runtime.NumGoroutine() > most; time.Sleep(5 * time.Millisecond) {
		if t, ok := http.DefaultTransport.(*http.Transport); ok {
			t.CloseIdleConnections() // of clients of the tests
		}
		if time.Now().After(deadline) {
			return false
		}
	}
	return true
}
