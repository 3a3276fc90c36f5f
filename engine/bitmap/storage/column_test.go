package storage

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
)

// columnValues are, for each row, its values.
func columnValues(kind string, rows int) [][][]byte {
	rng := rand.New(rand.NewPCG(3, uint64(rows)))
	out := make([][][]byte, rows)
	value := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		return b
	}
	for r := range out {
		switch kind {
		case "fixed one":
			out[r] = [][]byte{value(16)}
		case "fixed some":
			for range rng.IntN(3) {
				out[r] = append(out[r], value(16))
			}
		case "any one":
			out[r] = [][]byte{value(rng.IntN(12))}
		case "rare":
			if r%5000 == 4999 {
				out[r] = [][]byte{value(rng.IntN(40))}
			}
		case "many":
			for range rng.IntN(4) {
				out[r] = append(out[r], value(rng.IntN(9)))
			}
		case "long":
			if r%97 == 0 {
				out[r] = [][]byte{value(3000), {}, value(1)}
			}
		case "none":
		}
	}
	return out
}

func sharedValue(row, i int) bool { return (row+i)%7 == 3 }

func writeColumn(t testing.TB, dir string, values [][][]byte) string {
	t.Helper()
	w, err := NewColumnWriter(dir, "x.col", uint32(len(values)))
	if err != nil {
		t.Fatal(err)
	}
	for r, vs := range values {
		for i, v := range vs {
			if err := w.Add(uint32(r), v, sharedValue(r, i)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "x.col")
}

func TestColumn(t *testing.T) {
	for _, kind := range []string{"fixed one", "fixed some", "any one", "rare", "many", "long", "none"} {
		for _, rows := range []int{0, 1, 63, 64, 65, BlockRows, BlockRows + 100} {
			t.Run(fmt.Sprintf("%s/%d", kind, rows), func(t *testing.T) {
				values := columnValues(kind, rows)
				c, err := OpenColumn(writeColumn(t, t.TempDir(), values))
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				total := 0
				for r, want := range values {
					cb, err := c.Block(r / BlockRows)
					if err != nil {
						t.Fatal(err)
					}
					from, to := cb.Range(r % BlockRows)
					if to-from != len(want) {
						t.Fatalf("row %d has %d values, want %d", r, to-from, len(want))
					}
					for i, v := range want {
						if got := cb.Value(from + i); !bytes.Equal(got, v) {
							t.Fatalf("row %d value %d = %x, want %x", r, i, got, v)
						}
						if got := cb.Shared(from + i); got != sharedValue(r, i) {
							t.Fatalf("row %d value %d shared = %v", r, i, got)
						}
					}
					total += len(want)
				}
				if c.Values() != uint64(total) || int(c.Rows()) != rows {
					t.Errorf("column has %d values of %d rows, want %d of %d", c.Values(), c.Rows(), total, rows)
				}
			})
		}
	}
}
