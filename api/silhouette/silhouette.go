package silhouette

import (
	_ "embed"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"github.com/go-chi/chi/v5"

	"throng"
	"throng/api"
	"throng/service"
)

// Base is the path below which the API lives.
const Base = "/platform/v0"

// version is what every answer carries.
const version = "0.0.1"

//go:embed openapi.json
var openAPI []byte

// OpenAPI is the API's document, OpenAPI 3.1 in JSON. Shared; read only.
func OpenAPI() []byte { return openAPI }

// Config wires the API.
type Config struct {
	Service *service.Service
	// URL gives what begins every URL that is given out. Required.
	URL func() string
	// Logger takes what nobody is answered. Defaults to slog.Default().
	Logger *slog.Logger
}

type handlers struct {
	cfg     Config
	svc     *service.Service
	repeats api.Repeats
}

// endpoint answers a request of a known caller.
type endpoint func(w http.ResponseWriter, r *http.Request, c *throng.Caller) error

// New gives the API, to be mounted at Base.
func New(cfg Config) http.Handler {
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	h := &handlers{cfg: cfg, svc: cfg.Service}
	r := chi.NewRouter()
	r.Use(api.Recover(cfg.Logger, h.fail))
	r.NotFound(h.known(func(http.ResponseWriter, *http.Request, *throng.Caller) error {
		return throng.Errorf(throng.NotFound, "there is no such endpoint")
	}))
	r.MethodNotAllowed(h.known(func(w http.ResponseWriter, req *http.Request, _ *throng.Caller) error {
		w.Header().Set("Allow", strings.Join(api.Allowed(r, req), ", "))
		return throng.Errorf(throng.MethodNotAllowed, "the method %s is not allowed here", req.Method)
	}))
	for _, route := range h.routes() {
		r.Method(route.method, route.path, h.known(route.do))
	}
	return r
}

// route is what a method does at a path below Base.
type route struct {
	method, path string
	do           endpoint
}

func (h *handlers) routes() []route {
	return []route{
		{"POST", "/audiences", h.createAudience},
		{"GET", "/audiences", h.listAudiences},
		{"POST", "/audiences/preview", h.previewAudience},
		{"GET", "/audiences/{id}", h.getAudience},
		{"DELETE", "/audiences/{id}", h.deleteAudience},
		{"POST", "/audiences/{id}/cancel", h.cancelAudience},
		{"POST", "/audiences/{id}/regenerate", h.regenerateAudience},
		{"GET", "/audiences/{id}/outputs/{type}", h.getOutput},
		{"HEAD", "/audiences/{id}/outputs/{type}", h.getOutput},
		{"POST", "/audiences/{id}/deliveries", h.createDelivery},
		{"GET", "/audiences/{id}/deliveries", h.listDeliveries},
		{"GET", "/audiences/{id}/deliveries/{n}", h.getDelivery},
		{"POST", "/audiences/{id}/deliveries/{n}/cancel", h.cancelDelivery},
		{"GET", "/audiences/{id}/outputs/{type}/address", h.getOutputAddress},
		{"POST", "/audiences/{id}/expand", h.expandAudience},
		{"GET", "/audiences/compare", h.compareAudiences},
		{"POST", "/audiences/{id}/insight", h.createInsight},
		{"GET", "/audiences/{id}/insight", h.getInsight},
		{"POST", "/audiences/{id}/insight/clusters/{n}", h.createClusterAudience},
		{"POST", "/audiences/{id}/insights/clusters/{n}", h.createClusterAudience},
		{"GET", "/audiences/{id}/insight/public-link", h.getPublicLink},
		{"POST", "/audiences/{id}/insight/public-link", h.createPublicLink},
		{"POST", "/uploads", h.createUpload},
		{"GET", "/uploads", h.listUploads},
		{"GET", "/uploads/{date}/{file}", h.getUpload},
		{"DELETE", "/uploads/{date}/{file}", h.deleteUpload},
		{"GET", "/affinities", h.affinities},
		{"GET", "/b2b/job-titles", h.jobTitles},
		{"GET", "/b2b/employers", h.employers},
		{"GET", "/personality-types", h.personalityTypes},
		{"GET", "/location/cities", h.places("city")},
		{"GET", "/location/countries", h.places("country")},
		{"GET", "/location/dmas", h.places("dma")},
		{"GET", "/location/regions", h.places("region")},
		{"GET", "/credits", h.credits},
		{"GET", "/credentials", h.listCredentials},
		{"DELETE", "/credentials/{name}", h.deleteCredentials},
		{"GET", "/callbacks", h.listCallbacks},
		{"GET", "/callbacks/{id}", h.getCallback},
		{"POST", "/callbacks/{id}/replay", h.replayCallback},
	}
}

// known lets the holders of a valid token through.
func (h *handlers) known(do endpoint) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		token := api.Bearer(r)
		if token == "" {
			h.fail(w, r, throng.Errorf(throng.Unauthorized, "send the header Authorization: Bearer TOKEN"))
			return
		}
		c, err := h.svc.Authenticate(r.Context(), token)
		if err == nil {
			api.TrailOf(r.Context()).Caller = c.ID
			if err = wellFormed(r.URL); err == nil {
				err = do(w, r, c)
			}
		}
		if err != nil {
			h.fail(w, r, err)
		}
	}
}

// wellFormed refuses a query of which net/url would drop a part without a word,
// so that a search were answered with everything there is.
func wellFormed(u *url.URL) error {
	if _, err := url.ParseQuery(u.RawQuery); err != nil {
		return throng.Errorf(throng.Invalid, "the query of the URL is malformed: write ; as %%3B, %% as %%25 and & in a value as %%26")
	}
	return nil
}

// information ends every answer.
type information struct {
	Version string `json:"version"`
}

// wrap puts a value into the envelope of a success.
func wrap(value any) ([]byte, error) {
	return api.Encode(struct {
		Response    any         `json:"response"`
		Information information `json:"information"`
	}{value, information{version}})
}

// answer sends a success.
func answer(w http.ResponseWriter, value any) error {
	body, err := wrap(value)
	if err != nil {
		return err
	}
	api.Send(w, http.StatusOK, body)
	return nil
}

// fail sends an error. Text that is not for callers stays here.
func (h *handlers) fail(w http.ResponseWriter, r *http.Request, err error) {
	type wireError struct {
		Code    throng.Code     `json:"code"`
		Message string          `json:"message"`
		Details []throng.Detail `json:"details"`
	}
	e := wireError{Code: throng.CodeOf(err), Message: throng.MessageOf(err), Details: []throng.Detail{}}
	if refusal, ok := refusalOf(err); ok && refusal.Details != nil {
		e.Details = refusal.Details
	}
	if e.Code == throng.Unauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	status := api.ErrorHeader(h.cfg.Logger, w, r, err)
	body, err := api.Encode(struct {
		Error       wireError   `json:"error"`
		Information information `json:"information"`
	}{e, information{version}})
	if err != nil {
		h.cfg.Logger.ErrorContext(r.Context(), "encode error", "err", err)
		return
	}
	api.Send(w, status, body)
}

// once carries out a request for its idempotency key and sends its answer.
// body is nil where run reads it itself.
func (h *handlers) once(w http.ResponseWriter, r *http.Request, c *throng.Caller, body []byte,
	word func(made any) any, run func(once *service.Once) (any, error),
) error {
	said, err := h.repeats.Do(r, h.svc, c, body, func(made any) (int, []byte, error) {
		text, err := wrap(word(made))
		return http.StatusOK, text, err
	}, run)
	if err != nil {
		return err
	}
	api.Send(w, said.Status, said.Body)
	return nil
}
