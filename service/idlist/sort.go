package idlist

import (
	"bytes"
	"context"
	"io"
	"runtime"

	"throng"
	"throng/identifier"
	"throng/internal/hexkey"
	"throng/internal/idsort"
	"throng/internal/lines"
)

// maxLineWorkers bounds the goroutines that work at one list: one that reads
// and sums up keeps no more of them busy.
const maxLineWorkers = 4

func lineWorkers() int { return min(runtime.GOMAXPROCS(0), maxLineWorkers) }

// sortedAs is how identifiers of a type are sorted.
func sortedAs(t identifier.Type) idsort.Form {
	switch t {
	case identifier.MD5:
		return idsort.Sum
	case identifier.MAID:
		return idsort.UUID
	default:
		return idsort.Text
	}
}

// sortLines reads a list to its end and gives each of its lines its fate. One
// goroutine reads and cuts at line ends, several normalise and sort. The caller
// closes the sorters, also after an error.
func sortLines(ctx context.Context, cfg Config, t identifier.Type, r io.Reader) (sorters []*idsort.Sorter, found lines.Found, err error) {
	workers := make([]lineWorker, lineWorkers())
	for i := range workers {
		workers[i] = lineWorker{typ: t, sorter: idsort.New(sortedAs(t), cfg.Memory/len(workers), cfg.TempDir)}
		sorters = append(sorters, workers[i].sorter)
	}
	tally := lines.NewTally(throng.MaxInvalidLines)
	err = lines.Each(ctx, r, len(workers), func(worker int, p *lines.Piece) error {
		w := &workers[worker]
		w.found = lines.Found{}
		if err := p.Each(w.line); err != nil {
			return err
		}
		tally.Add(p.Number, w.found)
		return nil
	})
	return sorters, tally.Found(), err
}

// lineWorker normalises lines and sorts them. It is for one goroutine.
type lineWorker struct {
	typ    identifier.Type
	sorter *idsort.Sorter
	found  lines.Found // in the piece at hand
	key    []byte
}

// line gives a line its fate, which comes without its end.
func (w *lineWorker) line(line []byte) error {
	w.found.Lines++
	tooLong := len(line) >= lines.Max
	line = bytes.TrimSuffix(line, []byte{'\r'})
	if k, ok := w.quick(line); ok {
		return w.sorter.AddKey(k)
	}
	reason := identifier.TooLong
	if !tooLong {
		w.key, reason = w.typ.Normalize(w.key[:0], line)
	}
	if reason == "" {
		return w.sorter.Add(w.key)
	}
	w.found.Refuse(string(reason), throng.MaxInvalidLines)
	return nil
}

// quick reads the forms in which most sums and UUIDs are written; ok is false
// for whatever needs a closer look.
func (w *lineWorker) quick(line []byte) (k hexkey.Key, ok bool) {
	switch w.sorter.Form() {
	case idsort.Sum:
		if len(line) != hexkey.SumLen {
			return k, false
		}
		k, ok = hexkey.Parse(line)
		return k, ok && k != md5OfEmpty
	case idsort.UUID:
		k, ok = hexkey.Parse(line)
		return k, ok && k != hexkey.Key{}
	case idsort.Text:
	}
	return k, false
}

// md5OfEmpty is what a missing address hashes to, which is no identifier.
var md5OfEmpty = hexkey.Key{Hi: 0xd41d8cd98f00b204, Lo: 0xe9800998ecf8427e}
