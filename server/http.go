package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"

	"github.com/go-chi/chi/v5"
	"golang.org/x/sync/errgroup"

	"throng/api"
	"throng/api/mintegral"
	"throng/api/silhouette"
	"throng/internal/durable"
	"throng/observe"
	"throng/web"
)

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

	if err := s.clearStages(); err != nil {
		return fmt.Errorf("remove what a backup has left: %w", err)
	}
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
	s.serve(gctx, group, newLimited(listener, s.cfg.MaxConnections, s.cfg.pace.write), s.Handler(), s.cfg.pace.apply)
	if err := s.serveAdmin(gctx, group); err != nil {
		group.Go(func() error { return err })
	}
	s.accompany(gctx, group)
	if ready != nil {
		ready(s.publicURL())
	}
	group.Go(func() error { // while requests finish
		<-gctx.Done()
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.pace.stop)
		defer cancel()
		return s.jobs.Stop(stop)
	})
	return group.Wait()
}

// serve answers on a listener until ctx is done, and then for as long as what
// is under way takes, within the time to stop: no client holds the server longer.
func (s *Server) serve(ctx context.Context, group *errgroup.Group, l net.Listener, h http.Handler, set func(*http.Server)) {
	srv := &http.Server{
		Handler:        h,
		MaxHeaderBytes: 64 << 10,
		ErrorLog:       slog.NewLogLogger(s.cfg.Logger.Handler(), slog.LevelWarn),
		BaseContext:    func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
	}
	set(srv)
	group.Go(func() error {
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serve: %w", err)
		}
		return nil
	})
	group.Go(func() error {
		<-ctx.Done()
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.pace.stop)
		defer cancel()
		err := srv.Shutdown(stop)
		if errors.Is(err, context.DeadlineExceeded) {
			s.cfg.Logger.WarnContext(ctx, "requests were cut that did not end in time", "after", s.cfg.pace.stop)
			return srv.Close()
		}
		if err != nil {
			return fmt.Errorf("stop serving: %w", err)
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
	mux.Handle("/metrics", s.observe.Metrics())
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	s.serve(ctx, group, l, mux, s.cfg.pace.applyAdmin)
	s.cfg.Logger.InfoContext(ctx, "serving metrics", "url", "http://"+l.Addr().String())
	if a, ok := l.Addr().(*net.TCPAddr); ok && !a.IP.IsLoopback() {
		s.cfg.Logger.WarnContext(ctx, "metrics and profiles are served to whoever reaches this address, which is not the loopback's")
	}
	return nil
}

// Handler answers everything of the public address.
func (s *Server) Handler() http.Handler {
	r := chi.NewRouter()
	r.Use(s.watch, anyMethod, harden(s.secure()), api.Recover(s.cfg.Logger, api.FailPlainly(s.cfg.Logger)))
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

func text(w http.ResponseWriter, status int, s string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(s + "\n")) // a client that is gone reads nothing
}

// anyMethod has requests whose method the router has never heard of be routed
// all the same, to the one who knows how the path's API says that a method is
// not allowed. No path has OPTIONS.
func anyMethod(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if observe.Method(r.Method) == observe.OtherMethod {
			chi.RouteContext(r.Context()).RouteMethod = http.MethodOptions
		}
		next.ServeHTTP(w, r)
	})
}
