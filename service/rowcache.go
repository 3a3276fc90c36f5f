package service

import (
	"strings"
	"time"

	"throng/engine"
	"throng/internal/cache"
	"throng/query"
)

// rowCache keeps the rows of uploads and audiences that were asked for last,
// so that a preview need not read them, and the engine knows them again by
// their identity. It is safe for concurrent use.
type rowCache struct {
	*cache.Sized[rowCacheKey, query.RowSet]
}

func newRowCache(limit int64) rowCache {
	return rowCache{cache.NewSized[rowCacheKey, query.RowSet](limit)}
}

// rowCacheKey names rows. The time of the load tells generations apart whose
// ids are equal because all that were before were removed.
type rowCacheKey struct {
	prefix     string
	generation string
	loaded     time.Time
}

func newRowCacheKey(prefix string, info engine.Info) rowCacheKey {
	return rowCacheKey{prefix: prefix, generation: info.ID, loaded: info.LoadedAt.UTC()}
}

// putRows keeps rows of a generation of so many people.
func (c rowCache) putRows(key rowCacheKey, rows query.RowSet, people uint64) {
	// What an engine holds is its own matter; no set need take more than two
	// bytes a row or a bit a person, and a little for each 65,536 people.
	c.Put(key, rows, int64(min(2*rows.Len(), people/8)+people/1024))
}

// dropBelow forgets the rows kept below a prefix but those below another.
func (c rowCache) dropBelow(prefix, but string) {
	c.Drop(func(key rowCacheKey) bool { return lies(key.prefix+"/", prefix, but) })
}

// lies tells whether a key is below a prefix and not below another, "" for none.
func lies(key, prefix, but string) bool {
	return strings.HasPrefix(key, prefix) && (but == "" || !strings.HasPrefix(key, but))
}
