package rowstore

import (
	"time"

	"throng/engine"
	"throng/internal/cache"
	"throng/query"
)

// memory keeps the rows that were asked for last, so that a preview need not read
// them, and the engine knows them again by their identity. It is safe for
// concurrent use.
type memory struct {
	*cache.Sized[key, query.RowSet]
}

func newMemory(limit int64) memory {
	return memory{cache.NewSized[key, query.RowSet](limit)}
}

// key names rows. The time of the load tells generations apart whose
// ids are equal because all that were before were removed.
type key struct {
	prefix     string
	generation string
	loaded     time.Time
}

func newKey(prefix string, info engine.Info) key {
	return key{prefix: prefix, generation: info.ID, loaded: info.LoadedAt.UTC()}
}

// put keeps rows of a generation of so many people.
func (c memory) put(k key, rows query.RowSet, people uint64) {
	// What an engine holds is its own matter; no set need take more than two
	// bytes a row or a bit a person, and a little for each 65,536 people.
	c.Put(k, rows, int64(min(2*rows.Len(), people/8)+people/1024))
}
