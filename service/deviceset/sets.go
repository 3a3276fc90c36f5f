// Package deviceset makes the devices of device audiences out of the lists that
// callers send, keeps them as sets, holds the sets that are asked for mapped, and
// finds who owns any device of one. Below the prefix of an audience's files there
// are a set, raw advertising ids as lines, and the lines that were refused.
package deviceset

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"throng/blob"
	"throng/device"
	"throng/internal/keylock"
)

const (
	// Fresh is for how long it is not asked again which files an audience
	// has: others processes' updates are seen that late.
	Fresh = time.Second
	// setBytes is how much of the temporary folder, and so of memory if there
	// is as much, copies of sets take while nobody holds them.
	setBytes = 4 << 30
)

// Sets keeps the sets that were asked for last, mapped. It is safe for concurrent
// use.
type Sets struct {
	blobs   blob.Store
	tempDir string
	opening keylock.Lock // by prefix

	mu       sync.Mutex
	clock    uint64
	files    map[int64]usedFiles // of audiences
	changing map[int64]int       // those whose files change: how often at once
	changes  uint64              // how often a change began or ended
	open     map[string]*openSet // by prefix of files
	bytes    int64
}

// New makes sets of files in blobs, of which copies are mapped that lie in a
// folder for temporary files; "" is os.TempDir().
func New(blobs blob.Store, tempDir string) *Sets {
	return &Sets{
		blobs: blobs, tempDir: tempDir,
		files: map[int64]usedFiles{}, changing: map[int64]int{}, open: map[string]*openSet{},
	}
}

// Open is how many sets are mapped.
func (d *Sets) Open() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.open)
}

type usedFiles struct {
	prefix string
	at     time.Time // when the database was asked
}

type openSet struct {
	set   *device.Set
	bytes int64
	users int
	used  uint64 // the clock's
	gone  bool   // to be closed by its last user
}

// held gives the set of a prefix if it is open, to be given back.
func (d *Sets) held(prefix string) *openSet {
	d.mu.Lock()
	defer d.mu.Unlock()
	o := d.open[prefix]
	if o != nil {
		d.clock++
		o.users, o.used = o.users+1, d.clock
	}
	return o
}

// put keeps a set that was opened, and holds it.
func (d *Sets) put(prefix string, set *device.Set) *openSet {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.clock++
	o := &openSet{set: set, bytes: set.Size(), users: 1, used: d.clock}
	d.open[prefix] = o
	d.bytes += o.bytes
	for d.bytes > setBytes && d.evict() {
	}
	return o
}

// evict closes the set that nobody has used for longest; false where all are
// in use.
func (d *Sets) evict() bool {
	oldest := ""
	for prefix, o := range d.open {
		if o.users == 0 && (oldest == "" || o.used < d.open[oldest].used) {
			oldest = prefix
		}
	}
	if oldest != "" {
		d.drop(oldest)
	}
	return oldest != ""
}

// drop has a set closed once nobody holds it.
func (d *Sets) drop(prefix string) {
	o := d.open[prefix]
	if o == nil {
		return
	}
	delete(d.open, prefix)
	d.bytes -= o.bytes
	if o.gone = true; o.users == 0 {
		o.set.Close()
	}
}

// Discard has the set of a prefix closed once nobody holds it.
func (d *Sets) Discard(prefix string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.drop(prefix)
}

func (d *Sets) release(o *openSet) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if o.users--; o.users == 0 && o.gone {
		o.set.Close()
	}
}

// prefixOf is where the files of an audience are, as far as is known at a time.
// While they change nothing is. seen is for learn.
func (d *Sets) prefixOf(id int64, now time.Time) (prefix string, seen uint64, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f, ok := d.files[id]
	return f.prefix, d.changes, ok && d.changing[id] == 0 && now.Sub(f.at) < Fresh
}

// learn notes where the files of an audience are, unless any changed since
// prefixOf was asked: then that may be of before.
func (d *Sets) learn(id int64, prefix string, seen uint64, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.changing[id] == 0 && d.changes == seen {
		d.note(id, prefix, now)
	}
}

// note keeps where the files of an audience are; "" is nowhere. The set of
// those before is not needed any more.
func (d *Sets) note(id int64, prefix string, now time.Time) {
	if before := d.files[id].prefix; before != prefix {
		d.drop(before)
	}
	if prefix == "" {
		delete(d.files, id)
		return
	}
	d.files[id] = usedFiles{prefix, now}
}

// Change is called before an audience's other files are committed, or that it
// has none any more, and the function it returns after that, with where they
// are; "" where that is not known. Between them the database is asked, so that
// nobody who sees the change is answered from before.
func (d *Sets) Change(id int64) (changed func(prefix string, now time.Time)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.changing[id]++
	d.changes++
	return func(prefix string, now time.Time) {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.changing[id]--; d.changing[id] == 0 {
			delete(d.changing, id)
		}
		d.changes++
		d.note(id, prefix, now)
	}
}

// Of holds the set of an audience until release is called. It is kept open between
// requests. where asks the database for the prefix of the audience's files; now is
// the time.
func (d *Sets) Of(ctx context.Context, id int64, now time.Time, where func() (prefix string, err error)) (set *device.Set, release func(), err error) {
	prefix, seen, ok := d.prefixOf(id, now)
	for attempt := 0; ; attempt++ {
		if !ok {
			if prefix, err = where(); err != nil {
				return nil, nil, err
			}
			d.learn(id, prefix, seen, now)
		}
		set, release, err = d.Hold(ctx, prefix)
		// An update may just have replaced the files.
		if attempt > 0 || !errors.Is(err, blob.ErrNotFound) {
			return set, release, err
		}
		ok = false
	}
}

// Hold gives the set of a prefix, which it opens unless it is open, until release
// is called. It wraps [blob.ErrNotFound] where there is none.
func (d *Sets) Hold(ctx context.Context, prefix string) (*device.Set, func(), error) {
	o := d.held(prefix)
	if o == nil {
		unlock, err := d.opening.Lock(ctx, prefix)
		if err != nil {
			return nil, nil, err
		}
		defer unlock()
		if o = d.held(prefix); o == nil { // nobody was faster
			set, err := d.copySet(ctx, Key(prefix))
			if err != nil {
				return nil, nil, err
			}
			o = d.put(prefix, set)
		}
	}
	return o.set, sync.OnceFunc(func() { d.release(o) }), nil
}

// copySet maps a copy of a set: the store may be anywhere, and the copy has no
// name, so that nobody can change it and nothing is left of it.
func (d *Sets) copySet(ctx context.Context, key string) (*device.Set, error) {
	r, err := d.blobs.Open(ctx, key)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	f, err := os.CreateTemp(d.tempDir, "throng-set-*")
	if err != nil {
		return nil, fmt.Errorf("copy set: %w", err)
	}
	defer os.Remove(f.Name())
	if _, err := io.Copy(f, r); err != nil {
		return nil, errors.Join(fmt.Errorf("copy set: %w", err), f.Close())
	}
	if err := f.Close(); err != nil {
		return nil, fmt.Errorf("copy set: %w", err)
	}
	return device.OpenSet(f.Name())
}

// Key is the file of a set, below the prefix of an audience's files.
func Key(prefix string) string { return prefix + "/devices" }
