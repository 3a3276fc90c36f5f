package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"throng/bench/population"
	"throng/engine/bitmap"
	"throng/query"
)

// rowOpen measures row 9.
func (r *run) rowOpen(ctx context.Context) error {
	s := r.stack
	open := func() error {
		e, err := bitmap.Open(filepath.Join(s.dir, indexName, "index"), keeping())
		if err != nil {
			return err
		}
		g, err := e.Acquire(ctx, "")
		if err != nil {
			return err
		}
		g.Release()
		return e.Close()
	}
	timings, _, err := measure(ctx, r.cfg.Rounds, variant{name: "open", clock: byWall, run: open})
	if err != nil {
		return err
	}
	row := Row{ID: "9", Work: "open the index"}
	row.times(timings...)
	row.atMost("open", "ms", 1e3*timings[0].median(), 20)
	row.note("the files were in memory already")
	r.add(row)
	return nil
}

// rowMemory measures row 10: what a count allocates, and what lives when all is
// done.
func (r *run) rowMemory(ctx context.Context) error {
	s := r.stack
	one, all, err := s.pair(ctx, s.queryParameters(accounts(2, activeDays, s.people.Values(population.Five)...)))
	if err != nil {
		return err
	}
	row := Row{ID: "10", Work: "memory"}
	const counts = 10
	for _, v := range []struct {
		name string
		side *side
		q    query.Definition
	}{{oneCore, s.one, one}, {allCores, s.all, all}} {
		before := uint64(0)
		for i := range counts + 1 {
			if i == 1 { // the first made what the others use again
				before = readMetric(heapTotal)
			}
			if _, err := v.side.generation.Count(ctx, v.q, 0); err != nil {
				return err
			}
		}
		each := float64(readMetric(heapTotal)-before) / counts / (1 << 20)
		row.figure("allocated a count, "+v.name, "MiB", each)
		row.atMost("allocated a count, "+v.name, "MiB", each, 1)
	}
	runtime.GC()
	runtime.GC() // the second empties the pools
	live := float64(readMetric(heapLive)) / (1 << 20)
	row.figure("heap, live", "MiB", live)
	// Two engines and the server, each with a result of the upload.
	results := .125e6 / (1 << 20) * float64(s.people.People) / 1e6 * 3
	row.atMost("heap, live", "MiB", live, 64+float64(runtime.GOMAXPROCS(0))+results)
	row.note("the heap is that of the whole program: a server, two more engines and what was measured")
	r.add(row)
	return nil
}

// rowBytes measures row 11.
func (r *run) rowBytes(ctx context.Context) error {
	s := r.stack
	start := time.Now()
	edges, serialised, err := s.roaringBytes(ctx)
	if err != nil {
		return err
	}
	var inverted, forward, names, lookups, other float64
	err = filepath.WalkDir(s.generationDir(), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		size := float64(info.Size())
		switch name := filepath.ToSlash(strings.TrimPrefix(path, s.generationDir()+string(filepath.Separator))); {
		case strings.HasPrefix(name, "parts/") && strings.HasSuffix(name, ".part"):
			inverted += size
		case strings.HasPrefix(name, "parts/") || strings.HasPrefix(name, "forward"):
			forward += size
		case strings.HasSuffix(name, ".col"):
			names += size
		case strings.HasSuffix(name, ".idx"):
			lookups += size
		default:
			other += size
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("measure files: %w", err)
	}
	people := float64(s.people.People)
	row := Row{ID: "11", Work: fmt.Sprintf("bytes of the index, %.3g million edges", edges/1e6)}
	row.figure("inverted", "B/edge", inverted/edges)
	row.figure("forward", "B/edge", forward/edges)
	row.figure("roaring, serialised", "B/edge", serialised/edges)
	row.figure("identifiers", "B/person", names/people)
	row.figure("lookups", "B/key", lookups/(2*people)) // of the people's keys, and of their MD5s
	row.figure("everything else", "MB", other/1e6)
	row.atMost("inverted + forward", "B/edge", (inverted+forward)/edges, 4)
	row.atMost("identifiers", "B/person", names/people, 75)
	row.atMost("lookups", "B/key", lookups/(2*people), 11)
	row.atMost("inverted / roaring", "x", inverted/serialised, 1.05)
	row.note("counting roaring's bytes took %.3g s", time.Since(start).Seconds())
	r.add(row)
	return nil
}

// roaringBytes counts the edges of all terms that the index has, and the bytes
// that roaring would store them in.
func (s *stack) roaringBytes(ctx context.Context) (edges, bytes float64, err error) {
	add := func(list []*roaring.Bitmap) {
		for _, b := range list {
			if n := b.GetCardinality(); n > 0 {
				edges += float64(n)
				bytes += float64(b.GetSerializedSizeInBytes())
			}
		}
	}
	add(allTraits(s.people))
	const batch = 512 // of terms, so that memory does not hold them all
	for _, g := range []population.Group{population.Interests, population.Excluded, population.Five, population.Union, population.Fifty, population.Rare, population.Channels} {
		from, to := s.people.Group(g)
		for t := from; t < to; t += batch {
			if err := ctx.Err(); err != nil {
				return 0, 0, err
			}
			var terms []int
			for i := t; i < min(t+batch, to); i++ {
				terms = append(terms, i)
			}
			add(bitmaps(s.people, terms...))
		}
	}
	return edges, bytes, nil
}
