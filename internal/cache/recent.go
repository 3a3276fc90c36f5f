package cache

import (
	"sync"
	"time"
)

const (
	// Life is how long what was read of the database is used again: what
	// another process changes is seen after it at the latest, well within the
	// 2 s that are promised.
	Life = time.Second
	// maxRecent is how many things are kept; a forgotten one costs one read.
	maxRecent = 10_000
)

// Recent keeps what requests of a thousand a second would else read anew each
// time. What this process changes it must forget; what others change it reads
// again after [Life]. It is safe for concurrent use.
type Recent[K comparable, V any] struct {
	now func() time.Time

	mu        sync.RWMutex
	forgotten uint64 // guarded by mu; how often anything was
	kept      map[K]recentValue[V]
}

type recentValue[V any] struct {
	value V
	at    time.Time // when it began to be read
}

// NewRecent makes one by a clock.
func NewRecent[K comparable, V any](now func() time.Time) *Recent[K, V] {
	return &Recent[K, V]{now: now, kept: map[K]recentValue[V]{}}
}

// Get gives a value, shared with others, and reads it where it is not kept.
// Errors are not kept. What is forgotten while it is read is given, since the
// reader began before, but not kept.
func (r *Recent[K, V]) Get(key K, read func() (V, error)) (V, error) {
	at := r.now()
	r.mu.RLock()
	kept, ok := r.kept[key]
	forgotten := r.forgotten
	r.mu.RUnlock()
	if age := at.Sub(kept.at); ok && age >= 0 && age < Life {
		return kept.value, nil
	}
	v, err := read()
	if err != nil {
		return v, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.forgotten == forgotten {
		if len(r.kept) >= maxRecent {
			clear(r.kept)
		}
		r.kept[key] = recentValue[V]{v, at}
	}
	return v, nil
}

// Forget is called after a change was committed and before it is answered.
func (r *Recent[K, V]) Forget(key K) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forgotten++
	delete(r.kept, key)
}

// ForgetAll forgets everything.
func (r *Recent[K, V]) ForgetAll() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forgotten++
	clear(r.kept)
}
