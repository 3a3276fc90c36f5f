package silhouette

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"strconv"

	"github.com/go-chi/chi/v5"

	"throng"
	"throng/api"
	"throng/service"
)

func (h *handlers) createAudience(w http.ResponseWriter, r *http.Request, c *throng.Caller) error {
	body, err := api.RequireJSON(w, r)
	if err != nil {
		return err
	}
	return h.once(w, r, c, body, fromStarted, func(once *service.Once) (any, error) {
		return h.svc.CreateAudience(r.Context(), c, DecodeDefinition(body), once)
	})
}

func (h *handlers) regenerateAudience(w http.ResponseWriter, r *http.Request, c *throng.Caller) error {
	id, body, err := audienceAndBody(w, r)
	if err != nil {
		return err
	}
	return h.once(w, r, c, notNil(body), fromStarted, func(once *service.Once) (any, error) {
		return h.svc.RegenerateAudience(r.Context(), c, id, decodeRegenerate(body), once)
	})
}

func (h *handlers) previewAudience(w http.ResponseWriter, r *http.Request, c *throng.Caller) error {
	body, err := api.RequireJSON(w, r)
	if err != nil {
		return err
	}
	p, err := h.svc.PreviewAudience(r.Context(), c, DecodeDefinition(body))
	if err != nil {
		return err
	}
	return answer(w, fromPreview(p))
}

func (h *handlers) listAudiences(w http.ResponseWriter, r *http.Request, c *throng.Caller) error {
	q := r.URL.Query()
	list, next, err := h.svc.ListAudiences(r.Context(), c, service.AudienceFilter{
		Query: q.Get("query"), Status: throng.Status(q.Get("status")), Kind: throng.AudienceKind(q.Get("kind")), Page: pageFrom(q),
	})
	if err != nil {
		return err
	}
	data := make([]wireAudience, len(list))
	for i, a := range list {
		if data[i], err = fromAudience(a, h.cfg.URL()); err != nil {
			return err
		}
	}
	return answer(w, pageOf(data, next))
}

func (h *handlers) getAudience(w http.ResponseWriter, r *http.Request, c *throng.Caller) error {
	id, err := audienceID(r)
	if err != nil {
		return err
	}
	a, err := h.svc.Audience(r.Context(), c, id)
	if err != nil {
		return err
	}
	v, err := fromAudience(*a, h.cfg.URL())
	if err != nil {
		return err
	}
	return answer(w, v)
}

func (h *handlers) deleteAudience(w http.ResponseWriter, r *http.Request, c *throng.Caller) error {
	id, err := audienceID(r)
	if err != nil {
		return err
	}
	if err := h.svc.DeleteAudience(r.Context(), c, id); err != nil {
		return err
	}
	return answer(w, ended{id, "deleted"})
}

func (h *handlers) cancelAudience(w http.ResponseWriter, r *http.Request, c *throng.Caller) error {
	id, err := audienceID(r)
	if err != nil {
		return err
	}
	if err := h.svc.CancelAudience(r.Context(), c, id); err != nil {
		return err
	}
	return answer(w, ended{id, string(throng.Canceled)})
}

func (h *handlers) getOutput(w http.ResponseWriter, r *http.Request, c *throng.Caller) error {
	id, err := audienceID(r)
	if err != nil {
		return err
	}
	format := formatFrom(r)
	form := func(get func(context.Context, *throng.Caller, int64, string, service.Format) (*service.File, error)) func() (*service.File, error) {
		return func() (*service.File, error) { return get(r.Context(), c, id, chi.URLParam(r, "type"), format) }
	}
	return api.ServeFile(h.cfg.Logger, w, r, api.Output{
		Stat: form(h.svc.StatOutput), Open: form(h.svc.OpenOutput), Packed: form(h.svc.OpenPacked),
	})
}

// formatFrom reads format. Who opens the file says what is wrong with it.
func formatFrom(r *http.Request) service.Format {
	return service.Format(cmp.Or(r.URL.Query().Get("format"), string(service.Text)))
}

func (h *handlers) getOutputAddress(w http.ResponseWriter, r *http.Request, c *throng.Caller) error {
	id, err := audienceID(r)
	if err != nil {
		return err
	}
	at, err := h.svc.PresignOutput(r.Context(), c, id, chi.URLParam(r, "type"), formatFrom(r))
	if err != nil {
		return err
	}
	return answer(w, struct {
		Method string `json:"method"`
		URL    string `json:"url"`
		TTL    int    `json:"ttl"` // seconds
	}{at.Method, at.URL, int(at.TTL.Seconds())})
}

// audienceAndBody reads what a request for something of an audience holds: the
// id in its path, and its body, nil where there is none.
func audienceAndBody(w http.ResponseWriter, r *http.Request) (id int64, body []byte, err error) {
	if id, err = audienceID(r); err != nil {
		return 0, nil, err
	}
	body, err = api.ReadJSON(w, r)
	return id, body, err
}

func audienceID(r *http.Request) (int64, error) {
	id, err := strconv.ParseInt(chi.URLParam(r, "id"), 10, 64)
	if err != nil {
		return 0, throng.Errorf(throng.NotFound, "there is no such audience: an id is a number")
	}
	return id, nil
}

// pageFrom reads limit and next. An empty next is the first page. Who makes the
// list says what is wrong with them.
func pageFrom(q url.Values) throng.Page {
	p := throng.Page{Next: q.Get("next")}
	if s := q.Get("limit"); s != "" {
		n, err := strconv.Atoi(s)
		if p.Limit = n; err != nil || n < 1 {
			p.Limit = -1
		}
	}
	return p
}

// invalid refuses a query parameter.
func invalid(path, message string) error {
	return throng.Refuse(throng.Invalid, []throng.Detail{{Path: path, Message: message}})
}
