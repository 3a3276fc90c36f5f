// Package client speaks to a throng server over its Silhouette API, as any
// other program would. It knows nothing of the inside.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Client calls one server with one caller's token. It is safe for concurrent
// use.
type Client struct {
	base  string
	token string
	http  *http.Client
}

// New makes a client of the server at base, as in http://127.0.0.1:8080.
func New(base, token string) *Client {
	return &Client{base: strings.TrimRight(base, "/"), token: token, http: &http.Client{}}
}

// Error is a refusal of the server.
type Error struct {
	Status  int // of HTTP
	Code    string
	Message string
	Details []Detail
}

// Detail is one problem of a request.
type Detail struct{ Path, Message string }

// Error tells everything that the server said.
func (e *Error) Error() string {
	return fmt.Sprintf("%s (%s)", e.Message, e.Code) + lines(e.Details)
}

// lines are details, each on a line of its own.
func lines(details []Detail) string {
	var b strings.Builder
	for _, d := range details {
		fmt.Fprintf(&b, "\n  %s: %s", d.Path, d.Message)
	}
	return b.String()
}

// Audience is what the server tells of one.
type Audience struct {
	ID         int64             `json:"id"`
	Name       string            `json:"name"`
	Status     string            `json:"status"`
	Step       string            `json:"step"`
	Progress   float64           `json:"progress"`
	Size       *uint64           `json:"size"`
	SizeReason string            `json:"size_reason"` // why Size is withheld
	Generation string            `json:"generation"`
	AsOf       *time.Time        `json:"as_of"`
	Parameters []json.RawMessage `json:"parameters"`
	Warnings   []string          `json:"warnings"`
	Error      *Failure          `json:"error"`
	Outputs    []Output          `json:"outputs"`
	// Insight is nil until a report is asked for.
	Insight *InsightState `json:"insight"`
	// Expansion and Cluster say what an audience was made of that has no
	// definition; else they are nil.
	Expansion *Expansion     `json:"expansion"`
	Cluster   *ClusterSource `json:"cluster"`
}

// running is the status of whatever has not ended.
const running = "running"

// InsightState is how the report on an audience stands.
type InsightState struct {
	Status string   `json:"status"`
	Error  *Failure `json:"error"`
}

// Failure says why a build failed.
type Failure struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Retry   bool   `json:"retry"`
}

// String is "" where nothing failed.
func (f *Failure) String() string {
	if f == nil {
		return ""
	}
	return f.Message + " (" + f.Code + ")"
}

// Output is one finished file of an audience.
type Output struct {
	Type   string `json:"type"`
	People uint64 `json:"people"`
	Rows   uint64 `json:"rows"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
	URL    string `json:"url"`
}

// Upload is what the server tells of an upload.
type Upload struct {
	Key       string `json:"key"`
	Type      string `json:"type"`
	Rows      uint64 `json:"rows"`
	Matched   uint64 `json:"matched"`
	Unmatched uint64 `json:"unmatched"`
	Duplicate uint64 `json:"duplicate"`
	Invalid   uint64 `json:"invalid"`
}

// CreateAudience sends a definition as the vendor's documentation shows it
// and returns the id of the audience that is now being built.
func (c *Client) CreateAudience(ctx context.Context, definition []byte) (int64, error) {
	var out struct {
		ID int64 `json:"id"`
	}
	err := c.do(ctx, http.MethodPost, "/platform/v0/audiences", "application/json", bytes.NewReader(definition), &out)
	return out.ID, err
}

// Preview counts a definition; the answer is returned as it came, without
// its envelope.
func (c *Client) Preview(ctx context.Context, definition []byte) (json.RawMessage, error) {
	var out json.RawMessage
	err := c.do(ctx, http.MethodPost, "/platform/v0/audiences/preview", "application/json", bytes.NewReader(definition), &out)
	return out, err
}

// Audience asks how an audience stands.
func (c *Client) Audience(ctx context.Context, id int64) (*Audience, error) {
	a := new(Audience)
	if err := c.do(ctx, http.MethodGet, "/platform/v0/audiences/"+strconv.FormatInt(id, 10), "", nil, a); err != nil {
		return nil, err
	}
	return a, nil
}

// Wait asks every interval until the audience is no longer running.
func (c *Client) Wait(ctx context.Context, id int64, interval time.Duration) (a *Audience, err error) {
	err = until(ctx, interval, func() (ended bool, err error) {
		a, err = c.Audience(ctx, id)
		return err == nil && a.Status != running, err
	})
	if err != nil {
		return nil, err
	}
	return a, nil
}

// until asks at once and then every interval until something has ended, or
// asking fails.
func until(ctx context.Context, interval time.Duration, ask func() (ended bool, err error)) error {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		if ended, err := ask(); ended || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Upload sends a file of identifiers of one type.
func (c *Client) Upload(ctx context.Context, typ, name string, file io.Reader) (*Upload, error) {
	u := new(Upload)
	q := url.Values{"type": {typ}}
	if name != "" {
		q.Set("name", name)
	}
	if err := c.do(ctx, http.MethodPost, "/platform/v0/uploads?"+q.Encode(), "text/plain", file, u); err != nil {
		return nil, err
	}
	return u, nil
}

// Get asks for any path below the API and decodes what is in the envelope.
func (c *Client) Get(ctx context.Context, path string, out any) error {
	return c.do(ctx, http.MethodGet, path, "", nil, out)
}

// Output opens a finished file. The caller closes it.
func (c *Client) Output(ctx context.Context, id int64, typ, format string) (io.ReadCloser, error) {
	path := fmt.Sprintf("/platform/v0/audiences/%d/outputs/%s?format=%s", id, url.PathEscape(typ), url.QueryEscape(format))
	resp, err := c.send(ctx, http.MethodGet, path, "", nil)
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

// do sends a request and decodes the answer's "response" into out.
func (c *Client) do(ctx context.Context, method, path, contentType string, body io.Reader, out any) error {
	resp, err := c.send(ctx, method, path, contentType, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var envelope struct {
		Response json.RawMessage `json:"response"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&envelope); err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	if err := json.Unmarshal(envelope.Response, out); err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	return nil
}

// send returns a response of 2xx; whatever else comes is an *Error.
func (c *Client) send(ctx context.Context, method, path, contentType string, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask server: %w", err)
	}
	if resp.StatusCode/100 == 2 {
		return resp, nil
	}
	defer resp.Body.Close()
	var envelope struct {
		Error *Error `json:"error"`
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err = errors.Join(err, json.Unmarshal(text, &envelope)); err != nil || envelope.Error == nil {
		return nil, &Error{Status: resp.StatusCode, Code: "unknown", Message: "the server answered " + resp.Status}
	}
	envelope.Error.Status = resp.StatusCode
	return nil, envelope.Error
}
