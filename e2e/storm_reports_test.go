package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"throng/client"
)

const (
	// withReports is how many definitions of the pool have reports and expansions.
	withReports = 3
	// stormFactor is that of all expansions.
	stormFactor = "1.5"
	// asFile is a report's question for all that it tells, as text.
	asFile = "?format=csv&order=count&limit=1000"
)

// undisturbedReport is what a server that nothing happens to makes of a
// definition.
type undisturbedReport struct {
	csv      [32]byte // sum of the report
	expanded wanted
	clusters string
}

// reportState is a report, as far as it matters here.
type reportState struct {
	AudienceID int64 `json:"audience_id"`
	Status     string
	Error      json.RawMessage
	AsOf       *time.Time `json:"as_of"`
	Clusters   []stormCluster
}

type stormCluster struct {
	ID   int
	Size uint64
	Name string
}

// clustersOf words clusters.
func clustersOf(r reportState) string { return fmt.Sprint(r.Clusters) }

// quietReports has the reports and expansions of each dataset made by a server
// that nothing happens to.
func (s *storm) quietReports() {
	s.t.Helper()
	for _, sc := range s.sceneries {
		p := start(s.t, sc.loaded)
		c, token := addCaller(s.t, p, sc.loaded, "quiet", allGrants()...)
		for _, def := range s.pooled[:withReports] {
			list, err := parametersOf(def)
			if err != nil {
				s.t.Fatal(err)
			}
			made := exchange(s.t, p, token, http.MethodPost, stormBase+"/audiences", "application/json",
				`{"audience":{"name":"quiet"},"outputs":["ss_id"],"generate_insights_automatically":true,"parameters":`+list+`}`)
			path := stormBase + "/audiences/" + value(s.t, made, "response.id")
			var r reportState
			got := eventually(s.t, p, token, path+"/insight", "response.status", "done")
			if err := decode(reply{status: got.status, body: got.body}, http.StatusOK, &r); err != nil {
				s.t.Fatal(err)
			}
			text := exchange(s.t, p, token, http.MethodGet, path+"/insight"+asFile, "", "")
			if rows := bytes.Count(text.body, []byte("\n")); text.status != http.StatusOK || rows < 10 {
				s.t.Fatalf("undisturbed report = %d with %d rows", text.status, rows)
			}
			u := undisturbedReport{csv: sha256.Sum256(text.body), clusters: clustersOf(r)}
			more := exchange(s.t, p, token, http.MethodPost, path+"/expand", "application/json", `{"expansion_factor":`+stormFactor+`,"outputs":["ss_id"]}`)
			a := waitDone(s.t, c, int64(atoi(s.t, value(s.t, more, "response.id"))))
			if a.Status != "done" || a.Size == nil {
				s.t.Fatalf("undisturbed expansion = %+v", a)
			}
			lines := strings.Split(string(download(s.t, c, a.ID, "ss_id", "text")), "\n")
			u.expanded = wanted{size: *a.Size, outputs: map[string]wantedOutput{"ss_id": {
				people: int(*a.Size), rows: int(*a.Size), lines: sortedSum(lines[:len(lines)-1]),
			}}}
			sc.reports = append(sc.reports, u)
		}
		p.kill()
	}
}

// report makes an audience with a report on it, holds that to the one that was
// not disturbed, and sometimes expands the audience or makes one of a cluster.
func (c *caller) report(ctx context.Context, _ int) error {
	i := c.rng.IntN(withReports)
	list, err := parametersOf(c.s.pooled[i])
	if err != nil {
		return err
	}
	address := ""
	if c.rng.IntN(3) > 0 {
		address = fmt.Sprintf(`"insight_callback_url":%q`, c.s.receiver.address(c))
	}
	fields, auto := []string(nil), c.rng.IntN(2) == 0
	if auto {
		fields = append(fields, `"generate_insights_automatically":true`)
		if address != "" {
			fields = append(fields, address)
		}
	}
	e, err := c.order(ctx, "create", "/audiences", list, fields...)
	if err != nil {
		return err
	}
	e.told = address != ""
	if !auto { // while the audience is being built, or afterwards
		if err := c.post(ctx, "insight", fmt.Sprintf("/audiences/%d/insight", e.id), "{"+address+"}", nil); err != nil {
			return err
		}
	}
	a, err := c.await(ctx, e)
	if err == nil {
		err = c.hold(ctx, a, func(sc *scenery) (wanted, error) { return sc.known[i], nil })
	}
	if err != nil {
		return err
	}
	r, err := c.awaitReport(ctx, e, i)
	if err != nil {
		return err
	}
	if c.rng.IntN(2) == 0 {
		return c.expand(ctx, a, i)
	}
	if len(r.Clusters) > 0 {
		return c.takeCluster(ctx, e, r)
	}
	return nil
}

