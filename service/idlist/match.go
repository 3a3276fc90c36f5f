package idlist

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"

	"throng/blob"
	"throng/engine"
	"throng/identifier"
	"throng/internal/lines"
	"throng/query"
)

// writeBuffer is how many bytes of a file are written at once.
const writeBuffer = 128 << 10

// Place is where lines are written, and how many bytes of them may be.
type Place struct {
	Blobs blob.Store
	Key   string
	Most  int64  // bytes
	Full  error  // what more of them are
	Size  *int64 // counts the bytes that are written
}

// Keep writes normal forms one a line, and matches them on their way: it gives
// who owns any, and how many lines have an owner. The file is durable when it
// returns nil. An error wraps Full where there is no room.
func (n *List) Keep(ctx context.Context, g engine.Generation, t identifier.Type, to Place) (query.RowSet, uint64, error) {
	w, err := to.Blobs.Create(ctx, to.Key)
	if err != nil {
		return nil, 0, fmt.Errorf("store upload: %w", err)
	}
	defer w.Abort() //nolint:errcheck // of no effect after Commit
	out := bufio.NewWriterSize(w, writeBuffer)
	var failed error
	rows, matched, err := g.Match(ctx, t, func(yield func([]byte) bool) {
		var writeErr error
		failed = n.Each(ctx, func(text []byte) bool {
			if *to.Size += int64(len(text)) + 1; *to.Size > to.Most {
				writeErr = to.Full
				return false
			}
			writeErr = lines.Write(out, text)
			return writeErr == nil && yield(text)
		})
		if writeErr != nil {
			failed = fmt.Errorf("store upload: %w", writeErr)
		}
	})
	if err != nil {
		return nil, 0, fmt.Errorf("match lines: %w", err)
	}
	if failed != nil {
		return nil, 0, failed
	}
	if err := out.Flush(); err != nil {
		return nil, 0, fmt.Errorf("store upload: %w", err)
	}
	if err := w.Commit(); err != nil {
		return nil, 0, fmt.Errorf("store upload: %w", err)
	}
	return rows, matched, nil
}

// AnyNumber is that of the lines of a list of which only the list tells.
const AnyNumber = -1

// Match matches the lines of a blob, normalised and distinct already: it gives who
// owns any, and how many lines have an owner. It is [blob.ErrDamaged] where there
// is another number of lines than was written: what fewer lines match would look
// like a result.
func Match(
	ctx context.Context, from blob.Store, g engine.Generation, t identifier.Type, key string, written int64,
) (_ query.RowSet, matched uint64, _ error) {
	r, err := from.Open(ctx, key)
	if err != nil {
		return nil, 0, err
	}
	defer r.Close()
	var readErr error
	var read int64
	all := linesOf(r, &readErr)
	rows, matched, err := g.Match(ctx, t, func(yield func([]byte) bool) {
		for line := range all {
			if read++; !yield(line) {
				return
			}
		}
	})
	if err = errors.Join(err, readErr); err != nil {
		return nil, 0, fmt.Errorf("match lines of %s: %w", key, err)
	}
	if written != AnyNumber && read != written {
		return nil, 0, fmt.Errorf("%w: %s has %d lines, %d were written", blob.ErrDamaged, key, read, written)
	}
	return rows, matched, nil
}

// linesOf yields the lines of a file without their ends, of which the last one
// has one, too. A line is valid until the next one is asked for. An error ends it
// and is in *failure.
func linesOf(r io.Reader, failure *error) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		b := bufio.NewReaderSize(r, 256<<10)
		for {
			line, err := b.ReadSlice('\n')
			switch {
			case errors.Is(err, io.EOF) && len(line) == 0:
				return
			case errors.Is(err, io.EOF), errors.Is(err, bufio.ErrBufferFull):
				*failure = fmt.Errorf("%w: a line has no end", blob.ErrDamaged)
				return
			case err != nil:
				*failure = err
				return
			}
			if !yield(line[:len(line)-1]) {
				return
			}
		}
	}
}
