package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Insight is what sets an audience apart. Of a report that is not done only the
// first three fields are there, of one that is withheld SizeReason, too.
type Insight struct {
	AudienceID int64    `json:"audience_id"`
	Status     string   `json:"status"`
	Error      *Failure `json:"error"`

	// Hash is the same for the same members of the same generation.
	Hash       string     `json:"insights_hash"`
	Size       *uint64    `json:"size"`
	SizeReason string     `json:"size_reason"`
	Generation string     `json:"generation"`
	AsOf       *time.Time `json:"as_of"`
	Baseline   *Baseline  `json:"baseline"`
	// Minimum is the number of members below which no term is told of.
	Minimum uint64 `json:"minimum"`
	// Dimensions are terms in the order asked for, by the name of the dimension.
	Dimensions map[string][]Term `json:"dimensions"`
	// Coverage is of those dimensions whose shares are of the people of whom
	// they are known.
	Coverage map[string]Coverage `json:"coverage"`
	Clusters []Cluster           `json:"clusters"`
	// Unclustered members have too little to tell whom they are like.
	Unclustered uint64   `json:"unclustered"`
	Warnings    []string `json:"warnings"`
}

// Baseline is whom an audience is compared with.
type Baseline struct {
	Name string `json:"name"`
	Size uint64 `json:"size"`
}

// Term is one value of a dimension. What is withheld, and what nobody of the
// baseline makes finite, is nil.
type Term struct {
	ID            string   `json:"id"`
	Name          string   `json:"name"`
	Count         uint64   `json:"count"`
	Share         float64  `json:"share"` // 0..1
	BaselineCount *uint64  `json:"baseline_count"`
	BaselineShare *float64 `json:"baseline_share"`
	// Index is 100 · Share / BaselineShare, Low to High its 95 % interval.
	Index *float64 `json:"index"`
	Low   *float64 `json:"low"`
	High  *float64 `json:"high"`
}

// Coverage is the share of people of whom a dimension is known, 0..1; nil where
// it is withheld.
type Coverage struct {
	Share         *float64 `json:"share"`
	BaselineShare *float64 `json:"baseline_share"`
}

// Cluster is a group of members who share tastes.
type Cluster struct {
	ID    int           `json:"id"` // from 1, the largest first
	Size  uint64        `json:"size"`
	Share float64       `json:"share"` // of the audience, 0..1
	Name  string        `json:"name"`
	Top   []ClusterTerm `json:"top"`
}

// ClusterTerm sets a cluster apart from its audience.
type ClusterTerm struct {
	Dimension string `json:"dimension"`
	Term
}

// InsightQuery says how a report is read. The zero value leaves all of it to
// the server.
type InsightQuery struct {
	Baseline string // as in global, usa_males, audience:12, or the dataset's own
	Limit    int    // terms of each dimension, up to 1,000
	Order    string // index, count or name
}

func (q InsightQuery) values() url.Values {
	v := url.Values{}
	if q.Baseline != "" {
		v.Set("baseline", q.Baseline)
	}
	if q.Limit != 0 {
		v.Set("limit", strconv.Itoa(q.Limit))
	}
	if q.Order != "" {
		v.Set("order", q.Order)
	}
	return v
}

// PublicLink is the address of a page that shows a report to whoever has it.
type PublicLink struct {
	AudienceID int64  `json:"audience_id"`
	Hash       string `json:"insights_hash"`
	URL        string `json:"public_link"`
}

// LinkSpec says what a public link shows, and for how long. The zero value is
// everyone as the baseline, and no end.
type LinkSpec struct {
	Baseline string `json:"baseline,omitempty"`
	ExpireAt string `json:"expire_at,omitempty"` // the last day in UTC, as in 2026-12-31
}

// RequestInsight has the report on an audience made, and returns how it stands:
// one that is done is not made again. callbackURL is called when it has ended;
// "" for none.
func (c *Client) RequestInsight(ctx context.Context, id int64, callbackURL string) (status string, err error) {
	var out struct {
		Status string `json:"status"`
	}
	body := struct {
		CallbackURL string `json:"insight_callback_url,omitempty"`
	}{callbackURL}
	err = c.post(ctx, ofAudience(id, "/insight"), body, &out)
	return out.Status, err
}

