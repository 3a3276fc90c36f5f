package service

import (
	"testing"
	"time"

	"throng/engine"
	"throng/query"
)

type rowsOfSize uint64

func (n rowsOfSize) Len() uint64 { return uint64(n) }

func TestRowCache(t *testing.T) {
	const people = 1 << 20 // a full set takes 132,096 bytes, an empty one 1,024
	info := engine.Info{ID: "00000001", LoadedAt: time.Unix(1, 0), People: people}
	key := func(prefix string) rowCacheKey { return newRowCacheKey(prefix, info) }
	full := rowsOfSize(people)
	c := &rowCache{limit: 300_000}
	c.put(key("a"), full, people)
	c.put(key("b/1"), full, people)
	holds := func(prefix string, want query.RowSet) {
		t.Helper()
		if got := c.get(key(prefix)); got != want {
			t.Errorf("get(%s) = %v, want %v", prefix, got, want)
		}
	}
	holds("b/1", full)
	holds("a", full) // the one used last
	again := info
	again.LoadedAt = time.Unix(2, 0)
	if got := c.get(newRowCacheKey("a", again)); got != nil {
		t.Errorf("get of another load's = %v, want nil", got)
	}
	c.put(key("b/2"), full, people)
	holds("b/1", nil)
	holds("a", full)
	c.put(key("large"), full, 2*people) // above half of the limit
	holds("large", nil)

	c.drop("b/", "b/2/")
	holds("b/2", full)
	c.drop("b/", "")
	holds("b/2", nil)
	c.put(key("b/3"), rowsOfSize(7), people)
	c.put(key("b/4"), rowsOfSize(7), people)
	c.drop("b/", "b/4/")
	holds("b/3", nil)
	holds("b/4", rowsOfSize(7))
	c.drop("", "")
	if c.used != 0 || c.order.Len() != 0 || len(c.sets) != 0 {
		t.Errorf("after drop of all: %d bytes, %d in order, %d by key, want none", c.used, c.order.Len(), len(c.sets))
	}
}
