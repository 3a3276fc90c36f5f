package silhouette

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"throng"
	"throng/service"
)

// started answers everything that starts a build.
type started struct {
	ID     int64         `json:"id"`
	Status throng.Status `json:"status"`
}

func fromStarted(made any) any {
	a, ok := made.(*throng.Audience)
	if !ok {
		return nil
	}
	return started{a.ID, a.Status}
}

// ended answers deletions and cancellations.
type ended struct {
	ID     int64  `json:"id"`
	Status string `json:"status"`
}

type wireAudience struct {
	ID          int64             `json:"id"`
	Name        string            `json:"name"`
	Description string            `json:"description"`
	Status      throng.Status     `json:"status"`
	Step        string            `json:"step"`
	Progress    float64           `json:"progress"`
	HeartbeatAt *time.Time        `json:"heartbeat_at"`
	Size        *uint64           `json:"size"`
	SizeReason  string            `json:"size_reason,omitempty"`
	Generation  string            `json:"generation"`
	AsOf        *time.Time        `json:"as_of"`
	CreatedAt   *time.Time        `json:"created_at"`
	FinishedAt  *time.Time        `json:"finished_at"`
	Parameters  []json.RawMessage `json:"parameters"`
	Warnings    []string          `json:"warnings"`
	Error       *throng.Failure   `json:"error"`
	Kind        string            `json:"kind"`
	Outputs     []wireOutput      `json:"outputs"`
	Insight     *insightState     `json:"insight"`

	Expansion *wireExpansion     `json:"expansion,omitempty"`
	Cluster   *wireClusterSource `json:"cluster,omitempty"`
}

