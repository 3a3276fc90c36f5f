package storage

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"throng/identifier"
)

// TestLines compares what is found and printed for many rows at once with what
// is for each, on columns of every form.
func TestLines(t *testing.T) {
	const rows = 3000
	rng := rand.New(rand.NewPCG(1, 2))
	for _, typ := range []identifier.Type{identifier.MD5, identifier.MAID, identifier.IDFA, identifier.TwitterID, identifier.EmailRaw} {
		for _, most := range []int{1, 3} {
			for _, none := range []int{0, 5, 1} { // nobody has none, one of five, nobody has any
				name := fmt.Sprintf("%s, up to %d, none %d", typ, most, none)
				cb := oneBlock(t, rng, typ, rows, most, none)
				for _, step := range []int{1, 7, 5000} {
					var some []uint16
					for r := rng.IntN(step); r < rows; r += 1 + rng.IntN(step) {
						some = append(some, uint16(r))
					}
					checkLines(t, name, CodecOf(typ), cb, some)
				}
			}
		}
	}
}

func oneBlock(t *testing.T, rng *rand.Rand, typ identifier.Type, rows, most, none int) *ColumnBlock {
	t.Helper()
	dir := t.TempDir()
	w, err := NewColumnWriter(dir, "x", uint32(rows))
	if err != nil {
		t.Fatal(err)
	}
	for r := range rows {
		if none > 0 && rng.IntN(none) == 0 {
			continue
		}
		for range 1 + rng.IntN(most) {
			text := fmt.Appendf(nil, "%0*d@example.com", 1+rng.IntN(45), r)
			if CodecOf(typ).kind >= codecHex {
				text = fmt.Appendf(nil, "%016x%016x", rng.Uint64(), rng.Uint64())
			}
			if err := w.Add(uint32(r), CodecOf(typ).Encode(nil, text), false); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := w.Close(); err != nil {
		t.Fatal(err)
	}
	c, err := OpenColumn(filepath.Join(dir, "x"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	cb, err := c.Block(0)
	if err != nil {
		t.Fatal(err)
	}
	return &cb
}

func checkLines(t *testing.T, name string, codec Codec, cb *ColumnBlock, rows []uint16) {
	t.Helper()
	wantValues, wantMembers := []uint32{9}, []uint32{8}
	wantLines, wantEnds := []byte("kept"), []uint32{7}
	for i, row := range rows {
		from, to := cb.Range(int(row))
		for v := from; v < to; v++ {
			wantValues, wantMembers = append(wantValues, uint32(v)), append(wantMembers, uint32(100+i))
			wantLines = append(codec.Decode(wantLines, cb.Value(v)), '\n')
			wantEnds = append(wantEnds, uint32(len(wantLines)))
		}
	}
	values, members := cb.Find(rows, 100, []uint32{9}, []uint32{8})
	if !slices.Equal(values, wantValues) || !slices.Equal(members, wantMembers) {
		t.Fatalf("%s: Find of %d rows gives %d values, want %d", name, len(rows), len(values)-1, len(wantValues)-1)
	}
	lines, ends := codec.AppendLines([]byte("kept"), []uint32{7}, cb, values[1:])
	if !bytes.Equal(lines, wantLines) || !slices.Equal(ends, wantEnds) {
		t.Fatalf("%s: AppendLines of %d values gives %d bytes, want %d", name, len(values)-1, len(lines), len(wantLines))
	}
}
