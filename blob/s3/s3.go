// Package s3 keeps blobs in a bucket of any S3: Amazon's or one that speaks
// like it, lists in the order of names and shows a change to whoever asks next.
//
// S3 replaces and deletes objects under the hands of who reads them, and has no
// rename. So data is written to names that are never used again, and what makes
// it the blob of a key is a mark, an object without bytes whose name says it
// all (see name.go). A commit is the data, a look at the key's newest mark, and
// the next mark; opening a blob is one look. Replaced and deleted data stays
// for who is reading it until [Store.Sweep] is called with a later instant: a
// reader that lives longer fails, and never gives other bytes.
package s3

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"throng/blob"
)

const (
	// retries is how often a request is sent at most that fails for no fault of
	// its own. Between them lie up to some seconds.
	retries = 6
	// answerTime is how long the store may take to begin its answer. Putting
	// the parts of a large object together takes some of them long.
	answerTime = 5 * time.Minute
	// lookTime is how long a page of names may take, with all that is sent again
	// for it, and removing an object.
	lookTime = 15 * time.Second
	// putTime is how long an object of at most one part may take to be written.
	putTime = time.Minute
	// markTime is how long a mark that was sent is waited for after its cause is
	// gone.
	markTime = 5 * time.Second
	// cleanTime is how long tidying up may take after its cause is gone.
	cleanTime = 30 * time.Second
)

// Store is a [blob.Store] in a bucket, below a prefix that nothing else uses.
type Store struct {
	cfg       Config
	core      minio.Core
	transport *http.Transport
	prefix    string // of all names
	page      int    // of listings, in names; 0 is what the store likes
}

var (
	_ blob.Store     = (*Store)(nil)
	_ blob.Presigner = (*Store)(nil)
	_ blob.Sweeper   = (*Store)(nil)
)

// Open connects to a bucket that must be there, and makes sure that it can be
// listed.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("open bucket: %w", err)
	}
	endpoint, err := url.Parse(cfg.Endpoint)
	if err != nil {
		return nil, fmt.Errorf("open bucket: %w", err)
	}
	secure := endpoint.Scheme == "https"
	transport, err := minio.DefaultTransport(secure)
	if err != nil {
		return nil, fmt.Errorf("open bucket: %w", err)
	}
	transport.ResponseHeaderTimeout = answerTime
	client, err := minio.New(endpoint.Host, &minio.Options{
		Creds:  credentials.NewStaticV4(cfg.AccessKey, cfg.SecretKey, cfg.SessionToken),
		Secure: secure, Region: cfg.Region, Transport: transport, MaxRetries: retries,
	})
	if err != nil {
		return nil, fmt.Errorf("open bucket: %w", err)
	}
	s := &Store{cfg: cfg, core: minio.Core{Client: client}, transport: transport}
	if cfg.Prefix != "" {
		s.prefix = cfg.Prefix + "/"
	}
	for _, err := range s.objects(ctx, s.prefix, 1) {
		if err != nil {
			return nil, errors.Join(fmt.Errorf("open bucket %s: %w", cfg.Bucket, err), s.Close())
		}
		break
	}
	return s, nil
}

// Close gives connections back. Readers and writers must have ended.
func (s *Store) Close() error {
	s.transport.CloseIdleConnections()
	return nil
}

// Bucket implements [blob.Presigner].
func (s *Store) Bucket() string { return s.cfg.Bucket }

// PresignPut implements [blob.Presigner].
func (s *Store) PresignPut(ctx context.Context, key string, ttl time.Duration) (string, error) {
	if err := check(ctx, key); err != nil {
		return "", fmt.Errorf("presign blob: %w", err)
	}
	u, err := s.core.PresignedPutObject(ctx, s.cfg.Bucket, s.prefix+key, ttl)
	if err != nil {
		return "", fmt.Errorf("presign blob: %w", cause(ctx, err))
	}
	return u.String(), nil
}

