// Package devicelist writes the device ids of members as lists in which every
// device is once, however it is known: a sum is left out where its raw form is
// listed, a plain mobile advertising id where the same is listed as what it is,
// whoever owns it.
package devicelist

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"throng"
	"throng/blob"
	"throng/delivery"
	"throng/engine"
	"throng/identifier"
	"throng/internal/extsort"
	"throng/internal/hexkey"
	"throng/query"
)

// Config says where lists are written, and in what memory.
type Config struct {
	Blobs blob.Store
	// TempDir holds temporary files. "" is os.TempDir().
	TempDir string
	// Memory is how many bytes are sorted in memory before a temporary file takes
	// them; one and a half times as much in all at most.
	Memory int
}

// Choice says which device ids of some members are listed.
type Choice struct {
	// Platform leaves out the devices of others; 0 and throng.Mixed do not.
	Platform throng.Platform
	// PlainAs is what a mobile advertising id is that is not known as an IDFA or
	// a GAID; "" leaves it out.
	PlainAs identifier.Type
}

// List is one list that was written: every id once, one a line. It is kept as
// JSON.
type List struct {
	Type identifier.Type `json:"type"`
	Rows int64           `json:"rows"`
}

// LeftOut counts device ids that were not listed.
type LeftOut struct {
	Plain    int64 // of which nobody says what they are
	Platform int64 // of the other platform
}

// Key is the file of the list of a type, below a prefix.
func Key(prefix string, t identifier.Type) string { return prefix + "/" + string(t) }

// lister writes lists of device ids in bounded memory. For that all are sorted by
// what they are compared by.
type lister struct {
	cfg    Config
	prefix string
	set    Choice
	dir    string // of the sorters' files

	out  map[identifier.Type]*blob.Sink
	rows map[identifier.Type]int64
	left LeftOut

	raw   map[identifier.Type]*keySorter // by the MD5 of the raw form
	plain *keySorter                     // by UUID
	line  []byte
}

// What a sorted key stands for; the lesser comes first.
var (
	listed    = []byte{0}
	candidate = []byte{1}
)

// keySorter sorts keys of 16 bytes.
type keySorter struct {
	*extsort.Sorter
	w *extsort.Writer
}

func newKeySorter(path string, memory int64) *keySorter {
	s := extsort.New(path, memory)
	return &keySorter{s, s.Writer()}
}

func (k *keySorter) add(key hexkey.Key, as []byte) error {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:], key.Hi)
	binary.BigEndian.PutUint64(b[8:], key.Lo)
	return k.w.Add(b[:], as)
}

// eachUnlisted passes on the candidates that are not listed, each once.
func (k *keySorter) eachUnlisted(yield func(hexkey.Key) error) error {
	var last []byte
	return k.Each(func(key, as []byte) error {
		if bytes.Equal(key, last) {
			return nil
		}
		last = append(last[:0], key...)
		if as[0] == listed[0] {
			return nil
		}
		return yield(hexkey.Key{Hi: binary.BigEndian.Uint64(key), Lo: binary.BigEndian.Uint64(key[8:])})
	})
}

// Write lists the device ids of rows below a prefix, in the order of
// [identifier.Devices]; a type of which there is none has no list. The files are
// durable when it returns nil; after an error some may be there.
func Write(
	ctx context.Context, cfg Config, g engine.Generation, rows query.RowSet, prefix string, set Choice,
) (lists []List, left LeftOut, err error) {
	dir, err := os.MkdirTemp(cfg.TempDir, "throng-delivery-*")
	if err != nil {
		return nil, left, fmt.Errorf("make folder for temporary files: %w", err)
	}
	l := &lister{
		cfg: cfg, prefix: prefix, set: set, dir: dir, out: map[identifier.Type]*blob.Sink{}, rows: map[identifier.Type]int64{},
		raw: map[identifier.Type]*keySorter{},
	}
	defer func() { err = errors.Join(err, l.close(), os.RemoveAll(dir)) }()
	l.plain = l.sorter("plain")
	for _, t := range identifier.Devices() {
		if _, raw := t.HasMD5(); raw {
			l.raw[t] = l.sorter(string(t))
		}
	}
	if err := g.Stream(ctx, rows, append(identifier.Devices(), identifier.MAID), func(b *engine.Batch) error { return l.add(ctx, b) }); err != nil {
		return nil, left, err
	}
	if err := l.addPlain(ctx); err != nil {
		return nil, left, err
	}
	if err := l.addSums(ctx); err != nil {
		return nil, left, err
	}
	for _, t := range identifier.Devices() {
		if out := l.out[t]; out != nil {
			if err := out.Commit(); err != nil {
				return nil, left, err
			}
			lists = append(lists, List{t, l.rows[t]})
		}
	}
	return lists, l.left, nil
}

func (l *lister) sorter(name string) *keySorter {
	// Six at most are in use, of which a population mostly fills two.
	return newKeySorter(filepath.Join(l.dir, name), int64(l.cfg.Memory)/4)
}

