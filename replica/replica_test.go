package replica

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"throng/blob"
	"throng/blob/file"
	"throng/blob/s3"
	"throng/engine"
	"throng/engine/bitmap"
	"throng/engine/bitmap/storage"
	"throng/internal/pgtest"
	"throng/internal/s3test"
	"throng/query"
	"throng/sqldb"
)

// site is what servers share.
type site struct {
	t     *testing.T
	cfg   sqldb.Config
	blobs blob.Store
	now   func() time.Time
}

// eachSite runs a test with SQLite and a folder, and with PostgreSQL and a bucket.
func eachSite(t *testing.T, test func(t *testing.T, s *site)) {
	t.Run("sqlite", func(t *testing.T) {
		blobs, err := file.Open(filepath.Join(t.TempDir(), "blobs"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { blobs.Close() })
		test(t, &site{t: t, cfg: sqldb.Config{Dir: t.TempDir()}, blobs: blobs, now: time.Now})
	})
	t.Run("postgres", func(t *testing.T) {
		place, err := s3.ParseURL(s3test.URL(t))
		if err != nil {
			t.Fatal(err)
		}
		place.AccessKey, place.SecretKey = os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_SECRET_ACCESS_KEY")
		blobs, err := s3.Open(t.Context(), place)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { blobs.Close() })
		test(t, &site{t: t, cfg: sqldb.Config{URL: pgtest.URL(t)}, blobs: blobs, now: time.Now})
	})
}

// replica is one server's engine.
type replica struct {
	*Engine
	dir   string
	local *bitmap.Engine
	db    *sqldb.DB
}

func (s *site) open(t *testing.T, node string) *replica {
	t.Helper()
	r := &replica{dir: filepath.Join(t.TempDir(), node)}
	var err error
	if r.local, err = bitmap.Open(r.dir, bitmap.Config{}); err != nil {
		t.Fatal(err)
	}
	if r.db, err = sqldb.Open(t.Context(), s.cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.db.Close() })
	if r.Engine, err = New(Config{
		Local: r.local, DB: r.db, Blobs: s.blobs, Node: node, Poll: 20 * time.Millisecond,
		Logger: slog.New(slog.DiscardHandler), Now: func() time.Time { return s.now() },
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Errorf("Close = %v", err)
		}
	})
	return r
}

