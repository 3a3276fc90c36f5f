package bitmap

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"throng/engine"
	"throng/engine/bitmap/storage"
	"throng/internal/durable"
)

// getter gives files of a generation, as another machine would.
func getter(e *Engine, id string) func(context.Context, string) (io.ReadCloser, error) {
	return func(ctx context.Context, name string) (io.ReadCloser, error) { return e.OpenFile(ctx, id, name) }
}

func filesOf(t *testing.T, e *Engine, id string) *engine.Files {
	t.Helper()
	files, err := e.Files(t.Context(), id)
	if err != nil {
		t.Fatalf("Files(%s) = %v", id, err)
	}
	return files
}

func count(t *testing.T, g engine.Generation) uint64 {
	t.Helper()
	counts, err := g.Count(t.Context(), everyone(), 0)
	if err != nil {
		t.Fatalf("Count = %v", err)
	}
	return counts.Exclude
}

// held lists what a folder holds but locks.
func held(t *testing.T, dir string) (all []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".lock") {
			all = append(all, e.Name())
		}
	}
	return all
}

func TestImport(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	from, to := t.TempDir(), t.TempDir()
	idFixture(t, rng, 1000).write(t, from, "00000007")
	giver, taker := openTest(t, from), openTest(t, to)
	files := filesOf(t, giver, "00000007")
	// What an import that died has left.
	if err := os.MkdirAll(filepath.Join(to, "00000006"+importSuffix, "parts"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := taker.Import(t.Context(), "00000007", files.Stamp, getter(giver, "00000007")); err != nil {
		t.Fatalf("Import = %v", err)
	}
	if got := held(t, to); len(got) != 1 || got[0] != "00000007" {
		t.Errorf("the folder holds %v, want the generation alone", got)
	}
	if _, err := taker.Acquire(t.Context(), ""); !errors.Is(err, engine.ErrNoGeneration) {
		t.Errorf("Acquire of the current one before Use = %v, want ErrNoGeneration", err)
	}
	if err := taker.Use(t.Context(), "00000008"); !errors.Is(err, engine.ErrNoGeneration) {
		t.Errorf("Use of one that is not there = %v, want ErrNoGeneration", err)
	}
	if err := taker.Use(t.Context(), "00000007"); err != nil {
		t.Fatalf("Use = %v", err)
	}
	g := acquire(t, taker, "")
	if got := count(t, g); got != 1000 || !g.Info().Current {
		t.Errorf("the generation taken in has %d rows, current: %v; want 1000, true", got, g.Info().Current)
	}
	if got := filesOf(t, taker, "00000007").Stamp; got != files.Stamp {
		t.Errorf("its stamp is %s, want %s", got, files.Stamp)
	}
	if err := taker.Check(t.Context(), "", nil); err != nil {
		t.Errorf("Check = %v", err)
	}
}

// What is damaged on the way, or is another's, is not taken in, and what was
// there stays.
func TestImportRefuses(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	from, to := t.TempDir(), t.TempDir()
	idFixture(t, rng, 500).write(t, from, "00000001")
	idFixture(t, rng, 300).write(t, to, "00000001")
	giver, taker := openTest(t, from), openTest(t, to)
	files := filesOf(t, giver, "00000001")
	good := getter(giver, "00000001")
	for name, c := range map[string]struct {
		stamp string
		get   func(context.Context, string) (io.ReadCloser, error)
		want  error
	}{
		"another's":       {strings.Repeat("0", 64), good, engine.ErrCorrupt},
		"not to be found": {files.Stamp, func(context.Context, string) (io.ReadCloser, error) { return nil, io.ErrClosedPipe }, io.ErrClosedPipe},
		"cut short": {files.Stamp, func(ctx context.Context, name string) (io.ReadCloser, error) {
			r, err := good(ctx, name)
			if name == storage.DictName {
				return struct {
					io.Reader
					io.Closer
				}{io.LimitReader(r, 100), r}, err
			}
			return r, err
		}, engine.ErrCorrupt},
		"a flipped bit": {files.Stamp, func(ctx context.Context, name string) (io.ReadCloser, error) {
			r, err := good(ctx, name)
			if name == storage.PartName(0) {
				return struct {
					io.Reader
					io.Closer
				}{&flipped{r: r}, r}, err
			}
			return r, err
		}, engine.ErrCorrupt},
	} {
		t.Run(name, func(t *testing.T) {
			if err := taker.Import(t.Context(), "00000001", c.stamp, c.get); !errors.Is(err, c.want) {
				t.Errorf("Import = %v, want %v", err, c.want)
			}
			if got := count(t, acquire(t, taker, "")); got != 300 {
				t.Errorf("the generation has %d rows, want the 300 from before", got)
			}
		})
	}
	canceled, cancel := context.WithCancel(t.Context())
	if err := taker.Import(canceled, "00000001", files.Stamp, func(ctx context.Context, name string) (io.ReadCloser, error) {
		if name != storage.ManifestName {
			cancel()
		}
		return good(t.Context(), name)
	}); !errors.Is(err, context.Canceled) {
		t.Errorf("Import that is canceled = %v, want that", err)
	}
	unlock, err := durable.Lock(filepath.Join(to, importLock))
	if err != nil {
		t.Fatal(err)
	}
	if err := taker.Import(t.Context(), "00000001", files.Stamp, good); !errors.Is(err, engine.ErrBusy) {
		t.Errorf("Import beside another = %v, want ErrBusy", err)
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	if got := held(t, to); len(got) != 2 {
		t.Errorf("the folder holds %v, want the generation and CURRENT", got)
	}
}

// flipped flips the first bit that it reads.
type flipped struct {
	r    io.Reader
	done bool
}

func (f *flipped) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	if n > 0 && !f.done {
		p[0] ^= 1
		f.done = true
	}
	return n, err
}

// A damaged generation is replaced while it is held; who holds it keeps it.
func TestImportReplaces(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	from, to := t.TempDir(), t.TempDir()
	idFixture(t, rng, 400).write(t, from, "00000001")
	giver, taker := openTest(t, from), openTest(t, to)
	files := filesOf(t, giver, "00000001")
	for range 2 {
		if err := taker.Import(t.Context(), "00000001", files.Stamp, getter(giver, "00000001")); err != nil {
			t.Fatalf("Import = %v", err)
		}
		if err := taker.Use(t.Context(), "00000001"); err != nil {
			t.Fatalf("Use = %v", err)
		}
		old := acquire(t, taker, "")
		part := filepath.Join(to, "00000001", filepath.FromSlash(storage.PartName(0)))
		if err := os.Chtimes(part, time.Time{}, time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		if _, err := old.Count(t.Context(), everyone(), engine.Alone); !errors.Is(err, engine.ErrCorrupt) {
			t.Fatalf("Count of a changed file = %v, want ErrCorrupt", err)
		}
		if err := acquire(t, taker, "").Info().Err; !errors.Is(err, engine.ErrCorrupt) {
			t.Fatalf("Info of it tells %v, want ErrCorrupt", err)
		}
	}
	if err := taker.Import(t.Context(), "00000001", files.Stamp, getter(giver, "00000001")); err != nil {
		t.Fatalf("Import = %v", err)
	}
	g := acquire(t, taker, "")
	if got := count(t, g); got != 400 || g.Info().Err != nil {
		t.Errorf("the generation has %d rows and tells %v, want 400 and nothing", got, g.Info().Err)
	}
}
