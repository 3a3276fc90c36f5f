// Package web is the page: what a caller sees of their own audiences in a
// browser, and the readable form of the API's document. It asks the service
// for everything, as the API does, and holds no rule of its own.
package web

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/a-h/templ"
	"github.com/go-chi/chi/v5"

	"throng"
	"throng/api"
	"throng/service"
)

//go:embed static
var files embed.FS

// Config wires the page.
type Config struct {
	Service *service.Service
	// Documents are shown at /docs, the first unless another is asked for. At
	// least one.
	Documents []Document
	// Logger takes what went wrong on our side. Defaults to slog.Default().
	Logger *slog.Logger
	// Secure marks the cookie for https alone.
	Secure bool
}

// Document is the OpenAPI document of an API.
type Document struct {
	Key, Name string
	URL       string // where it is on this server
}

// pages answers the requests of browsers.
type pages struct {
	cfg Config
}

// sessionLife is how long the session's cookie holds.
const sessionLife = 12 * time.Hour

// cookieName is the session's cookie. By the prefix browsers take it from this
// host alone, over https, and from no other of its domain.
func (p *pages) cookieName() string {
	if p.cfg.Secure {
		return "__Host-throng_session"
	}
	return "throng_session"
}

// New gives the page, to be mounted at /. Requests from other sites that
// change anything are refused.
func New(cfg Config) http.Handler {
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	p := &pages{cfg: cfg}
	r := chi.NewRouter()
	r.Use(headers, http.NewCrossOriginProtection().Handler)
	r.Handle("/static/*", static())
	r.Get("/docs", p.docs)
	r.Post("/login", p.login)
	r.Post("/logout", p.logout)
	r.Get("/", p.signed(p.audiences))
	r.Get("/audiences/{id}", p.signed(p.audience))
	r.Get("/audiences/{id}/files/{type}", p.signed(p.file))
	r.Get("/audiences/{id}/report", p.signed(p.report))
	r.Post("/audiences/{id}/report", p.signed(p.orderReport))
	r.Get("/audiences/{id}/report/{format}", p.signed(p.reportFile))
	r.Get("/compare", p.signed(p.compare))
	r.Get("/public/{token}", p.publicReport)
	r.NotFound(func(w http.ResponseWriter, r *http.Request) {
		p.show(w, r, http.StatusNotFound, errorPage("", "Not found", "There is no such page."))
	})
	return r
}

// policy lets a page use this server and nothing else. The pictures of Pico's
// and Swagger UI's style sheets are data URLs; the API page sets styles itself.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

func headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		next.ServeHTTP(w, r)
	})
}

// static serves the embedded files. Browsers keep them and ask by tag whether
// they are still the same, so that a new release is seen at once.
func static() http.Handler {
	sub, err := fs.Sub(files, "static")
	if err != nil {
		panic(err) // the folder is embedded above
	}
	tags := map[string]string{}
	err = fs.WalkDir(sub, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(sub, path)
		sum := sha256.Sum256(text)
		tags["/static/"+path] = `"` + hex.EncodeToString(sum[:8]) + `"`
		return err
	})
	if err != nil {
		panic(err) // reading what is embedded does not fail
	}
	serve := http.StripPrefix("/static/", http.FileServerFS(sub))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tag, ok := tags[r.URL.Path]
		if !ok {
			http.NotFound(w, r) // folders, too: they are nobody's
			return
		}
		w.Header().Set("ETag", tag)
		w.Header().Set("Cache-Control", "no-cache")
		serve.ServeHTTP(w, r)
	})
}

// signed lets a caller through, and shows everybody else where to log in.
func (p *pages) signed(next func(http.ResponseWriter, *http.Request, *throng.Caller) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		c, err := p.caller(r)
		if throng.CodeOf(err) == throng.Unauthorized {
			p.show(w, r, http.StatusUnauthorized, loginPage(""))
			return
		}
		if err == nil {
			err = next(w, r, c)
		}
		if err != nil {
			p.fail(w, r, c, err)
		}
	}
}

