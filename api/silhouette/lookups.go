package silhouette

import (
	"net/http"
	"strconv"

	"github.com/go-chi/chi/v5"

	"throng"
	"throng/service"
)

func (h *handlers) affinities(w http.ResponseWriter, r *http.Request, _ *throng.Caller) error {
	q := r.URL.Query()
	f := service.AffinityFilter{Query: q.Get("query"), ParentID: q.Get("parent_id")}
	if s := q.Get("rollups_only"); s != "" {
		only, err := strconv.ParseBool(s)
		if err != nil {
			return invalid("rollups_only", "must be true or false")
		}
		f.Categories = only
	}
	list, err := h.svc.Affinities(r.Context(), f)
	if err != nil {
		return err
	}
	return answer(w, fromAffinities(list))
}

func (h *handlers) jobTitles(w http.ResponseWriter, r *http.Request, _ *throng.Caller) error {
	q := r.URL.Query()
	list, next, err := h.svc.JobTitles(r.Context(), q.Get("query"), pageFrom(q))
	if err != nil {
		return err
	}
	return answer(w, terms(list, next, "b2b_jobtitle"))
}

func (h *handlers) employers(w http.ResponseWriter, r *http.Request, _ *throng.Caller) error {
	q := r.URL.Query()
	list, next, err := h.svc.Employers(r.Context(), q.Get("query"), pageFrom(q))
	if err != nil {
		return err
	}
	return answer(w, terms(list, next, "b2b_employer"))
}

func terms(list []service.Term, next, kind string) wireList[wireTerm] {
	data := make([]wireTerm, len(list))
	for i, t := range list {
		data[i] = wireTerm{ID: t.ID, Name: t.Name, FollowersCount: t.People, Kind: kind}
	}
	return pageOf(data, next)
}

func (h *handlers) personalityTypes(w http.ResponseWriter, _ *http.Request, _ *throng.Caller) error {
	type wirePersonality struct {
		Term string `json:"term"`
	}
	var v struct {
		Personalities []wirePersonality `json:"personalities"`
	}
	for _, t := range h.svc.PersonalityTypes() {
		v.Personalities = append(v.Personalities, wirePersonality{t})
	}
	return answer(w, v)
}

func (h *handlers) places(kind string) endpoint {
	return func(w http.ResponseWriter, r *http.Request, _ *throng.Caller) error {
		list, err := h.svc.Places(r.Context(), kind, r.URL.Query().Get("query"))
		if err != nil {
			return err
		}
		var v struct {
			Data []wirePlace `json:"data"`
		}
		v.Data = make([]wirePlace, len(list))
		for i, p := range list {
			v.Data[i] = wirePlace(p)
		}
		return answer(w, v)
	}
}

func (h *handlers) credits(w http.ResponseWriter, r *http.Request, c *throng.Caller) error {
	credits, err := h.svc.Credits(r.Context(), c)
	if err != nil {
		return err
	}
	return answer(w, wireCredits{
		Builds: credits.Builds, Insights: credits.Insights, Universes: -1, Expansions: credits.Expansions,
		Distributions: -1, ScheduledReruns: -1,
	})
}

func (h *handlers) listCallbacks(w http.ResponseWriter, r *http.Request, c *throng.Caller) error {
	q := r.URL.Query()
	list, next, err := h.svc.Callbacks(r.Context(), c, service.CallbackFilter{Status: q.Get("status"), Page: pageFrom(q)})
	if err != nil {
		return err
	}
	data := make([]wireCallback, len(list))
	for i, cb := range list {
		data[i] = fromCallback(cb)
	}
	return answer(w, pageOf(data, next))
}

func (h *handlers) getCallback(w http.ResponseWriter, r *http.Request, c *throng.Caller) error {
	id, err := callbackID(r)
	if err != nil {
		return err
	}
	cb, err := h.svc.Callback(r.Context(), c, id)
	if err != nil {
		return err
	}
	return answer(w, fromCallback(*cb))
}

func (h *handlers) replayCallback(w http.ResponseWriter, r *http.Request, c *throng.Caller) error {
	id, err := callbackID(r)
	if err != nil {
		return err
	}
	word := func(made any) any {
		cb, ok := made.(*service.Callback)
		if !ok {
			return nil
		}
		return fromCallback(*cb)
	}
	return h.once(w, r, c, []byte{}, word, func(once *service.Once) (any, error) {
		return h.svc.ReplayCallback(r.Context(), c, id, once)
	})
}

func callbackID(r *http.Request) (int64, error) {
	id, err := strconv.ParseInt(chi.URLParam(r, "id"), 10, 64)
	if err != nil {
		return 0, throng.Errorf(throng.NotFound, "there is no such callback: an id is a number")
	}
	return id, nil
}
