package service

import (
	"cmp"
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"throng"
	"throng/blob"
	"throng/internal/lines"
	"throng/service/address"
	"throng/service/idlist"
	"throng/service/record"
	"throng/sqldb"
)

const (
	// incomingTTL is how long a file may be sent to an address, or read at one.
	// One whose sending began in time may take longer.
	incomingTTL = 300 * time.Second
	// incomingLife is how long a file stays after it was last asked for.
	incomingLife = 24 * time.Hour
	// folderBucket stands in paths where the store has no bucket.
	folderBucket = "throng"
)

// Incoming is an address to which a caller can send one file.
type Incoming struct {
	Method string // PUT
	URL    string
	// Path names the file from then on:
	// s3://<bucket>/audience/tmp_upload/2024/01/10/<16 lower-case letters>/<MD5>/<name>,
	// without the MD5 where none was given.
	Path string
	TTL  time.Duration
}

// PresignFile makes an address for a file of that name, by default "file", and
// of that MD5 (hex; "" for any). Invalid with paths name and md5.
func (s *Service) PresignFile(ctx context.Context, c *throng.Caller, name, md5 string) (*Incoming, error) {
	if err := refuse(fileProblems(name, md5), nil); err != nil {
		return nil, err
	}
	name, md5 = cmp.Or(name, "file"), strings.ToLower(md5)
	now, slot := s.now(), address.NewSlot()
	direct, isDirect := s.cfg.Blobs.(blob.Presigner)
	bucket := folderBucket
	if isDirect {
		bucket = direct.Bucket()
	}
	in := &Incoming{Method: http.MethodPut, TTL: incomingTTL, Path: address.Path(bucket, now, slot, md5, name)}
	_, err := s.db.InsertIncoming(ctx, sqldb.Incoming{CallerID: c.ID, Slot: slot, Path: in.Path, Name: name, MD5: md5, CreatedAt: now})
	if err != nil {
		return nil, err
	}
	if isDirect {
		if in.URL, err = direct.PresignPut(ctx, record.IncomingPrefix+slot, incomingTTL); err != nil {
			return nil, fmt.Errorf("sign address: %w", err)
		}
		return in, nil
	}
	in.URL = s.cfg.URL() + "/incoming/" + address.Token(s.cfg.Secrets, slot, now.Add(incomingTTL))
	return in, nil
}

// fileProblems is what is wrong with what was said of a file to come; either may
// be left out.
func fileProblems(name, md5 string) (problems []throng.Detail) {
	if name != "" && !address.IsName(name) {
		problems = append(problems, throng.Detail{Path: "name", Message: "must be 1 to 255 characters of UTF-8 without slashes and control characters"})
	}
	if md5 != "" && !address.IsMD5(strings.ToLower(md5)) {
		problems = append(problems, throng.Detail{Path: "md5", Message: "must be 32 hexadecimal digits"})
	}
	return problems
}

// Receive takes the file that is sent to an address of PresignFile, and returns
// its MD5 once it is durable. size is in bytes, -1 where the sender does not
// say. Forbidden for a token that is not ours or whose time is over, TooLarge
// beyond the limit, Invalid for bytes of another MD5 than was announced,
// Conflict where other bytes were received before; the same bytes may come
// again. QuotaExceeded and RateLimited by the limits of who asked for the address. Of what is refused or breaks off nothing stays.
func (s *Service) Receive(ctx context.Context, token string, size int64, body io.Reader) (md5 string, err error) {
	row, c, err := s.incomingOf(ctx, token)
	if err != nil {
		return "", err
	}
	if size > s.cfg.UploadLimit {
		return "", idlist.TooLarge(s.cfg.UploadLimit)
	}
	if row.Status == sqldb.IncomingReceived {
		return row.MD5, s.sameFile(ctx, row, size, body)
	}
	stored, md5, err := s.takeIn(ctx, c, row, size, body)
	if err == nil && stored.MD5 != md5 {
		err = errOtherBytes()
	}
	return md5, err
}

