package service

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"unicode"
	"unicode/utf8"

	"throng"
	"throng/blob"
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
	pairs, err := s.openPairs(ctx, files, t)
	if err != nil {
		return err
	}
	defer pairs.close()
	if f == CSV {
		err = writeCSV(w, t, pairs)
	} else {
		err = writeParquet(w, t, pairs)
	}
	if err != nil {
		return err
	}
	return w.Commit()
}

// writeCSV writes pairs in the form of encoding/csv.
func writeCSV(w io.Writer, t identifier.Type, pairs *pairReader) error {
	out := append(make([]byte, 0, writeBuffer+maxLine), "person,"+string(t)+"\n"...)
	for {
		more, err := pairs.next()
		if err != nil {
			return err
		}
		for i := range pairs.person.ends {
			out = append(appendCSV(out, pairs.person.value(i)), ',')
			out = append(appendCSV(out, pairs.value.value(i)), '\n')
			if len(out) >= writeBuffer {
				if _, err := w.Write(out); err != nil {
					return err
				}
				out = out[:0]
			}
		}
		if !more {
			_, err := w.Write(out)
			return err
		}
	}
}

// appendCSV appends a field, in quotes where encoding/csv would quote it; there
// are no line ends in identifiers.
func appendCSV(out, field []byte) []byte {
	plain := len(field) > 0 && string(field) != `\.`
	for _, c := range field {
		// A space of more than one byte may be at the start, which is quoted.
		if c == ',' || c == '"' || c >= utf8.RuneSelf {
			plain = false
			break
		}
	}
	switch {
	case plain && field[0] != ' ':
		return append(out, field...)
	case len(field) == 0:
		return out
	case !plain && !quoted(field):
		return append(out, field...)
	}
	out = append(out, '"')
	for _, c := range field {
		if c == '"' {
			out = append(out, '"')
		}
		out = append(out, c)
	}
	return append(out, '"')
}

// quoted tells whether a field is to be quoted.
func quoted(field []byte) bool {
	first, _ := utf8.DecodeRune(field)
	return string(field) == `\.` || bytes.ContainsAny(field, ",\"\r\n") || unicode.IsSpace(first)
}
