package e2e

import (
	"testing"
	"time"

	"throng/client"
)

// TestStarvation has one caller order a hundred builds and another, after that,
// one: it is done while most of the hundred wait.
func TestStarvation(t *testing.T) {
	const many = 100
	data := newData(t)
	p := start(t, data)
	greedy, _ := addCaller(t, p, data, "greedy", allGrants()...)
	modest, _ := addCaller(t, p, data, "modest", allGrants()...)
	order := func(c *client.Client) int64 {
		t.Helper()
		id, err := c.CreateAudience(t.Context(), []byte(deliveredDefinition))
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	alone := timed(t, modest, order(modest))
	var ids []int64
	for range many {
		ids = append(ids, order(greedy))
	}
	beside := timed(t, modest, order(modest))
	ended := 0
	for _, id := range ids {
		a, err := greedy.Audience(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if a.Status != "running" {
			ended++
		}
	}
	began := time.Now()
	for _, id := range ids {
		if a := waitDone(t, greedy, id); a.Status != "done" {
			t.Errorf("audience %d = %+v", id, a)
		}
	}
	t.Logf("one build took %v alone and %v behind %d of another caller, of which %d had ended by then; the rest took %v more",
		alone.Round(time.Millisecond), beside.Round(time.Millisecond), many, ended, time.Since(began).Round(time.Millisecond))
	if ended > many/2 {
		t.Errorf("%d of %d builds of one caller had ended before the one of another: it was starved", ended, many)
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
