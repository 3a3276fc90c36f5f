package service

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"throng"
	"throng/engine"
	"throng/identifier"
	"throng/internal/seal"
	"throng/service/idlist"
	"throng/service/page"
	"throng/sqldb"
)

// linesKey is the file of an upload's normalised, sorted, distinct lines.
func linesKey(prefix string) string { return prefix + "/lines" }

// CreateUpload reads a file of identifiers of one type, plain, gzip or zstd,
// and matches it on the current generation. Only normalised forms are kept.
// The same bytes twice on one day are one upload. TooLarge beyond the limit,
// Invalid for an unknown type and for an archive that cannot be read to its
// end, QuotaExceeded where no more may be stored for the caller, RateLimited and
// Unavailable where too many uploads are under way. Where once is given without a BodyHash, that is filled in.
func (s *Service) CreateUpload(ctx context.Context, c *throng.Caller, typ, name string, body io.Reader, once *Once) (*throng.Upload, error) {
	return s.createUpload(ctx, c, sqldb.Upload{Type: typ, Name: name}, body, once)
}

// KeepUpload is CreateUpload under a key that the operator chooses, not one of
// the bytes: for examples that name an upload which somebody else has made.
// Where the caller has one under the key, that is it, whatever its bytes.
func (s *Service) KeepUpload(ctx context.Context, c *throng.Caller, key, typ, name string, body io.Reader) (*throng.Upload, error) {
	return s.createUpload(ctx, c, sqldb.Upload{Key: key, Type: typ, Name: name}, body, nil)
}

// createUpload makes an upload of a type and name, under its key if it has one.
func (s *Service) createUpload(ctx context.Context, c *throng.Caller, u sqldb.Upload, body io.Reader, once *Once) (*throng.Upload, error) {
	t, err := checkUpload(u.Type, u.Name)
	if err != nil {
		return nil, err
	}
	g, err := s.acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer g.Release()
	if _, err := s.room(ctx, s.db, c); err != nil {
		return nil, err
	}
	leave, err := s.mayUpload(ctx, c)
	if err != nil {
		return nil, err
	}
	defer leave()
	now := s.now()
	u.CallerID, u.Status, u.CreatedAt = c.ID, string(throng.UploadReady), now
	u.Generation, u.BlobKey = g.Info().ID, "uploads/"+seal.NewSecret()[:20]
	var stored storedUpload
	if err = s.readUpload(ctx, g, t, &u, body, mostStored(c)); errors.Is(err, errNoRoom) {
		err = s.noRoom(ctx, c, sqldb.Stored{Uploads: u.Bytes})
	}
	if err == nil {
		u.Key = cmp.Or(u.Key, fmt.Sprintf("/uploads/%s/%s.%s", now.Format("2006-01-02"), u.MD5, t.Extension()))
		if once != nil && once.BodyHash == "" {
			once.BodyHash = u.MD5 + " " + u.Type + " " + u.Name
		}
		stored, err = s.storeUpload(ctx, c, u, once)
	}
	if stored.uses {
		if err == nil {
			s.cfg.Observe.UploadRead(stored.upload)
		}
		return stored.upload, err
	}
	// A failure, or the same bytes were there before: these lines are not needed.
	if dropErr := s.deleteFiles(context.WithoutCancel(ctx), u.BlobKey+"/", ""); dropErr != nil {
		s.cfg.Logger.ErrorContext(ctx, "delete lines of upload", "err", dropErr)
	}
	return stored.upload, err
}

// UploadFits tells of a file whose size in bytes is known before it is sent
// whether it is beyond the limit: TooLarge. -1 is unknown, and may fit.
func (s *Service) UploadFits(size int64) error {
	if size > s.cfg.UploadLimit {
		return idlist.TooLarge(s.cfg.UploadLimit)
	}
	return nil
}

