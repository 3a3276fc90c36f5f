package service

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
	"throng/sqldb"
)

const (
	// setFresh is for how long it is not asked again which files an audience
	// has: others processes' updates are seen that late.
	setFresh = time.Second
	// setBytes is how much of the temporary folder, and so of memory if there
	// is as much, copies of sets take while nobody holds them.
	setBytes = 4 << 30
)

// deviceSets keeps the sets that were asked for last, mapped. It is safe for
// concurrent use.
type deviceSets struct {
	mu       sync.Mutex
	clock    uint64
	files    map[int64]deviceFiles // of audiences
	changing map[int64]int         // those whose files change: how often at once
	changes  uint64                // how often a change began or ended
	open     map[string]*openSet   // by prefix of files
	bytes    int64
}

type deviceFiles struct {
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

// hold gives the set of a prefix if it is open, to be given back.
func (d *deviceSets) hold(prefix string) *openSet {
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
func (d *deviceSets) put(prefix string, set *device.Set) *openSet {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.open == nil {
		d.open = map[string]*openSet{}
	}
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
func (d *deviceSets) evict() bool {
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
func (d *deviceSets) drop(prefix string) {
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

// discard is drop for who does not hold the lock.
func (d *deviceSets) discard(prefix string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.drop(prefix)
}

func (d *deviceSets) release(o *openSet) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if o.users--; o.users == 0 && o.gone {
		o.set.Close()
	}
}

// prefixOf is where the files of an audience are, as far as is known at a time.
// While they change nothing is. seen is for learn.
func (d *deviceSets) prefixOf(id int64, now time.Time) (prefix string, seen uint64, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f, ok := d.files[id]
	return f.prefix, d.changes, ok && d.changing[id] == 0 && now.Sub(f.at) < setFresh
}

// learn notes where the files of an audience are, unless any changed since
// prefixOf was asked: then that may be of before.
func (d *deviceSets) learn(id int64, prefix string, seen uint64, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.changing[id] == 0 && d.changes == seen {
		d.note(id, prefix, now)
	}
}

// note keeps where the files of an audience are; "" is nowhere. The set of
// those before is not needed any more.
func (d *deviceSets) note(id int64, prefix string, now time.Time) {
	if before := d.files[id].prefix; before != prefix {
		d.drop(before)
	}
	if prefix == "" {
		delete(d.files, id)
		return
	}
	if d.files == nil {
		d.files = map[int64]deviceFiles{}
	}
	d.files[id] = deviceFiles{prefix, now}
}

// change is called before an audience's other files are committed, or that it
// has none any more, and the function it returns after that, with where they
// are; "" where that is not known. Between them the database is asked, so that
// nobody who sees the change is answered from before.
func (d *deviceSets) change(id int64) (changed func(prefix string, now time.Time)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.changing == nil {
		d.changing = map[int64]int{}
	}
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

// deviceSet holds the set of an audience that was read once, until release is
// called. It is kept open between requests. errNoDevices where there is none.
func (s *Service) deviceSet(ctx context.Context, audienceID int64) (set *device.Set, release func(), err error) {
	now := s.cfg.Now()
	prefix, seen, ok := s.sets.prefixOf(audienceID, now)
	for attempt := 0; ; attempt++ {
		if !ok {
			if prefix, err = s.devicePrefix(ctx, audienceID); err != nil {
				return nil, nil, err
			}
			s.sets.learn(audienceID, prefix, seen, now)
		}
		set, release, err = s.holdSet(ctx, prefix)
		// An update may just have replaced the files.
		if attempt > 0 || !errors.Is(err, blob.ErrNotFound) {
			return set, release, err
		}
		ok = false
	}
}

// devicePrefix is where the files of an audience are.
func (s *Service) devicePrefix(ctx context.Context, id int64) (string, error) {
	row, err := s.db.Audience(ctx, 0, id)
	if err != nil {
		return "", err
	}
	return usedPrefix(row)
}

// usedPrefix is the prefix of the files of an audience that are in use.
func usedPrefix(row sqldb.Audience) (string, error) {
	d, err := readDetails(row)
	if err != nil {
		return "", err
	}
	if d.Devices == nil || d.Devices.Counts == nil {
		return "", fmt.Errorf("audience %d: %w", row.ID, errNoDevices)
	}
	return d.Files, nil
}

// holdSet opens the set of a prefix, unless it is open.
func (s *Service) holdSet(ctx context.Context, prefix string) (*device.Set, func(), error) {
	o := s.sets.hold(prefix)
	if o == nil {
		unlock, err := s.files.Lock(ctx, setKey(prefix))
		if err != nil {
			return nil, nil, err
		}
		defer unlock()
		if o = s.sets.hold(prefix); o == nil { // nobody was faster
			set, err := s.copySet(ctx, setKey(prefix))
			if err != nil {
				return nil, nil, err
			}
			o = s.sets.put(prefix, set)
		}
	}
	return o.set, sync.OnceFunc(func() { s.sets.release(o) }), nil
}

// copySet maps a copy of a set: the store may be anywhere, and the copy has no
// name, so that nobody can change it and nothing is left of it.
func (s *Service) copySet(ctx context.Context, key string) (*device.Set, error) {
	r, err := s.cfg.Blobs.Open(ctx, key)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	f, err := os.CreateTemp(s.cfg.TempDir, "throng-set-*")
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

// setKey is the file of the devices of an audience, below its prefix.
func setKey(prefix string) string { return prefix + "/devices" }
