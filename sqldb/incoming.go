package sqldb

import (
	"context"
	"time"
)

// UseIncoming is the kind of use of a file that a caller sent to an address.
const UseIncoming = "incoming"

// The states of an incoming file.
const (
	IncomingPending  = "pending"  // nothing was received, or it is not verified yet
	IncomingReceived = "received" // final: the blob does not change any more
)

// Incoming is an address to which a caller can send one file, and what came of
// it.
type Incoming struct {
	ID       int64
	CallerID int64
	Slot     string // 16 lower-case letters, which the address and the path hold
	Path     string // what the caller names the file by
	Name     string
	// MD5 is lower-case hex: what the caller said that the file has, or
	// nothing; once it is received, what it has.
	MD5    string
	Status string
	// Bytes and BlobKey are those of the received file.
	Bytes     int64
	BlobKey   string
	CreatedAt time.Time
	// UsedAt is when it was made, received or last asked for.
	UsedAt time.Time
}

const incomingColumns = `id, caller_id, slot, path, name, md5, status, bytes, blob_key, created_at, used_at`

func scanIncoming(row scanner) (i Incoming, err error) {
	err = row.Scan(&i.ID, &i.CallerID, &i.Slot, &i.Path, &i.Name, &i.MD5, &i.Status, &i.Bytes, &i.BlobKey,
		instant{&i.CreatedAt}, instant{&i.UsedAt})
	return i, err
}

// InsertIncoming stores a new address, pending, and returns its id.
func (q Queries) InsertIncoming(ctx context.Context, i Incoming) (id int64, err error) {
	err = q.h.write(ctx, func(x conn) error {
		return x.queryRow(ctx, `INSERT INTO incoming (caller_id, slot, path, name, md5, status, bytes, blob_key, created_at, used_at)
			VALUES (?, ?, ?, ?, ?, ?, 0, '', ?, ?) RETURNING id`,
			i.CallerID, i.Slot, i.Path, i.Name, i.MD5, IncomingPending, micros(i.CreatedAt), micros(i.CreatedAt)).Scan(&id)
	})
	return id, wrap("insert incoming", err)
}

// IncomingBySlot returns the address of a slot, or [ErrNotFound].
func (q Queries) IncomingBySlot(ctx context.Context, slot string) (Incoming, error) {
	w := where{}
	w.addText(`slot = ?`, slot, slot)
	return q.incoming(ctx, w)
}

// IncomingByPath returns a caller's address by its path, or [ErrNotFound].
func (q Queries) IncomingByPath(ctx context.Context, callerID int64, path string) (Incoming, error) {
	w := where{}
	w.add(`caller_id = ?`, callerID)
	w.addText(`path = ?`, path, path)
	return q.incoming(ctx, w)
}

func (q Queries) incoming(ctx context.Context, w where) (Incoming, error) {
	return readRow(ctx, q, "read incoming", scanIncoming, `SELECT `+incomingColumns+` FROM incoming`+w.String(), w.args...)
}

// ReceiveIncoming records the file that came to a pending address, once:
// [ErrConflict] where one was received before, [ErrNotFound] where the address
// is gone.
func (q Queries) ReceiveIncoming(ctx context.Context, id int64, md5 string, bytes int64, blobKey string, at time.Time) error {
	err := q.h.write(ctx, func(x conn) error {
		n, err := x.count(ctx, `UPDATE incoming SET md5 = ?, bytes = ?, blob_key = ?, status = ?, used_at = ?
			WHERE id = ? AND status = ?`, md5, bytes, blobKey, IncomingReceived, micros(at), id, IncomingPending)
		if err != nil || n > 0 {
			return err
		}
		if _, err := scanID(x.queryRow(ctx, `SELECT id FROM incoming WHERE id = ?`, id)); err != nil {
			return err
		}
		return ErrConflict
	})
	return wrap("receive incoming", err)
}

// UseIncomingFile records that a file was asked for, which keeps it from being
// swept, or returns [ErrNotFound].
func (q Queries) UseIncomingFile(ctx context.Context, id int64, at time.Time) error {
	err := q.h.write(ctx, func(x conn) error {
		return x.change(ctx, `UPDATE incoming SET used_at = ? WHERE id = ?`, micros(at), id)
	})
	return wrap("use incoming", err)
}

// SweepIncoming removes the addresses that nobody has used since, and that no
// running audience uses, and returns them. Their blobs are the caller's of this
// method to delete.
func (q Queries) SweepIncoming(ctx context.Context, before time.Time) (gone []Incoming, err error) {
	err = q.h.write(ctx, func(x conn) error {
		rows, err := x.query(ctx, `DELETE FROM incoming WHERE used_at < ? AND NOT EXISTS (
			SELECT 1 FROM uses u JOIN audiences a ON a.id = u.audience_id
			WHERE u.kind = ? AND u.used_id = incoming.id AND a.status = ? AND a.deleted_at IS NULL)
			RETURNING `+incomingColumns, micros(before), UseIncoming, StatusRunning)
		gone, err = collect(rows, err, scanIncoming)
		return err
	})
	return gone, wrap("sweep incoming", err)
}

// IncomingKeys returns the keys of all received files, and the slots of all
// addresses.
func (q Queries) IncomingKeys(ctx context.Context) (keys, slots map[string]bool, err error) {
	type pair struct{ slot, key string }
	scan := func(row scanner) (p pair, err error) {
		err = row.Scan(&p.slot, &p.key)
		return p, err
	}
	pairs, err := readRows(ctx, q, "list incoming", scan, `SELECT slot, blob_key FROM incoming`)
	keys, slots = map[string]bool{}, map[string]bool{}
	for _, p := range pairs {
		if slots[p.slot] = true; p.key != "" {
			keys[p.key] = true
		}
	}
	return keys, slots, err
}
