package mintegral

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"throng/delivery"
	"throng/webhook"
)

var (
	// errStalled ends a file that does not move.
	errStalled = errors.New("the file does not move")
	// errEnded ends the making of a file that nobody reads any more.
	errEnded = errors.New("the exchange has ended")
)

// movingReader puts off a timer whenever it is read.
type movingReader struct {
	io.ReadCloser
	timer   *time.Timer
	timeout time.Duration
}

// Read implements io.Reader.
func (m *movingReader) Read(p []byte) (int, error) {
	m.timer.Reset(m.timeout)
	return m.ReadCloser.Read(p)
}

// put sends a file of known length to the address that it was given, in memory
// that does not depend on its length.
func (a *api) put(ctx context.Context, to string, p part, size int64) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	timer := time.AfterFunc(a.timeout, func() { cancel(errStalled) })
	defer timer.Stop()
	r, w := io.Pipe()
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, to, &movingReader{r, timer, a.timeout})
	if err != nil {
		return errors.New("the receiver gave a malformed address")
	}
	req.ContentLength = size
	req.Header.Set("User-Agent", "throng")

	made := make(chan error, 1)
	go func() {
		buf := bufio.NewWriterSize(w, copyBuffer)
		err := p.write(ctx, buf)
		if err == nil {
			err = buf.Flush()
		}
		w.CloseWithError(err) // nil is the end of the file
		made <- err
	}()
	resp, err := a.client.Do(req)
	r.CloseWithError(errEnded) // whoever still makes the file ends
	makeErr := <-made
	if err == nil {
		defer resp.Body.Close()
	}
	switch {
	case makeErr != nil && !errors.Is(makeErr, errEnded):
		// Our own trouble, whatever became of the request.
		return fmt.Errorf("make file: %w", makeErr)
	case err != nil:
		return a.unreachable(ctx, "take a file", err)
	}
	io.CopyN(io.Discard, resp.Body, maxAnswer) //nolint:errcheck // the status has come; the rest is of no interest
	if resp.StatusCode/100 == 2 {
		return nil
	}
	return refusedFile(resp, a.now())
}

// refusedFile words a refusal of a store. Most go away with another address,
// which the next attempt asks for.
func refusedFile(resp *http.Response, now time.Time) error {
	return &delivery.Problem{
		Message:    fmt.Sprintf("the receiver refused to take a file (status %d)", resp.StatusCode),
		Final:      resp.StatusCode == http.StatusRequestEntityTooLarge,
		RetryAfter: webhook.RetryAfter(resp.Header.Get("Retry-After"), now),
	}
}
