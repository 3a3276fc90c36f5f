package service

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"iter"
	"reflect"
	"slices"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"

	"throng"
	"throng/blob"
	"throng/engine"
	"throng/identifier"
	"throng/sqldb"
)

// OpenOutput opens a finished file of identifiers. Forbidden where the type is
// not among those that the caller may download, Conflict while the build runs,
// NotFound where there is no such file. A csv or parquet file is made when it
// is first asked for, from the text file and what lies beside it.
func (s *Service) OpenOutput(ctx context.Context, c *throng.Caller, id int64, typ string, f Format) (*File, error) {
	row, err := s.audienceRow(ctx, s.db, c, id)
	if err != nil {
		return nil, err
	}
	t := identifier.Type(typ)
	switch {
	case !slices.Contains(identifier.Outputs(), t):
		return nil, throng.Errorf(throng.NotFound, "there is no type of output named %q", typ)
	case !slices.Contains([]Format{Text, CSV, Parquet}, f):
		return nil, refuse([]throng.Detail{{Path: "format", Message: "must be text, csv or parquet"}}, nil)
	case !c.MayDownload(t):
		return nil, throng.Errorf(throng.Forbidden, "%s is not among the types that you can download (can_download)", t)
	case row.Status == sqldb.StatusRunning:
		return nil, throng.Errorf(throng.Conflict, "audience %d is still being built", id)
	case row.Size != nil && s.shown(uint64(*row.Size)) == nil:
		return nil, throng.Errorf(throng.NotFound, "audience %d has no files: it has %s", id, s.hiddenReason())
	}
	outputs, err := s.db.Outputs(ctx, id)
	if err != nil {
		return nil, err
	}
	for _, o := range outputs {
		if o.Type == typ {
			return s.openFile(ctx, row, o, f)
		}
	}
	return nil, throng.Errorf(throng.NotFound, "audience %d has no file of the type %s", id, t)
}

func (s *Service) openFile(ctx context.Context, row sqldb.Audience, o sqldb.Output, f Format) (*File, error) {
	file := &File{Name: fmt.Sprintf("audience-%d-%s.", o.AudienceID, o.Type), Tag: o.SHA256}
	key := o.BlobKey
	switch f {
	case Text:
		file.Name, file.ContentType = file.Name+"txt", "text/plain; charset=utf-8"
	case CSV:
		file.Name, file.ContentType, file.Tag = file.Name+"csv", "text/csv; charset=utf-8; header=present", file.Tag+"-csv"
	case Parquet:
		file.Name, file.ContentType, file.Tag = file.Name+"parquet", "application/vnd.apache.parquet", file.Tag+"-parquet"
	}
	if f != Text {
		d, err := readDetails(row)
		if err != nil {
			return nil, err
		}
		key = fmt.Sprintf("%s/%s-%s", d.Files, f, o.Type)
		if err := s.makeFile(ctx, d.Files, key, identifier.Type(o.Type), f); err != nil {
			return nil, deleted(err, o.AudienceID)
		}
	}
	r, err := s.cfg.Blobs.Open(ctx, key)
	if err != nil {
		return nil, deleted(err, o.AudienceID)
	}
	file.ReadSeekCloser, file.Size, file.ModTime = r, r.Size(), r.ModTime()
	return file, nil
}

// deleted tells a file that went with its audience since the row was read from
// other trouble.
func deleted(err error, id int64) error {
	if errors.Is(err, blob.ErrNotFound) {
		return throng.Errorf(throng.NotFound, "audience %d does not exist", id)
	}
	return fmt.Errorf("open output: %w", err)
}

// makeFile makes a csv or parquet file unless it is there. Who asks for the
// same file meanwhile waits.
func (s *Service) makeFile(ctx context.Context, files, key string, t identifier.Type, f Format) error {
	unlock, err := s.files.Lock(ctx, key)
	if err != nil {
		return err
	}
	defer unlock()
	if _, err := s.cfg.Blobs.Stat(ctx, key); !errors.Is(err, blob.ErrNotFound) {
		return err
	}
	w, err := s.cfg.Blobs.Create(ctx, key)
	if err != nil {
		return err
	}
	defer w.Abort() //nolint:errcheck // of no effect after Commit
	var failure error
	pairs := s.pairs(ctx, files, t, &failure)
	if f == CSV {
		err = writeCSV(w, t, pairs)
	} else {
		err = writeParquet(w, t, pairs)
	}
	if err = errors.Join(err, failure); err != nil {
		return err
	}
	return w.Commit()
}

