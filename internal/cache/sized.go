// Package cache keeps in memory what was used: as long as it is recent, or as much
// of it as there is room for.
package cache

import (
	"container/list"
	"sync"
)

// Sized keeps what was used last, by size. What it keeps is shared and must
// not be changed. It is safe for concurrent use.
type Sized[K comparable, V any] struct {
	limit int64 // in bytes

	mu    sync.Mutex
	used  int64
	kept  map[K]*list.Element
	order list.List // of *sizedValue, those used last first
}

type sizedValue[K comparable, V any] struct {
	key   K
	value V
	bytes int64
}

// NewSized makes one of at most so many bytes.
func NewSized[K comparable, V any](limit int64) *Sized[K, V] {
	return &Sized[K, V]{limit: limit, kept: map[K]*list.Element{}}
}

// Get gives a value; false where it is not kept.
func (c *Sized[K, V]) Get(key K) (value V, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.kept[key]
	if e == nil {
		return value, false
	}
	c.order.MoveToFront(e)
	return e.Value.(*sizedValue[K, V]).value, true
}

// Put keeps a value of so many bytes, unless it alone would take more than half
// of the cache.
func (c *Sized[K, V]) Put(key K, value V, bytes int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if bytes > c.limit/2 || c.kept[key] != nil {
		return
	}
	for c.used+bytes > c.limit {
		c.forget(c.order.Back())
	}
	c.kept[key] = c.order.PushFront(&sizedValue[K, V]{key, value, bytes})
	c.used += bytes
}

// Drop forgets the values whose keys are gone.
func (c *Sized[K, V]) Drop(gone func(K) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for key, e := range c.kept {
		if gone(key) {
			c.forget(e)
		}
	}
}

func (c *Sized[K, V]) forget(e *list.Element) {
	old := c.order.Remove(e).(*sizedValue[K, V])
	delete(c.kept, old.key)
	c.used -= old.bytes
}

// Len is how many values are kept.
func (c *Sized[K, V]) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.order.Len()
}

// Bytes is how many bytes the values take.
func (c *Sized[K, V]) Bytes() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.used
}
