package dataset

import (
	"bufio"
	"cmp"
	"container/heap"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// MaxKept is how many rejected rows of each table and reason are kept with
// file and line. The rest are counted.
const MaxKept = 10_000

// Counts accounts for the rows of one table:
// Rows = Loaded + Σ Rejected + Σ Skipped, once the load is over.
type Counts struct {
	Rows, Loaded uint64
	Rejected     map[string]uint64 // by reason
	Skipped      map[string]uint64 // by reason
	Dropped      map[string]uint64 // malformed cells, by column; their rows stay
}

// Rejects keeps account of what a load does with every row. All methods are
// safe for concurrent use; what it keeps does not depend on their order.
type Rejects struct {
	mu     sync.Mutex
	tables map[string]*rejected // guarded by mu
}

// rejected is the account of one table.
type rejected struct {
	Counts
	files map[int32]string      // by index
	kept  map[string]*firstHeap // by reason
}

// place is where a row is.
type place struct {
	file int32
	line int64
}

func (p place) compare(q place) int {
	return cmp.Or(cmp.Compare(p.file, q.file), cmp.Compare(p.line, q.line))
}

// firstHeap holds the first MaxKept places, the last of them on top.
type firstHeap []place

func (h firstHeap) Len() int           { return len(h) }
func (h firstHeap) Less(i, j int) bool { return h[i].compare(h[j]) > 0 }
func (h firstHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

// Push implements heap.Interface.
func (h *firstHeap) Push(x any) { *h = append(*h, x.(place)) }

// Pop implements heap.Interface.
func (h *firstHeap) Pop() any { panic("dataset: places are never popped") }

func (h *firstHeap) add(p place) {
	switch {
	case len(*h) < MaxKept:
		heap.Push(h, p)
	case p.compare((*h)[0]) < 0:
		(*h)[0] = p
		heap.Fix(h, 0)
	}
}

// NewRejects returns an empty account.
func NewRejects() *Rejects { return &Rejects{tables: map[string]*rejected{}} }

// table returns the account of a table. mu is held.
func (r *Rejects) table(name string) *rejected {
	t := r.tables[name]
	if t == nil {
		t = &rejected{
			Counts: Counts{Rejected: map[string]uint64{}, Skipped: map[string]uint64{}, Dropped: map[string]uint64{}},
			files:  map[int32]string{}, kept: map[string]*firstHeap{},
		}
		r.tables[name] = t
	}
	return t
}

func (t *rejected) reject(file string, index, line int, reason string) {
	t.Rejected[reason]++
	i := int32(index)
	if _, ok := t.files[i]; !ok {
		t.files[i] = file
	}
	h := t.kept[reason]
	if h == nil {
		h = &firstHeap{}
		t.kept[reason] = h
	}
	h.add(place{i, int64(line)})
}

// Batch counts the rows of a batch, bad ones included, and rejects the bad
// ones. It is called once for each batch.
func (r *Rejects) Batch(b *Batch) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.table(b.Table)
	t.Rows += uint64(len(b.Lines) + len(b.Bad))
	for _, bad := range b.Bad {
		t.reject(b.File, b.FileIndex, bad.Line, bad.Reason)
	}
}

// Reject leaves a row of a batch out for a reason. The reason is one of a few
// fixed texts and holds no value.
func (r *Rejects) Reject(b *Batch, row int, reason string) {
	r.RejectAt(b.Table, b.File, b.FileIndex, b.Lines[row], reason)
}

// RejectAt leaves a row out that is known by file and line alone.
func (r *Rejects) RejectAt(table, file string, fileIndex, line int, reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.table(table).reject(file, fileIndex, line, reason)
}

// Skip counts n rows that are left out on purpose.
func (r *Rejects) Skip(table, reason string, n uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.table(table).Skipped[reason] += n
}

// Drop counts malformed cells that were dropped while their row stayed, one of
// each of the columns.
func (r *Rejects) Drop(table string, columns ...string) {
	if len(columns) == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.table(table)
	for _, c := range columns {
		t.Dropped[c]++
	}
}

// Load counts n rows that were loaded.
func (r *Rejects) Load(table string, n uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.table(table).Loaded += n
}

// Counts returns the account of a table so far. The caller owns it; its maps
// are not nil.
func (r *Rejects) Counts(table string) Counts {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.table(table).Counts
	c.Rejected, c.Skipped, c.Dropped = maps.Clone(c.Rejected), maps.Clone(c.Skipped), maps.Clone(c.Dropped)
	return c
}

// Total is the number of rejected rows.
func (c Counts) Total() uint64 {
	var n uint64
	for _, k := range c.Rejected {
		n += k
	}
	return n
}

// Any reports whether any row was rejected.
func (r *Rejects) Any() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range r.tables {
		if len(t.Rejected) > 0 {
			return true
		}
	}
	return false
}

// WriteCSV writes the rejected rows that are kept, the first [MaxKept] of each
// table and reason, as CSV with the columns table, file, line and reason:
// tables in the order of [Names], rows in the order of files and lines. The
// same rejects give the same bytes.
func (r *Rejects) WriteCSV(w io.Writer) error {
	out := bufio.NewWriter(w)
	if _, err := out.WriteString("table,file,line,reason\n"); err != nil {
		return err
	}
	for _, table := range Names() {
		if err := r.writeTable(out, table); err != nil {
			return err
		}
	}
	return out.Flush()
}

func (r *Rejects) writeTable(out *bufio.Writer, table string) error {
	type row struct {
		place
		reason string
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.tables[table]
	if t == nil {
		return nil
	}
	var rows []row
	for reason, h := range t.kept {
		for _, p := range *h {
			rows = append(rows, row{p, reason})
		}
	}
	slices.SortFunc(rows, func(a, b row) int {
		return cmp.Or(a.compare(b.place), strings.Compare(a.reason, b.reason))
	})
	var line []byte
	for _, row := range rows {
		line = append(line[:0], table...)
		line = append(line, ',')
		line = appendField(line, t.files[row.file])
		line = append(line, ',')
		line = strconv.AppendInt(line, row.line, 10)
		line = append(line, ',')
		line = appendField(line, row.reason)
		if _, err := out.Write(append(line, '\n')); err != nil {
			return err
		}
	}
	return nil
}

// appendField appends a field of CSV, quoted where it must be.
func appendField(dst []byte, s string) []byte {
	if !strings.ContainsAny(s, ",\"\r\n") {
		return append(dst, s...)
	}
	dst = append(dst, '"')
	dst = append(dst, strings.ReplaceAll(s, `"`, `""`)...)
	return append(dst, '"')
}
