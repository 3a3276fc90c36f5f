package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sync/errgroup"

	"throng/api"
	"throng/api/mintegral"
	"throng/api/silhouette"
	"throng/internal/durable"
	"throng/web"
)

// stopTimeout is how long requests and builds may take to come to an end.
const stopTimeout = 30 * time.Second

// serveLock is held by the one process that takes jobs for the data folder.
const serveLock = "serve.lock"

// ErrServing says that another server runs on the data folder.
var ErrServing = errors.New("another server is running on this data folder")

// Serve answers requests and runs builds, as its role says, until ctx is done, then
// comes to a graceful end: requests finish, builds are handed back. ready, where not nil,
// is called once with the URL of the server when it answers. Only one server
// runs on a data folder; a second one gets ErrServing.
func (s *Server) Serve(ctx context.Context, ready func(url string)) (err error) {
	unlock, err := durable.Lock(s.path(serveLock))
	if errors.Is(err, durable.ErrLocked) {
		return ErrServing
	}
	if err != nil {
		return fmt.Errorf("lock data folder: %w", err)
	}
	defer func() { err = errors.Join(err, unlock()) }()

	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", s.cfg.Listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	if s.cfg.PublicURL == "" {
		s.setPublicURL("http://" + listener.Addr().String())
	}
	if err := s.begin(ctx); err != nil {
		return errors.Join(err, listener.Close())
	}
	s.cfg.Logger.InfoContext(ctx, "serving", "url", s.publicURL(), "listen", listener.Addr().String(), "role", s.cfg.Role)

	// The group's context ends with ctx, or with the first server that fails.
	group, gctx := errgroup.WithContext(ctx)
	serve(gctx, group, listener, s.Handler())
	if err := s.serveAdmin(gctx, group); err != nil {
		group.Go(func() error { return err })
	}
	s.accompany(gctx, group)
	if ready != nil {
		ready(s.publicURL())
	}
	err = group.Wait()
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	return errors.Join(err, s.jobs.Stop(stop))
}

// serve answers on a listener until ctx is done.
func serve(ctx context.Context, group *errgroup.Group, l net.Listener, h http.Handler) {
	srv := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		BaseContext:       func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
	}
	group.Go(func() error {
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serve: %w", err)
		}
		return nil
	})
	group.Go(func() error {
		<-ctx.Done()
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		if err := srv.Shutdown(stop); err != nil {
			return errors.Join(fmt.Errorf("stop serving: %w", err), srv.Close())
		}
		return nil
	})
}

// serveAdmin answers for metrics and profiles where an address is set for them.
func (s *Server) serveAdmin(ctx context.Context, group *errgroup.Group) error {
	if s.cfg.AdminListen == "" {
		return nil
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", s.cfg.AdminListen)
	if err != nil {
		return fmt.Errorf("listen for metrics: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(s.metrics, promhttp.HandlerOpts{}))
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	serve(ctx, group, l, mux)
	return nil
}

// Handler answers everything of the public address.
func (s *Server) Handler() http.Handler {
	seconds := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "throng_http_request_seconds", Help: "Time to answer a request.", Buckets: prometheus.ExponentialBuckets(0.0005, 2, 16),
	}, []string{"method", "route", "status"})
	s.metrics.MustRegister(seconds, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))

	r := chi.NewRouter()
	r.Use(measure(seconds))
	r.Get("/healthz", func(w http.ResponseWriter, _ *http.Request) { text(w, http.StatusOK, "alive") })
	r.Get("/readyz", s.readyz)
	if s.cfg.Role == RoleWorker {
		return r
	}
	documents := []web.Document{
		{Key: "silhouette", Name: "Silhouette", URL: "/openapi.json"},
		{Key: "mintegral", Name: "Mintegral", URL: "/openapi/mintegral.json"},
	}
	for i, text := range [][]byte{silhouette.OpenAPI(), mintegral.OpenAPI()} {
		r.Get(documents[i].URL, func(w http.ResponseWriter, _ *http.Request) { api.Send(w, http.StatusOK, text) })
	}
	r.Mount("/incoming", api.Incoming(s.service, s.cfg.Logger))
	r.Mount(silhouette.Base, s.silhouette)
	r.Mount(mintegral.Base, s.mintegral)
	r.Mount("/", web.New(web.Config{Service: s.service, Documents: documents, Logger: s.cfg.Logger, Secure: s.secure()}))
	return r
}

// readyz tells whether an audience could be made now.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 5*time.Second)
	defer cancel()
	if err := s.service.Ready(ctx); err != nil {
		s.cfg.Logger.WarnContext(ctx, "not ready", "err", err)
		text(w, http.StatusServiceUnavailable, notReady(err))
		return
	}
	text(w, http.StatusOK, "ready")
}

func text(w http.ResponseWriter, status int, s string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(s + "\n")) // a client that is gone reads nothing
}

// measure times requests by route, never by path: paths hold ids.
func measure(seconds *prometheus.HistogramVec) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			start := time.Now()
			rec := &recorder{ResponseWriter: w, status: http.StatusOK}
			next.ServeHTTP(rec, r)
			route := chi.RouteContext(r.Context()).RoutePattern()
			seconds.WithLabelValues(method(r.Method), route, fmt.Sprint(rec.status)).Observe(time.Since(start).Seconds())
		})
	}
}

// method keeps a client from making a metric of every word it can think of.
func method(m string) string {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodOptions:
		return m
	}
	return "other"
}

// recorder remembers the status of an answer.
type recorder struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements http.ResponseWriter.
func (r *recorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController find what is below.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
