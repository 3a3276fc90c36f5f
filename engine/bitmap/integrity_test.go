package bitmap

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"throng/engine"
	"throng/engine/bitmap/storage"
	"throng/query"
)

// threeGenerations is a folder of which the last generation is current.
func threeGenerations(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for i, id := range []string{"00000001", "00000002", "00000003"} {
		f := newFixture(10 + i)
		f.addTerm(query.Country, "a", []uint32{1, 2, uint32(3 + i)})
		f.write(t, dir, id)
	}
	return dir
}

func damage(t *testing.T, path string, at int) {
	t.Helper()
	b, err := os.ReadFile(path)
	must(t, err)
	b[at] ^= 4
	must(t, os.WriteFile(path, b, 0o600))
}

// dataset is a folder that can be loaded.
func dataset(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "people.csv"), []byte("person,country\np1,US\np2,US\n"), 0o600))
	return dir
}

// TestDamagedManifest: the other generations are listed and can be used, the
// damaged one is told of by name, and can be removed; loads go on.
func TestDamagedManifest(t *testing.T) {
	dir := threeGenerations(t)
	path := filepath.Join(dir, "00000002", storage.ManifestName)
	damage(t, path, 40)
	e := openTest(t, dir)
	infos, err := e.Generations(t.Context())
	must(t, err)
	var ids []string
	for _, info := range infos {
		ids = append(ids, info.ID)
		damaged := info.ID == "00000002"
		if damaged != (info.Err != nil) || damaged && (!errors.Is(info.Err, engine.ErrCorrupt) || !strings.Contains(info.Err.Error(), path)) {
			t.Errorf("Generations: %s has the error %v", info.ID, info.Err)
		}
		if info.Current != (info.ID == "00000003") {
			t.Errorf("Generations: %s is current: %t", info.ID, info.Current)
		}
	}
	if diff := cmp.Diff([]string{"00000003", "00000002", "00000001"}, ids); diff != "" {
		t.Errorf("Generations (-want +got):\n%s", diff)
	}
	if _, err := e.Acquire(t.Context(), "00000002"); !errors.Is(err, engine.ErrCorrupt) || !strings.Contains(err.Error(), path) {
		t.Errorf("Acquire = %v, want an error that names %s", err, path)
	}
	report, err := e.Load(t.Context(), dataset(t), engine.LoadOptions{})
	must(t, err)
	if report.Generation != "00000004" {
		t.Errorf("Load makes generation %s, want 00000004", report.Generation)
	}
	must(t, e.Remove(t.Context(), "00000002"))
	if infos, err = e.Generations(t.Context()); err != nil || len(infos) != 3 || slices.ContainsFunc(infos, func(i engine.Info) bool { return i.Err != nil }) {
		t.Errorf("Generations after Remove = %+v, %v, want 3 sound ones", infos, err)
	}
}

// TestDamagedCurrent: whoever asks for the current generation is told which
// file is damaged and what to do; others can be used by their id, none is
// removed, and a load mends it.
func TestDamagedCurrent(t *testing.T) {
	for name, content := range map[string]string{
		"noise": "\x00\x01", "nothing": "", "cut": "00000003 12", "no such generation": "00000009\n",
	} {
		t.Run(name, func(t *testing.T) {
			dir := threeGenerations(t)
			path := filepath.Join(dir, storage.CurrentName)
			must(t, os.WriteFile(path, []byte(content), 0o600))
			e := openTest(t, dir)
			told := func(what string, err error) {
				t.Helper()
				if !errors.Is(err, engine.ErrCorrupt) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "load the dataset again") {
					t.Errorf("%s = %v, want an error that names %s and says what to do", what, err, path)
				}
			}
			_, err := e.Acquire(t.Context(), "")
			told("Acquire", err)
			told("Check", e.Check(t.Context(), "", nil))
			acquire(t, e, "00000001")
			if name != "no such generation" {
				told("Remove", e.Remove(t.Context(), "00000001"))
				_, err = e.Generations(t.Context())
				told("Generations", err)
			}
			report, err := e.Load(t.Context(), dataset(t), engine.LoadOptions{})
			must(t, err)
			if got := acquire(t, e, "").Info(); got.ID != report.Generation || got.People != 2 {
				t.Errorf("Acquire after a load = %+v, want generation %s", got, report.Generation)
			}
			infos, err := e.Generations(t.Context())
			if must(t, err); len(infos) != 4 {
				t.Errorf("%d generations after a load, want 4", len(infos))
			}
		})
	}
}

