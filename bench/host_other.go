//go:build !unix

package bench

import "time"

// processTime is the time since the start: there is nothing better here.
func processTime() time.Duration { return time.Since(started) }
