package rowstore

import (
	"testing"
	"time"

	"throng/engine"
	"throng/query"
)

type rowsOfSize uint64

func (n rowsOfSize) Len() uint64 { return uint64(n) }

func TestMemory(t *testing.T) {
	const people = 1 << 20 // a full set takes 132,096 bytes, an empty one 1,024
	info := engine.Info{ID: "00000001", LoadedAt: time.Unix(1, 0), People: people}
	at := func(prefix string) key { return newKey(prefix, info) }
	full := rowsOfSize(people)
	c := newMemory(300_000)
	c.put(at("a"), full, people)
	c.put(at("b/1"), full, people)
	holds := func(prefix string, want query.RowSet) {
		t.Helper()
		if got, ok := c.Get(at(prefix)); got != want || ok != (want != nil) {
			t.Errorf("get(%s) = %v, want %v", prefix, got, want)
		}
	}
	holds("b/1", full)
	holds("a", full) // the one used last
	again := info
	again.LoadedAt = time.Unix(2, 0)
	if got, ok := c.Get(newKey("a", again)); ok {
		t.Errorf("get of another load's = %v, want nil", got)
	}
	c.put(at("b/2"), full, people)
	holds("b/1", nil)
	holds("a", full)
	c.put(at("large"), full, 2*people) // above half of the limit
	holds("large", nil)

	c.Drop(func(k key) bool { return k.prefix == "b/2" })
	holds("b/2", nil)
	holds("a", full)
	c.Drop(func(key) bool { return true })
	if c.Len() != 0 || c.Bytes() != 0 {
		t.Errorf("after drop of all: %d bytes of %d sets, want none", c.Bytes(), c.Len())
	}
}
