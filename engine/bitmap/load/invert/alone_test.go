package invert

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"throng/engine/bitmap/kernel"
	"throng/engine/bitmap/storage"
)

// invertedPairs reads the parts under dir back as pairs, row<<32 | term, sorted.
func invertedPairs(t testing.TB, dir string) []uint64 {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "parts", "*"))
	if err != nil {
		t.Fatal(err)
	}
	var pairs []uint64
	for _, name := range names {
		p, err := storage.OpenPart(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.EachTerm(func(term uint32, ps storage.Postings) bool {
			for b := range storage.PartBlocks {
				for _, r := range rowsOf(t, ps.Container(b)) {
					row := uint64(p.FirstRow()) + uint64(b)*storage.BlockRows + uint64(r)
					pairs = append(pairs, row<<32|uint64(term))
				}
			}
			return true
		}); err != nil {
			t.Fatal(err)
		}
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(pairs)
	return pairs
}

// rowsOf lists the rows of a container.
func rowsOf(t testing.TB, c storage.Container) []uint16 {
	t.Helper()
	var b kernel.Block
	switch c.Kind {
	case storage.None:
	case storage.Array:
		kernel.OrArray(&b, c.Array)
	case storage.Bitmap:
		kernel.Or(&b, kernel.AsBlock(c.Bitmap))
	case storage.Runs:
		for _, run := range c.Runs {
			kernel.OrRange(&b, run.Start, run.Last)
		}
	}
	rows := kernel.AppendRows(nil, &b)
	if len(rows) != c.Card {
		t.Errorf("a container says that it has %d rows and has %d", c.Card, len(rows))
	}
	return rows
}

// TestPairs inverts pairs in and out of order, with memory for them and
// without, and compares what the parts hold with the pairs sorted.
func TestPairs(t *testing.T) {
	const rows, terms, pairs = storage.PartRows + 3*storage.BlockRows/2, 5000, 400_000
	rng := rand.New(rand.NewPCG(7, 8))
	list := make([]uint64, pairs)
	for i := range list {
		term := int(math.Pow(terms, rng.Float64())) - 1
		list[i] = uint64(rng.IntN(rows))<<32 | uint64(term)
	}
	list = append(list, list[:1000]...) // come twice
	want := slices.Clone(list)
	slices.Sort(want)
	for _, ordered := range []bool{false, true} {
		if ordered {
			slices.Sort(list)
		}
		for _, workers := range []int{1, 3} {
			for _, memory := range []int64{0, 1 << 20} {
				t.Run(fmt.Sprintf("ordered=%t/workers=%d/memory=%d", ordered, workers, memory), func(t *testing.T) {
					dir := t.TempDir()
					people, err := Pairs(t.Context(), dir, Options{Rows: rows, Terms: terms, Memory: memory, Workers: workers},
						func(worker int, sink *Sink) error {
							part := list[len(list)*worker/workers : len(list)*(worker+1)/workers]
							for len(part) > 0 {
								n := 1
								for n < len(part) && n < 100 && part[n]>>32 == part[0]>>32 {
									n++
								}
								var of []uint32
								for _, p := range part[:n] {
									of = append(of, uint32(p))
								}
								if err := sink.Add(uint32(part[0]>>32), of...); err != nil {
									return err
								}
								part = part[n:]
							}
							return nil
						})
					if err != nil {
						t.Fatal(err)
					}
					distinct := slices.Compact(slices.Clone(want))
					if !slices.Equal(invertedPairs(t, dir), distinct) {
						t.Error("the parts do not hold the pairs")
					}
					count := make([]uint32, terms)
					for _, p := range distinct {
						count[uint32(p)]++
					}
					if !slices.Equal(people, count) {
						t.Error("people of terms are not what they are")
					}
					if left, _ := filepath.Glob(filepath.Join(dir, "pairs*")); len(left) > 0 {
						t.Errorf("left behind: %v", left)
					}
				})
			}
		}
	}
	for _, pair := range [][2]uint32{{10, 0}, {0, 10}, {noTerm, noTerm}} {
		if _, err := Pairs(t.Context(), t.TempDir(), Options{Rows: 10, Terms: 10}, func(_ int, s *Sink) error {
			return s.Add(pair[0], pair[1])
		}); err == nil {
			t.Errorf("Pairs of row %d, term %d = nil, want an error", pair[0], pair[1])
		}
	}
}

// BenchmarkPairs tells the processor time of a pair, in order of rows and
// out of it, of as many millions of rows as THRONG_BENCH_PEOPLE says.
func BenchmarkPairs(b *testing.B) {
	const terms, each = 100_000, 10
	millions := 4
	if s := os.Getenv("THRONG_BENCH_PEOPLE"); s != "" {
		if _, err := fmt.Sscan(s, &millions); err != nil {
			b.Fatal(err)
		}
	}
	rows := uint32(millions) << 20
	// Numbers are made beforehand and used again: making them takes longer
	// than what is measured.
	rng := rand.New(rand.NewPCG(1, 2))
	drawn := make([]uint32, 1<<20)
	anywhere := make([]uint32, 1<<20)
	for i := range drawn {
		drawn[i] = uint32(math.Pow(terms, rng.Float64())) - 1
		anywhere[i] = rng.Uint32N(rows)
	}
	for _, ordered := range []bool{true, false} {
		b.Run(fmt.Sprintf("ordered=%t", ordered), func(b *testing.B) {
			before := cpuTime(b)
			for b.Loop() {
				dir := b.TempDir()
				_, err := Pairs(b.Context(), dir, Options{Rows: rows, Terms: terms}, func(worker int, s *Sink) error {
					return feedPairs(s, worker, ordered, drawn, anywhere, rows, each)
				})
				if err != nil {
					b.Fatal(err)
				}
				os.RemoveAll(dir)
			}
			b.ReportMetric(float64(cpuTime(b)-before)/float64(uint64(rows)*each)/float64(b.N), "cpu-ns/pair")
		})
	}
}

// feedPairs feeds each row's share of pairs: of the first worker the even
// blocks, of the second the odd ones.
func feedPairs(s *Sink, worker int, ordered bool, drawn, anywhere []uint32, rows uint32, each int) error {
	if worker > 1 {
		return nil
	}
	from, to := uint32(worker)*(rows/2), uint32(worker+1)*(rows/2)
	if ordered {
		at := 0
		for row := from; row < to; row++ {
			if at+each > len(drawn) {
				at = int(row) % 1000
			}
			if err := s.Add(row, drawn[at:at+each]...); err != nil {
				return err
			}
			at += each
		}
		return nil
	}
	at, shift := 0, uint32(0)
	for i := range int(to-from) * each {
		if at == len(drawn) {
			at = i % 1000
			shift = shift*1664525 + 1013904223
		}
		if err := s.Add((anywhere[at]^shift)%rows, drawn[at]); err != nil {
			return err
		}
		at++
	}
	return nil
}

func cpuTime(t testing.TB) int64 {
	t.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}
