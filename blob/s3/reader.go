package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/minio/minio-go/v7"

	"throng/blob"
)

const (
	// stallTime is how long the store may send nothing.
	stallTime = 30 * time.Second
	// readTries is how often reading is begun anew at one place.
	readTries = 4
	// skipAtMost is how far reading goes on to get to a place a little ahead;
	// beyond it a new request costs less.
	skipAtMost = 256 << 10
	// windowSize is how much ReadAt asks for at least.
	windowSize = 256 << 10
)

// reader reads one object. The context of opening does not govern it: files do
// not end with it either.
type reader struct {
	store *Store
	found
	ctx    context.Context
	cancel context.CancelFunc // ends all requests, once it is closed

	pos  int64     // of Read
	body *streamed // open at `at`; nil for none
	at   int64

	mu        sync.Mutex
	window    []byte // guarded by mu: what ReadAt last read, from windowOff on
	windowOff int64
}

func newReader(ctx context.Context, s *Store, f found) *reader {
	r := &reader{store: s, found: f}
	r.ctx, r.cancel = context.WithCancel(context.WithoutCancel(ctx))
	return r
}

func (r *reader) Size() int64        { return r.info.Size }
func (r *reader) ModTime() time.Time { return r.info.ModTime }

// Read implements io.Reader.
func (r *reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, blob.ErrClosed
	}
	if r.pos >= r.info.Size {
		return 0, io.EOF
	}
	if len(p) == 0 {
		return 0, nil
	}
	var err error
	for range readTries {
		var n int
		if n, err = r.tryRead(p); n > 0 {
			r.pos += int64(n)
			r.at += int64(n)
			return n, nil
		}
		if r.drop(); final(err) {
			break
		}
	}
	return 0, fmt.Errorf("read blob: %w", err)
}

// tryRead reads at the position; after an error the stream is of no use.
func (r *reader) tryRead(p []byte) (int, error) {
	if r.body != nil && r.at != r.pos {
		if ahead := r.pos - r.at; ahead < 0 || ahead > skipAtMost {
			r.drop()
		} else if _, err := io.CopyN(io.Discard, r.body, ahead); err != nil {
			r.drop()
		}
	}
	if r.body == nil {
		body, err := r.get(r.pos, r.info.Size)
		if err != nil {
			return 0, err
		}
		r.body = body
	}
	r.at = r.pos
	n, err := r.body.Read(p[:min(int64(len(p)), r.info.Size-r.pos)])
	if n > 0 {
		return n, nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrNoProgress // shorter than it was said to be
	}
	return 0, cause(r.ctx, err)
}

func (r *reader) drop() {
	if r.body != nil {
		r.body.Close()
		r.body = nil
	}
}

// Seek implements io.Seeker.
func (r *reader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += r.pos
	case io.SeekEnd:
		offset += r.info.Size
	}
	if offset < 0 || whence < io.SeekStart || whence > io.SeekEnd {
		return 0, errors.New("seek blob: invalid position")
	}
	r.pos = offset
	return offset, nil
}

// ReadAt implements io.ReaderAt. What is asked for in small pieces is read in
// larger ones, of which the last is kept.
func (r *reader) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, errors.New("read blob: negative position")
	}
	if r.ctx.Err() != nil {
		return 0, blob.ErrClosed
	}
	p, end := p[:min(int64(len(p)), max(r.info.Size-off, 0))], off+int64(len(p)) > r.info.Size
	n, err := 0, error(nil)
	if len(p) < windowSize {
		n, err = r.readSmall(p, off)
	} else {
		n, err = r.readFull(p, off)
	}
	if err != nil {
		return n, fmt.Errorf("read blob: %w", err)
	}
	if end {
		return n, io.EOF
	}
	return n, nil
}

// readSmall reads less than a window, which may lie in two of them.
func (r *reader) readSmall(p []byte, off int64) (done int, err error) {
	for done < len(p) {
		at := (off + int64(done)) / windowSize * windowSize
		w, err := r.windowAt(at)
		if err != nil {
			return done, err
		}
		done += copy(p[done:], w[off+int64(done)-at:])
	}
	return done, nil
}

// windowAt gives the bytes from a multiple of windowSize on. Shared; read only.
func (r *reader) windowAt(at int64) ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.window == nil || r.windowOff != at {
		w := make([]byte, min(windowSize, r.info.Size-at))
		if _, err := r.readFull(w, at); err != nil {
			return nil, err
		}
		r.window, r.windowOff = w, at
	}
	return r.window, nil
}

// readFull reads all of p, beginning anew where it breaks off.
func (r *reader) readFull(p []byte, off int64) (done int, err error) {
	for tries := 0; done < len(p); {
		n, err := r.readRange(p[done:], off+int64(done))
		done += n
		if tries++; err != nil && (tries == readTries || final(err) || r.ctx.Err() != nil) {
			return done, err
		}
	}
	return done, nil
}

// final tells of what another try would only repeat.
func final(err error) bool { return errors.Is(err, errReplaced) || errors.Is(err, blob.ErrNotFound) }

func (r *reader) readRange(p []byte, off int64) (int, error) {
	body, err := r.get(off, off+int64(len(p)))
	if err != nil {
		return 0, err
	}
	defer body.Close()
	n, err := io.ReadFull(body, p)
	return n, cause(r.ctx, err)
}

// get asks for the bytes from..to, which are not none.
func (r *reader) get(from, to int64) (*streamed, error) {
	var opts minio.GetObjectOptions
	if err := opts.SetRange(from, to-1); err != nil {
		return nil, err
	}
	if r.etag != "" {
		if err := opts.SetMatchETag(r.etag); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithCancelCause(r.ctx)
	stall := time.AfterFunc(stallTime, func() { cancel(errStalled) }) // the answer's beginning, too
	body, _, _, err := r.store.core.GetObject(ctx, r.store.cfg.Bucket, r.object, opts)
	if err != nil {
		stall.Stop()
		cancel(nil)
		return nil, cause(r.ctx, err)
	}
	return &streamed{body: body, cancel: cancel, stall: stall}, nil
}

var errStalled = errors.New("the store sends nothing")

// Close implements io.Closer.
func (r *reader) Close() error {
	r.drop()
	r.cancel()
	return nil
}

// streamed is the body of an answer that ends when nothing comes any more.
type streamed struct {
	body   io.ReadCloser
	cancel context.CancelCauseFunc
	stall  *time.Timer
}

// Read implements io.Reader. Only waiting for bytes counts, not their reader's
// own time.
func (b *streamed) Read(p []byte) (int, error) {
	b.stall.Reset(stallTime)
	defer b.stall.Stop()
	return b.body.Read(p)
}

// Close implements io.Closer.
func (b *streamed) Close() error {
	b.stall.Stop()
	b.cancel(nil)
	return b.body.Close()
}
