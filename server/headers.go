package server

import (
	"net/http"
	"strings"

	"throng/api/mintegral"
	"throng/api/silhouette"
)

// hstsAge is how long a browser asks for https alone: a year, in seconds.
const hstsAge = "max-age=31536000"

// harden sets the headers that answers of every kind have. Handlers may set
// their own in their place, as those of files and pages do.
func harden(secure bool) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			h := w.Header()
			h.Set("X-Content-Type-Options", "nosniff")
			if secure {
				h.Set("Strict-Transport-Security", hstsAge)
			}
			if ofCallers(r.URL.Path) {
				// Who opens an answer in a browser gets no page out of it, and
				// nobody between keeps it.
				h.Set("Cache-Control", "no-store")
				h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
				h.Set("Referrer-Policy", "no-referrer")
				h.Set("Cross-Origin-Resource-Policy", "same-origin")
			}
			next.ServeHTTP(w, r)
		})
	}
}

// ofCallers tells whether what is at a path is for callers alone.
func ofCallers(path string) bool {
	for _, base := range []string{silhouette.Base, mintegral.Base, "/incoming"} {
		if rest, ok := strings.CutPrefix(path, base); ok && (rest == "" || rest[0] == '/') {
			return true
		}
	}
	return false
}
