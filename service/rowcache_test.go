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
	c := newRowCache(300_000)
	c.putRows(key("a"), full, people)
	c.putRows(key("b/1"), full, people)
	holds := func(prefix string, want query.RowSet) {
		t.Helper()
		if got, ok := c.Get(key(prefix)); got != want || ok != (want != nil) {
			t.Errorf("get(%s) = %v, want %v", prefix, got, want)
		}
	}
	holds("b/1", full)
	holds("a", full) // the one used last
	again := info
	again.LoadedAt = time.Unix(2, 0)
	if got, ok := c.Get(newRowCacheKey("a", again)); ok {
		t.Errorf("get of another load's = %v, want nil", got)
	}
	c.putRows(key("b/2"), full, people)
	holds("b/1", nil)
	holds("a", full)
	c.putRows(key("large"), full, 2*people) // above half of the limit
	holds("large", nil)

	c.dropBelow("b/", "b/2/")
	holds("b/2", full)
	c.dropBelow("b/", "")
	holds("b/2", nil)
	c.putRows(key("b/3"), rowsOfSize(7), people)
	c.putRows(key("b/4"), rowsOfSize(7), people)
	c.dropBelow("b/", "b/4/")
	holds("b/3", nil)
	holds("b/4", rowsOfSize(7))
	c.dropBelow("", "")
	if c.Len() != 0 || c.Bytes() != 0 {
		t.Errorf("after drop of all: %d bytes of %d sets, want none", c.Bytes(), c.Len())
	}
}