// pair of a person's key and an identifier; valid until the next is asked for.
type pairOf struct{ person, value []byte }

// pairs joins the ss_id text and a type's text by what lies beside the latter.
// An error ends it and is in *failure.
func (s *Service) pairs(ctx context.Context, files string, t identifier.Type, failure *error) iter.Seq[pairOf] {
	return func(yield func(pairOf) bool) {
		*failure = s.join(ctx, files, t, yield)
	}
}

func (s *Service) join(ctx context.Context, files string, t identifier.Type, yield func(pairOf) bool) error {
	var errs [2]error
	people, err := s.cfg.Blobs.Open(ctx, textKey(files, identifier.SSID))
	if err != nil {
		return err
	}
	defer people.Close()
	if t == identifier.SSID {
		for line := range lines(people, &errs[0]) {
			if !yield(pairOf{line, line}) {
				break
			}
		}
		return errs[0]
	}
	values, err := s.cfg.Blobs.Open(ctx, textKey(files, t))
	if err != nil {
		return err
	}
	defer values.Close()
	members, err := s.cfg.Blobs.Open(ctx, membersKey(files, t))
	if err != nil {
		return err
	}
	defer members.Close()

	steps := bufio.NewReaderSize(members, writeBuffer)
	next, stop := iter.Pull(lines(people, &errs[0]))
	defer stop()
	person, ok := next() // member 0
	for value := range lines(values, &errs[1]) {
		n, err := binary.ReadUvarint(steps)
		if err != nil {
			return fmt.Errorf("read members of lines: %w", err)
		}
		for ; n > 0 && ok; n-- {
			person, ok = next()
		}
		if !ok {
			return errors.Join(fmt.Errorf("members of lines go beyond the members: %w", engine.ErrCorrupt), errs[0])
		}
		if !yield(pairOf{person, value}) {
			return nil
		}
	}
	if _, err := steps.ReadByte(); errs[1] == nil && !errors.Is(err, io.EOF) {
		return errors.Join(fmt.Errorf("more members of lines than lines: %w", engine.ErrCorrupt), err)
	}
	return errors.Join(errs[0], errs[1])
}

func writeCSV(w io.Writer, t identifier.Type, pairs iter.Seq[pairOf]) error {
	b := bufio.NewWriterSize(w, writeBuffer)
	c := csv.NewWriter(b)
	if err := c.Write([]string{"person", string(t)}); err != nil {
		return err
	}
	record := make([]string, 2)
	for p := range pairs {
		record[0], record[1] = string(p.person), string(p.value)
		if err := c.Write(record); err != nil {
			return err
		}
	}
	c.Flush()
	return errors.Join(c.Error(), b.Flush())
}

const (
	// parquetRows is the length of a row group: some 10 MB of identifiers
	// are held before they are written.
	parquetRows  = 128 << 10
	parquetBatch = 512
)

// pairSchema has person first: a Group would sort the columns by name.
func pairSchema(t identifier.Type) *parquet.Schema {
	text := reflect.TypeFor[string]()
	return parquet.SchemaOf(reflect.New(reflect.StructOf([]reflect.StructField{
		{Name: "Person", Type: text, Tag: `parquet:"person"`},
		{Name: "Value", Type: text, Tag: reflect.StructTag(`parquet:"` + string(t) + `"`)},
	})).Interface())
}

func writeParquet(w io.Writer, t identifier.Type, pairs iter.Seq[pairOf]) error {
	out := parquet.NewWriter(w, pairSchema(t),
		parquet.Compression(&zstd.Codec{Level: zstd.SpeedFastest}), parquet.MaxRowsPerRowGroup(parquetRows),
		parquet.WriteBufferSize(writeBuffer), parquet.CreatedBy("throng", "", ""))
	rows := make([]parquet.Row, 0, parquetBatch)
	flush := func() error {
		_, err := out.WriteRows(rows)
		rows = rows[:0]
		return err
	}
	for p := range pairs {
		rows = append(rows, parquet.Row{
			parquet.ByteArrayValue(slices.Clone(p.person)).Level(0, 0, 0),
			parquet.ByteArrayValue(slices.Clone(p.value)).Level(0, 0, 1),
		})
		if len(rows) == parquetBatch {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	if err := flush(); err != nil {
		return err
	}
	return out.Close()
}
