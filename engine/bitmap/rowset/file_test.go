package rowset

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"throng/engine"
	"throng/engine/bitmap/kernel"
	"throng/engine/bitmap/storage"
)

// shapes are blocks of rows that are kept in every way.
func shapes(rng *rand.Rand, limit int) map[string]Block {
	random := func(n int) Block {
		var b kernel.Block
		for range n {
			r := rng.IntN(limit)
			b[r/64] |= 1 << (r % 64)
		}
		return NewBlock(&b, kernel.Count(&b))
	}
	var all, runs kernel.Block
	kernel.Fill(&all, limit)
	kernel.OrRange(&runs, uint16(limit/3), uint16(limit/2))
	kernel.OrRange(&runs, uint16(limit-5), uint16(limit-1))
	return map[string]Block{
		"none": {}, "few": random(20), "some": random(3000), "many": random(30_000),
		"all": NewBlock(&all, limit), "runs": NewBlock(&runs, kernel.Count(&runs)),
	}
}

// TestFile writes sets of blocks of every shape and reads them back; what is not
// as it was written is refused.
func TestFile(t *testing.T) {
	const last = 40_000 // rows of the last block
	rng := rand.New(rand.NewPCG(1, 2))
	stamp := [32]byte{1, 2, 3}
	for name, first := range shapes(rng, storage.BlockRows) {
		for other, second := range shapes(rng, last) {
			t.Run(fmt.Sprint(name, " and ", other), func(t *testing.T) {
				set := New(stamp, 7, []Block{first, {}, second})
				const rows = 2*storage.BlockRows + last
				var file bytes.Buffer
				if err := set.Write(&file); err != nil {
					t.Fatal(err)
				}
				read := func(b []byte) (*Set, error) { return Read(bytes.NewReader(b), stamp, rows, 7) }
				back, err := read(file.Bytes())
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(set, back, cmp.AllowUnexported(Set{})); diff != "" {
					t.Errorf("read back (-want +got):\n%.2000s", diff)
				}
				if set.Len() != uint64(first.N+second.N) {
					t.Errorf("Len = %d, want %d", set.Len(), first.N+second.N)
				}
				for range 20 {
					damaged := bytes.Clone(file.Bytes())
					at := rng.IntN(len(damaged))
					damaged[at] ^= 1 << rng.IntN(8)
					if _, err := read(damaged); !errors.Is(err, engine.ErrCorrupt) {
						t.Errorf("Read of a file with damage at %d = %v, want %v", at, err, engine.ErrCorrupt)
					}
					if _, err := read(file.Bytes()[:at]); !errors.Is(err, engine.ErrCorrupt) {
						t.Errorf("Read of %d bytes of %d = %v, want %v", at, file.Len(), err, engine.ErrCorrupt)
					}
				}
				if _, err := read(append(bytes.Clone(file.Bytes()), 0)); !errors.Is(err, engine.ErrCorrupt) {
					t.Errorf("Read of a file that goes on = %v, want %v", err, engine.ErrCorrupt)
				}
				if _, err := Read(&file, [32]byte{1, 2, 4}, rows, 7); !errors.Is(err, engine.ErrForeignRows) {
					t.Errorf("Read of another generation's file = %v, want %v", err, engine.ErrForeignRows)
				}
			})
		}
	}
}

// TestMask tells which blocks of a part have rows, also of a part that is short.
func TestMask(t *testing.T) {
	blocks := make([]Block, storage.PartBlocks+3)
	for _, b := range []int{0, 5, storage.PartBlocks - 1, storage.PartBlocks + 2} {
		blocks[b] = Block{N: 1, Array: []uint16{uint16(b)}}
	}
	s := New([32]byte{}, 1, blocks)
	for part, want := range []uint16{1 | 1<<5 | 1<<15, 1 << 2} {
		if got := s.Mask(part); got != want {
			t.Errorf("Mask(%d) = %b, want %b", part, got, want)
		}
	}
	if got := s.Block(1, 2).Container(); got.Card != 1 || got.Array[0] != storage.PartBlocks+2 {
		t.Errorf("Container = %+v", got)
	}
}