// close drops what was not committed.
func (l *lister) close() error {
	errs := []error{l.plain.Close()}
	for _, s := range l.raw {
		errs = append(errs, s.Close())
	}
	for _, out := range l.out {
		out.Abort()
	}
	return errors.Join(errs...)
}

// add takes what the engine streams.
func (l *lister) add(ctx context.Context, b *engine.Batch) error {
	if b.Type == identifier.MAID {
		return eachLine(b, func(line []byte) error { return l.addUUID(line, candidate) })
	}
	if b.Type.IsMD5() {
		sums := l.raw[rawOf(b.Type)]
		return eachLine(b, func(line []byte) error {
			key, ok := hexkey.Of(line)
			if !ok {
				return errStreamed(b.Type)
			}
			return sums.add(key, candidate)
		})
	}
	if l.takes(b.Type) {
		if err := l.write(ctx, b.Type, b.Lines, int64(len(b.Ends))); err != nil {
			return err
		}
	} else {
		l.left.Platform += int64(len(b.Ends))
	}
	return eachLine(b, func(line []byte) error {
		if b.Type.AlsoMA() {
			if err := l.addUUID(line, listed); err != nil {
				return err
			}
		}
		return l.raw[b.Type].add(sumOf(line), listed)
	})
}

func errStreamed(t identifier.Type) error {
	return fmt.Errorf("engine streams what is no %s: %w", t, engine.ErrCorrupt)
}

func eachLine(b *engine.Batch, yield func(line []byte) error) error {
	from := uint32(0)
	for _, end := range b.Ends {
		if err := yield(b.Lines[from : end-1]); err != nil {
			return err
		}
		from = end
	}
	return nil
}

// rawOf is the type whose sums a type holds.
func rawOf(sum identifier.Type) identifier.Type {
	for _, t := range identifier.Devices() {
		if s, ok := t.HasMD5(); ok && s == sum {
			return t
		}
	}
	return ""
}

func sumOf(normal []byte) hexkey.Key {
	sum := md5.Sum(normal)
	return hexkey.Key{Hi: binary.BigEndian.Uint64(sum[:]), Lo: binary.BigEndian.Uint64(sum[8:])}
}

func (l *lister) addUUID(line, as []byte) error {
	key, ok := hexkey.Of(line)
	if !ok {
		return errStreamed(identifier.MAID)
	}
	return l.plain.add(key, as)
}

// takes tells whether ids of a type are listed.
func (l *lister) takes(t identifier.Type) bool {
	runs, _ := delivery.Runs(t)
	return l.set.Platform == 0 || l.set.Platform == throng.Mixed || l.set.Platform == runs
}

// write appends lines to the list of a type.
func (l *lister) write(ctx context.Context, t identifier.Type, lines []byte, n int64) error {
	out := l.out[t]
	if out == nil {
		w, err := l.cfg.Blobs.Create(ctx, Key(l.prefix, t))
		if err != nil {
			return err
		}
		out = blob.NewSink(w, nil)
		l.out[t] = out
	}
	l.rows[t] += n
	_, err := out.Write(lines)
	return err
}

// addPlain lists the mobile advertising ids that are not known as something
// else, as what the order says they are.
func (l *lister) addPlain(ctx context.Context) error {
	as := l.set.PlainAs
	return l.plain.eachUnlisted(func(key hexkey.Key) error {
		if as == "" {
			l.left.Plain++
			return nil
		}
		l.line = key.AppendUUID(l.line[:0])
		if as == identifier.IDFA {
			l.line = bytes.ToUpper(l.line)
		}
		if err := l.raw[as].add(sumOf(l.line), listed); err != nil {
			return err
		}
		return l.write(ctx, as, append(l.line, '\n'), 1)
	})
}

// addSums lists the sums whose raw form is not known.
func (l *lister) addSums(ctx context.Context) error {
	for _, t := range identifier.Devices() {
		sum, ok := t.HasMD5()
		if !ok {
			continue
		}
		err := l.raw[t].eachUnlisted(func(key hexkey.Key) error {
			if !l.takes(sum) {
				l.left.Platform++
				return nil
			}
			l.line = append(key.Append(l.line[:0]), '\n')
			return l.write(ctx, sum, l.line, 1)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Platform is the platform ordered, or the one that all lists are of.
func Platform(ordered throng.Platform, lists []List) throng.Platform {
	for _, l := range lists {
		runs, _ := delivery.Runs(l.Type)
		switch ordered {
		case 0:
			ordered = runs
		case runs, throng.Mixed:
		default:
			ordered = throng.Mixed
		}
	}
	return ordered
}

// Open gives the lists that were written below a prefix to a destination, which
// opens their files.
func Open(from blob.Store, prefix string, written []List) []delivery.List {
	lists := make([]delivery.List, len(written))
	for i, l := range written {
		key := Key(prefix, l.Type)
		lists[i] = delivery.List{Type: l.Type, Rows: l.Rows, Open: func(ctx context.Context) (io.ReadCloser, error) {
			return from.Open(ctx, key)
		}}
	}
	return lists
}
