package table

import (
	"archive/zip"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"maps"
	"slices"

	"github.com/xuri/excelize/v2"
)

// sortedZip is an archive whose files are in the order of their names, which
// the library leaves to chance.
type sortedZip struct {
	w     io.Writer
	files map[string]*bytes.Buffer
}

var _ excelize.ZipWriter = (*sortedZip)(nil)

func newSortedZip(w io.Writer) excelize.ZipWriter {
	return &sortedZip{w: w, files: map[string]*bytes.Buffer{}}
}

// Create implements excelize.ZipWriter.
func (z *sortedZip) Create(name string) (io.Writer, error) {
	b := new(bytes.Buffer)
	z.files[name] = b
	return b, nil
}

// AddFS implements excelize.ZipWriter. No report needs it.
func (z *sortedZip) AddFS(fs.FS) error { return errors.ErrUnsupported }

// Close implements excelize.ZipWriter; everything is written here.
func (z *sortedZip) Close() error {
	w := zip.NewWriter(z.w)
	for _, name := range slices.Sorted(maps.Keys(z.files)) {
		f, err := w.Create(name)
		if err != nil {
			return err
		}
		if _, err := f.Write(z.files[name].Bytes()); err != nil {
			return err
		}
	}
	return w.Close()
}