type wireOutput struct {
	Type   string `json:"type"`
	People uint64 `json:"people"`
	Rows   uint64 `json:"rows"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
	URL    string `json:"url"`
}

// Renderer words audiences outside of a request, for callbacks.
type Renderer struct {
	// URL gives what begins every URL that is given out.
	URL func() string
}

// Audience gives what GET /audiences/{id} answers, envelope and all.
func (r Renderer) Audience(a throng.Audience) ([]byte, error) {
	v, err := fromAudience(a, r.URL())
	if err != nil {
		return nil, err
	}
	return wrap(v)
}

func fromAudience(a throng.Audience, base string) (wireAudience, error) {
	v := wireAudience{
		ID: a.ID, Name: a.Name, Description: a.Description, Status: a.Status, Step: a.Step, Progress: a.Progress,
		HeartbeatAt: moment(a.Heartbeat), Size: a.Size, SizeReason: a.SizeHidden, Generation: a.Generation, AsOf: moment(a.AsOf),
		CreatedAt: moment(a.CreatedAt), FinishedAt: moment(a.FinishedAt), Parameters: []json.RawMessage{},
		Warnings: notNil(a.Warnings), Error: a.Failure, Kind: string(a.Kind), Outputs: []wireOutput{}, Insight: fromInsightState(a.Insight),
		Expansion: fromExpansion(a.Expansion), Cluster: fromClusterSource(a.Cluster),
	}
	for i, raw := range a.Parameters {
		var size *uint64
		if i < len(a.ParameterSizes) {
			size = a.ParameterSizes[i]
		}
		p, err := withSize(raw, size)
		if err != nil {
			return v, fmt.Errorf("word parameter %d: %w", i, err)
		}
		v.Parameters = append(v.Parameters, p)
	}
	for _, o := range a.Outputs {
		v.Outputs = append(v.Outputs, wireOutput{
			Type: string(o.Type), People: o.People, Rows: o.Rows, Bytes: o.Bytes, SHA256: o.SHA256,
			URL: fmt.Sprintf("%s%s/audiences/%d/outputs/%s", base, Base, a.ID, o.Type),
		})
	}
	return v, nil
}

// withSize gives a parameter as it was sent, with its size as the last key. A
// key "size" that the client sent itself gives way.
func withSize(raw json.RawMessage, size *uint64) (json.RawMessage, error) {
	var b bytes.Buffer
	if err := json.Compact(&b, raw); err != nil {
		return nil, err
	}
	compact := b.Bytes()
	dec := json.NewDecoder(bytes.NewReader(compact))
	if tok, err := dec.Token(); err != nil || tok != json.Delim('{') {
		return nil, fmt.Errorf("not an object: %w", err)
	}
	out := []byte{'{'}
	for dec.More() {
		from := dec.InputOffset()
		key, err := dec.Token()
		if err != nil {
			return nil, err
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, err
		}
		if key == "size" {
			continue
		}
		out = append(out, bytes.TrimPrefix(compact[from:dec.InputOffset()], []byte{','})...)
		out = append(out, ',')
	}
	text, err := json.Marshal(size)
	return fmt.Appendf(out, `"size":%s}`, text), err
}

type wirePreview struct {
	Size       *uint64         `json:"size"`
	SizeReason string          `json:"size_reason,omitempty"`
	Parameters []wireParameter `json:"parameters"`
	Steps      wireSteps       `json:"steps"`
	Warnings   []string        `json:"warnings"`
	ElapsedMS  float64         `json:"elapsed_ms"`
}

type wireParameter struct {
	Operation throng.Operation     `json:"operation"`
	Criterion throng.CriterionKind `json:"criterion"`
	Size      *uint64              `json:"size"`
}

type wireSteps struct {
	Include *uint64 `json:"include"`
	Filter  *uint64 `json:"filter"`
	Exclude *uint64 `json:"exclude"`
}

func fromPreview(p *throng.Preview) wirePreview {
	v := wirePreview{
		Size: p.Size, SizeReason: p.SizeHidden, Parameters: []wireParameter{}, Steps: wireSteps{p.Include, p.Filter, p.Exclude},
		Warnings: notNil(p.Warnings), ElapsedMS: float64(p.Elapsed.Microseconds()) / 1000,
	}
	for _, s := range p.Parameters {
		v.Parameters = append(v.Parameters, wireParameter(s))
	}
	return v
}

// RenderPreview gives what POST /audiences/preview answers, envelope and all.
func RenderPreview(p *throng.Preview) ([]byte, error) { return wrap(fromPreview(p)) }

type wireUpload struct {
	Key       string `json:"key"`
	Type      string `json:"type"`
	Rows      uint64 `json:"rows"`
	Matched   uint64 `json:"matched"`
	Unmatched uint64 `json:"unmatched"`
	Duplicate uint64 `json:"duplicate"`
	Invalid   uint64 `json:"invalid"`
}

// wireUploadState is an upload as it is read back.
type wireUploadState struct {
	wireUpload
	Name         string               `json:"name"`
	Status       throng.UploadStatus  `json:"status"`
	Error        string               `json:"error,omitempty"`
	CreatedAt    *time.Time           `json:"created_at"`
	InvalidLines []throng.InvalidLine `json:"invalid_lines"`
}

func fromUpload(made any) any {
	u, ok := made.(*throng.Upload)
	if !ok {
		return nil
	}
	return wireUpload{u.Key, string(u.Type), u.Rows, u.Matched, u.Unmatched, u.Duplicate, u.Invalid}
}

func fromUploadState(u throng.Upload) wireUploadState {
	return wireUploadState{
		wireUpload: wireUpload{u.Key, string(u.Type), u.Rows, u.Matched, u.Unmatched, u.Duplicate, u.Invalid},
		Name:       u.Name, Status: u.Status, Error: u.Failure, CreatedAt: moment(u.CreatedAt), InvalidLines: notNil(u.InvalidLines),
	}
}

// wireAffinity has the vendor's keys in the vendor's order; a root has no
// followers_count, is_match stands on matches alone, and children where a
// node is expanded.
type wireAffinity struct {
	ID             string         `json:"id"`
	Name           string         `json:"name"`
	IsCategory     bool           `json:"is_category"`
	FollowersCount *uint64        `json:"followers_count,omitempty"`
	CanAdd         bool           `json:"can_add"`
	IsMatch        bool           `json:"is_match,omitempty"`
	Kind           string         `json:"kind"`
	Children       []wireAffinity `json:"children,omitempty"`
}

func fromAffinities(list []service.Affinity) []wireAffinity {
	out := make([]wireAffinity, 0, len(list))
	for _, a := range list {
		v := wireAffinity{ID: a.ID, Name: a.Name, IsCategory: a.Category, CanAdd: !a.Root, IsMatch: a.Match, Kind: "affinity"}
		if !a.Root {
			v.FollowersCount = &a.People
		}
		if len(a.Children) > 0 {
			v.Children = fromAffinities(a.Children)
		}
		out = append(out, v)
	}
	return out
}

type wireTerm struct {
	ID             string `json:"id"`
	Name           string `json:"name"`
	FollowersCount uint64 `json:"followers_count"`
	Kind           string `json:"kind"`
}

type wirePlace struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Kind    string `json:"kind"`
	Region  string `json:"region,omitempty"`
	Country string `json:"country,omitempty"`
}

// wireList is a page of a list.
type wireList[T any] struct {
	Data    []T    `json:"data"`
	HasNext bool   `json:"has_next"`
	Next    string `json:"next"`
}

func pageOf[T any](data []T, next string) wireList[T] {
	return wireList[T]{Data: notNil(data), HasNext: next != "", Next: next}
}

type wireCallback struct {
	ID            int64         `json:"id"`
	AudienceID    int64         `json:"audience_id"`
	URL           string        `json:"url"`
	Status        string        `json:"status"`
	NextAttemptAt *time.Time    `json:"next_attempt_at"`
	Attempts      []wireAttempt `json:"attempts"`
}

type wireAttempt struct {
	At         *time.Time `json:"at"`
	HTTPStatus *int       `json:"http_status"`
	Error      *string    `json:"error"`
	MS         int64      `json:"ms"`
}

func fromCallback(c service.Callback) wireCallback {
	v := wireCallback{ID: c.ID, AudienceID: c.AudienceID, URL: c.URL, Status: c.Status, NextAttemptAt: moment(c.NextAttemptAt), Attempts: []wireAttempt{}}
	for _, a := range c.Attempts {
		w := wireAttempt{At: moment(a.At), MS: a.MS}
		if a.HTTPStatus != 0 {
			w.HTTPStatus = &a.HTTPStatus
		}
		if a.Error != "" {
			w.Error = &a.Error
		}
		v.Attempts = append(v.Attempts, w)
	}
	return v
}

type wireCredits struct {
	Builds          int64 `json:"builds"`
	Insights        int64 `json:"insights"`
	Universes       int64 `json:"universes"`
	Expansions      int64 `json:"expansions"`
	Distributions   int64 `json:"distributions"`
	ScheduledReruns int64 `json:"scheduled_reruns"`
}

// moment gives a time in UTC, null for the zero one.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// notNil makes an empty list of nil: a list is never null.
func notNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func refusalOf(err error) (*throng.Error, bool) { e := throng.ErrorOf(err); return e, e != nil }