// awaitReport waits until a report is made, and holds it to the one of the same
// definition that nothing happened to.
func (c *caller) awaitReport(ctx context.Context, e *entry, definition int) (r reportState, err error) {
	began := time.Now()
	path := fmt.Sprintf("%s/audiences/%d/insight", stormBase, e.id)
	for {
		got, err := c.ask(ctx, request{method: http.MethodGet, path: path})
		if err != nil {
			return r, err
		}
		if got.lost > 0 {
			began = time.Now()
		}
		r = reportState{}
		if err := decode(got, http.StatusOK, &r); err != nil {
			return r, fmt.Errorf("report on audience %d: %w", e.id, err)
		}
		if r.Status != "running" {
			break
		}
		c.s.event("report running", nil)
		if err := c.s.glance(ctx); err != nil {
			return r, err
		}
	}
	c.s.waited("report", began, fmt.Sprintf("of audience %d", e.id))
	c.s.event("report "+r.Status, nil)
	sc := c.s.sceneryOf(r.AsOf)
	if r.Status != "done" || sc == nil {
		return r, fmt.Errorf("report on audience %d is %s, of %v: %s", e.id, r.Status, r.AsOf, r.Error)
	}
	text, err := c.ask(ctx, request{method: http.MethodGet, path: path + asFile})
	if err != nil {
		return r, err
	}
	want := sc.reports[definition]
	if text.status != http.StatusOK || sha256.Sum256(text.body) != want.csv {
		return r, fmt.Errorf("report on audience %d is answered %d and counts otherwise than one that was not disturbed: %.300s", e.id, text.status, text.body)
	}
	if got := clustersOf(r); got != want.clusters {
		return r, fmt.Errorf("report on audience %d has clusters %s, want %s", e.id, got, want.clusters)
	}
	c.s.count("reports held to undisturbed ones")
	return r, nil
}

// expand makes an audience of people who resemble another one, and holds it to
// what came of it undisturbed. Where other data has become current meanwhile,
// it is done, and of what size is not known.
func (c *caller) expand(ctx context.Context, seed *client.Audience, definition int) error {
	e, err := c.derive(ctx, "expand", fmt.Sprintf("/audiences/%d/expand", seed.ID), `"expansion_factor":`+stormFactor)
	if err != nil {
		return err
	}
	a, err := c.await(ctx, e)
	if err != nil {
		return err
	}
	sc := c.s.sceneryOf(a.AsOf)
	if a.Status != "done" || a.Size == nil || sc == nil {
		return fmt.Errorf("expansion %d is %s, of %v: %+v", a.ID, a.Status, a.AsOf, a.Error)
	}
	if sc != c.s.sceneryOf(seed.AsOf) {
		c.s.count("expansions of a seed of other data")
		return nil
	}
	err = c.hold(ctx, a, func(sc *scenery) (wanted, error) { return sc.reports[definition].expanded, nil })
	if err != nil {
		return fmt.Errorf("expansion of audience %d: %w", seed.ID, err)
	}
	c.s.count("expansions held to undisturbed ones")
	return nil
}

// takeCluster makes an audience of a cluster. On the report's own data it has all
// of its members.
func (c *caller) takeCluster(ctx context.Context, of *entry, r reportState) error {
	k := r.Clusters[c.rng.IntN(len(r.Clusters))]
	e, err := c.derive(ctx, "cluster", fmt.Sprintf("/audiences/%d/insight/clusters/%d", of.id, k.ID))
	if err != nil {
		return err
	}
	a, err := c.await(ctx, e)
	if err != nil {
		return err
	}
	sc := c.s.sceneryOf(a.AsOf)
	if a.Status != "done" || a.Size == nil || sc == nil || sc == c.s.sceneryOf(r.AsOf) && *a.Size != k.Size {
		return fmt.Errorf("audience %d of cluster %d of %d people is %s, of %v, with %s: %+v", a.ID, k.ID, k.Size, a.Status, a.AsOf, sizeText(a.Size), a.Error)
	}
	c.s.count("audiences made of clusters")
	return nil
}

// derive orders an audience that is made of another one.
func (c *caller) derive(ctx context.Context, what, path string, fields ...string) (*entry, error) {
	e := &entry{caller: c, name: what + " of " + path, callback: c.rng.IntN(2) == 0}
	fields = append(fields, `"outputs":["ss_id"]`)
	if e.callback {
		fields = append(fields, fmt.Sprintf(`"callback_url":%q`, c.s.receiver.address(c)))
	}
	var made struct{ ID int64 }
	if err := c.post(ctx, what, path, "{"+strings.Join(fields, ",")+"}", &made); err != nil {
		return nil, err
	}
	e.id = made.ID
	return c.s.accept(e), nil
}

// holdTold makes sure that every report whose end was to be told of was told of
// by one message, with what GET answers.
func (s *storm) holdTold(ctx context.Context) {
	s.t.Helper()
	messages, told := s.receiver.byReport(), 0
	for _, e := range s.ledger {
		got := messages[e.id]
		delete(messages, e.id)
		switch {
		case !e.told && len(got) == 0:
		case !e.told || len(got) != 1 || !got[0].answered || got[0].caller != e.caller.Name:
			s.t.Errorf("the report on audience %d was told of by %d messages: %+v, want one that was answered: %t", e.id, len(got), got, e.told)
		default:
			told++
			now, err := e.caller.ask(ctx, request{method: http.MethodGet, path: fmt.Sprintf("%s/audiences/%d/insight", stormBase, e.id)})
			if err != nil {
				s.t.Fatal(err)
			}
			if !bytes.Equal(now.body, got[0].body) {
				s.t.Errorf("the report on audience %d was told as %.500s, GET answers %.500s", e.id, got[0].body, now.body)
			}
		}
	}
	for id := range messages {
		s.t.Errorf("a report on audience %d was told of and never asked for", id)
	}
	s.t.Logf("%d reports were told of", told)
}
