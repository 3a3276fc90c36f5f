package mintegral

import (
	_ "embed"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"throng"
	"throng/api"
	"throng/service"
)

// Base is the path below which the API lives.
const Base = "/api/open/v1"

//go:embed openapi.json
var openAPI []byte

// OpenAPI is the API's document, OpenAPI 3.1 in JSON. Shared; read only.
func OpenAPI() []byte { return openAPI }

// Config wires the API.
type Config struct {
	Service *service.Service
	// Now is the clock that timestamps are held to. Defaults to time.Now.
	Now func() time.Time
	// Logger takes what nobody is answered. Defaults to slog.Default().
	Logger *slog.Logger
}

type handlers struct {
	cfg Config
	svc *service.Service
}

// endpoint answers a request of a known caller with what goes under data.
type endpoint func(w http.ResponseWriter, r *http.Request, c *throng.Caller) (data any, err error)

// New gives the API, to be mounted at Base.
func New(cfg Config) http.Handler {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	h := &handlers{cfg: cfg, svc: cfg.Service}
	r := chi.NewRouter()
	r.Use(api.Recover(cfg.Logger, h.fail))
	r.NotFound(func(w http.ResponseWriter, r *http.Request) {
		h.refuse(w, r, http.StatusNotFound, throng.Errorf(throng.NotFound, "there is no such endpoint"))
	})
	r.MethodNotAllowed(func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Allow", strings.Join(api.Allowed(r, req), ", "))
		h.refuse(w, req, http.StatusMethodNotAllowed, throng.Errorf(throng.MethodNotAllowed, "the method %s is not allowed here", req.Method))
	})
	routes := []struct {
		method, path string
		do           endpoint
	}{
		{"GET", "/audience/presigned-upload-data", h.presign},
		{"POST", "/audience", h.createAudience},
		{"PUT", "/audience", h.updateAudience},
		{"DELETE", "/audience", h.deleteAudiences},
		{"GET", "/audience", h.listAudiences},
		{"PUT", "/offer/audience", h.putOffer(documentedOffer)},
		{"PUT", "/offer/target-audience", h.putOffer(targetOffer)},
		{"GET", "/offer/audience", h.getOffer},
		{"POST", "/offer/match", h.matchOffer},
	}
	for _, route := range routes {
		r.Method(route.method, route.path, h.known(route.do))
	}
	return r
}

// known lets those through whose token is signed with their key.
func (h *handlers) known(do endpoint) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var data any
		c, err := h.authenticate(r)
		if err == nil {
			api.TrailOf(r.Context()).Caller = c.ID
			data, err = do(w, r, c)
		}
		if err != nil {
			h.fail(w, r, err)
			return
		}
		h.send(w, r, http.StatusOK, envelope{http.StatusOK, success, success, data})
	}
}

// envelope is around every answer.
type envelope struct {
	Code    int    `json:"code"`
	Message string `json:"message"` // as in the vendor's examples
	Msg     string `json:"msg"`     // as in the vendor's tables
	Data    any    `json:"data"`
}

const success = "success"

// failure is the data of a failure.
type failure struct {
	Details []throng.Detail `json:"details"`
}

// fail answers an error as this vendor does: HTTP has nothing to complain of
// where a request reached an endpoint.
func (h *handlers) fail(w http.ResponseWriter, r *http.Request, err error) {
	h.refuse(w, r, http.StatusOK, err)
}

// refuse sends an error. Text that is not for callers stays here.
func (h *handlers) refuse(w http.ResponseWriter, r *http.Request, status int, err error) {
	code := api.ErrorHeader(h.cfg.Logger, w, r, err)
	if code == http.StatusUnsupportedMediaType { // which is not among the vendor's
		code = http.StatusBadRequest
	}
	text, data := throng.MessageOf(err), failure{Details: []throng.Detail{}}
	if e := throng.ErrorOf(err); e != nil && e.Details != nil {
		data.Details = e.Details
	}
	h.send(w, r, status, envelope{code, text, text, data})
}

func (h *handlers) send(w http.ResponseWriter, r *http.Request, status int, v envelope) {
	body, err := api.Encode(v)
	if err != nil {
		h.cfg.Logger.ErrorContext(r.Context(), "encode answer", "err", err)
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	api.Send(w, status, body)
}

// renamed puts the vendor's names of fields in place of those that the service
// uses for them.
func renamed(err error, names map[string]string) error {
	e, ok := errors.AsType[*throng.Error](err)
	if !ok || len(e.Details) == 0 {
		return err
	}
	details := make([]throng.Detail, len(e.Details))
	for i, d := range e.Details {
		field, rest, indexed := strings.Cut(d.Path, "[")
		if name, ok := names[field]; ok {
			d.Path = name
			if indexed {
				d.Path += "[" + rest
			}
		}
		details[i] = d
	}
	return throng.Refuse(e.Code, details)
}
