//go:build unix

package bench

import (
	"time"

	"golang.org/x/sys/unix"
)

// processTime is the processor time that the process has used.
func processTime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &t); err != nil {
		return time.Since(started)
	}
	return time.Duration(t.Nano())
}
