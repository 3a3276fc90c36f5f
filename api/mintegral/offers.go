package mintegral

import (
	"net/http"

	"throng"
	"throng/api"
	"throng/service"
)

func (h *handlers) putOffer(keys offerKeys) endpoint {
	names := map[string]string{"id": "offer_id", "include": keys.include, "exclude": keys.exclude}
	return func(w http.ResponseWriter, r *http.Request, c *throng.Caller) (any, error) {
		body, err := api.RequireJSON(w, r)
		if err != nil {
			return nil, err
		}
		o, problems := decodeOffer(body, keys)
		if len(problems) > 0 {
			return nil, throng.Refuse(throng.Invalid, problems)
		}
		if err := h.svc.PutOffer(r.Context(), c, o); err != nil {
			return nil, renamed(err, names)
		}
		return struct{}{}, nil
	}
}

func (h *handlers) getOffer(_ http.ResponseWriter, r *http.Request, c *throng.Caller) (any, error) {
	q := query{values: r.URL.Query()}
	id := q.id("offer_id")
	if len(q.problems) > 0 {
		return nil, throng.Refuse(throng.Invalid, q.problems)
	}
	o, err := h.svc.Offer(r.Context(), c, id)
	if err != nil {
		return nil, err
	}
	return wireOffer{o.ID, notNil(o.Include), notNil(o.Exclude)}, nil
}

// matchOffer is asked for every impression that an ad server may bid for.
func (h *handlers) matchOffer(w http.ResponseWriter, r *http.Request, c *throng.Caller) (any, error) {
	body, err := api.ReadBody(w, r)
	if err != nil {
		return nil, err
	}
	offer, devices, ok := quickMatch(body)
	if !ok {
		if offer, devices, err = carefulMatch(body); err != nil {
			return nil, err
		}
	}
	matches, err := h.svc.MatchOffer(r.Context(), c, offer, devices)
	if err != nil {
		return nil, err
	}
	return wireMatches{notNil(matches)}, nil
}

// carefulMatch reads any body, and tells all that is wrong with it.
func carefulMatch(body []byte) (int64, []throng.DeviceID, error) {
	if body == nil {
		return 0, nil, throng.Errorf(throng.Invalid, "the body is empty; it must be a JSON object")
	}
	if err := throng.ReadJSON(body); err != nil {
		return 0, nil, err
	}
	offer, devices, problems := decodeMatch(body)
	if len(problems) > 0 {
		return 0, nil, throng.Refuse(throng.Invalid, append(problems, service.DeviceProblems(devices)...))
	}
	return offer, devices, nil
}
