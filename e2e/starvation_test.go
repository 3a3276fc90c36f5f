package e2e

import (
	"fmt"
	"testing"
	"time"

	"throng/client"
)

// TestStarvation has one caller order a hundred builds and another, after that,
// one, of a server that builds nothing; when one that does starts, that one build
// is not the last but among the first.
func TestStarvation(t *testing.T) {
	const many = 100
	data := newData(t)
	api := start(t, data, "--role", "api")
	greedy, greedyToken := addCaller(t, api, data, "greedy", allGrants()...)
	modest, modestToken := addCaller(t, api, data, "modest", allGrants()...)
	order := func(c *client.Client) int64 {
		t.Helper()
		id, err := c.CreateAudience(t.Context(), []byte(deliveredDefinition))
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	var ids []int64
	for range many {
		ids = append(ids, order(greedy))
	}
	one := order(modest)
	api.stop(t)
	p := start(t, data)
	greedy, modest = client.New(p.URL, greedyToken), client.New(p.URL, modestToken)
	beside := timed(t, modest, one)
	for _, id := range ids {
		if a := waitDone(t, greedy, id); a.Status != "done" {
			t.Errorf("audience %d = %+v", id, a)
		}
	}
	alone := timed(t, modest, order(modest))
	ended := column(t, openRows(t, "", data), fmt.Sprintf("SELECT id FROM audiences WHERE finished_at <= (SELECT finished_at FROM audiences WHERE id = %d)", one))
	before := len(ended) - 1
	t.Logf("one build took %v alone and %v behind %d of another caller, of which %d ended before it",
		alone.Round(time.Millisecond), beside.Round(time.Millisecond), many, before)
	if before > many/10 {
		t.Errorf("%d of %d builds of one caller had ended before the one of another: it was starved", before, many)
	}
}

// timed tells how long a build just ordered takes.
func timed(t *testing.T, c *client.Client, id int64) time.Duration {
	t.Helper()
	began := time.Now()
	if a := waitDone(t, c, id); a.Status != "done" {
		t.Fatalf("audience %d = %+v", id, a)
	}
	return time.Since(began)
}
