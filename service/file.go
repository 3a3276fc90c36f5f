package service

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"throng"
	"throng/blob"
	"throng/identifier"
	"throng/service/export"
	"throng/service/record"
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
	r, err := s.forms.Open(ctx, o.form)
	return opened(o, r, err)
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
	info, err := s.cfg.Blobs.Stat(ctx, o.form.Key())
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
	if err := s.forms.Make(ctx, o.form); err != nil {
		return nil, deleted(err, id)
	}
	url, err := direct.PresignGet(ctx, o.form.Key(), incomingTTL, o.file.Name, o.file.ContentType)
	if err != nil {
		return nil, deleted(err, id)
	}
	return &OutputAddress{Method: http.MethodGet, URL: url, TTL: incomingTTL}, nil
}

// OpenPacked is OpenOutput of the file's gzip form, byte for byte what
// huffgz makes of the file. It is made when it is first asked for, and kept.
func (s *Service) OpenPacked(ctx context.Context, c *throng.Caller, id int64, typ string, f Format) (*File, error) {
	o, err := s.output(ctx, c, id, typ, f)
	if err != nil {
		return nil, err
	}
	r, err := s.forms.OpenPacked(ctx, o.form)
	return opened(o, r, err)
}

// output is a file of identifiers in one form.
type output struct {
	file File
	form export.Form
	id   int64 // of the audience
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
	d, err := record.Read(row)
	if err != nil {
		return output{}, err
	}
	form := export.Form{Prefix: d.Files, Type: identifier.Type(o.Type), Format: f, TextSize: o.Bytes}
	tag := o.SHA256
	if f != Text {
		tag += "-" + string(f)
	}
	return output{form: form, id: o.AudienceID, file: File{
		Name: fmt.Sprintf("audience-%d-%s.%s", o.AudienceID, o.Type, form.Extension()), ContentType: form.ContentType(), Tag: tag,
	}}, nil
}

// opened is a file as its caller gets it.
func opened(o output, r blob.Reader, err error) (*File, error) {
	if err != nil {
		return nil, deleted(err, o.id)
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