// Insight reads the report on an audience, whatever its status. One that nobody
// asked for is an [*Error] of status 404.
func (c *Client) Insight(ctx context.Context, id int64, q InsightQuery) (*Insight, error) {
	i := new(Insight)
	if err := c.do(ctx, http.MethodGet, withQuery(ofAudience(id, "/insight"), q.values()), "", nil, i); err != nil {
		return nil, err
	}
	return i, nil
}

// WaitInsight reads the report every interval until it is no longer running.
func (c *Client) WaitInsight(ctx context.Context, id int64, q InsightQuery, interval time.Duration) (i *Insight, err error) {
	err = until(ctx, interval, func() (ended bool, err error) {
		i, err = c.Insight(ctx, id, q)
		return err == nil && i.Status != running, err
	})
	if err != nil {
		return nil, err
	}
	return i, nil
}

// InsightFile opens a finished report as csv or xlsx. The caller closes it.
func (c *Client) InsightFile(ctx context.Context, id int64, format string, q InsightQuery) (io.ReadCloser, error) {
	v := q.values()
	v.Set("format", format)
	resp, err := c.send(ctx, http.MethodGet, withQuery(ofAudience(id, "/insight"), v), "", nil)
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

// PublicLink gives the address of the page of a finished report; it is made
// where there is none.
func (c *Client) PublicLink(ctx context.Context, id int64) (*PublicLink, error) {
	l := new(PublicLink)
	if err := c.do(ctx, http.MethodGet, ofAudience(id, "/insight/public-link"), "", nil, l); err != nil {
		return nil, err
	}
	return l, nil
}

// ReplacePublicLink gives the page another address: the one before shows
// nothing from then on.
func (c *Client) ReplacePublicLink(ctx context.Context, id int64, spec LinkSpec) (*PublicLink, error) {
	l := new(PublicLink)
	if err := c.post(ctx, ofAudience(id, "/insight/public-link"), spec, l); err != nil {
		return nil, err
	}
	return l, nil
}

// Comparison is what two to six audiences have in common, on one generation.
// Sizes are nil where they are withheld.
type Comparison struct {
	Generation string         `json:"generation"`
	Audiences  []Compared     `json:"audiences"`
	Sets       []Intersection `json:"intersections"`
	Pairs      []Overlap      `json:"pairs"`
	// Baseline, Dimensions and Coverage set one of two audiences apart from the
	// other, which is the baseline; they are empty where there are more.
	Baseline   *Baseline           `json:"baseline"`
	Dimensions map[string][]Term   `json:"dimensions"`
	Coverage   map[string]Coverage `json:"coverage"`
	Warnings   []string            `json:"warnings"`
}

// Compared is one of the audiences that are compared.
type Compared struct {
	ID   int64   `json:"id"`
	Name string  `json:"name"`
	Size *uint64 `json:"size"`
}

// Intersection is the people who are in all of some audiences; Exclusive of them
// are in no other that is compared.
type Intersection struct {
	IDs       []int64 `json:"ids"`
	Exclusive *uint64 `json:"exclusive"`
	Size      *uint64 `json:"size"`
}

// Overlap is how alike two audiences are.
type Overlap struct {
	IDs          [2]int64 `json:"ids"`
	Intersection *uint64  `json:"intersection"`
	Union        *uint64  `json:"union"`
	// Jaccard is intersection / union; Containment the share of the first that is
	// in the second, and of the second in the first.
	Jaccard     *float64    `json:"jaccard"`
	Containment [2]*float64 `json:"containment"`
}

// Compare tells what finished audiences have in common. Of two, the first is
// set apart from the second, or the other way round where q's baseline names the
// first, as in audience:12.
func (c *Client) Compare(ctx context.Context, ids []int64, q InsightQuery) (*Comparison, error) {
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = strconv.FormatInt(id, 10)
	}
	v := q.values()
	v.Set("ids", strings.Join(texts, ","))
	out := new(Comparison)
	if err := c.do(ctx, http.MethodGet, withQuery("/platform/v0/audiences/compare", v), "", nil, out); err != nil {
		return nil, err
	}
	return out, nil
}

func ofAudience(id int64, more string) string {
	return fmt.Sprintf("/platform/v0/audiences/%d%s", id, more)
}

func withQuery(path string, v url.Values) string {
	if len(v) == 0 {
		return path
	}
	return path + "?" + v.Encode()
}

// post sends a value as JSON and decodes the answer's "response" into out.
func (c *Client) post(ctx context.Context, path string, body, out any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("make request: %w", err)
	}
	return c.do(ctx, http.MethodPost, path, "application/json", bytes.NewReader(text), out)
}