// TestOtherGenerationsFile: a sound file of another generation is not taken
// for this one's, not even one of the same size.
func TestOtherGenerationsFile(t *testing.T) {
	dir := threeGenerations(t)
	name := filepath.FromSlash(storage.PartName(0))
	b, err := os.ReadFile(filepath.Join(dir, "00000002", name))
	must(t, err)
	path := filepath.Join(dir, "00000003", name)
	if have, err := os.ReadFile(path); err != nil || len(have) != len(b) {
		t.Fatalf("parts have %d and %d bytes, want as many: %v", len(have), len(b), err)
	}
	must(t, os.WriteFile(path, b, 0o600))
	if _, err := openTest(t, dir).Acquire(t.Context(), ""); !errors.Is(err, engine.ErrCorrupt) || !strings.Contains(err.Error(), path) {
		t.Errorf("Acquire = %v, want an error that names %s", err, path)
	}
}

// TestOtherFormat opens an index that an earlier version has written.
func TestOtherFormat(t *testing.T) {
	dir := t.TempDir()
	must(t, os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "format1"))))
	e := openTest(t, dir)
	told := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, engine.ErrFormat) || errors.Is(err, engine.ErrCorrupt) || !strings.Contains(err.Error(), "load the dataset again") {
			t.Errorf("%s = %v, want %v and what to do", what, err, engine.ErrFormat)
		}
	}
	_, err := e.Acquire(t.Context(), "")
	told("Acquire", err)
	told("Check", e.Check(t.Context(), "", nil))
	infos, err := e.Generations(t.Context())
	if must(t, err); len(infos) != 1 || infos[0].ID != "00000001" || !infos[0].Current {
		t.Fatalf("Generations = %+v, want the one", infos)
	}
	told("Generations", infos[0].Err)
	_, err = e.Load(t.Context(), dataset(t), engine.LoadOptions{})
	must(t, err)
	if g := acquire(t, e, ""); g.Info().People != 2 {
		t.Errorf("Acquire after a load = %+v, want the two people loaded", g.Info())
	}
	must(t, e.Remove(t.Context(), "00000001"))
}

// TestDamageIsRemembered: a generation in which damage was found says so.
func TestDamageIsRemembered(t *testing.T) {
	dir := threeGenerations(t)
	path := filepath.Join(dir, "00000003", filepath.FromSlash(storage.PartName(0)))
	damage(t, path, 0)
	e := openTest(t, dir)
	g := acquire(t, e, "")
	if err := g.Info().Err; err != nil {
		t.Errorf("Info before anything was touched has the error %v, want none", err)
	}
	d := one(query.AtLeast{K: 1, Field: query.Country, Values: []string{"a"}})
	if _, _, err := g.Select(t.Context(), d, 0); !errors.Is(err, engine.ErrCorrupt) || !strings.Contains(err.Error(), path) {
		t.Fatalf("Select = %v, want an error that names %s", err, path)
	}
	infos, err := e.Generations(t.Context())
	must(t, err)
	for _, err := range []error{g.Info().Err, acquire(t, e, "").Info().Err, infos[0].Err} {
		if !errors.Is(err, engine.ErrCorrupt) || !strings.Contains(err.Error(), path) {
			t.Errorf("Info after damage was found has the error %v, want one that names %s", err, path)
		}
	}
}

// TestChangedWhileOpen writes to a file whose pieces were verified: no answer
// is given from what it holds now, and whoever asks next gets it verified anew.
func TestChangedWhileOpen(t *testing.T) {
	dir := threeGenerations(t)
	path := filepath.Join(dir, "00000003", filepath.FromSlash(storage.PartName(0)))
	whole, err := os.ReadFile(path)
	must(t, err)
	e := openTest(t, dir)
	g := acquire(t, e, "")
	d := one(query.In{Field: query.Country, Values: []string{"a"}})
	rows, counts, err := g.Select(t.Context(), d, 0)
	if must(t, err); counts.Exclude != 3 {
		t.Fatalf("Select finds %d people, want 3", counts.Exclude)
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	must(t, err)
	write := func(b []byte) {
		t.Helper()
		before, err := f.Stat()
		must(t, err)
		for { // until the clock of the file system has moved on
			_, err := f.WriteAt(b, 0)
			must(t, err)
			if now, err := f.Stat(); err != nil || !now.ModTime().Equal(before.ModTime()) {
				must(t, err)
				break
			}
		}
	}
	write([]byte{whole[0] ^ 4})
	named := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, engine.ErrCorrupt) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s = %v, want an error that names %s", what, err, path)
		}
	}
	_, _, err = g.Select(t.Context(), d, 0)
	named("Select of a part that has changed", err)
	again := acquire(t, e, "")
	if again.core == g.core {
		t.Error("Acquire gives what was mapped before the change")
	}
	_, _, err = again.Select(t.Context(), d, 0)
	named("Select of a part that is damaged", err)
	write(whole[:1])
	_, _, err = again.Select(t.Context(), d, 0)
	named("Select of a part that was mended", err)
	mended := acquire(t, e, "")
	_, counts, err = mended.Select(t.Context(), one(query.Rows{Set: rows}), 0)
	if must(t, err); counts.Exclude != 3 {
		t.Errorf("Select once it was mended finds %d people, want 3", counts.Exclude)
	}
	named("Info once it was mended", mended.Info().Err)
	must(t, f.Close())
}
