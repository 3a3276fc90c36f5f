// Package keylock is a lock for each of any number of keys.
package keylock

import (
	"context"
	"sync"
)

// Lock is a lock for each key; a key that nobody holds costs nothing. The zero
// value is ready.
type Lock struct {
	mu   sync.Mutex
	held map[string]chan struct{} // closed when the key is free
}

// Lock waits for the key until ctx is done, and then returns its cause. unlock
// must be called once.
func (l *Lock) Lock(ctx context.Context, key string) (unlock func(), err error) {
	for {
		l.mu.Lock()
		busy, taken := l.held[key]
		if !taken {
			if l.held == nil {
				l.held = map[string]chan struct{}{}
			}
			free := make(chan struct{})
			l.held[key] = free
			l.mu.Unlock()
			return func() {
				l.mu.Lock()
				delete(l.held, key)
				l.mu.Unlock()
				close(free)
			}, nil
		}
		l.mu.Unlock()
		select {
		case <-busy:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// Held is how many keys are held now.
func (l *Lock) Held() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.held)
}
