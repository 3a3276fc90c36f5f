package silhouette

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"github.com/go-chi/chi/v5"

	"throng"
	"throng/api"
	"throng/service"
)

func (h *handlers) expandAudience(w http.ResponseWriter, r *http.Request, c *throng.Caller) error {
	id, body, err := audienceAndBody(w, r)
	if err != nil {
		return err
	}
	return h.once(w, r, c, notNil(body), fromStarted, func(once *service.Once) (any, error) {
		return h.svc.ExpandAudience(r.Context(), c, id, decodeExpand(body), once)
	})
}

func (h *handlers) createClusterAudience(w http.ResponseWriter, r *http.Request, c *throng.Caller) error {
	id, err := audienceID(r)
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(chi.URLParam(r, "n"))
	if err != nil || n < 1 {
		return throng.Errorf(throng.NotFound, "there is no cluster %q: they are numbered from 1", chi.URLParam(r, "n"))
	}
	body, err := api.ReadJSON(w, r)
	if err != nil {
		return err
	}
	return h.once(w, r, c, notNil(body), fromStarted, func(once *service.Once) (any, error) {
		return h.svc.ClusterAudience(r.Context(), c, id, n, decodeRegenerate(body), once)
	})
}

// decodeExpand reads the body of POST /audiences/{id}/expand. What is wrong
// with it, or that there is none, is in its Problems; what was ignored, in its
// Warnings.
func decodeExpand(body []byte) (e service.Expand) {
	if body == nil {
		body = []byte("{}")
	}
	r := &throng.Reader{}
	if o := r.Object(body, ""); o != nil {
		e.Build = decodeBuild(r, o)
		e.Name = strings.TrimSpace(optionalText(r, o, "expansion_name"))
		if raw, ok := o.Take("expansion_factor"); !ok {
			r.Bad("expansion_factor", "is required")
		} else {
			e.Factor = factor(r, raw)
		}
		e.IncludeSeed, e.RemoveSeed = optionalFlag(r, o, "include_seed"), optionalFlag(r, o, "remove_seed")
		e.ReapplyFilters, e.ReapplyExclusions = optionalFlag(r, o, "reapply_filters"), optionalFlag(r, o, "reapply_exclusions")
		o.Rest()
	}
	e.Problems, e.Warnings = r.Findings()
	return e
}

func optionalFlag(r *throng.Reader, o *throng.Object, key string) bool {
	raw, ok := o.Take(key)
	return ok && r.Flag(raw, o.At(key))
}

// factor reads a number, or a string that holds one.
func factor(r *throng.Reader, raw json.RawMessage) float64 {
	text := string(raw)
	var quoted string
	if json.Unmarshal(raw, &quoted) == nil {
		text = strings.TrimSpace(quoted)
	}
	var f float64
	if text == "null" || json.Unmarshal([]byte(text), &f) != nil {
		r.Bad("expansion_factor", "must be a number, or a string of one")
	}
	return f
}

// wireExpansion tells how an audience was made of people who resemble another.
type wireExpansion struct {
	AudienceID        int64          `json:"audience_id"`
	Factor            float64        `json:"expansion_factor"`
	IncludeSeed       bool           `json:"include_seed"`
	RemoveSeed        bool           `json:"remove_seed"`
	ReapplyFilters    bool           `json:"reapply_filters"`
	ReapplyExclusions bool           `json:"reapply_exclusions"`
	AUC               *float64       `json:"auc"`
	HeldOut           uint64         `json:"held_out"`
	Terms             []wireWeighted `json:"terms"`
}

type wireWeighted struct {
	Dimension string  `json:"dimension"`
	ID        string  `json:"id"`
	Name      string  `json:"name"`
	Weight    float64 `json:"weight"`
}

func fromExpansion(x *throng.Expansion) *wireExpansion {
	if x == nil {
		return nil
	}
	v := &wireExpansion{
		AudienceID: x.SeedID, Factor: x.Factor, IncludeSeed: x.IncludeSeed, RemoveSeed: x.RemoveSeed,
		ReapplyFilters: x.ReapplyFilters, ReapplyExclusions: x.ReapplyExclusions, AUC: x.AUC, HeldOut: x.HeldOut,
		Terms: []wireWeighted{},
	}
	for _, t := range x.Terms {
		v.Terms = append(v.Terms, wireWeighted(t))
	}
	return v
}

// wireClusterSource is the cluster that an audience was made of.
type wireClusterSource struct {
	AudienceID int64  `json:"audience_id"`
	ID         int    `json:"id"`
	Name       string `json:"name"`
}

func fromClusterSource(c *throng.ClusterSource) *wireClusterSource {
	if c == nil {
		return nil
	}
	return &wireClusterSource{c.AudienceID, c.ID, c.Name}
}
