package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"throng"
	"throng/blob"
	"throng/identifier"
	"throng/internal/huffgz"
	"throng/service/export"
	"throng/sqldb"
)

// OpenOutput opens a finished file of identifiers. Forbidden where the type is
// not among those that the caller may download, Conflict while the build runs,
// NotFound where there is no such file. A csv or parquet file is made when it
// is first asked for, from the text file and what lies beside it.
func (s *Service) OpenOutput(ctx context.Context, c *throng.Caller, id int64, typ string, f Format) (*File, error) {
	o, err := s.output(ctx, c, id, typ, f)
	if err != nil {
		return nil, err
	}
	return s.openFile(ctx, o, func() error { return s.makeFile(ctx, o) })
}

// StatOutput tells of a file what OpenOutput does, but makes and opens nothing:
// where it is still to be made, its Size is -1 and its ModTime zero. It is
// neither read nor closed.
func (s *Service) StatOutput(ctx context.Context, c *throng.Caller, id int64, typ string, f Format) (*File, error) {
	o, err := s.output(ctx, c, id, typ, f)
	if err != nil {
		return nil, err
	}
	file := o.file
	info, err := s.cfg.Blobs.Stat(ctx, o.key)
	switch {
	case err == nil:
		file.Size, file.ModTime = info.Size, info.ModTime
	case f != Text && errors.Is(err, blob.ErrNotFound):
		file.Size = -1
	default:
		return nil, deleted(err, id)
	}
	return &file, nil
}

// OutputAddress is an address at which a file can be read without a token.
type OutputAddress struct {
	Method string // GET
	URL    string
	TTL    time.Duration
}

// PresignOutput gives an address in the bucket for what OpenOutput opens, with
// the same refusals; Conflict where files are not kept in a bucket.
func (s *Service) PresignOutput(ctx context.Context, c *throng.Caller, id int64, typ string, f Format) (*OutputAddress, error) {
	o, err := s.output(ctx, c, id, typ, f)
	if err != nil {
		return nil, err
	}
	direct, ok := s.cfg.Blobs.(blob.Presigner)
	if !ok {
		return nil, throng.Errorf(throng.Conflict, "files are not kept in a bucket here; download the file itself")
	}
	if err := s.makeFile(ctx, o); err != nil {
		return nil, deleted(err, id)
	}
	url, err := direct.PresignGet(ctx, o.key, incomingTTL, o.file.Name, o.file.ContentType)
	if err != nil {
		return nil, deleted(err, id)
	}
	return &OutputAddress{Method: http.MethodGet, URL: url, TTL: incomingTTL}, nil
}

// OpenPacked is OpenOutput of the file's gzip form, byte for byte what
// huffgz makes of the file. It is made when it is first asked for, and kept.
func (s *Service) OpenPacked(ctx context.Context, c *throng.Caller, id int64, typ string, f Format) (*File, error) {
	plain, err := s.output(ctx, c, id, typ, f)
	if err != nil {
		return nil, err
	}
	o := plain
	o.key += ".gz"
	return s.openFile(ctx, o, func() error {
		return s.makeOnce(ctx, o.key, func(w io.Writer) error { return s.pack(ctx, w, plain) })
	})
}

func (s *Service) pack(ctx context.Context, w io.Writer, o output) error {
	if err := s.makeFile(ctx, o); err != nil {
		return err
	}
	r, err := s.cfg.Blobs.Open(ctx, o.key)
	if err != nil {
		return err
	}
	defer r.Close()
	if o.format == Text {
		if err := o.whole(r); err != nil {
			return err
		}
	}
	z := huffgz.NewWriter(w)
	if _, err := io.CopyBuffer(z, struct{ io.Reader }{r}, make([]byte, writeBuffer)); err != nil {
		return err
	}
	return z.Close()
}

// output is a file of identifiers in one form.
type output struct {
	file   File
	typ    identifier.Type
	format Format
	files  string // prefix of the audience's files
	key    string
	id     int64 // of the audience
	text   int64 // bytes of the text
}

// whole makes sure that the text is as long as it was written.
func (o output) whole(text blob.Reader) error {
	return export.Whole(text, export.TextKey(o.files, o.typ), o.text)
}

