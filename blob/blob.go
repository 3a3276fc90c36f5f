// Package blob stores opaque files by key: the files of audiences, uploads and
// reports. It knows nothing of what is in them.
package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"
)

var (
	// ErrNotFound says that no blob has the key.
	ErrNotFound = errors.New("blob not found")
	// ErrInvalidKey says that the text cannot be a key; see [CheckKey].
	ErrInvalidKey = errors.New("invalid blob key")
	// ErrClosed says that the writer was committed or aborted before.
	ErrClosed = errors.New("blob writer is closed")
	// ErrDamaged says that a blob is not the one that was written under its key.
	// No store looks for it: who knows how many bytes or lines were written does.
	ErrDamaged = errors.New("stored file is damaged")
)

// Store keeps blobs. It is safe for concurrent use, also by several processes
// on one place. Every method returns an error that wraps [ErrInvalidKey] for a
// key that [CheckKey] refuses.
type Store interface {
	// Create starts a blob. Nothing is visible under the key until Commit.
	// The context governs the whole writing: when it is done, Write and
	// Commit fail with its cause and the blob does not appear.
	Create(ctx context.Context, key string) (Writer, error)

	// Open gives the blob as it is now: one that is replaced or deleted
	// afterwards reads to its end unchanged; see [Sweeper] for how long. It
	// returns an error that wraps [ErrNotFound] when there is none. The context
	// governs the opening alone. The caller closes the reader.
	Open(ctx context.Context, key string) (Reader, error)

	// Stat returns size and time, or an error that wraps [ErrNotFound].
	Stat(ctx context.Context, key string) (Info, error)

	// Delete removes the blob durably. It is no error when there is none.
	Delete(ctx context.Context, key string) error

	// List yields the blobs whose keys begin with prefix, in the order of the
	// keys' bytes. The prefix may end within an element ("outputs/12" finds
	// "outputs/123/md5"); "" is everything. Blobs made or deleted meanwhile
	// may or may not be among them. An error is yielded once and ends it.
	List(ctx context.Context, prefix string) iter.Seq2[Info, error]
}

// Presigner is what some stores can do beside [Store]: let a client that they do
// not know write or read one blob, without its bytes passing through this
// process.
type Presigner interface {
	// PresignPut gives the URL of a PUT request whose body becomes the blob of
	// the key, whole or not at all, whoever sends it and as often as it is sent
	// until ttl has passed. Nothing is known of what comes: not its size, not its
	// sum. Such a blob may be replaced while it is read: its reader then fails
	// rather than give the bytes of two. Copy it to another key before trusting
	// what was seen of it. The key must not be one that Create is called with.
	PresignPut(ctx context.Context, key string, ttl time.Duration) (url string, err error)

	// PresignGet gives the URL of a GET request that reads the blob as it is now,
	// until ttl has passed, as a file of that name and content type. It returns
	// an error that wraps [ErrNotFound] when there is none.
	PresignGet(ctx context.Context, key string, ttl time.Duration, name, contentType string) (url string, err error)

	// Bucket is the name by which clients know the store.
	Bucket() string
}

// Sweeper is what some stores need besides: to be told when what no key leads
// to any more may go.
type Sweeper interface {
	// Sweep removes what was replaced or deleted before the instant, and what
	// writers left that had begun before it and died. A reader that was opened
	// before may fail from then on, but never gives bytes of another blob.
	Sweep(ctx context.Context, before time.Time) error
}

// Writer writes one blob, from one goroutine. It must be ended by Commit or
// Abort; `defer w.Abort()` is the habit.
type Writer interface {
	// Write appends. After an error of Write, Commit fails.
	io.Writer

	// Commit makes the blob visible, in place of an older one of the key, in
	// one step, and durable. When two writers of one key commit, the later
	// Commit wins. A second Commit, or one after Abort, is [ErrClosed].
	Commit() error

	// Abort drops what was written. It does nothing after Commit or Abort.
	Abort() error
}

// Reader reads one blob. ReadAt may be used by several goroutines at once; Read
// and Seek share one position. It satisfies what [net/http.ServeContent] wants.
type Reader interface {
	io.ReadSeekCloser
	io.ReaderAt

	// Size is in bytes.
	Size() int64
	// ModTime is when the blob was committed, in UTC.
	ModTime() time.Time
}

// Info describes one blob.
type Info struct {
	Key     string
	Size    int64     // bytes
	ModTime time.Time // when it was committed, in UTC
}

// MaxKeyLen is the greatest length of a key in bytes. S3 allows 1,024 with the
// bucket's own prefix included.
const MaxKeyLen = 900

// maxElementLen is what every common file system allows as a name.
const maxElementLen = 255

// CheckKey returns an error that wraps [ErrInvalidKey] unless key is 1 to
// [MaxKeyLen] bytes, made of elements of 1 to 255 bytes with one slash between
// them, of the characters A-Z a-z 0-9 and - _ . = + only, none of which begins
// with a dot. So no key can leave the store's folder or name one of its
// temporary files. A key must not be the folder of another ("a" beside "a/b"):
// stores on file systems refuse the second of the two at Commit.
func CheckKey(key string) error {
	if key == "" || len(key) > MaxKeyLen {
		return fmt.Errorf("%w: it has %d bytes, want 1 to %d", ErrInvalidKey, len(key), MaxKeyLen)
	}
	for element := range strings.SplitSeq(key, "/") {
		if err := checkElement(element); err != nil {
			return err
		}
	}
	return nil
}

func checkElement(element string) error {
	switch {
	case element == "":
		return fmt.Errorf("%w: it has an empty element", ErrInvalidKey)
	case element[0] == '.':
		return fmt.Errorf("%w: an element begins with a dot", ErrInvalidKey)
	case len(element) > maxElementLen:
		return fmt.Errorf("%w: an element has more than %d bytes", ErrInvalidKey, maxElementLen)
	}
	for i := range len(element) {
		if !keyByte(element[i]) {
			return fmt.Errorf("%w: byte 0x%02x is not allowed", ErrInvalidKey, element[i])
		}
	}
	return nil
}

func keyByte(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	}
	return strings.IndexByte("-_.=+", c) >= 0
}
