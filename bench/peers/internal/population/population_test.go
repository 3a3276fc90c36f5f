package population

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/parquet-go/parquet-go"
)

// TestAudience holds the answers over words to sets of people.
func TestAudience(t *testing.T) {
	const people = 100_000
	p := New(people)
	has := map[int]map[uint32]bool{}
	for _, term := range p.Terms {
		set := map[uint32]bool{}
		for _, m := range term.Members {
			set[m] = true
		}
		if len(set) != len(term.Members) || !slices.IsSorted(term.Members) {
			t.Fatalf("members of %d are not ascending", term.ID)
		}
		has[term.ID] = set
	}
	var want uint64
	perTerm := make([]uint64, Affinity)
	for m := range uint32(people) {
		first := (has[200][m] || has[300][m] || has[400][m]) && has[100][m] && !has[201][m]
		n := 0
		for _, id := range TwoOf {
			if has[id][m] {
				n++
			}
		}
		if (!first && n < 2) || !has[700][m] || !has[801][m] && !has[802][m] {
			continue
		}
		want++
		for i := range perTerm {
			if has[FirstAffinity+i][m] {
				perTerm[i]++
			}
		}
	}
	audience := p.Audience()
	if got := Size(audience); got != want || want == 0 {
		t.Errorf("Size(Audience()) = %d, want %d", got, want)
	}
	if got := p.PerAffinity(audience); !slices.Equal(got, perTerm) {
		t.Errorf("PerAffinity = %v, want %v", got, perTerm)
	}
}

// TestWriteDataset reads the tables back: every pair is there once.
func TestWriteDataset(t *testing.T) {
	p := New(3*block/2 + 7)
	dir := t.TempDir()
	if err := p.WriteDataset(dir); err != nil {
		t.Fatal(err)
	}
	got := map[int][]uint32{}
	for _, r := range read[followRow](t, dir, "follows") {
		got[int(r.Account)] = append(got[int(r.Account)], r.Person)
	}
	for _, r := range read[interestRow](t, dir, "interests") {
		got[int(r.Affinity)] = append(got[int(r.Affinity)], r.Person)
	}
	for _, r := range read[personRow](t, dir, "people") {
		got[Male+slices.Index(Genders[:], r.Gender)] = append(got[Male+slices.Index(Genders[:], r.Gender)], r.Person)
		age := FirstAge + slices.Index(AgeRanges[:], r.AgeRange)
		got[age] = append(got[age], r.Person)
	}
	for _, term := range p.Terms {
		if !slices.Equal(got[term.ID], term.Members) {
			t.Errorf("term %d has %d members in the tables, want %d, or others", term.ID, len(got[term.ID]), len(term.Members))
		}
	}
}

func read[T any](t *testing.T, dir, name string) []T {
	t.Helper()
	if _, err := os.Stat(filepath.Join(dir, name+".parquet")); err != nil {
		t.Fatal(err)
	}
	rows, err := parquet.ReadFile[T](filepath.Join(dir, name+".parquet"))
	if err != nil {
		t.Fatal(err)
	}
	return rows
}
