package forward

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"throng/engine"
	"throng/engine/bitmap/format"
	"throng/engine/bitmap/format/formattest"
	"throng/query"
)

// part is the counted terms of a part, spelt out.
type part struct {
	rows    int
	counted Counted
	lists   map[uint32][]uint32 // rows of each term, ascending
}

// newPart gives every counted field as many terms.
func newPart(rows int, terms uint32) *part {
	p := &part{rows: rows, lists: map[uint32][]uint32{}, counted: Counted{Scored: terms + 3}}
	fields := uint32(len(CountedFields()))
	for i := range fields {
		p.counted.Starts = append(p.counted.Starts, terms*i/fields)
	}
	p.counted.Starts = append(p.counted.Starts, terms)
	return p
}

// randomPart has terms that from all to no rows have, blocks whose rows have
// next to nothing, and rows that have very much.
func randomPart(rng *rand.Rand, rows int, terms uint32) *part {
	p := newPart(rows, terms)
	rich := rng.Perm(rows)[:5]
	for t := range terms + 6 {
		share := 0.5 / (1 + float64(t%97))
		if t > 300 {
			share = 3 / float64(rows)
		}
		var list []uint32
		for n := int(share * float64(rows)); n > 0; n-- {
			list = append(list, uint32(rng.IntN(rows)))
		}
		switch {
		case t == 7:
			list = nil
		case t == 11:
			list = nil
			for r := range rows {
				list = append(list, uint32(r))
			}
		case t%64 != 0 || t > 40_000:
			list = append(list, uint32(rich[t%7/6]))
		}
		slices.Sort(list)
		p.lists[t] = slices.Compact(list)
	}
	return p
}

// write writes the part and opens it.
func (p *part) write(t testing.TB, dir string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(dir, "parts"), 0o700); err != nil {
		t.Fatal(err)
	}
	type block struct {
		terms, ends []uint32
		rows        []uint16
	}
	blocks := make([]block, (p.rows+format.BlockRows-1)/format.BlockRows)
	var terms, people []uint32
	for term := range p.counted.Limit() + 6 {
		list := p.lists[term]
		if len(list) == 0 {
			continue
		}
		terms, people = append(terms, term), append(people, uint32(len(list)))
		for i, r := range list {
			b := &blocks[r/format.BlockRows]
			b.rows = append(b.rows, uint16(r))
			if i+1 == len(list) || list[i+1]/format.BlockRows != r/format.BlockRows {
				b.terms, b.ends = append(b.terms, term), append(b.ends, uint32(len(b.rows)))
			}
		}
	}
	codes := NewCodes(p.counted, p.rows, terms, people, nil)
	w, err := NewWriter(dir, Name(0), 0, p.rows, codes)
	if err != nil {
		t.Fatal(err)
	}
	var e Encoder
	var buf *Encoded
	for i, b := range blocks {
		if buf, err = e.Encode(codes, min(p.rows-i*format.BlockRows, format.BlockRows), b.terms, b.ends, b.rows, buf); err != nil {
			t.Fatal(err)
		}
		if err := w.Add(buf); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, Name(0))
}

