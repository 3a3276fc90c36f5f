package population

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestMembers compares the shares that terms have with what they are to be.
func TestMembers(t *testing.T) {
	for _, clustered := range []bool{false, true} {
		p, err := New(1<<20, 7, clustered)
		if err != nil {
			t.Fatal(err)
		}
		m := p.Maker()
		for _, g := range []Group{Interests, Excluded, Five, Union, Uploaded} {
			from, to := p.Group(g)
			for i := from; i < to; i++ {
				n := 0
				for b := range p.Blocks() {
					rows := m.Members(i, b)
					if !slices.IsSorted(rows) || len(slices.Compact(slices.Clone(rows))) != len(rows) {
						t.Fatalf("members of term %d in block %d are not ascending", i, b)
					}
					n += len(rows)
				}
				want := p.terms[i].density
				if got := float64(n) / float64(p.People); got < .7*want || got > 1.3*want {
					t.Errorf("clustered=%t: share of term %d of %s = %v, want about %v", clustered, i-from, g, got, want)
				}
			}
		}
	}
}

// TestWriteWorkers writes a population with one goroutine and with three.
func TestWriteWorkers(t *testing.T) {
	p, err := New(fileBlocks*BlockPeople+1000, 3, false)
	if err != nil {
		t.Fatal(err)
	}
	one, three := t.TempDir(), t.TempDir()
	rows, err := p.Write(t.Context(), one, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	again, err := p.Write(t.Context(), three, 3, nil)
	if err != nil {
		t.Fatal(err)
	}
	if rows != again {
		t.Errorf("%d rows by one goroutine, %d by three", rows, again)
	}
	if diff := cmp.Diff(contents(t, one), contents(t, three)); diff != "" {
		t.Errorf("files (-one goroutine +three):\n%s", diff)
	}
}

// contents are the lengths and sums of the files of a folder.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		sum := uint64(0)
		for _, x := range b {
			sum = Mix(sum, uint64(x))
		}
		out[strings.TrimPrefix(path, dir)] = fmt.Sprintf("%d %x", len(b), sum)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestWriteCanceled(t *testing.T) {
	p, err := New(10_000, 1, false)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Write(ctx, t.TempDir(), 2, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("Write after cancel = %v, want %v", err, context.Canceled)
	}
}