// incomingOf finds the address that a token opens, and whose it is.
func (s *Service) incomingOf(ctx context.Context, token string) (row sqldb.Incoming, c *throng.Caller, err error) {
	slot, ends, ok := address.ReadToken(s.cfg.Secrets, token)
	if !ok {
		return row, nil, throng.Errorf(throng.Forbidden, "the address is not one that was given out here")
	}
	// One that ends so late was made by a clock that was far ahead.
	if now := s.now(); !now.Before(ends) || ends.After(now.Add(incomingLife)) {
		return row, nil, throng.Errorf(throng.Forbidden, "the time of this address is over; ask for another")
	}
	if row, err = s.db.IncomingBySlot(ctx, slot); err != nil {
		if errors.Is(err, sqldb.ErrNotFound) {
			err = throng.Errorf(throng.Forbidden, "the address is no longer there; ask for another")
		}
		return row, nil, err
	}
	caller, err := s.db.CallerByID(ctx, row.CallerID)
	if err == nil && !caller.RevokedAt.IsZero() {
		err = throng.Errorf(throng.Forbidden, "the access of who asked for this address has ended")
	}
	if err != nil {
		return row, nil, err
	}
	c, err = s.admitted(fromCaller(caller))
	return row, c, err
}

func errOtherBytes() error {
	return throng.Errorf(throng.Conflict, "other bytes were sent to this address before; ask for another")
}

// sameFile reads what is sent to an address a second time: the same bytes are
// fine, and not stored again.
func (s *Service) sameFile(ctx context.Context, row sqldb.Incoming, size int64, body io.Reader) error {
	if size >= 0 && size != row.Bytes {
		return errOtherBytes()
	}
	sum := md5.New()
	n, err := io.Copy(sum, io.LimitReader(body, row.Bytes+1))
	if err != nil {
		return receiveError(ctx, err)
	}
	if n != row.Bytes || hex.EncodeToString(sum.Sum(nil)) != row.MD5 {
		return errOtherBytes()
	}
	return nil
}

// receivedFile is a file that a caller sent. Its Key is a blob that never
// changes and whose MD5 was verified.
type receivedFile struct {
	ID        int64
	Key       string
	Name, MD5 string
	Size      int64
}

func fromIncoming(row sqldb.Incoming) receivedFile {
	return receivedFile{ID: row.ID, Key: row.BlobKey, Name: row.Name, MD5: row.MD5, Size: row.Bytes}
}

// takeIn stores the file of a pending address under a key of its own while its
// MD5 is checked. Of several at once the first to end is taken: stored is that
// one, md5 that of the bytes at hand, of which size are expected, -1 for nobody
// knows.
func (s *Service) takeIn(
	ctx context.Context, c *throng.Caller, row sqldb.Incoming, size int64, body io.Reader,
) (stored receivedFile, md5Hex string, err error) {
	room, err := s.room(ctx, s.db, c)
	if err == nil && size > room {
		err = s.noRoom(ctx, c, sqldb.Stored{Incoming: size})
	}
	if err != nil {
		return stored, "", err
	}
	file := receivedFile{ID: row.ID, Key: record.ReceivedPrefix + address.NewSlot(), Name: row.Name}
	w, err := s.cfg.Blobs.Create(ctx, file.Key)
	if err != nil {
		return stored, "", fmt.Errorf("receive file: %w", err)
	}
	sum := md5.New()
	out := blob.NewSink(w, sum)
	defer out.Abort()
	read, err := out.Take(lines.Limit(lines.Limit(body, s.cfg.UploadLimit, idlist.TooLarge(s.cfg.UploadLimit)), room, errNoRoom))
	if errors.Is(read, errNoRoom) {
		return stored, "", s.noRoom(ctx, c, sqldb.Stored{Incoming: room + 1})
	}
	if read != nil {
		return stored, "", receiveError(ctx, read)
	}
	if err == nil {
		err = out.Flush()
	}
	if err != nil {
		return stored, "", fmt.Errorf("receive file: %w", err)
	}
	file.MD5, file.Size = hex.EncodeToString(sum.Sum(nil)), out.Size()
	if row.MD5 != "" && row.MD5 != file.MD5 {
		return stored, "", throng.Errorf(throng.Invalid, "the bytes that were sent to it have another MD5 than was announced: %s", file.MD5)
	}
	if err := out.Commit(); err != nil {
		return stored, "", fmt.Errorf("receive file: %w", err)
	}
	stored, err = s.recordIncoming(ctx, c, row, file)
	return stored, file.MD5, err
}

