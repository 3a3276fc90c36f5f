//go:build unix

package server

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// freeBytes is how much may still be written where the folder is.
func freeBytes(dir string) (uint64, error) {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return 0, fmt.Errorf("ask for free space: %w", err)
	}
	return fs.Bavail * uint64(fs.Bsize), nil
}
