package service

import (
	"container/list"
	"sync"
)

// keptCache keeps what was used last, by size. What it keeps is shared and must
// not be changed. It is safe for concurrent use.
type keptCache[K comparable, V any] struct {
	limit int64 // in bytes

	mu    sync.Mutex
	used  int64
	kept  map[K]*list.Element
	order list.List // of *keptValue, those used last first
}

type keptValue[K comparable, V any] struct {
	key   K
	value V
	bytes int64
}

// get gives a value; false where it is not kept.
func (c *keptCache[K, V]) get(key K) (value V, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.kept[key]
	if e == nil {
		return value, false
	}
	c.order.MoveToFront(e)
	return e.Value.(*keptValue[K, V]).value, true
}

// put keeps a value of so many bytes, unless it alone would take more than half
// of the cache.
func (c *keptCache[K, V]) put(key K, value V, bytes int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if bytes > c.limit/2 || c.kept[key] != nil {
		return
	}
	for c.used+bytes > c.limit {
		c.forget(c.order.Back())
	}
	if c.kept == nil {
		c.kept = map[K]*list.Element{}
	}
	c.kept[key] = c.order.PushFront(&keptValue[K, V]{key, value, bytes})
	c.used += bytes
}

// drop forgets the values whose keys are gone.
func (c *keptCache[K, V]) drop(gone func(K) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for key, e := range c.kept {
		if gone(key) {
			c.forget(e)
		}
	}
}

func (c *keptCache[K, V]) forget(e *list.Element) {
	old := c.order.Remove(e).(*keptValue[K, V])
	delete(c.kept, old.key)
	c.used -= old.bytes
}