func openIndex(t testing.TB, path string) *Index {
	t.Helper()
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// termsOf is what each row has, by term.
func (p *part) termsOf() [][]uint32 {
	out := make([][]uint32, p.rows)
	for t := range p.counted.Limit() {
		for _, r := range p.lists[t] {
			out[r] = append(out[r], t)
		}
	}
	return out
}

func parts() map[string]*part {
	rng := rand.New(rand.NewPCG(21, 22))
	empty := newPart(format.BlockRows+1, 0)
	empty.lists[3] = []uint32{0, 5}
	return map[string]*part{
		"no term":     newPart(100, 0),
		"scores":      empty, // of personality, all low
		"few":         randomPart(rng, 70, 40),
		"short":       randomPart(rng, format.BlockRows+300, 250),
		"long":        randomPart(rng, format.BlockRows, 3000),
		"wide":        randomPart(rng, format.BlockRows, 60_000),
		"rare":        randomPart(rng, format.BlockRows+7, shortCodes+longCodes+9000),
		"wide blocks": randomPart(rng, 2*format.BlockRows, 400),
	}
}

// TestForward reads every row back, and counts terms of all sorts of rows.
func TestIndex(t *testing.T) {
	for name, p := range parts() {
		t.Run(name, func(t *testing.T) {
			f := openIndex(t, p.write(t, t.TempDir()))
			if f.Rows() != p.rows || f.Limit() != p.counted.Limit() || f.Blocks() != (p.rows+format.BlockRows-1)/format.BlockRows {
				t.Fatalf("Rows, Limit, Blocks = %d, %d, %d, want %d, %d", f.Rows(), f.Limit(), f.Blocks(), p.rows, p.counted.Limit())
			}
			if wide := f.blocks[0].flags&flagWide != 0; wide != (name == "wide" || name == "rare") || f.rare != (name == "rare") {
				t.Errorf("offsets are wide: %t, some terms are rare: %t", wide, f.rare)
			}
			terms := p.termsOf()
			codes, dense, err := f.Codes()
			if err != nil {
				t.Fatal(err)
			}
			for i, term := range codes {
				if much := len(p.lists[term])*denseShare >= p.rows; i < dense && !much || much && i >= max(dense, shortCodes) {
					t.Errorf("code %d of %d dense ones is of a term that %d of %d rows have", i, dense, len(p.lists[term]), p.rows)
				}
			}
			for b := range f.Blocks() {
				block, err := f.Block(b)
				if err != nil {
					t.Fatal(err)
				}
				want := terms[b*format.BlockRows : min((b+1)*format.BlockRows, p.rows)]
				pairs := 0
				var have []uint32
				for r := range want {
					if have, err = block.Terms(have[:0], r); err != nil {
						t.Fatal(err)
					}
					slices.Sort(have)
					if !slices.Equal(have, want[r]) {
						t.Fatalf("Terms(%d) has %d terms, want %d: %v", r, len(have), len(want[r]), cmp.Diff(want[r], have))
					}
					pairs += len(have)
				}
				if f.Pairs(b) != uint32(pairs) {
					t.Errorf("Pairs(%d) = %d, want %d", b, f.Pairs(b), pairs)
				}
				p.compareKnown(t, f, b, &block)
				p.compareCounts(t, f, &block, want)
			}
		})
	}
}

// compareKnown compares which rows of a block have any term of a field.
func (p *part) compareKnown(t *testing.T, f *Index, b int, block *Block) {
	t.Helper()
	for i, field := range KnownFields() {
		at := slices.Index(CountedFields(), field)
		from, to := p.counted.Starts[at], p.counted.Starts[at+1]
		if field == query.Personality {
			from, to = p.counted.Scored, p.counted.Scored+1
		}
		want, got := map[uint16]bool{}, map[uint16]bool{}
		for term := from; term < to; term++ {
			for _, r := range p.lists[term] {
				if int(r)/format.BlockRows == b {
					want[uint16(r)] = true
				}
			}
		}
		k := block.Known(i)
		listed := map[uint16]bool{}
		for _, r := range k.Array {
			listed[r] = true
		}
		for r := range min(p.rows-b*format.BlockRows, format.BlockRows) {
			if k.Bitmap != nil && k.Bitmap[r/64]>>(r%64)&1 != 0 || k.Bitmap == nil && listed[uint16(r)] != k.Not {
				got[uint16(r)] = true
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("rows of block %d that %s is known of differ: %d, want %d", b, field, len(got), len(want))
		}
		if n := f.KnownCount(b, i); n != len(want) {
			t.Errorf("KnownCount(%d, %s) = %d, want %d", b, field, n, len(want))
		}
	}
}

func (p *part) compareCounts(t *testing.T, f *Index, block *Block, terms [][]uint32) {
	t.Helper()
	rng := rand.New(rand.NewPCG(23, 24))
	_, dense, err := f.Codes()
	if err != nil {
		t.Fatal(err)
	}
	n := int(p.counted.Limit())
	isDense := make([]bool, n)
	for _, term := range f.terms[:dense] {
		isDense[term] = true
	}
	tally := &Tally{Rare: make([]uint32, n)}
	for _, share := range []int{0, 1, 20, 500, 1000} { // of 1,000
		for _, all := range []bool{true, false} {
			var bits [format.BlockWords]uint64
			var rows []uint16
			want := make([]uint32, n)
			for r := range terms {
				if rng.IntN(1000) >= share {
					continue
				}
				bits[r/64] |= 1 << (r % 64)
				rows = append(rows, uint16(r))
				for _, term := range terms[r] {
					if all || !isDense[term] {
						want[term]++
					}
				}
			}
			for _, count := range []func() error{
				func() error { return block.Count(tally, &bits, all) },
				func() error { return block.CountRows(tally, rows, all) },
				func() error {
					if !all {
						return block.CountRows(tally, rows, all)
					}
					return block.CountFew(tally, tally.Rare, rows)
				},
			} {
				clear(tally.Rare)
				got := tally.Rare
				if err := count(); err != nil {
					t.Fatal(err)
				}
				if err := f.Take(tally, got); err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(want, got) {
					t.Errorf("counts of %d rows differ (-want +got):\n%.2000s", len(rows), cmp.Diff(want, got))
				}
			}
		}
	}
}

// TestRefuses finds what is wrong under right checksums.
func TestRefuses(t *testing.T) {
	p := newPart(format.BlockRows, 600)
	for term := range uint32(600) {
		for r := term; r < format.BlockRows; r += 50 + term {
			p.lists[term] = append(p.lists[term], r)
		}
	}
	path := p.write(t, t.TempDir())
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f := openIndex(t, path)
	records, offsets := int(f.blocks[0].at), int(f.blocks[0].at)+int(format.Pad8(uint64(f.blocks[0].records)+slack))
	for name, spoil := range map[string]func(b []byte){
		"a code of no term":           func(b []byte) { b[records+1] = 0xfe; b[records+2] = 0xff; b[records+3] = 0xff },
		"more codes than there are":   func(b []byte) { b[records] = 0xee },
		"many more":                   func(b []byte) { copy(b[records:], "\xff\xff\xff") },
		"a term that is not counted":  func(b []byte) { b[3] = 9 },
		"records that run backwards":  func(b []byte) { b[offsets+4*(format.BlockRows/groupRows+1)+3] = 0xff },
		"records behind their end":    func(b []byte) { b[offsets+7] = 0x7f },
		"an odd number of long codes": func(b []byte) { b[records] += 0x10 },
	} {
		b := slices.Clone(good)
		spoil(b)
		bad := filepath.Join(t.TempDir(), "bad.forward")
		formattest.Mend(b)
		if err := os.WriteFile(bad, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := touch(bad); !errors.Is(err, engine.ErrCorrupt) {
			t.Errorf("%s: error %v, want %v", name, err, engine.ErrCorrupt)
		}
	}
	if err := touch(path); err != nil {
		t.Errorf("what is sound: error %v", err)
	}
}

// FuzzRecords damages records of a whole block and mends the checksums.
func FuzzRecords(f *testing.F) {
	p := newPart(format.BlockRows, 600)
	for term := range uint32(600) {
		for r := term; r < format.BlockRows; r += 50 + 10*term {
			p.lists[term] = append(p.lists[term], r)
		}
	}
	good, err := os.ReadFile(p.write(f, f.TempDir()))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(uint32(0), uint64(0))
	f.Add(uint32(2400), uint64(1<<40))
	f.Add(uint32(len(good)-300), uint64(1))
	f.Fuzz(func(t *testing.T, at uint32, xor uint64) {
		bad := slices.Clone(good)
		for i := range 8 {
			bad[(int(at)+i)%len(bad)] ^= byte(xor >> (8 * i))
		}
		formattest.Mend(bad)
		path := filepath.Join(t.TempDir(), "fuzzed")
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		touch(path) // any error will do, a panic will not
	})
}

// touch counts all rows of a forward index.
func touch(path string) error {
	f, err := Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, _, err := f.Codes(); err != nil {
		return err
	}
	counts := make([]uint32, min(f.Limit(), 1<<20))
	tally := &Tally{Rare: counts}
	var rows [format.BlockWords]uint64
	for i := range rows {
		rows[i] = ^uint64(0)
	}
	for b := range f.Blocks() {
		block, err := f.Block(b)
		if err != nil {
			return err
		}
		limit := f.rowsOf(b)
		if limit < format.BlockRows {
			clear(rows[limit/64:])
			if limit%64 != 0 {
				rows[limit/64] = 1<<(limit%64) - 1
			}
		}
		if err := block.Count(tally, &rows, true); err != nil {
			return err
		}
		if err := f.Take(tally, counts); err != nil {
			return err
		}
		var terms []uint32
		for r := range limit {
			if terms, err = block.Terms(terms[:0], r); err != nil {
				return err
			}
		}
	}
	return nil
}