// PresignGet implements [blob.Presigner].
func (s *Store) PresignGet(ctx context.Context, key string, ttl time.Duration, name, contentType string) (string, error) {
	f, err := s.lookUp(ctx, key)
	if err != nil {
		return "", fmt.Errorf("presign blob: %w", err)
	}
	u, err := s.core.PresignedGetObject(ctx, s.cfg.Bucket, f.object, ttl, url.Values{
		"response-content-disposition": {fmt.Sprintf("attachment; filename=%q", name)},
		"response-content-type":        {contentType},
	})
	if err != nil {
		return "", fmt.Errorf("presign blob: %w", cause(ctx, err))
	}
	return u.String(), nil
}

// objects lists what begins with a name, in the order of names and that many
// at a time; 0 is as many as the store likes. Names come with the prefix.
func (s *Store) objects(ctx context.Context, name string, atOnce int) iter.Seq2[minio.ObjectInfo, error] {
	return func(yield func(minio.ObjectInfo, error) bool) {
		ctx, cancel := context.WithCancelCause(ctx) // ends what the listing began
		defer cancel(nil)
		stall := time.AfterFunc(lookTime, func() { cancel(errSilent) })
		defer stall.Stop()
		owner := false
		opts := minio.ListObjectsOptions{Prefix: name, Recursive: true, MaxKeys: atOnce, FetchOwner: &owner}
		for o := range s.core.ListObjectsIter(ctx, s.cfg.Bucket, opts) {
			stall.Stop() // whoever takes them may take their time
			if o.Err != nil {
				yield(minio.ObjectInfo{}, cause(ctx, o.Err))
				return
			}
			if !yield(o, nil) {
				return
			}
			stall.Reset(lookTime)
		}
		if err := context.Cause(ctx); err != nil {
			yield(minio.ObjectInfo{}, err)
		}
	}
}

// found is the blob of a key, or its absence.
type found struct {
	object  string // name of what holds its bytes; "" where there is no blob
	etag    string // of an object that may be replaced
	info    blob.Info
	version uint64 // of the newest mark; 0 for none
	live    bool   // whether that is not a deletion
	plain   bool   // whether a client wrote the key
}

// find looks a key up.
func (s *Store) find(ctx context.Context, key string) (found, error) {
	f := found{info: blob.Info{Key: key}}
	// The plain object comes first, if there is one, then the newest mark.
	for o, err := range s.objects(ctx, s.prefix+key, 2) {
		if err != nil {
			return f, err
		}
		of, rest, isMark, _ := split(strings.TrimPrefix(o.Key, s.prefix))
		if of != key {
			break
		}
		if f.see(o, key, rest, isMark); isMark || rest != "" {
			break
		}
	}
	if f.object != "" {
		f.object = s.prefix + f.object
	}
	return f, nil
}

// see takes the next object of a key into account.
func (f *found) see(o minio.ObjectInfo, key, rest string, isMark bool) {
	if rest == "" && !isMark {
		f.object, f.etag, f.plain = key, o.ETag, true
		f.info.Size, f.info.ModTime = o.Size, o.LastModified.UTC()
		return
	}
	m, ok := parseMark(rest)
	if !isMark || !ok || f.version != 0 {
		return
	}
	f.version = m.version
	if !m.gone() {
		f.object, f.etag, f.live = key+dataSign+m.id, "", true
		f.info.Size, f.info.ModTime = m.size, o.LastModified.UTC()
	}
}

// Open implements [blob.Store].
func (s *Store) Open(ctx context.Context, key string) (blob.Reader, error) {
	f, err := s.lookUp(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("open blob: %w", err)
	}
	return newReader(ctx, s, f), nil
}

// Stat implements [blob.Store].
func (s *Store) Stat(ctx context.Context, key string) (blob.Info, error) {
	f, err := s.lookUp(ctx, key)
	if err != nil {
		return blob.Info{}, fmt.Errorf("stat blob: %w", err)
	}
	return f.info, nil
}

func (s *Store) lookUp(ctx context.Context, key string) (found, error) {
	if err := check(ctx, key); err != nil {
		return found{}, err
	}
	f, err := s.find(ctx, key)
	if err == nil && f.object == "" {
		err = blob.ErrNotFound
	}
	return f, err
}

// Delete implements [blob.Store].
func (s *Store) Delete(ctx context.Context, key string) error {
	f, err := s.lookUp(ctx, key)
	if errors.Is(err, blob.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("delete blob: %w", err)
	}
	if f.live {
		if err := s.putMark(ctx, key, mark{version: f.version + 1, id: goneID}); err != nil {
			return fmt.Errorf("delete blob: %w", err)
		}
	}
	if f.plain {
		if err := s.remove(ctx, s.prefix+key); err != nil {
			return fmt.Errorf("delete blob: %w", err)
		}
	}
	return nil
}

