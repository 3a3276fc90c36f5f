package blob

import (
	"errors"
	"hash"
	"io"
	"sync/atomic"
)

// sinkBuffer is a compromise between fourteen open files and few writes.
const sinkBuffer = 128 << 10

// Sink writes a blob, and sums it up, in a goroutine of its own, so that who
// makes what is written does not wait for either. Its methods are for one
// goroutine. It keeps two buffers of 128 KiB.
type Sink struct {
	w      Writer
	sum    hash.Hash // nil for none
	size   int64     // of what was written
	buf    []byte
	full   chan<- []byte // to the goroutine; nil once it was told to end
	free   chan []byte   // back from it
	done   chan struct{}
	failed atomic.Bool
	err    error // the goroutine's, until done
}

// NewSink starts a sink, which owns w and must be ended by Commit or Abort. sum is
// nil for none.
func NewSink(w Writer, sum hash.Hash) *Sink {
	full := make(chan []byte, 1)
	k := &Sink{w: w, sum: sum, full: full, free: make(chan []byte, 2), done: make(chan struct{})}
	k.free <- nil // made when it is needed: most files are small
	go k.run(full)
	return k
}

func (k *Sink) run(full <-chan []byte) {
	defer close(k.done)
	for b := range full {
		if k.err == nil {
			if k.sum != nil {
				k.sum.Write(b)
			}
			if _, k.err = k.w.Write(b); k.err != nil {
				k.failed.Store(true)
			}
		}
		k.free <- b[:0]
	}
}

// Size is how many bytes were written so far.
func (k *Sink) Size() int64 { return k.size }

// Write implements io.Writer. An error may come from what was written before.
func (k *Sink) Write(p []byte) (int, error) {
	n := len(p)
	k.size += int64(n)
	for len(k.buf)+len(p) > sinkBuffer {
		room := sinkBuffer - len(k.buf)
		k.buf = append(k.buf, p[:room]...)
		p = p[room:]
		if err := k.pass(); err != nil {
			return 0, err
		}
	}
	k.buf = append(k.buf, p...)
	return n, nil
}

// pass gives the buffer to the goroutine and takes another.
func (k *Sink) pass() error {
	if k.failed.Load() {
		return k.end()
	}
	k.full <- k.buf
	k.buf = <-k.free
	return nil
}

// end ends the goroutine and returns its error.
func (k *Sink) end() error {
	if k.full != nil {
		close(k.full)
		k.full = nil
	}
	<-k.done
	return k.err
}

// Flush writes what is left. The sum is complete then, and nothing more can be
// written.
func (k *Sink) Flush() error {
	if k.full != nil && len(k.buf) > 0 {
		if err := k.pass(); err != nil {
			return err
		}
	}
	return k.end()
}

// Commit flushes and makes the blob visible.
func (k *Sink) Commit() error {
	if err := k.Flush(); err != nil {
		return err
	}
	return k.w.Commit()
}

// Take writes what r gives until its end. read and written tell the errors of
// either side apart.
func (k *Sink) Take(r io.Reader) (read, written error) {
	buf := make([]byte, sinkBuffer)
	for {
		n, err := r.Read(buf)
		if _, written := k.Write(buf[:n]); written != nil {
			return nil, written
		}
		if errors.Is(err, io.EOF) {
			return nil, nil
		}
		if err != nil {
			return err, nil
		}
	}
}

// Abort drops the blob unless it was committed.
func (k *Sink) Abort() {
	k.end()     //nolint:errcheck // dropping is all that is wanted
	k.w.Abort() //nolint:errcheck // as above
}
