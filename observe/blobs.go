package observe

import (
	"context"
	"errors"
	"io"
	"iter"
	"time"

	"throng/blob"
)

// The operations on the store of files.
const (
	opWrite  = "write"
	opOpen   = "open"
	opRead   = "read"
	opStat   = "stat"
	opDelete = "delete"
	opList   = "list"
)

// Blobs gives the same store with its operations counted and timed. What else
// it can do (blob.Presigner, blob.Sweeper) it still can.
func (o *Observer) Blobs(s blob.Store) blob.Store {
	observed := observedStore{s, o}
	direct, presigns := s.(blob.Presigner)
	sweeper, sweeps := s.(blob.Sweeper)
	switch {
	case presigns && sweeps:
		return struct {
			observedStore
			blob.Presigner
			blob.Sweeper
		}{observed, direct, sweeper}
	case presigns:
		return struct {
			observedStore
			blob.Presigner
		}{observed, direct}
	case sweeps:
		return struct {
			observedStore
			blob.Sweeper
		}{observed, sweeper}
	}
	return observed
}

type observedStore struct {
	blob.Store
	o *Observer
}

// observed takes how an operation went. That nothing has the key is an answer.
func (s observedStore) observed(ctx context.Context, op string, start time.Time, err error) {
	s.o.blobTime.WithLabelValues(op).Observe(time.Since(start).Seconds())
	if err != nil && !errors.Is(err, blob.ErrNotFound) && ctx.Err() == nil {
		s.o.blobErrors.WithLabelValues(op).Inc()
	}
}

// Create implements blob.Store.
func (s observedStore) Create(ctx context.Context, key string) (blob.Writer, error) {
	start := time.Now()
	w, err := s.Store.Create(ctx, key)
	if err != nil {
		s.observed(ctx, opWrite, start, err)
		return nil, err
	}
	return &observedWriter{Writer: w, commit: func(err error) { s.observed(ctx, opWrite, start, err) }, o: s.o}, nil
}

// Open implements blob.Store.
func (s observedStore) Open(ctx context.Context, key string) (blob.Reader, error) {
	start := time.Now()
	r, err := s.Store.Open(ctx, key)
	s.observed(ctx, opOpen, start, err)
	if err != nil {
		return nil, err
	}
	return &observedReader{r, s.o}, nil
}

// Stat implements blob.Store.
func (s observedStore) Stat(ctx context.Context, key string) (blob.Info, error) {
	start := time.Now()
	info, err := s.Store.Stat(ctx, key)
	s.observed(ctx, opStat, start, err)
	return info, err
}

// Delete implements blob.Store.
func (s observedStore) Delete(ctx context.Context, key string) error {
	start := time.Now()
	err := s.Store.Delete(ctx, key)
	s.observed(ctx, opDelete, start, err)
	return err
}

// List implements blob.Store. The time is that of the whole list, and of what
// is done with it.
func (s observedStore) List(ctx context.Context, prefix string) iter.Seq2[blob.Info, error] {
	return func(yield func(blob.Info, error) bool) {
		start := time.Now()
		var failed error
		defer func() { s.observed(ctx, opList, start, failed) }()
		for info, err := range s.Store.List(ctx, prefix) {
			failed = err
			if !yield(info, err) {
				return
			}
		}
	}
}

type observedWriter struct {
	blob.Writer
	commit func(error)
	o      *Observer
}

// Write implements io.Writer.
func (w *observedWriter) Write(p []byte) (int, error) {
	n, err := w.Writer.Write(p)
	w.o.blobBytes.WithLabelValues("in").Add(float64(n))
	return n, err
}

// Commit implements blob.Writer.
func (w *observedWriter) Commit() error {
	err := w.Writer.Commit()
	w.commit(err)
	return err
}

type observedReader struct {
	blob.Reader
	o *Observer
}

// Read implements io.Reader.
func (r *observedReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.read(n, err)
	return n, err
}

// ReadAt implements io.ReaderAt.
func (r *observedReader) ReadAt(p []byte, off int64) (int, error) {
	n, err := r.Reader.ReadAt(p, off)
	r.read(n, err)
	return n, err
}

func (r *observedReader) read(n int, err error) {
	r.o.blobBytes.WithLabelValues("out").Add(float64(n))
	if err != nil && !errors.Is(err, io.EOF) {
		r.o.blobErrors.WithLabelValues(opRead).Inc()
	}
}
