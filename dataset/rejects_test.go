package dataset

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRejects(t *testing.T) {
	r := NewRejects()
	if r.Any() {
		t.Error("Any of an empty account = true")
	}
	b := &Batch{Table: Follows, File: "follows/a,b.csv", FileIndex: 1, Lines: []int{2, 4, 9}, Bad: []BadRow{{3, NotUTF8}, {7, WrongColumns}}}
	r.Batch(b)
	r.Reject(b, 2, "unknown person")
	r.Skip(Follows, SkipUnder18, 1)
	r.Load(Follows, 1)
	r.Drop(Follows)
	r.Drop(People, "age", "city")
	r.Drop(People, "age")
	r.RejectAt(Affinities, "affinities.csv", 0, 5, "unknown parent")
	r.RejectAt(Follows, "follows/1.csv", 0, 900, "unknown person")
	want := Counts{
		Rows: 5, Loaded: 1,
		Rejected: map[string]uint64{NotUTF8: 1, WrongColumns: 1, "unknown person": 2},
		Skipped:  map[string]uint64{SkipUnder18: 1}, Dropped: map[string]uint64{},
	}
	if diff := cmp.Diff(want, r.Counts(Follows)); diff != "" {
		t.Errorf("Counts (-want +got):\n%s", diff)
	}
	if got := r.Counts(Follows).Total(); got != 4 {
		t.Errorf("Total = %d, want 4", got)
	}
	if diff := cmp.Diff(map[string]uint64{"age": 2, "city": 1}, r.Counts(People).Dropped); diff != "" {
		t.Errorf("Dropped (-want +got):\n%s", diff)
	}
	if !r.Any() {
		t.Error("Any = false, want true")
	}
	var out bytes.Buffer
	if err := r.WriteCSV(&out); err != nil {
		t.Fatal(err)
	}
	wantCSV := `table,file,line,reason
follows,follows/1.csv,900,unknown person
follows,"follows/a,b.csv",3,not UTF-8
follows,"follows/a,b.csv",7,wrong number of columns
follows,"follows/a,b.csv",9,unknown person
affinities,affinities.csv,5,unknown parent
`
	if diff := cmp.Diff(wantCSV, out.String()); diff != "" {
		t.Errorf("WriteCSV (-want +got):\n%s", diff)
	}
}

// TestRejectsKeepsFirst adds rejects in two random orders from several
// goroutines: the first rows are kept, whatever the order.
func TestRejectsKeepsFirst(t *testing.T) {
	const files, lines = 3, 8000
	var want strings.Builder
	want.WriteString("table,file,line,reason\n")
	for i := range MaxKept {
		fmt.Fprintf(&want, "jobs,jobs/%d.csv,%d,unknown person\n", i/lines, i%lines+2)
	}
	for round := range 2 {
		seed := uint64(round)
		order := rand.New(rand.NewPCG(seed, 1)).Perm(files * lines)
		r := NewRejects()
		var wg sync.WaitGroup
		for part := range 4 {
			wg.Go(func() {
				for _, i := range order[part*len(order)/4 : (part+1)*len(order)/4] {
					r.RejectAt(Jobs, fmt.Sprintf("jobs/%d.csv", i/lines), i/lines, i%lines+2, "unknown person")
				}
			})
		}
		wg.Wait()
		var out bytes.Buffer
		if err := r.WriteCSV(&out); err != nil {
			t.Fatal(err)
		}
		if out.String() != want.String() {
			t.Errorf("seed %d: WriteCSV keeps other rows than the first", seed)
		}
		if got := r.Counts(Jobs).Rejected["unknown person"]; got != files*lines {
			t.Errorf("Rejected = %d, want %d", got, files*lines)
		}
	}
}
