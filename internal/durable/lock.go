//go:build unix

package durable

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// ErrLocked says that another holder has the lock.
var ErrLocked = errors.New("locked by another process")

// Lock takes an exclusive lock on the named file, making it (0600) if need be.
// It never waits: where another process, or another call in this one, holds
// the lock, it returns an error that wraps [ErrLocked].
//
// The lock ends with unlock or with the process, however that dies. The file
// stays: removing it would let two holders lock two files of one name.
func Lock(name string) (unlock func() error, err error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, fileMode)
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	if err := TryLockFile(f); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", name, err), f.Close())
	}
	return f.Close, nil
}

// TryLockFile takes the exclusive lock of an open file without waiting, or
// returns [ErrLocked]. The lock ends when the file is closed.
func TryLockFile(f *os.File) error {
	for {
		switch err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); {
		case err == nil:
			return nil
		case errors.Is(err, syscall.EINTR):
		case errors.Is(err, syscall.EWOULDBLOCK):
			return ErrLocked
		default:
			return err
		}
	}
}
