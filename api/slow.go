package api

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"throng"
)

const (
	// pacedBytes is how much of a file a client must send while it is waited for
	// a pause. 32 KiB a minute is a tenth of what the slowest mobile networks do.
	pacedBytes = 32 << 10
	// sendPause is how long it is waited for.
	sendPause = time.Minute
)

// PacedBody reads a body that may be large: it may come slowly, but no more
// slowly than 32 KiB in a minute that is spent waiting for it. When it has ended
// there is no deadline any more, as with BodyDeadline. A body in chunks that are
// none is throng.Invalid.
func PacedBody(w http.ResponseWriter, body io.ReadCloser) io.ReadCloser {
	return &pacedBody{ReadCloser: body, rc: http.NewResponseController(w)}
}

type pacedBody struct {
	io.ReadCloser
	rc   *http.ResponseController
	left time.Duration // of the pause
	read int           // in it
}

// Read implements io.Reader.
func (b *pacedBody) Read(p []byte) (int, error) {
	if b.read >= pacedBytes || b.left == 0 {
		b.left, b.read = sendPause, 0
	}
	start := time.Now()
	_ = b.rc.SetReadDeadline(start.Add(b.left)) // not every writer can (httptest's)
	n, err := b.ReadCloser.Read(p)
	b.left = max(b.left-time.Since(start), 1) // what we do until the next call does not count
	b.read += n
	if errors.Is(err, io.EOF) {
		_ = b.rc.SetReadDeadline(time.Time{}) // as above
	}
	return n, framing(err)
}

// framing tells what is wrong with how a body was sent. net/http has no type for
// that; what a connection or a deadline says has one.
func framing(err error) error {
	_, isNet := errors.AsType[net.Error](err)
	switch {
	case err == nil, isNet, errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, http.ErrBodyReadAfterClose):
		return err
	}
	return fmt.Errorf("%w: %w", throng.Errorf(throng.Invalid, "the body does not come in the chunks that its headers announce"), err)
}