// recordIncoming makes a stored file that of its address, unless there is one
// already, which it gives.
func (s *Service) recordIncoming(ctx context.Context, c *throng.Caller, row sqldb.Incoming, file receivedFile) (receivedFile, error) {
	err := s.db.Tx(ctx, func(tx *sqldb.Tx) error {
		if err := tx.ReceiveIncoming(ctx, row.ID, file.MD5, file.Size, file.Key, s.now()); err != nil {
			return err
		}
		return s.within(ctx, tx, c)
	})
	if err == nil {
		return file, nil
	}
	full := throng.CodeOf(err) == throng.QuotaExceeded
	if !full && !errors.Is(err, sqldb.ErrConflict) && !errors.Is(err, sqldb.ErrNotFound) {
		return receivedFile{}, err // nobody can tell what became of it: left to the sweep
	}
	if dropErr := s.cfg.Blobs.Delete(context.WithoutCancel(ctx), file.Key); dropErr != nil {
		s.cfg.Logger.ErrorContext(ctx, "delete incoming file", "err", dropErr)
	}
	if full {
		return receivedFile{}, err
	}
	if row, err = s.db.IncomingBySlot(ctx, row.Slot); err != nil {
		return receivedFile{}, known(err, "the address is no longer there; ask for another")
	}
	return fromIncoming(row), nil
}

// receiveError says what is wrong with the bytes; a sender that went away is
// told nothing, and is no trouble of ours.
func receiveError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return fmt.Errorf("receive file: %w", idlist.ReadError(err))
}

// received finds what a caller sent to a path, and keeps it for another 24
// hours. Invalid, with a message that fits behind the path, where there is
// nothing, where it is another caller's, and for bytes of another MD5. What was
// sent straight to the store is copied while its MD5 is checked, once; that
// takes as long as its bytes take.
func (s *Service) received(ctx context.Context, c *throng.Caller, path string) (receivedFile, error) {
	row, err := s.db.IncomingByPath(ctx, c.ID, path)
	if errors.Is(err, sqldb.ErrNotFound) {
		return receivedFile{}, errNothingSent()
	}
	if err != nil {
		return receivedFile{}, err
	}
	if row.Status != sqldb.IncomingReceived {
		if row, err = s.fetchIncoming(ctx, c, row); err != nil {
			return receivedFile{}, err
		}
	}
	if err := s.db.UseIncomingFile(ctx, row.ID, s.now()); err != nil {
		if errors.Is(err, sqldb.ErrNotFound) { // swept in this very moment
			err = errNothingSent()
		}
		return receivedFile{}, err
	}
	return fromIncoming(row), nil
}

func errNothingSent() error { return throng.Errorf(throng.Invalid, "no file was sent to it") }

// fetchIncoming takes in what was sent straight to the store.
func (s *Service) fetchIncoming(ctx context.Context, c *throng.Caller, row sqldb.Incoming) (sqldb.Incoming, error) {
	if _, ok := s.cfg.Blobs.(blob.Presigner); !ok {
		return row, errNothingSent()
	}
	unlock, err := s.files.Lock(ctx, record.IncomingPrefix+row.Slot)
	if err != nil {
		return row, err
	}
	defer unlock()
	switch fresh, err := s.db.IncomingBySlot(ctx, row.Slot); {
	case errors.Is(err, sqldb.ErrNotFound):
		return row, errNothingSent()
	case err != nil || fresh.Status == sqldb.IncomingReceived:
		return fresh, err
	}
	r, err := s.cfg.Blobs.Open(ctx, record.IncomingPrefix+row.Slot)
	if errors.Is(err, blob.ErrNotFound) {
		return row, errNothingSent()
	}
	if err != nil {
		return row, fmt.Errorf("open incoming file: %w", err)
	}
	defer r.Close()
	if r.Size() > s.cfg.UploadLimit {
		s.dropSent(ctx, row)
		return row, throng.Errorf(throng.Invalid, "the file that was sent to it is larger than the %d bytes allowed", s.cfg.UploadLimit)
	}
	file, _, err := s.takeIn(ctx, c, row, r.Size(), r)
	if err != nil {
		return row, err
	}
	row.Status, row.BlobKey, row.MD5, row.Bytes = sqldb.IncomingReceived, file.Key, file.MD5, file.Size
	s.dropSent(ctx, row)
	return row, nil
}

// dropSent deletes what was sent straight to the store; where that fails, the
// sweep does it.
func (s *Service) dropSent(ctx context.Context, row sqldb.Incoming) {
	if err := s.cfg.Blobs.Delete(context.WithoutCancel(ctx), record.IncomingPrefix+row.Slot); err != nil {
		s.cfg.Logger.ErrorContext(ctx, "delete incoming file", "err", err)
	}
}
