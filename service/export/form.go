package export

import (
	"context"
	"errors"
	"fmt"
	"io"

	"throng/blob"
	"throng/identifier"
	"throng/internal/huffgz"
	"throng/internal/keylock"
)

// Format is the form of a file of identifiers.
type Format string

// The formats.
const (
	Text    Format = "text"
	CSV     Format = "csv"
	Parquet Format = "parquet"
)

// Form is one file of identifiers in one format, there or still to be made.
type Form struct {
	Prefix   string // that it was written below
	Type     identifier.Type
	Format   Format
	TextSize int64 // bytes of the type's text
}

// Key is where it lies, or will.
func (f Form) Key() string {
	if f.Format == Text {
		return TextKey(f.Prefix, f.Type)
	}
	return fmt.Sprintf("%s/%s-%s", f.Prefix, f.Format, f.Type)
}

// Extension ends names of such files.
func (f Form) Extension() string {
	if f.Format == Text {
		return "txt"
	}
	return string(f.Format)
}

// ContentType is what they are served as.
func (f Form) ContentType() string {
	switch f.Format {
	case CSV:
		return "text/csv; charset=utf-8; header=present"
	case Parquet:
		return "application/vnd.apache.parquet"
	default:
		return "text/plain; charset=utf-8"
	}
}

// whole makes sure that a text is as long as it was written.
func (f Form) whole(text blob.Reader) error { return whole(text, f.Key(), f.TextSize) }

// Maker makes files that are asked for, once. It is safe for concurrent use: who
// asks for the same file meanwhile waits.
type Maker struct {
	blobs  blob.Store
	making keylock.Lock // by key
}

// NewMaker makes files in a store.
func NewMaker(blobs blob.Store) *Maker { return &Maker{blobs: blobs} }

// Open opens a file, which it makes unless it is there. The error wraps
// [blob.ErrNotFound] where what it is made of is gone, and [blob.ErrDamaged]
// where the text has another size.
func (m *Maker) Open(ctx context.Context, f Form) (blob.Reader, error) {
	if err := m.Make(ctx, f); err != nil {
		return nil, err
	}
	r, err := m.blobs.Open(ctx, f.Key())
	if err != nil || f.Format != Text {
		return r, err
	}
	if err := f.whole(r); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// Make makes a csv or parquet file unless it is there. Text is.
func (m *Maker) Make(ctx context.Context, f Form) error {
	if f.Format == Text {
		return nil
	}
	return m.once(ctx, f.Key(), func(w io.Writer) error {
		pairs, err := Open(ctx, m.blobs, f.Prefix, f.Type, f.TextSize)
		if err != nil {
			return err
		}
		defer pairs.Close()
		if f.Format == CSV {
			return pairs.WriteCSV(w)
		}
		return pairs.WriteParquet(w)
	})
}

// OpenPacked is Open of the file's gzip form, byte for byte what huffgz makes of
// the file.
func (m *Maker) OpenPacked(ctx context.Context, f Form) (blob.Reader, error) {
	key := f.Key() + ".gz"
	if err := m.once(ctx, key, func(w io.Writer) error { return m.pack(ctx, w, f) }); err != nil {
		return nil, err
	}
	return m.blobs.Open(ctx, key)
}

func (m *Maker) pack(ctx context.Context, w io.Writer, f Form) error {
	r, err := m.Open(ctx, f)
	if err != nil {
		return err
	}
	defer r.Close()
	z := huffgz.NewWriter(w)
	if _, err := io.CopyBuffer(z, struct{ io.Reader }{r}, make([]byte, writeBuffer)); err != nil {
		return err
	}
	return z.Close()
}

// once has a file written unless it is there.
func (m *Maker) once(ctx context.Context, key string, write func(io.Writer) error) error {
	unlock, err := m.making.Lock(ctx, key)
	if err != nil {
		return err
	}
	defer unlock()
	if _, err := m.blobs.Stat(ctx, key); !errors.Is(err, blob.ErrNotFound) {
		return err
	}
	w, err := m.blobs.Create(ctx, key)
	if err != nil {
		return err
	}
	defer w.Abort() //nolint:errcheck // of no effect after Commit
	if err := write(w); err != nil {
		return err
	}
	return w.Commit()
}
