package s3

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/minio/minio-go/v7"

	"throng/blob"
)

// Create implements [blob.Store]. Nothing is sent before there is a whole part
// or Commit is called.
func (s *Store) Create(ctx context.Context, key string) (blob.Writer, error) {
	if err := check(ctx, key); err != nil {
		return nil, fmt.Errorf("create blob: %w", err)
	}
	w := &writer{store: s, key: key, id: newID()}
	w.ctx, w.cancel = context.WithCancel(ctx)
	return w, nil
}

// writer gathers a part while the one before is sent.
type writer struct {
	ctx    context.Context // of Create: it governs the whole writing
	cancel context.CancelFunc
	store  *Store
	key    string
	id     string
	ended  bool
	err    error // the first that failed
	size   int64 // of what was written

	buf, spare []byte
	upload     string // id of the multipart upload; "" until there is one
	parts      []minio.CompletePart
	sending    chan error // of the part being sent; nil for none
}

// smallBuffer is up to where the buffer grows by need: most blobs are small.
const smallBuffer = 256 << 10

func (w *writer) Write(p []byte) (n int, err error) {
	if w.ended {
		return 0, blob.ErrClosed
	}
	for len(p) > 0 && w.err == nil {
		if w.err = context.Cause(w.ctx); w.err != nil {
			break
		}
		if len(w.buf) == w.store.cfg.PartSize {
			w.err = w.send()
			continue
		}
		k := min(len(p), w.store.cfg.PartSize-len(w.buf))
		if need := len(w.buf) + k; need > cap(w.buf) && need > smallBuffer {
			w.buf = append(make([]byte, 0, w.store.cfg.PartSize), w.buf...)
		}
		w.buf = append(w.buf, p[:k]...)
		p, n, w.size = p[k:], n+k, w.size+int64(k)
	}
	if w.err != nil {
		return n, fmt.Errorf("write blob: %w", w.err)
	}
	return n, nil
}

// send begins to send the buffer as the next part, once the one before is there,
// and takes the other buffer.
func (w *writer) send() error {
	if err := w.wait(); err != nil {
		return err
	}
	if w.upload == "" {
		id, err := w.store.core.NewMultipartUpload(w.ctx, w.store.cfg.Bucket, w.object(), minio.PutObjectOptions{})
		if err != nil {
			return cause(w.ctx, err)
		}
		w.upload = id
	}
	number := len(w.parts) + 1
	if number > maxParts {
		return fmt.Errorf("blob has more than %d parts of %d bytes; make them larger (part_mib)", maxParts, w.store.cfg.PartSize)
	}
	w.parts = append(w.parts, minio.CompletePart{PartNumber: number})
	part, data, sending := &w.parts[number-1], w.buf, make(chan error, 1)
	w.sending = sending
	go func() {
		sent, err := w.store.core.PutObjectPart(w.ctx, w.store.cfg.Bucket, w.object(), w.upload, number,
			bytes.NewReader(data), int64(len(data)), minio.PutObjectPartOptions{Sha256Hex: sumOf(data), DisableContentSha256: true})
		part.ETag = sent.ETag
		sending <- cause(w.ctx, err)
	}()
	w.buf, w.spare = w.spare[:0], data
	return nil
}

// wait returns when no part is being sent.
func (w *writer) wait() error {
	if w.sending == nil {
		return nil
	}
	err := <-w.sending
	w.sending = nil
	return err
}

// object is the name of the data.
func (w *writer) object() string { return w.store.prefix + w.key + dataSign + w.id }

// Commit implements [blob.Writer].
func (w *writer) Commit() error {
	if w.ended {
		return blob.ErrClosed
	}
	err := w.err
	if err == nil {
		err = context.Cause(w.ctx)
	}
	if err == nil {
		err = w.finish()
	}
	if err != nil {
		return fmt.Errorf("commit blob: %w", errors.Join(err, w.Abort()))
	}
	w.ended = true
	w.buf, w.spare = nil, nil
	defer w.cancel()
	// From here on nobody can tell whether a failure is one: what may be part of
	// the blob is left to the sweep.
	f, err := w.store.find(w.ctx, w.key)
	if err == nil {
		ctx, cancel := outlast(w.ctx, markTime)
		defer cancel()
		err = w.store.putMark(ctx, w.key, mark{version: f.version + 1, id: w.id, size: w.size})
	}
	if err != nil {
		return fmt.Errorf("commit blob: %w", err)
	}
	return nil
}

// outlast gives a context that ends some time after the one that it is made of. A
// mark that was sent may arrive after whoever sent it has stopped waiting: then
// it would come after the deletion of what was written so far.
func outlast(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	late, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		time.AfterFunc(d, func() { cancel(context.Cause(ctx)) })
	})
	return late, func() {
		stop()
		cancel(nil)
	}
}

// finish makes the data whole.
func (w *writer) finish() error {
	if w.upload == "" && w.sending == nil && len(w.parts) == 0 {
		return w.store.put(w.ctx, w.object(), w.buf)
	}
	if len(w.buf) > 0 {
		if err := w.send(); err != nil {
			return err
		}
	}
	if err := w.wait(); err != nil {
		return err
	}
	_, err := w.store.core.CompleteMultipartUpload(w.ctx, w.store.cfg.Bucket, w.object(), w.upload, w.parts, minio.PutObjectOptions{})
	if err = cause(w.ctx, err); err == nil {
		return nil
	}
	// The answer may have been lost, and the question asked again. The name is
	// nobody else's.
	if o, statErr := w.store.core.StatObject(w.ctx, w.store.cfg.Bucket, w.object(), minio.StatObjectOptions{}); statErr == nil && o.Size == w.size {
		return nil
	}
	return err
}

// Abort implements [blob.Writer].
func (w *writer) Abort() error {
	if w.ended {
		return nil
	}
	w.ended = true
	w.cancel()
	w.wait() //nolint:errcheck // whether it was sent does not matter any more
	w.buf, w.spare = nil, nil
	if w.upload == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(w.ctx), cleanTime)
	defer cancel()
	err := cause(ctx, w.store.core.AbortMultipartUpload(ctx, w.store.cfg.Bucket, w.object(), w.upload))
	if err != nil && !errors.Is(err, blob.ErrNotFound) {
		return fmt.Errorf("abort blob: %w", err)
	}
	return nil
}
