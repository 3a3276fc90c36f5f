package api

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"

	"throng"
	"throng/service"
)

// incomingPause is how long a sender of a file may send nothing at all.
const incomingPause = time.Minute

// Incoming takes the files that callers send to the addresses that the APIs
// gave them: PUT /{token} below where it is mounted, the body being the file,
// byte for byte. The address itself is the permission. 200 with the MD5 as
// ETag; 400 for bytes that are not those announced, 403 for an address that is
// not ours or whose time is over, 409 for other bytes than before, 413.
func Incoming(svc *service.Service, log *slog.Logger) http.Handler {
	r := chi.NewRouter()
	fail := func(w http.ResponseWriter, r *http.Request, err error) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(ErrorHeader(log, w, r, err))
		_, _ = io.WriteString(w, throng.MessageOf(err)+"\n") // a client that is gone reads nothing
	}
	r.Use(Identify, Recover(log, fail))
	r.MethodNotAllowed(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Allow", http.MethodPut)
		fail(w, r, throng.Errorf(throng.MethodNotAllowed, "send the file with PUT"))
	})
	r.Put("/{token}", func(w http.ResponseWriter, r *http.Request) {
		body := &pausing{body: r.Body, rc: http.NewResponseController(w)}
		md5, err := svc.Receive(r.Context(), chi.URLParam(r, "token"), r.ContentLength, body)
		if err != nil {
			fail(w, r, err)
			return
		}
		w.Header().Set("ETag", `"`+md5+`"`)
		w.WriteHeader(http.StatusOK)
	})
	return r
}

// pausing reads a body that may come slowly, but must not stop coming. When it
// has ended there is no deadline any more, as with BodyDeadline.
type pausing struct {
	body io.Reader
	rc   *http.ResponseController
}

// Read implements io.Reader.
func (p *pausing) Read(b []byte) (int, error) {
	_ = p.rc.SetReadDeadline(time.Now().Add(incomingPause)) // not every writer can
	n, err := p.body.Read(b)
	if errors.Is(err, io.EOF) {
		_ = p.rc.SetReadDeadline(time.Time{}) // as above
	}
	return n, err
}
