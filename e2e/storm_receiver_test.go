package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
)

// stormReceiver takes callbacks, verifies them, and sometimes fails the first
// time. What is wrong with one it tells the test.
type stormReceiver struct {
	s    *storm
	url  string
	kind bool // takes every message at once

	mu       sync.Mutex
	messages map[string]*arrived // by webhook-id and caller
}

// arrived is a message with what its body says.
type arrived struct {
	caller   string
	body     []byte
	audience int64
	report   bool // of a report on the audience
	tries    int
	answered bool // with success, at least once
}

func newStormReceiver(s *storm) *stormReceiver {
	r := &stormReceiver{s: s, messages: map[string]*arrived{}}
	srv := httptest.NewServer(r)
	s.t.Cleanup(srv.Close)
	r.url = srv.URL
	return r
}

// address is where callbacks of a caller go.
func (r *stormReceiver) address(c *caller) string { return r.url + "/" + c.Name }

// ServeHTTP implements http.Handler.
func (r *stormReceiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return // its sender was killed
	}
	m, tries, err := r.take(req, body)
	if err != nil {
		r.s.t.Errorf("callback: %v", err)
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	r.s.event("callback received", nil)
	switch fate := m.audience % 8; {
	case !r.kind && fate == 0 && tries == 1:
		w.WriteHeader(http.StatusInternalServerError)
		return
	case !r.kind && fate == 1 && tries == 1:
		panic(http.ErrAbortHandler) // closes the connection
	}
	w.WriteHeader(http.StatusNoContent)
	if f, ok := w.(http.Flusher); ok {
		f.Flush()
	}
	r.mu.Lock()
	m.answered = true
	r.mu.Unlock()
	r.s.event("callback answered", nil)
}

// take verifies a message and holds it to what came before under its id.
func (r *stormReceiver) take(req *http.Request, body []byte) (m *arrived, tries int, err error) {
	name := strings.TrimPrefix(req.URL.Path, "/")
	c := r.s.callers[name]
	if c == nil {
		return nil, 0, fmt.Errorf("called at %s", req.URL.Path)
	}
	if err := c.verifier.Verify(body, req.Header); err != nil {
		return nil, 0, fmt.Errorf("signature: %w", err)
	}
	var said struct {
		Response struct {
			ID         int64
			AudienceID int64 `json:"audience_id"`
		}
	}
	if err := json.Unmarshal(body, &said); err != nil {
		return nil, 0, fmt.Errorf("body: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	id := name + " " + req.Header.Get("Webhook-Id")
	m = r.messages[id]
	if m == nil {
		m = &arrived{caller: name, body: body, audience: said.Response.ID}
		if said.Response.AudienceID != 0 {
			m.audience, m.report = said.Response.AudienceID, true
		}
		r.messages[id] = m
	}
	if m.tries++; !bytes.Equal(m.body, body) {
		return nil, 0, fmt.Errorf("message %s came with two bodies: %s and %s", id, m.body, body)
	}
	return m, m.tries, nil
}

// byAudience gives the messages of each audience.
func (r *stormReceiver) byAudience() map[int64][]arrived { return r.of(false) }

// byReport gives those of the reports on each audience.
func (r *stormReceiver) byReport() map[int64][]arrived { return r.of(true) }

func (r *stormReceiver) of(report bool) map[int64][]arrived {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := map[int64][]arrived{}
	for _, m := range r.messages {
		if m.report == report {
			all[m.audience] = append(all[m.audience], *m)
		}
	}
	return all
}
