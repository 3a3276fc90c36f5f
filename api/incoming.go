package api

import (
	"log/slog"
	"net/http"

	"github.com/go-chi/chi/v5"

	"throng"
	"throng/service"
)

// Incoming takes the files that callers send to the addresses that the APIs
// gave them: PUT /{token} below where it is mounted, the body being the file,
// byte for byte. The address itself is the permission. 200 with the MD5 as
// ETag; 400 for bytes that are not those announced, 403 for an address that is
// not ours or whose time is over, 409 for other bytes than before, 413.
func Incoming(svc *service.Service, log *slog.Logger) http.Handler {
	r := chi.NewRouter()
	fail := FailPlainly(log)
	r.MethodNotAllowed(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Allow", http.MethodPut)
		fail(w, r, throng.Errorf(throng.MethodNotAllowed, "send the file with PUT"))
	})
	r.Put("/{token}", func(w http.ResponseWriter, r *http.Request) {
		md5, err := svc.Receive(r.Context(), chi.URLParam(r, "token"), r.ContentLength, PacedBody(w, r.Body))
		if err != nil {
			fail(w, r, err)
			return
		}
		w.Header().Set("ETag", `"`+md5+`"`)
		w.WriteHeader(http.StatusOK)
	})
	return r
}