func (p *pages) caller(r *http.Request) (*throng.Caller, error) {
	cookie, err := r.Cookie(p.cookieName())
	if err != nil {
		return nil, throng.Errorf(throng.Unauthorized, "log in first")
	}
	c, err := p.cfg.Service.SessionCaller(r.Context(), cookie.Value)
	if err == nil {
		api.TrailOf(r.Context()).Caller = c.ID
	}
	return c, err
}

func (p *pages) login(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	r.Body = http.MaxBytesReader(w, r.Body, 4096)
	session, _, err := p.cfg.Service.Login(r.Context(), strings.TrimSpace(r.FormValue("token")))
	if err == nil {
		err = p.endSession(r) // one browser, one session: whoever set the old one has it no more
	}
	switch {
	case throng.CodeOf(err) == throng.Unauthorized && err != nil:
		p.show(w, r, http.StatusUnauthorized, loginPage("That is no valid token."))
	case err != nil:
		p.fail(w, r, nil, err)
	default:
		p.cookie(w, session, sessionLife)
		http.Redirect(w, r, "/", http.StatusSeeOther)
	}
}

// endSession ends the session that a request comes with.
func (p *pages) endSession(r *http.Request) error {
	cookie, err := r.Cookie(p.cookieName())
	if err != nil {
		return nil // there is none
	}
	return p.cfg.Service.Logout(r.Context(), cookie.Value)
}

func (p *pages) logout(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	if err := p.endSession(r); err != nil {
		p.fail(w, r, nil, err)
		return
	}
	p.cookie(w, "", -time.Second)
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (p *pages) cookie(w http.ResponseWriter, value string, life time.Duration) {
	http.SetCookie(w, &http.Cookie{
		Name: p.cookieName(), Value: value, Path: "/", MaxAge: int(life / time.Second),
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: p.cfg.Secure,
	})
}

func (p *pages) docs(w http.ResponseWriter, r *http.Request) {
	// Swagger UI sets styles on its elements, which no file could hold.
	w.Header().Set("Content-Security-Policy", strings.Replace(policy, "style-src 'self'", "style-src 'self' 'unsafe-inline'", 1))
	shown := p.cfg.Documents[0]
	for _, d := range p.cfg.Documents {
		if d.Key == r.URL.Query().Get("api") {
			shown = d
		}
	}
	p.show(w, r, http.StatusOK, docsPage(p.cfg.Documents, shown))
}

// show renders a whole page before it sends any of it.
func (p *pages) show(w http.ResponseWriter, r *http.Request, status int, c templ.Component) {
	var page bytes.Buffer
	if err := c.Render(r.Context(), &page); err != nil {
		p.cfg.Logger.ErrorContext(r.Context(), "render page", "err", err)
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = page.WriteTo(w) // a browser that is gone reads no page
}

// fail shows an error as a page.
func (p *pages) fail(w http.ResponseWriter, r *http.Request, c *throng.Caller, err error) {
	if errors.Is(err, context.Canceled) {
		return
	}
	name := ""
	if c != nil {
		name = c.Name
	}
	switch throng.CodeOf(err) {
	case throng.NotFound:
		p.show(w, r, http.StatusNotFound, errorPage(name, "Not found", throng.MessageOf(err)))
	case throng.Forbidden, throng.QuotaExceeded:
		p.show(w, r, http.StatusForbidden, errorPage(name, "Not allowed", throng.MessageOf(err)))
	case throng.Invalid:
		p.show(w, r, http.StatusBadRequest, errorPage(name, "Cannot do that", throng.MessageOf(err)))
	case throng.RateLimited:
		w.Header().Set("Retry-After", "1")
		p.show(w, r, http.StatusTooManyRequests, errorPage(name, "Too many requests", throng.MessageOf(err)))
	case throng.Unavailable, throng.StorageFull:
		w.Header().Set("Retry-After", "10")
		p.show(w, r, http.StatusServiceUnavailable, errorPage(name, "Not ready", throng.MessageOf(err)))
	default:
		p.cfg.Logger.ErrorContext(r.Context(), "page failed", "err", err)
		p.show(w, r, http.StatusInternalServerError, errorPage(name, "Something went wrong", "The server's log tells more."))
	}
}