// source is a dataset of so many people.
func source(t *testing.T, people int) string {
	t.Helper()
	dir := t.TempDir()
	var b strings.Builder
	b.WriteString("person,country\n")
	for i := range people {
		fmt.Fprintf(&b, "p%d,US\n", i)
	}
	if err := os.WriteFile(filepath.Join(dir, "people.csv"), []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func (r *replica) load(t *testing.T, people int) string {
	t.Helper()
	report, err := r.Load(t.Context(), source(t, people), engine.LoadOptions{})
	if err != nil {
		t.Fatalf("Load = %v", err)
	}
	return report.Generation
}

func (r *replica) sync(t *testing.T) {
	t.Helper()
	if _, err := r.Sync(t.Context()); err != nil {
		t.Fatalf("Sync = %v", err)
	}
}

// people counts everybody of a generation, "" the current one.
func (r *replica) people(t *testing.T, id string) uint64 {
	t.Helper()
	g, err := r.Acquire(t.Context(), id)
	if err != nil {
		t.Fatalf("Acquire(%q) = %v", id, err)
	}
	defer g.Release()
	return everybody(t, g)
}

func everybody(t *testing.T, g engine.Generation) uint64 {
	t.Helper()
	counts, err := g.Count(t.Context(), query.Definition{Steps: []query.Step{{Node: query.And{}}}}, engine.Alone)
	if err != nil {
		t.Fatalf("Count = %v", err)
	}
	return counts.Exclude
}

// stored lists the generations that have files in the store.
func (s *site) stored(t *testing.T) (ids []string) {
	t.Helper()
	for info, err := range s.blobs.List(t.Context(), "generations/") {
		if err != nil {
			t.Fatal(err)
		}
		id, _, _ := strings.Cut(strings.TrimPrefix(info.Key, "generations/"), "/")
		if len(ids) == 0 || ids[len(ids)-1] != id {
			ids = append(ids, id)
		}
	}
	return ids
}

func TestPublish(t *testing.T) {
	eachSite(t, func(t *testing.T, s *site) {
		a, b := s.open(t, "a"), s.open(t, "b")
		if _, err := b.Acquire(t.Context(), ""); !errors.Is(err, engine.ErrNoGeneration) || errors.Is(err, ErrFetching) {
			t.Errorf("Acquire before anything is published = %v, want ErrNoGeneration alone", err)
		}
		b.sync(t)
		if id := a.load(t, 10); id != "00000001" {
			t.Errorf("the first generation is %s", id)
		}
		b.sync(t)
		if got := b.people(t, ""); got != 10 {
			t.Errorf("b counts %d people, want 10", got)
		}
		old, err := b.Acquire(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		defer old.Release()
		// Numbers are of all loaders together.
		if id := b.load(t, 20); id != "00000002" {
			t.Errorf("the second generation is %s", id)
		}
		a.sync(t)
		if got, want := [2]uint64{a.people(t, ""), b.people(t, "")}, [2]uint64{20, 20}; got != want {
			t.Errorf("a and b count %v people, want %v", got, want)
		}
		if got := everybody(t, old); got != 10 {
			t.Errorf("who holds the old one counts %d people, want 10", got)
		}
		// One that never had the first fetches it when a build needs it.
		c := s.open(t, "c")
		if got := c.people(t, "00000001"); got != 10 {
			t.Errorf("c counts %d people of the first, want 10", got)
		}
		if _, err := c.Acquire(t.Context(), "00000009"); !errors.Is(err, engine.ErrNoGeneration) {
			t.Errorf("Acquire of an unknown one = %v, want ErrNoGeneration", err)
		}
		list, err := c.Generations(t.Context())
		if err != nil || len(list) != 2 || list[0].ID != "00000002" || !list[0].Current || list[1].Current || list[0].People != 20 {
			t.Errorf("Generations = %+v, %v; want both, the second current", list, err)
		}
	})
}

// Of two loads at once the second gets ErrBusy, wherever it runs.
func TestLoadAtOnce(t *testing.T) {
	eachSite(t, func(t *testing.T, s *site) {
		a, b := s.open(t, "a"), s.open(t, "b")
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var once sync.Once
		begun, tried := make(chan struct{}), make(chan struct{})
		done := make(chan error, 1)
		go func() {
			_, err := a.Load(ctx, source(t, 1000), engine.LoadOptions{Progress: func(engine.Progress) {
				once.Do(func() { close(begun); <-tried })
			}})
			done <- err
		}()
		<-begun
		_, err := b.Load(t.Context(), source(t, 5), engine.LoadOptions{})
		if !errors.Is(err, engine.ErrBusy) {
			t.Errorf("Load beside another = %v, want ErrBusy", err)
		}
		close(tried)
		if err := <-done; err != nil {
			t.Fatalf("the first Load = %v", err)
		}
		if id := b.load(t, 7); id != "00000002" {
			t.Errorf("a load after the first is %s, want the second number", id)
		}
	})
}

// A loader that gives no sign for a minute is taken for dead; if it lives after
// all it comes to nothing, and so do its files.
func TestLoadTakenOver(t *testing.T) {
	eachSite(t, func(t *testing.T, s *site) {
		var mu sync.Mutex
		now := time.Now()
		s.now = func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
		a, b := s.open(t, "a"), s.open(t, "b")
		var once sync.Once
		_, err := a.Load(t.Context(), source(t, 1000), engine.LoadOptions{Progress: func(p engine.Progress) {
			if p.Step != "copy to the store" || p.Done == 0 {
				return
			}
			once.Do(func() {
				mu.Lock()
				now = now.Add(2 * time.Minute)
				mu.Unlock()
				b.load(t, 30)
			})
		}})
		if !errors.Is(err, engine.ErrBusy) {
			t.Errorf("Load that was taken over = %v, want ErrBusy", err)
		}
		a.sync(t)
		if got := a.people(t, ""); got != 30 {
			t.Errorf("a counts %d people, want the 30 of the load that took over", got)
		}
		if diff := cmp.Diff([]string{"00000002"}, s.stored(t)); diff != "" {
			t.Errorf("in the store (-want +got):\n%s", diff)
		}
	})
}

// A copy that is found damaged is fetched anew, one that is damaged again at once
// is left alone for a while.
func TestRepair(t *testing.T) {
	eachSite(t, func(t *testing.T, s *site) {
		now := time.Now()
		s.now = func() time.Time { return now }
		a, b := s.open(t, "a"), s.open(t, "b")
		a.load(t, 40)
		b.sync(t)
		spoil := func() {
			t.Helper()
			path := filepath.Join(b.dir, "00000001", storage.DictName)
			if err := os.Chtimes(path, time.Time{}, time.Now().Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
			g, err := b.Acquire(t.Context(), "")
			if err != nil {
				t.Fatal(err)
			}
			defer g.Release()
			if _, _, err := g.Catalog().Term(query.Country, "US"); !errors.Is(err, engine.ErrCorrupt) {
				t.Fatalf("a term of a changed file: %v, want ErrCorrupt", err)
			}
		}
		spoil()
		b.sync(t)
		if got := b.people(t, ""); got != 40 {
			t.Errorf("b counts %d people after the repair, want 40", got)
		}
		spoil()
		if _, err := b.Sync(t.Context()); !errors.Is(err, engine.ErrCorrupt) {
			t.Errorf("Sync of a copy that is damaged again at once = %v, want ErrCorrupt", err)
		}
		now = now.Add(2 * time.Minute)
		if got := b.people(t, "00000001"); got != 40 { // also when a build asks for it
			t.Errorf("b counts %d people after the second repair, want 40", got)
		}
		// What is missing altogether is fetched, too, by whoever starts next.
		if err := os.RemoveAll(filepath.Join(b.dir, "00000001")); err != nil {
			t.Fatal(err)
		}
		b.sync(t)
		if got := b.people(t, ""); got != 40 {
			t.Errorf("b counts %d people after its folder was removed, want 40", got)
		}
		if err := b.Check(t.Context(), "", nil); err != nil {
			t.Errorf("Check = %v", err)
		}
	})
}

// A folder that was loaded before there was a store goes on with it until
// something is published, even under the same id.
func TestUnpublished(t *testing.T) {
	eachSite(t, func(t *testing.T, s *site) {
		a, b := s.open(t, "a"), s.open(t, "b")
		if _, err := b.local.Load(t.Context(), source(t, 3), engine.LoadOptions{}); err != nil {
			t.Fatal(err)
		}
		b.sync(t)
		if got := b.people(t, ""); got != 3 {
			t.Errorf("b counts %d people, want its own 3", got)
		}
		if got := b.people(t, "00000001"); got != 3 {
			t.Errorf("b counts %d people by id, want its own 3", got)
		}
		if id := a.load(t, 50); id != "00000001" {
			t.Fatalf("a loads %s, want the same id", id)
		}
		b.sync(t)
		for _, id := range []string{"", "00000001"} {
			if got := b.people(t, id); got != 50 {
				t.Errorf("b counts %d people of %q, want the 50 that are published", got, id)
			}
		}
	})
}

// What is removed from the store is neither current nor used by anybody's build.
func TestRemove(t *testing.T) {
	eachSite(t, func(t *testing.T, s *site) {
		a, b := s.open(t, "a"), s.open(t, "b")
		for n := range 3 {
			a.load(t, n+1)
			b.sync(t)
		}
		build(t, a.db, "00000001")
		for _, id := range []string{"00000001", "00000003"} {
			if err := b.Remove(t.Context(), id); err != nil {
				t.Errorf("Remove(%s) = %v", id, err)
			}
		}
		if diff := cmp.Diff([]string{"00000001", "00000002", "00000003"}, s.stored(t)); diff != "" {
			t.Errorf("in the store after removals of what is needed (-want +got):\n%s", diff)
		}
		for _, r := range []*replica{b, a, b} { // each removes its own copy
			if err := r.Remove(t.Context(), "00000002"); err != nil {
				t.Errorf("Remove = %v", err)
			}
			if _, err := r.Acquire(t.Context(), "00000002"); !errors.Is(err, engine.ErrNoGeneration) {
				t.Errorf("Acquire of what was removed = %v, want ErrNoGeneration", err)
			}
		}
		if diff := cmp.Diff([]string{"00000001", "00000003"}, s.stored(t)); diff != "" {
			t.Errorf("in the store (-want +got):\n%s", diff)
		}
		// What a load that died left is swept when it is old, and nothing else.
		w, err := s.blobs.Create(t.Context(), "generations/00000009/manifest.json")
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Commit(); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			before time.Time
			want   []string
		}{
			{time.Now().Add(-time.Hour), []string{"00000001", "00000003", "00000009"}},
			{time.Now().Add(time.Hour), []string{"00000001", "00000003"}},
		} {
			if err := a.Sweep(t.Context(), c.before); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, s.stored(t)); diff != "" {
				t.Errorf("in the store after a sweep (-want +got):\n%s", diff)
			}
		}
	})
}

// build makes an audience that is being built on a generation.
func build(t *testing.T, db *sqldb.DB, generation string) {
	t.Helper()
	caller, err := db.CreateCaller(t.Context(), sqldb.Caller{Name: "builds", TokenHash: "hash", AccessKey: "key", CreatedAt: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.InsertAudience(t.Context(), sqldb.Audience{
		CallerID: caller, Kind: "built", Status: sqldb.StatusRunning, Generation: generation, CreatedAt: time.Now(),
	}); err != nil {
		t.Fatal(err)
	}
}
