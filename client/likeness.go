package client

import (
	"context"
	"fmt"
)

// Expansion is how an audience was made of people who resemble another, its
// seed.
type Expansion struct {
	SeedID            int64   `json:"audience_id"`
	Factor            float64 `json:"expansion_factor"` // how many people, in sizes of the seed
	IncludeSeed       bool    `json:"include_seed"`
	RemoveSeed        bool    `json:"remove_seed"`
	ReapplyFilters    bool    `json:"reapply_filters"`
	ReapplyExclusions bool    `json:"reapply_exclusions"`
	// AUC is how often a member of the seed who was not learnt from scores more
	// than somebody else; nil until known, and where the seed is too small.
	AUC     *float64 `json:"auc"`
	HeldOut uint64   `json:"held_out"` // members that AUC is about
	// Terms are those that weigh most, the strongest first.
	Terms []WeightedTerm `json:"terms"`
}

// WeightedTerm is what having a term says about resembling a seed.
type WeightedTerm struct {
	Dimension string  `json:"dimension"`
	ID        string  `json:"id"`
	Name      string  `json:"name"`
	Weight    float64 `json:"weight"` // added to the logarithm of the odds
}

// ClusterSource is the cluster that an audience was made of.
type ClusterSource struct {
	AudienceID int64  `json:"audience_id"`
	ID         int    `json:"id"`
	Name       string `json:"name"`
}

// Making is what can be said of an audience that is made of another. The zero
// value leaves all of it to the server.
type Making struct {
	Outputs            []string `json:"outputs,omitempty"` // types of files; those of the original without it
	CallbackURL        string   `json:"callback_url,omitempty"`
	WithInsight        bool     `json:"generate_insights_automatically,omitempty"`
	InsightCallbackURL string   `json:"insight_callback_url,omitempty"`
}

// Expanding says who comes into an expansion.
type Expanding struct {
	Making
	// Factor is how many people, in sizes of the seed: more than 1, at most 10.
	Factor float64 `json:"expansion_factor"`
	Name   string  `json:"expansion_name,omitempty"`
	// IncludeSeed has the seed's members come first, RemoveSeed none of them. Only
	// one can be asked for; without either they come in where they score enough.
	IncludeSeed bool `json:"include_seed,omitempty"`
	RemoveSeed  bool `json:"remove_seed,omitempty"`
	// ReapplyFilters lets only those in who satisfy every AND of the seed's
	// definition, ReapplyExclusions only those who match no NOT of it.
	ReapplyFilters    bool `json:"reapply_filters,omitempty"`
	ReapplyExclusions bool `json:"reapply_exclusions,omitempty"`
}

// Expand makes an audience of people who resemble one, and returns the id of
// the audience that is now being built.
func (c *Client) Expand(ctx context.Context, id int64, e Expanding) (int64, error) {
	return c.start(ctx, ofAudience(id, "/expand"), e)
}

// MakeFromCluster makes an audience of a cluster of the insight of one, by the
// cluster's ID, and returns the id of the audience that is now being built.
func (c *Client) MakeFromCluster(ctx context.Context, id int64, cluster int, m Making) (int64, error) {
	return c.start(ctx, ofAudience(id, fmt.Sprintf("/insight/clusters/%d", cluster)), m)
}

func (c *Client) start(ctx context.Context, path string, body any) (int64, error) {
	var out struct {
		ID int64 `json:"id"`
	}
	err := c.post(ctx, path, body, &out)
	return out.ID, err
}
