package reportstore

import (
	"context"
	"sync"
	"time"

	"throng/engine"
	"throng/insight"
)

// Baseline counts a named baseline on a generation, or gives what was counted
// before.
func (s *Store) Baseline(ctx context.Context, g engine.Generation, d insight.Definition) (*insight.Group, error) {
	info := g.Info()
	return s.groups.get(baselineKey{info.ID, info.LoadedAt.UTC(), d.Name}, func() (*insight.Group, error) {
		return insight.CountDefinition(ctx, g, d)
	})
}

// baselineBytes is how much memory the counts of baselines may take: those of
// ten baselines and three million terms.
const baselineBytes = 128 << 20

// baselineKey names a baseline of one load of a generation.
type baselineKey struct {
	generation string
	loaded     time.Time
	name       string
}

// baselines keeps the counts of named baselines, which are the same for every
// report of a generation. When a later generation needs room, those of others
// go. It is safe for concurrent use; two who ask at once may both count.
type baselines struct {
	limit int64 // in bytes

	mu   sync.Mutex
	used int64
	kept map[baselineKey]*insight.Group
}

func (c *baselines) get(key baselineKey, count func() (*insight.Group, error)) (*insight.Group, error) {
	c.mu.Lock()
	g := c.kept[key]
	c.mu.Unlock()
	if g != nil {
		return g, nil
	}
	g, err := count()
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.kept[key] != nil {
		return g, nil
	}
	if c.used+g.Bytes() > c.limit {
		for other, old := range c.kept {
			if other.generation != key.generation || !other.loaded.Equal(key.loaded) {
				c.used -= old.Bytes()
				delete(c.kept, other)
			}
		}
	}
	if c.used+g.Bytes() > c.limit {
		return g, nil
	}
	if c.kept == nil {
		c.kept = map[baselineKey]*insight.Group{}
	}
	c.kept[key] = g
	c.used += g.Bytes()
	return g, nil
}
