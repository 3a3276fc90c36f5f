package service

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"throng/blob"
	"throng/insight"
	"throng/service/record"
	"throng/service/reportstore"
)

// readings counts how often files of counts are opened.
type readings struct {
	blob.Store
	n atomic.Int64
}

// Open implements blob.Store.
func (r *readings) Open(ctx context.Context, key string) (blob.Reader, error) {
	if strings.HasSuffix(key, record.CountsKey("")) {
		r.n.Add(1)
	}
	return r.Store.Open(ctx, key)
}

func watched(r *readings) option {
	return func(c *Config) { r.Store, c.Blobs = c.Blobs, r }
}

// TestReportIsReadOnce asks many questions of one report, several at once, and
// holds the answers to those of a service that has read nothing yet. What is
// made anew or deleted is not answered from memory.
func TestReportIsReadOnce(t *testing.T) {
	r := &readings{}
	s := start(t, all, watched(r))
	a := s.build(s.caller, everyone)
	before := s.insight(s.caller, a.ID, InsightQuery{})
	var questions []InsightQuery
	for _, order := range insight.Orders() {
		for limit := 1; limit <= 3; limit++ {
			questions = append(questions, InsightQuery{Order: order, Limit: limit}, InsightQuery{Order: order, Limit: limit, Baseline: audienceName(a.ID)})
		}
	}
	var want []*insight.Report
	for _, q := range questions {
		want = append(want, s.again().insightDone(s.caller, a.ID, q).Report)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i, q := range questions {
				got, err := s.Insight(t.Context(), s.caller, a.ID, q)
				if err != nil {
					t.Errorf("Insight(%+v): %v", q, err)
					return
				}
				if diff := cmp.Diff(want[i], got.Report); diff != "" {
					t.Errorf("answer to %+v differs from the first service's (-want +got):\n%s", q, diff)
				}
			}
		})
	}
	wg.Wait()
	if n := r.n.Load(); n != 1 {
		t.Errorf("%d questions read the file %d times, want once", 4*len(questions)+1, n)
	}

	first := s.keys("insights/")[0]
	s.put(first, "damaged")
	after := s.insight(s.caller, a.ID, InsightQuery{}) // which finds the damage, and makes it anew
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("the report made anew differs (-before +after):\n%s", diff)
	}
	waitFor(t, func() bool { // the job deletes what was before when it has told that it is done
		keys := s.keys("insights/")
		return len(keys) == 1 && keys[0] != first
	})
	if n, _ := s.reports.Kept(); n != 1 {
		t.Errorf("%d reports are in memory, want the one that was made anew", n)
	}
	if n := r.n.Load(); n != 3 { // the damaged one by the order
		t.Errorf("the file was read %d times, want 3", n)
	}
	if err := s.DeleteAudience(t.Context(), s.caller, a.ID); err != nil {
		t.Fatal(err)
	}
	if n, bytes := s.reports.Kept(); n != 0 || bytes != 0 {
		t.Errorf("%d reports of %d bytes are in memory after the audience was deleted, want none", n, bytes)
	}
}

// TestReportTooLarge reads a report each time that memory is not to hold.
func TestReportTooLarge(t *testing.T) {
	r := &readings{}
	s := start(t, all, watched(r))
	s.reports = reportstore.New(s.cfg.Blobs, 1000)
	a := s.build(s.caller, everyone)
	want := s.insight(s.caller, a.ID, InsightQuery{})
	if diff := cmp.Diff(want, s.insightDone(s.caller, a.ID, InsightQuery{}).Report); diff != "" || r.n.Load() != 2 {
		t.Errorf("read %d times, want 2; the second answer differs (-want +got):\n%s", r.n.Load(), diff)
	}
}

// BenchmarkReport answers the same question again, of a report on 2,000 people
// with some 20,000 terms: from the file, and from memory.
func BenchmarkReport(b *testing.B) {
	s := open(b, all)
	rng := rand.New(rand.NewPCG(1, 2))
	tables := map[string]string{"dataset.json": `{"name":"bench"}`}
	var persons, follows strings.Builder
	persons.WriteString("person,gender\n")
	follows.WriteString("person,network,account\n")
	for i := range 2000 {
		fmt.Fprintf(&persons, "p%d,female\n", i)
		for range 30 {
			fmt.Fprintf(&follows, "p%d,twitter,%d\n", i, 1+rng.IntN(20_000))
		}
	}
	tables["people.csv"], tables["follows.csv"] = persons.String(), follows.String()
	s.load(tables)
	s.run()
	a := s.build(s.caller, `[{"operation":"OR","gender":{"genders":["female"]}}]`)
	s.insight(s.caller, a.ID, InsightQuery{})
	for _, from := range []string{"file", "memory"} {
		b.Run("from="+from, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if from == "file" {
					s.reports.Forget(func(string) bool { return true })
				}
				if _, err := s.Insight(b.Context(), s.caller, a.ID, InsightQuery{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