// PresignUpload is PresignFile for a file that CreateUploadFrom is to read as
// identifiers of a type.
func (s *Service) PresignUpload(ctx context.Context, c *throng.Caller, typ, name, md5 string) (*Incoming, error) {
	if err := refuse(slices.Concat(typeProblems(typ), fileProblems(name, md5)), nil); err != nil {
		return nil, err
	}
	return s.PresignFile(ctx, c, name, md5)
}

// CreateUploadFrom is CreateUpload of the file that the caller sent to a path
// that PresignFile gave; name defaults to the file's. Invalid, naming path,
// where there is no such file.
func (s *Service) CreateUploadFrom(ctx context.Context, c *throng.Caller, typ, name, path string, once *Once) (*throng.Upload, error) {
	if _, err := checkUpload(typ, name); err != nil {
		return nil, err
	}
	sent, err := s.received(ctx, c, path)
	if err != nil {
		return nil, at("path", err)
	}
	r, err := s.cfg.Blobs.Open(ctx, sent.Key)
	if err != nil {
		return nil, fmt.Errorf("open incoming file: %w", err)
	}
	defer r.Close()
	return s.CreateUpload(ctx, c, typ, cmp.Or(name, sent.Name), r, once)
}

func checkUpload(typ, name string) (identifier.Type, error) {
	problems := typeProblems(typ)
	if utf8.RuneCountInString(name) > throng.MaxName || !utf8.ValidString(name) || strings.ContainsRune(name, 0) {
		problems = append(problems, throng.Detail{Path: "name", Message: "must be at most 255 characters of UTF-8"})
	}
	return identifier.Type(typ), refuse(problems, nil)
}

func typeProblems(typ string) []throng.Detail {
	switch {
	case typ == "":
		return []throng.Detail{{Path: "type", Message: "is required: one of " + uploadNames()}}
	case !slices.Contains(identifier.Uploads(), identifier.Type(typ)):
		return []throng.Detail{{Path: "type", Message: "must be one of " + uploadNames()}}
	}
	return nil
}

func uploadNames() string { return strings.Join(retype[string](identifier.Uploads()), ", ") }

type storedUpload struct {
	upload *throng.Upload // nil after an error
	uses   bool           // the lines that were just written, or maybe, where a commit is in doubt
}

// readUpload reads a body, writes its lines and who owns them, and fills in
// what it found.
func (s *Service) readUpload(ctx context.Context, g engine.Generation, t identifier.Type, u *sqldb.Upload, body io.Reader, most int64) error {
	list, err := idlist.Read(ctx, idlist.Config{Limit: s.cfg.UploadLimit, Memory: s.cfg.SortMemory, TempDir: s.cfg.TempDir}, t, body)
	if err != nil {
		return err
	}
	defer list.Close()
	to := idlist.Place{Blobs: s.cfg.Blobs, Key: linesKey(u.BlobKey), Most: most, Full: errNoRoom, Size: &u.Bytes}
	rows, matched, err := list.Keep(ctx, g, t, to)
	if err != nil {
		return err
	}
	if err := s.rows.Write(ctx, g, u.BlobKey, rows); err != nil {
		return fmt.Errorf("store upload: %w", err)
	}
	raw, err := json.Marshal(list.InvalidLines)
	if err != nil {
		return err
	}
	u.MD5, u.InvalidLines = list.MD5, raw
	u.Rows, u.Invalid, u.Duplicate = int64(list.Rows), int64(list.Invalid), int64(list.Rows-list.Invalid-list.Distinct)
	u.Matched, u.Unmatched = int64(matched), int64(list.Distinct-matched)
	return nil
}