func (s *Store) putMark(ctx context.Context, key string, m mark) error {
	return s.put(ctx, s.prefix+key+m.name(), nil)
}

// put writes an object of few bytes. Their sum goes with them, so that the store
// notices if they change on the way; the client's own way of signing a body
// (chunk by chunk) sends a body even where there is none.
func (s *Store) put(ctx context.Context, name string, data []byte) error {
	ctx, cancel := context.WithTimeoutCause(ctx, putTime, errSilent)
	defer cancel()
	opts := minio.PutObjectOptions{DisableContentSha256: true}
	_, err := s.core.PutObject(ctx, s.cfg.Bucket, name, bytes.NewReader(data), int64(len(data)), "", sumOf(data), opts)
	return cause(ctx, err)
}

func sumOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// remove removes one object; that there is none is no error.
func (s *Store) remove(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, lookTime, errSilent)
	defer cancel()
	err := s.core.RemoveObject(ctx, s.cfg.Bucket, name, minio.RemoveObjectOptions{})
	if err = cause(ctx, err); errors.Is(err, blob.ErrNotFound) {
		err = nil
	}
	return err
}

// List implements [blob.Store].
func (s *Store) List(ctx context.Context, prefix string) iter.Seq2[blob.Info, error] {
	return func(yield func(blob.Info, error) bool) {
		err := context.Cause(ctx)
		if err == nil && !begins(prefix) {
			return
		}
		if err == nil {
			err = s.list(ctx, prefix, yield)
		}
		if err != nil {
			yield(blob.Info{}, fmt.Errorf("list blobs: %w", err))
		}
	}
}

func (s *Store) list(ctx context.Context, prefix string, yield func(blob.Info, error) bool) error {
	var f found
	for o, err := range s.objects(ctx, s.prefix+prefix, s.page) {
		if err != nil {
			return err
		}
		key, rest, isMark, _ := split(strings.TrimPrefix(o.Key, s.prefix))
		if blob.CheckKey(key) != nil {
			continue // what others put here
		}
		if key != f.info.Key {
			if f.object != "" && !yield(f.info, nil) {
				return nil
			}
			f = found{info: blob.Info{Key: key}}
		}
		f.see(o, key, rest, isMark)
	}
	if f.object != "" {
		yield(f.info, nil)
	}
	return nil
}

// begins tells whether a key can begin so.
func begins(prefix string) bool {
	return prefix == "" || blob.CheckKey(prefix) == nil || blob.CheckKey(prefix+"x") == nil
}

func check(ctx context.Context, key string) error {
	if err := blob.CheckKey(key); err != nil {
		return err
	}
	return context.Cause(ctx)
}

// cause says why a request failed: the end of its context before all else.
func cause(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	switch minio.ToErrorResponse(err).Code {
	case minio.NoSuchKey, minio.NoSuchUpload:
		return fmt.Errorf("%w: %w", blob.ErrNotFound, err)
	case minio.PreconditionFailed:
		return fmt.Errorf("%w: %w", errReplaced, err)
	}
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) { // which callers take for the end of their own bytes
		return blob.Away(fmt.Errorf("the store's answer was cut off: %v", err)) //nolint:errorlint // see above
	}
	if isAway(err) {
		return blob.Away(err)
	}
	return err
}

// errSilent is the end of a request that took too long.
var errSilent = blob.Away(errors.New("the store does not answer in time"))

// isAway tells whether an error speaks of the store's state, not of the request.
// The context of the request has not ended.
func isAway(err error) bool {
	said := minio.ToErrorResponse(err)
	if said.StatusCode >= http.StatusInternalServerError || said.StatusCode == http.StatusTooManyRequests {
		return true
	}
	if said.StatusCode != 0 {
		return false
	}
	_, network := errors.AsType[net.Error](err) // those of http.Client, too
	return network || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, io.ErrNoProgress)
}

// errReplaced says that a client replaced what was being read.
var errReplaced = errors.New("blob was replaced while it was read")
