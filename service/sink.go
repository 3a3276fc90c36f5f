package service

import (
	"errors"
	"hash"
	"io"
	"sync/atomic"

	"throng/blob"
)

// sink writes a blob, and sums it up, in a goroutine of its own, so that who
// makes what is written does not wait for either. Its methods are for one
// goroutine. It keeps two buffers.
type sink struct {
	w      blob.Writer
	sum    hash.Hash // nil for none
	size   int64     // of what was written
	buf    []byte
	full   chan<- []byte // to the goroutine; nil once it was told to end
	free   chan []byte   // back from it
	done   chan struct{}
	failed atomic.Bool
	err    error // the goroutine's, until done
}

// newSink starts a sink, which must be ended by commit or abort.
func newSink(w blob.Writer, sum hash.Hash) *sink {
	full := make(chan []byte, 1)
	k := &sink{w: w, sum: sum, full: full, free: make(chan []byte, 2), done: make(chan struct{})}
	k.free <- nil // made when it is needed: most files are small
	go k.run(full)
	return k
}

func (k *sink) run(full <-chan []byte) {
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

// write writes p. An error may come from what was written before.
func (k *sink) write(p []byte) error {
	k.size += int64(len(p))
	for len(k.buf)+len(p) > writeBuffer {
		n := writeBuffer - len(k.buf)
		k.buf = append(k.buf, p[:n]...)
		p = p[n:]
		if err := k.pass(); err != nil {
			return err
		}
	}
	k.buf = append(k.buf, p...)
	return nil
}

// pass gives the buffer to the goroutine and takes another.
func (k *sink) pass() error {
	if k.failed.Load() {
		return k.end()
	}
	k.full <- k.buf
	k.buf = <-k.free
	return nil
}

// end ends the goroutine and returns its error.
func (k *sink) end() error {
	if k.full != nil {
		close(k.full)
		k.full = nil
	}
	<-k.done
	return k.err
}

// flush writes what is left. The sum is complete then, and nothing more can be
// written.
func (k *sink) flush() error {
	if k.full != nil && len(k.buf) > 0 {
		if err := k.pass(); err != nil {
			return err
		}
	}
	return k.end()
}

// commit flushes and makes the blob visible.
func (k *sink) commit() error {
	if err := k.flush(); err != nil {
		return err
	}
	return k.w.Commit()
}

// readFrom writes what r gives until its end. read and written tell the errors
// of either side apart.
func (k *sink) readFrom(r io.Reader) (read, written error) {
	buf := make([]byte, writeBuffer)
	for {
		n, err := r.Read(buf)
		if written := k.write(buf[:n]); written != nil {
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

// abort drops the blob unless it was committed.
func (k *sink) abort() {
	k.end()     //nolint:errcheck // dropping is all that is wanted
	k.w.Abort() //nolint:errcheck // as above
}
