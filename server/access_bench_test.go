package server

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/go-chi/chi/v5"

	"throng/observe"
)

// BenchmarkWatch is what being watched costs a request, traces off: its id, its
// metrics and, at the usual level, its line in a log of JSON.
func BenchmarkWatch(b *testing.B) {
	for name, log := range map[string]*slog.Logger{
		"quiet":  slog.New(slog.DiscardHandler),
		"logged": slog.New(slog.NewJSONHandler(io.Discard, nil)),
	} {
		b.Run(name, func(b *testing.B) {
			o, err := observe.New(b.Context(), observe.Config{Logger: log})
			if err != nil {
				b.Fatal(err)
			}
			s := &Server{cfg: Config{Logger: log}, observe: o}
			r := chi.NewRouter()
			r.Use(s.watch)
			r.Post("/x", func(http.ResponseWriter, *http.Request) {})
			request := httptest.NewRequestWithContext(b.Context(), http.MethodPost, "/x", nil)
			w := httptest.NewRecorder()
			b.ReportAllocs()
			for b.Loop() {
				r.ServeHTTP(w, request)
			}
		})
	}
}
