package sqldb

import (
	"context"
	"encoding/json"
	"errors"
	"time"
)

// Upload is one file of identifiers that a caller sent.
type Upload struct {
	ID       int64
	CallerID int64
	Key      string // unique per caller
	Type     string
	Name     string
	MD5      string // lower-case hex, of the bytes sent
	Status   string

	Rows, Invalid, Duplicate, Matched, Unmatched int64
	Generation                                   string // the one that the counts are of

	BlobKey      string
	InvalidLines json.RawMessage
	Details      json.RawMessage
	Bytes        int64 // of the files that are kept of it
	CreatedAt    time.Time
}

const uploadColumns = `id, caller_id, key, type, name, md5, status, rows, invalid, duplicate, matched, unmatched,
	generation, blob_key, invalid_lines, details, bytes, created_at`

func scanUpload(row scanner) (u Upload, err error) {
	err = row.Scan(&u.ID, &u.CallerID, &u.Key, &u.Type, &u.Name, &u.MD5, &u.Status, &u.Rows, &u.Invalid, &u.Duplicate,
		&u.Matched, &u.Unmatched, &u.Generation, &u.BlobKey, rawColumn{&u.InvalidLines}, rawColumn{&u.Details},
		&u.Bytes, instant{&u.CreatedAt})
	return u, err
}

// InsertUpload stores a new upload, or finds the one that the caller has under
// that key: stored is the row as it is now, fresh whether this call made it.
func (q Queries) InsertUpload(ctx context.Context, u Upload) (stored Upload, fresh bool, err error) {
	err = q.h.write(ctx, func(x conn) error {
		n, err := x.count(ctx, `INSERT INTO uploads (caller_id, key, type, name, md5, status, rows, invalid, duplicate,
			matched, unmatched, generation, blob_key, invalid_lines, details, bytes, created_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (caller_id, key) DO NOTHING`,
			u.CallerID, u.Key, u.Type, u.Name, u.MD5, u.Status, u.Rows, u.Invalid, u.Duplicate,
			u.Matched, u.Unmatched, u.Generation, u.BlobKey, raw(u.InvalidLines), raw(u.Details), u.Bytes, micros(u.CreatedAt))
		if err != nil {
			return err
		}
		fresh = n == 1
		stored, err = scanUpload(x.queryRow(ctx, `SELECT `+uploadColumns+` FROM uploads WHERE caller_id = ? AND key = ?`,
			u.CallerID, u.Key))
		return err
	})
	return stored, fresh, wrap("insert upload", err)
}

// UploadByKey returns a caller's upload (callerID 0: of any caller, the newest),
// or [ErrNotFound].
func (q Queries) UploadByKey(ctx context.Context, callerID int64, key string) (Upload, error) {
	w := where{}
	w.addText(`key = ?`, key, key)
	addSet(&w, "caller_id", callerID)
	return q.upload(ctx, w)
}

// Upload returns the upload of an id, or [ErrNotFound].
func (q Queries) Upload(ctx context.Context, id int64) (Upload, error) {
	w := where{}
	w.add(`id = ?`, id)
	return q.upload(ctx, w)
}

func (q Queries) upload(ctx context.Context, w where) (Upload, error) {
	return readRow(ctx, q, "read upload", scanUpload, `SELECT `+uploadColumns+` FROM uploads`+w.String()+
		` ORDER BY id DESC LIMIT 1`, w.args...)
}

// UploadFilter says which uploads are listed. What is zero does not limit.
type UploadFilter struct {
	CallerID int64
	Status   string
	Type     string
	BeforeID int64
	Limit    int // 0 is 50
}

// ListUploads returns uploads, newest first, and whether there are more.
func (q Queries) ListUploads(ctx context.Context, f UploadFilter) (all []Upload, more bool, err error) {
	w := where{}
	addSet(&w, "caller_id", f.CallerID)
	addSet(&w, "status", f.Status)
	addSet(&w, "type", f.Type)
	w.addBefore(f.BeforeID)
	return readPage(ctx, q, "list uploads", scanUpload, uploadColumns, "uploads", w, f.Limit, 0)
}

// UploadUpdate changes what is not nil.
type UploadUpdate struct {
	Status                                       *string
	Rows, Invalid, Duplicate, Matched, Unmatched *int64
	Generation                                   *string
	BlobKey                                      *string
	InvalidLines                                 *json.RawMessage
	Details                                      *json.RawMessage
}

// UpdateUpload changes an upload, or returns [ErrNotFound].
func (q Queries) UpdateUpload(ctx context.Context, id int64, u UploadUpdate) error {
	var a assign
	setIf(&a, "status", u.Status, same)
	setIf(&a, "rows", u.Rows, same)
	setIf(&a, "invalid", u.Invalid, same)
	setIf(&a, "duplicate", u.Duplicate, same)
	setIf(&a, "matched", u.Matched, same)
	setIf(&a, "unmatched", u.Unmatched, same)
	setIf(&a, "generation", u.Generation, same)
	setIf(&a, "blob_key", u.BlobKey, same)
	setIf(&a, "invalid_lines", u.InvalidLines, raw)
	setIf(&a, "details", u.Details, raw)
	return wrap("update upload", q.update(ctx, "uploads", a, `id = ?`, id))
}

// DeleteUpload removes the row of an upload, or returns [ErrNotFound]. The blob
// is the caller's of this method to delete, after the transaction; give each
// upload a blob key of its own, since the same key may be uploaded again at
// once.
func (q Queries) DeleteUpload(ctx context.Context, id int64) error {
	err := q.h.write(ctx, func(x conn) error { return x.change(ctx, `DELETE FROM uploads WHERE id = ?`, id) })
	return wrap("delete upload", err)
}

// The kinds of things that an audience uses.
const (
	UseUpload   = "upload"
	UseAudience = "audience"
)

// AddUses records that an audience uses uploads or audiences. What is recorded
// already is no error.
func (q Queries) AddUses(ctx context.Context, audienceID int64, kind string, usedIDs ...int64) error {
	err := q.h.write(ctx, func(x conn) error {
		for _, used := range usedIDs {
			if _, err := x.exec(ctx, `INSERT INTO uses (audience_id, kind, used_id) VALUES (?, ?, ?)
				ON CONFLICT DO NOTHING`, audienceID, kind, used); err != nil {
				return err
			}
		}
		return nil
	})
	return wrap("add uses", err)
}

// UsedByRunning tells whether a build that runs uses the upload or audience.
func (q Queries) UsedByRunning(ctx context.Context, kind string, usedID int64) (used bool, err error) {
	err = q.h.read(ctx, func(x conn) error {
		var one int
		err := x.queryRow(ctx, `SELECT 1 FROM uses u JOIN audiences a ON a.id = u.audience_id
			WHERE u.kind = ? AND u.used_id = ? AND a.status = ? AND a.deleted_at IS NULL LIMIT 1`,
			kind, usedID, StatusRunning).Scan(&one)
		used = err == nil
		return err
	})
	if err = wrap("read uses", err); errors.Is(err, ErrNotFound) {
		err = nil
	}
	return used, err
}