// storeUpload makes an upload visible, or finds the one of the same key.
func (s *Service) storeUpload(ctx context.Context, c *throng.Caller, u sqldb.Upload, once *Once) (storedUpload, error) {
	var made *throng.Upload
	var fresh bool
	doubt, err := s.try(ctx, func(tx *sqldb.Tx) (err error) {
		var row sqldb.Upload
		if row, fresh, err = tx.InsertUpload(ctx, u); err != nil {
			return err
		}
		if !fresh && row.Generation != u.Generation {
			row.Matched, row.Unmatched, row.Generation = u.Matched, u.Unmatched, u.Generation
			if err := keepCounts(ctx, tx.Queries, row); err != nil {
				return err
			}
		}
		if made, err = fromUpload(row); err != nil {
			return err
		}
		if fresh {
			if err := s.within(ctx, tx, c); err != nil {
				return err
			}
		}
		return s.keep(ctx, tx, c, once, made)
	})
	if err != nil {
		return storedUpload{uses: fresh && doubt}, err
	}
	return storedUpload{made, fresh}, nil
}

// Uploads lists a caller's uploads, newest first; next is "" at the end. Counts
// are of the current generation. Unavailable where there is none.
func (s *Service) Uploads(ctx context.Context, c *throng.Caller, p throng.Page) ([]throng.Upload, string, error) {
	limit, before, problems := page.ReadByID(p)
	if err := refuse(problems, nil); err != nil {
		return nil, "", err
	}
	rows, more, err := s.db.ListUploads(ctx, sqldb.UploadFilter{CallerID: c.ID, BeforeID: before, Limit: limit})
	if err != nil {
		return nil, "", err
	}
	if err := s.recount(ctx, c, rows); err != nil {
		return nil, "", err
	}
	list := make([]throng.Upload, len(rows))
	for i, row := range rows {
		u, err := fromUpload(row)
		if err != nil {
			return nil, "", err
		}
		list[i] = *u
	}
	next := ""
	if more {
		next = page.AfterID(rows[len(rows)-1].ID)
	}
	return list, next, nil
}

// Upload finds a caller's upload by its key. Counts are of the current
// generation. Unavailable where there is none.
func (s *Service) Upload(ctx context.Context, c *throng.Caller, key string) (*throng.Upload, error) {
	row, err := s.db.UploadByKey(ctx, c.ID, key)
	if err != nil {
		return nil, known(err, "there is no upload of this key")
	}
	rows := []sqldb.Upload{row}
	if err := s.recount(ctx, c, rows); err != nil {
		return nil, err
	}
	return fromUpload(rows[0])
}

// DeleteUpload removes an upload. Conflict while a running build uses it.
func (s *Service) DeleteUpload(ctx context.Context, c *throng.Caller, key string) error {
	var row sqldb.Upload
	err := s.db.Tx(ctx, func(tx *sqldb.Tx) error {
		var err error
		if row, err = tx.UploadByKey(ctx, c.ID, key); err != nil {
			return known(err, "there is no upload of this key")
		}
		used, err := tx.UsedByRunning(ctx, sqldb.UseUpload, row.ID)
		if err != nil {
			return err
		}
		if used {
			return throng.Errorf(throng.Conflict, "the upload is used by a running build")
		}
		return tx.DeleteUpload(ctx, row.ID)
	})
	if err != nil {
		return err
	}
	if err := s.deleteFiles(context.WithoutCancel(ctx), row.BlobKey+"/", ""); err != nil {
		s.cfg.Logger.ErrorContext(ctx, "delete lines of upload", "err", err)
	}
	return nil
}

func fromUpload(row sqldb.Upload) (*throng.Upload, error) {
	u := &throng.Upload{
		Key: row.Key, Type: identifier.Type(row.Type), Name: row.Name, Status: throng.UploadStatus(row.Status),
		CreatedAt: row.CreatedAt, Rows: uint64(row.Rows), Matched: uint64(row.Matched), Unmatched: uint64(row.Unmatched),
		Duplicate: uint64(row.Duplicate), Invalid: uint64(row.Invalid),
	}
	if err := unmarshalAll(pair{row.InvalidLines, &u.InvalidLines}); err != nil {
		return nil, errors.Join(errors.New("read upload"), err)
	}
	return u, nil
}