// output finds a file that the caller may download, whether or not it was made.
func (s *Service) output(ctx context.Context, c *throng.Caller, id int64, typ string, f Format) (output, error) {
	row, err := s.audienceRow(ctx, s.db, c, id)
	if err != nil {
		return output{}, err
	}
	t := identifier.Type(typ)
	switch {
	case !slices.Contains(identifier.Outputs(), t):
		return output{}, throng.Errorf(throng.NotFound, "there is no such type of output; there are %s", strings.Join(texts(nil, identifier.Outputs()), ", "))
	case !slices.Contains([]Format{Text, CSV, Parquet}, f):
		return output{}, refuse([]throng.Detail{{Path: "format", Message: "must be text, csv or parquet"}}, nil)
	case !c.MayDownload(t):
		return output{}, throng.Errorf(throng.Forbidden, "%s is not among the types that you can download (can_download)", t)
	case row.Status == sqldb.StatusRunning:
		return output{}, throng.Errorf(throng.Conflict, "audience %d is still being built", id)
	case row.Size != nil && s.shown(uint64(*row.Size)) == nil:
		return output{}, throng.Errorf(throng.NotFound, "audience %d has no files: it has %s", id, s.hiddenReason())
	}
	outputs, err := s.db.Outputs(ctx, id)
	if err != nil {
		return output{}, err
	}
	for _, o := range outputs {
		if o.Type == typ {
			return formOf(row, o, f)
		}
	}
	return output{}, throng.Errorf(throng.NotFound, "audience %d has no file of the type %s", id, t)
}

func formOf(row sqldb.Audience, o sqldb.Output, f Format) (output, error) {
	d, err := readDetails(row)
	if err != nil {
		return output{}, err
	}
	out := output{typ: identifier.Type(o.Type), format: f, files: d.Files, key: o.BlobKey, id: o.AudienceID, text: o.Bytes}
	name := fmt.Sprintf("audience-%d-%s.", o.AudienceID, o.Type)
	switch f {
	case Text:
		out.file = File{Name: name + "txt", ContentType: "text/plain; charset=utf-8", Tag: o.SHA256}
	case CSV:
		out.file = File{Name: name + "csv", ContentType: "text/csv; charset=utf-8; header=present", Tag: o.SHA256 + "-csv"}
	case Parquet:
		out.file = File{Name: name + "parquet", ContentType: "application/vnd.apache.parquet", Tag: o.SHA256 + "-parquet"}
	}
	if f != Text {
		out.key = fmt.Sprintf("%s/%s-%s", d.Files, f, o.Type)
	}
	return out, nil
}

// openFile makes a file unless it is there, and opens it.
func (s *Service) openFile(ctx context.Context, o output, made func() error) (*File, error) {
	if err := made(); err != nil {
		return nil, deleted(err, o.id)
	}
	r, err := s.cfg.Blobs.Open(ctx, o.key)
	if err != nil {
		return nil, deleted(err, o.id)
	}
	if o.key == export.TextKey(o.files, o.typ) {
		if err := o.whole(r); err != nil {
			return nil, errors.Join(fmt.Errorf("open output: %w", err), r.Close())
		}
	}
	file := o.file
	file.ReadSeekCloser, file.Size, file.ModTime = r, r.Size(), r.ModTime()
	return &file, nil
}

// deleted tells a file that went with its audience since the row was read from
// other trouble.
func deleted(err error, id int64) error {
	if errors.Is(err, blob.ErrNotFound) {
		return throng.Errorf(throng.NotFound, "audience %d does not exist", id)
	}
	return fmt.Errorf("open output: %w", err)
}

// makeFile makes a csv or parquet file unless it is there. Text is.
func (s *Service) makeFile(ctx context.Context, o output) error {
	if o.format == Text {
		return nil
	}
	return s.makeOnce(ctx, o.key, func(w io.Writer) error {
		pairs, err := export.Open(ctx, s.cfg.Blobs, o.files, o.typ, o.text)
		if err != nil {
			return err
		}
		defer pairs.Close()
		if o.format == CSV {
			return pairs.WriteCSV(w)
		}
		return pairs.WriteParquet(w)
	})
}

// makeOnce has a file written unless it is there. Who asks for the same file
// meanwhile waits.
func (s *Service) makeOnce(ctx context.Context, key string, write func(io.Writer) error) error {
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
	if err := write(w); err != nil {
		return err
	}
	return w.Commit()
}
