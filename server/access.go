package server

import (
	"context"
	"log/slog"
	"net/http"
	"strings"

	"github.com/go-chi/chi/v5"

	"throng/api"
	"throng/observe"
)

// watch has every request counted, timed and traced, gives it an id, and writes
// a line about it when it is answered. Route patterns stand for paths, which
// hold ids and, of incoming files, permissions.
func (s *Server) watch(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, request := s.observe.Begin(r)
		ctx, trail := api.Track(ctx)
		w.Header().Set("X-Request-Id", trail.ID)
		rec := &recorder{ResponseWriter: w}
		defer func() { // also where a handler gives the connection up
			a := observe.Answered{Route: routeOf(ctx), Status: rec.seen(), Code: trail.Code}
			took := request.End(a)
			s.cfg.Logger.Log(ctx, accessLevel(a), "request", "method", method(r.Method), "route", a.Route, "status", a.Status,
				"ms", took.Milliseconds(), "bytes", rec.bytes, "caller", trail.Caller)
		}()
		next.ServeHTTP(rec, r.WithContext(ctx))
	})
}

// accessLevel keeps what comes a thousand times a second, or from probes every
// few seconds, out of a log of the usual level.
func accessLevel(a observe.Answered) slog.Level {
	often := a.Route == "/healthz" || a.Route == "/readyz" || a.Route == "/static/*" || strings.HasSuffix(a.Route, "/offer/match")
	if often && a.Status < http.StatusBadRequest {
		return slog.LevelDebug
	}
	return slog.LevelInfo
}

// routeOf is the pattern that a request was routed by; "none" where there is
// none for it.
func routeOf(ctx context.Context) string {
	if route := chi.RouteContext(ctx).RoutePattern(); route != "" {
		return route
	}
	return "none"
}

// recorder remembers what was answered.
type recorder struct {
	http.ResponseWriter
	status int // 0 before the headers
	bytes  int64
}

// seen is the status that the client got.
func (r *recorder) seen() int {
	if r.status == 0 {
		return http.StatusOK
	}
	return r.status
}

// WriteHeader implements http.ResponseWriter. What is only informational is
// followed by another.
func (r *recorder) WriteHeader(status int) {
	if status >= http.StatusOK && r.status == 0 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

// Write implements io.Writer.
func (r *recorder) Write(p []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	n, err := r.ResponseWriter.Write(p)
	r.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController find what is below.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
