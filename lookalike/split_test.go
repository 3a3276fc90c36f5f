package lookalike

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"throng/engine"
	"throng/engine/bitmap"
	"throng/engine/bitmap/bitmaptest"
	"throng/query"
)

// TestSplit parts people into four sets that have nobody in common, with and
// without a list of those who are no members.
func TestSplit(t *testing.T) {
	dir := t.TempDir()
	text := "person,gender\n"
	for i := range 3000 {
		text += "p" + strings.Repeat("x", i%3) + string(rune('a'+i%26)) + string(rune('a'+i/26%26)) + string(rune('a'+i/676)) + []string{",male", ",female", ","}[i%3] + "\n"
	}
	if err := os.WriteFile(filepath.Join(dir, "people.csv"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	g := bitmaptest.Load(t, dir, bitmap.Config{}, engine.LoadOptions{})
	seed, _, err := g.Select(t.Context(), query.Definition{Steps: []query.Step{{Node: query.In{Field: query.Gender, Values: []string{"male"}}}}}, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, many := range []uint64{100, 1 << 30} {
		l := &learner{Config: Config{}.withDefaults(), gen: g, seed: seed, many: many}
		if err := l.split(t.Context()); err != nil {
			t.Fatal(err)
		}
		owner := map[uint32]int{}
		for i, set := range []query.RowSet{l.train, l.heldOut, l.others, l.rest} {
			numbers, err := g.RowNumbers(set)
			if err != nil {
				t.Fatal(err)
			}
			for _, n := range numbers {
				if _, twice := owner[n]; twice {
					t.Fatalf("row %d is in two sets", n)
				}
				owner[n] = i
				if member := n%3 == 0; member != (i < 2) {
					t.Fatalf("row %d, a member: %v, is in set %d", n, member, i)
				}
			}
		}
		if held := l.heldOut.Len(); len(owner) != 3000 || held < 50 || held > 200 || l.others.Len() < 500 || l.rest.Len() < 500 {
			t.Errorf("sets of %d, %d, %d and %d people, want all of 3000, a tenth held out and half of the others in the sample",
				l.train.Len(), held, l.others.Len(), l.rest.Len())
		}
	}
}
