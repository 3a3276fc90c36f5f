package service

import (
	"container/list"
	"strings"
	"sync"
	"time"

	"throng/engine"
	"throng/query"
)

// rowCache keeps the rows of uploads and audiences that were asked for last,
// so that a preview need not read them, and the engine knows them again by
// their identity. It is safe for concurrent use.
type rowCache struct {
	limit int64 // in bytes

	mu    sync.Mutex
	used  int64
	sets  map[rowCacheKey]*list.Element
	order list.List // of *cachedRows, those used last first
}

// rowCacheKey names rows. The time of the load tells generations apart whose
// ids are equal because all that were before were removed.
type rowCacheKey struct {
	prefix     string
	generation string
	loaded     time.Time
}

type cachedRows struct {
	key   rowCacheKey
	rows  query.RowSet
	bytes int64
}

func newRowCacheKey(prefix string, info engine.Info) rowCacheKey {
	return rowCacheKey{prefix: prefix, generation: info.ID, loaded: info.LoadedAt.UTC()}
}

// get gives rows, nil where they are not kept.
func (c *rowCache) get(key rowCacheKey) query.RowSet {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.sets[key]
	if e == nil {
		return nil
	}
	c.order.MoveToFront(e)
	return e.Value.(*cachedRows).rows
}

// put keeps rows of a generation of so many people, unless they alone would
// take more than half of the cache.
func (c *rowCache) put(key rowCacheKey, rows query.RowSet, people uint64) {
	// What an engine holds is its own matter; no set need take more than two
	// bytes a row or a bit a person, and a little for each 65,536 people.
	bytes := int64(min(2*rows.Len(), people/8) + people/1024)
	c.mu.Lock()
	defer c.mu.Unlock()
	if bytes > c.limit/2 || c.sets[key] != nil {
		return
	}
	for c.used+bytes > c.limit {
		c.forget(c.order.Back())
	}
	if c.sets == nil {
		c.sets = map[rowCacheKey]*list.Element{}
	}
	c.sets[key] = c.order.PushFront(&cachedRows{key, rows, bytes})
	c.used += bytes
}

// drop forgets the rows kept below a prefix but those below another.
func (c *rowCache) drop(prefix, but string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for key, e := range c.sets {
		folder := key.prefix + "/"
		if strings.HasPrefix(folder, prefix) && (but == "" || !strings.HasPrefix(folder, but)) {
			c.forget(e)
		}
	}
}

func (c *rowCache) forget(e *list.Element) {
	old := c.order.Remove(e).(*cachedRows)
	delete(c.sets, old.key)
	c.used -= old.bytes
}
