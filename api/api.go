// Package api is what the HTTP APIs share: reading a body, telling who asks,
// turning errors into statuses in one place, serving files, and carrying out a
// request once however often it is sent. Shapes are the vendors' packages' own.
package api

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"mime"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"throng"
)

// Status gives the HTTP status of an error's code.
func Status(code throng.Code) int {
	switch code {
	case throng.Invalid:
		return http.StatusBadRequest
	case throng.Unauthorized:
		return http.StatusUnauthorized
	case throng.Forbidden, throng.CreditsExhausted, throng.QuotaExceeded:
		return http.StatusForbidden
	case throng.NotFound:
		return http.StatusNotFound
	case throng.MethodNotAllowed:
		return http.StatusMethodNotAllowed
	case throng.Conflict:
		return http.StatusConflict
	case throng.TooLarge:
		return http.StatusRequestEntityTooLarge
	case throng.Unsupported:
		return http.StatusUnsupportedMediaType
	case throng.RateLimited:
		return http.StatusTooManyRequests
	case throng.Unavailable, throng.StorageFull:
		return http.StatusServiceUnavailable
	case throng.Internal:
		return http.StatusInternalServerError
	}
	return http.StatusInternalServerError
}

// ErrorHeader sets the headers that go with an error, logs what nobody may be
// told, and returns the status. A client that went away is no error of ours.
func ErrorHeader(log *slog.Logger, w http.ResponseWriter, r *http.Request, err error) int {
	code := throng.CodeOf(err)
	TrailOf(r.Context()).Code = code
	if (code == throng.Internal || code == throng.StorageFull) && r.Context().Err() == nil {
		log.ErrorContext(r.Context(), "request failed", "method", r.Method, "err", err)
	}
	if throng.IsAway(err) && r.Context().Err() == nil {
		log.WarnContext(r.Context(), "request not possible now", "method", r.Method, "err", err)
	}
	status := Status(code)
	if d := throng.RetryAfter(err); d > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(d.Seconds()))))
	} else if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1") // nobody said when; not never, and not at once
	}
	return status
}

// FailPlainly answers an error by its message alone, where what was asked for
// has no shape of its own for errors.
func FailPlainly(log *slog.Logger) func(http.ResponseWriter, *http.Request, error) {
	return func(w http.ResponseWriter, r *http.Request, err error) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(ErrorHeader(log, w, r, err))
		_, _ = io.WriteString(w, throng.MessageOf(err)+"\n") // a client that is gone reads nothing
	}
}

// Bearer gives the token of a request, "" where it has none.
func Bearer(r *http.Request) string {
	scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// ReadJSON reads a body as ReadBody does, and checks that its bytes are JSON.
func ReadJSON(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	body, err := ReadBody(w, r)
	if err != nil || body == nil {
		return nil, err
	}
	return body, throng.ReadJSON(body)
}

// ReadBody reads a body of at most throng.MaxBody bytes that is JSON by its
// content type. A request without one is taken for JSON. An empty body gives
// nil.
func ReadBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	tooLarge := throng.Errorf(throng.TooLarge, "the body is larger than the %d bytes allowed", throng.MaxBody)
	if r.ContentLength > throng.MaxBody {
		return nil, tooLarge
	}
	var b bytes.Buffer
	if r.ContentLength > 0 {
		b.Grow(int(min(r.ContentLength, maxTrusted)) + bytes.MinRead)
	}
	_, err := b.ReadFrom(http.MaxBytesReader(w, r.Body, throng.MaxBody))
	body := b.Bytes()
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, tooLarge
	}
	if err != nil {
		return nil, throng.Errorf(throng.Invalid, "the body could not be read to its end")
	}
	if len(body) == 0 {
		return nil, nil
	}
	if err := claimsJSON(r.Header); err != nil {
		return nil, err
	}
	return body, nil
}

// maxTrusted is how much memory is taken for a body before any of it came.
const maxTrusted = 64 << 10

// claimsJSON refuses what claims to be something else.
func claimsJSON(h http.Header) error {
	if enc := h.Get("Content-Encoding"); enc != "" && !strings.EqualFold(enc, "identity") {
		return throng.Errorf(throng.Unsupported, "the body must not be encoded: leave Content-Encoding out")
	}
	claim := h.Get("Content-Type")
	if claim == "" {
		return nil
	}
	media, params, err := mime.ParseMediaType(claim)
	isJSON := media == "application/json" || strings.HasPrefix(media, "application/") && strings.HasSuffix(media, "+json")
	if charset := params["charset"]; err != nil || !isJSON || charset != "" && !strings.EqualFold(charset, "utf-8") {
		return throng.Errorf(throng.Unsupported, "the body must be JSON in UTF-8: send Content-Type: application/json")
	}
	return nil
}

// Recover answers a panic with fail instead of a cut connection: in the shape of
// the innermost that is around the handler. What was thrown is not logged: it
// may hold what must not be written down.
func Recover(log *slog.Logger, fail func(http.ResponseWriter, *http.Request, error)) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer func() {
				v := recover()
				if v == nil {
					return
				}
				if v == http.ErrAbortHandler { //nolint:errorlint // the very value that net/http asks for
					panic(v)
				}
				log.ErrorContext(r.Context(), "handler panicked", "type", fmt.Sprintf("%T", v), "stack", string(debug.Stack()))
				fail(w, r, throng.Errorf(throng.Internal, "internal error"))
			}()
			next.ServeHTTP(w, r)
		})
	}
}

// BodyDeadline gives every request this long to send its body, so that a slow
// client cannot hold a connection for ever. Handlers of large bodies extend it.
// Once the body was read to its end there is none any more: net/http would take
// it for the client's end, and cancel what takes longer.
func BodyDeadline(d time.Duration) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Body != nil && r.Body != http.NoBody {
				rc := http.NewResponseController(w)
				// Not every writer can (httptest's); then there is no deadline.
				_ = rc.SetReadDeadline(time.Now().Add(d))
				// A request of its own: net/http looks at the body of the first one to see
				// how much of it nobody read. If that were ours it would wait for the body
				// before it sends an answer that does not need it.
				r = r.WithContext(r.Context())
				r.Body = &deadlined{r.Body, rc}
			}
			next.ServeHTTP(w, r)
		})
	}
}

// deadlined is a body whose deadline ends with it.
type deadlined struct {
	io.ReadCloser
	rc *http.ResponseController
}

// Read implements io.Reader.
func (d *deadlined) Read(p []byte) (int, error) {
	n, err := d.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) {
		_ = d.rc.SetReadDeadline(time.Time{}) // as above
	}
	return n, err
}
