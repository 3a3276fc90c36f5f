package storage

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"unicode"
	"unicode/utf8"

	"throng/engine/bitmap/format"
	"throng/internal/extsort"
	"throng/query"
)

// The names of accounts: a stringTable with the id, the screen name and the
// name of each, network by network, by id; then (u32 each) the accounts that
// have a screen name, network by network, by folded screen name, then id.
// meta: bytes of strings u64, and for each network: accounts u32, named u32.
// What a question touches is verified when it is first touched.

func networks() []query.Field {
	return []query.Field{query.Twitter, query.Twitch, query.YouTube, query.Instagram, query.TikTok}
}

// FoldName appends the form in which screen names are compared to dst:
// trimmed, without one leading @, in lower case.
func FoldName(dst, name []byte) []byte {
	name = bytes.TrimSpace(name)
	name = bytes.TrimSpace(bytes.TrimPrefix(name, []byte{'@'}))
	for i := 0; i < len(name); {
		r, size := utf8.DecodeRune(name[i:])
		dst = utf8.AppendRune(dst, unicode.ToLower(r))
		i += size
	}
	return dst
}

// AccountRecord is an account as it is stored. Read, its slices alias the
// mapping and must not be written to.
type AccountRecord struct{ ID, ScreenName, Name []byte }

// Accounts is the mapped file of names. It is safe for concurrent use until
// Close.
type Accounts struct {
	*format.File
	values stringTable
	names  []uint32
	order  uint64                 // offset of names in the payload
	byID   map[query.Field][2]int // accounts of a network: from, to
	byName map[query.Field][2]int // positions in names
}

// OpenAccounts maps the file of names.
func OpenAccounts(path string) (*Accounts, error) {
	f, err := format.Open(path, format.KindAccounts)
	if err != nil {
		return nil, err
	}
	a := &Accounts{File: f, byID: map[query.Field][2]int{}, byName: map[query.Field][2]int{}}
	if err := a.open(); err != nil {
		f.Close()
		return nil, err
	}
	return a, nil
}

func (a *Accounts) open() error {
	nets := networks()
	if len(a.Meta()) != 8+8*len(nets) {
		return a.Corrupt("directory has a wrong length")
	}
	le := binary.LittleEndian
	data, size := le.Uint64(a.Meta()), uint64(len(a.Payload()))
	var n, named uint64
	for i, f := range nets {
		k, m := uint64(le.Uint32(a.Meta()[8+8*i:])), uint64(le.Uint32(a.Meta()[12+8*i:]))
		a.byID[f] = [2]int{int(n), int(n + k)}
		a.byName[f] = [2]int{int(named), int(named + m)}
		n, named = n+k, named+m
	}
	if data > size || stringsSize(3*n, data)+4*named != size {
		return a.Corrupt("directory does not fit the file")
	}
	a.values = readStrings(a.File, 0, 3*n, data)
	a.order = stringsSize(3*n, data)
	a.names = format.View[uint32](a.Payload()[a.order:])
	return nil
}

// Len is the number of accounts of a network.
func (a *Accounts) Len(network query.Field) int {
	r := a.byID[network]
	return r[1] - r[0]
}

func (a *Accounts) record(i int) (r AccountRecord, err error) {
	if r.ID, err = a.values.at(3 * i); err != nil {
		return r, err
	}
	if r.ScreenName, err = a.values.at(3*i + 1); err != nil {
		return r, err
	}
	r.Name, err = a.values.at(3*i + 2)
	return r, err
}

// ByID finds an account of a network by its exact id. An error wraps
// [ErrCorrupt].
func (a *Accounts) ByID(network query.Field, id []byte) (r AccountRecord, ok bool, err error) {
	in := a.byID[network]
	i, err := search(in[0], in[1], func(i int) (bool, error) {
		v, err := a.values.at(3 * i)
		return bytes.Compare(v, id) >= 0, err
	})
	if err != nil || i == in[1] {
		return r, false, err
	}
	if r, err = a.record(i); err != nil || !bytes.Equal(r.ID, id) {
		return AccountRecord{}, false, err
	}
	return r, true, nil
}

// named is the account at a position of the order of names, and its folded
// screen name, appended to dst.
func (a *Accounts) named(network query.Field, at int, dst []byte) (account int, folded []byte, err error) {
	if err := a.Check(a.order+4*uint64(at), 4); err != nil {
		return 0, nil, err
	}
	i, in := int(a.names[at]), a.byID[network]
	if i < in[0] || i >= in[1] {
		return 0, nil, a.Corrupt("order of names contradicts itself")
	}
	name, err := a.values.at(3*i + 1)
	return i, FoldName(dst, name), err
}

// ByName finds the accounts of a network that have a screen name, which is in
// the form of [FoldName]; in order of id. An error wraps [ErrCorrupt].
func (a *Accounts) ByName(network query.Field, folded []byte) (found []AccountRecord, err error) {
	in := a.byName[network]
	var scratch []byte
	at, err := search(in[0], in[1], func(i int) (bool, error) {
		_, name, err := a.named(network, i, scratch[:0])
		scratch = name
		return bytes.Compare(name, folded) >= 0, err
	})
	if err != nil {
		return nil, err
	}
	for ; at < in[1]; at++ {
		i, name, err := a.named(network, at, scratch[:0])
		if err != nil {
			return nil, err
		}
		if scratch = name; !bytes.Equal(name, folded) {
			break
		}
		r, err := a.record(i)
		if err != nil {
			return nil, err
		}
		found = append(found, r)
	}
	return found, nil
}

// Verify reads the whole file: every checksum, that the strings follow each
// other, and the order of ids and of screen names. An error wraps [ErrCorrupt].
func (a *Accounts) Verify() error {
	if err := a.Check(0, uint64(len(a.Payload()))); err != nil {
		return err
	}
	if err := a.values.verify(); err != nil {
		return err
	}
	for f, in := range a.byID {
		for i := in[0]; i+1 < in[1]; i++ {
			one, err := a.values.at(3 * i)
			if err != nil {
				return err
			}
			next, err := a.values.at(3 * (i + 1))
			if err != nil {
				return err
			}
			if bytes.Compare(one, next) >= 0 {
				return a.Corrupt("accounts are out of order")
			}
		}
		if err := a.verifyNames(f); err != nil {
			return err
		}
	}
	return nil
}

func (a *Accounts) verifyNames(network query.Field) error {
	var last, scratch []byte
	before := -1
	in := a.byName[network]
	for at := in[0]; at < in[1]; at++ {
		i, name, err := a.named(network, at, scratch[:0])
		if err != nil {
			return err
		}
		if c := bytes.Compare(last, name); len(name) == 0 || c > 0 || c == 0 && before >= i {
			return a.Corrupt("order of names contradicts itself")
		}
		last, scratch, before = name, last, i
	}
	return nil
}

// AccountsWriter writes the file of names. Folded names that exceed a few
// megabytes go to a file beside it meanwhile. It is for one goroutine.
type AccountsWriter struct {
	w      *format.Writer
	s      stringWriter
	nets   []query.Field
	counts []uint32
	// sorter has a record for each account with a screen name: the number of
	// the network u8 and the folded name, and the number of the account,
	// big endian.
	sorter *extsort.Sorter
	folded *extsort.Writer
	key    []byte
	net    int
	last   []byte
	n      uint32
}

// namesMemory is what folded names may take.
const namesMemory = 4 << 20

// NewAccountsWriter creates the file of names under dir.
func NewAccountsWriter(dir, name string) (*AccountsWriter, error) {
	w, err := format.Create(dir, name, format.KindAccounts)
	if err != nil {
		return nil, err
	}
	nets := networks()
	sorter := extsort.New(w.Path()+".names", namesMemory)
	return &AccountsWriter{
		w: w, s: newStringWriter(w), nets: nets,
		counts: make([]uint32, len(nets)), sorter: sorter, folded: sorter.Writer(),
	}, nil
}

// Add writes an account. Accounts come network by network in the order of
// query.TermFields, inside a network by id, each once.
func (aw *AccountsWriter) Add(network query.Field, r AccountRecord) error {
	i := slices.Index(aw.nets, network)
	if i < aw.net || i == aw.net && aw.counts[i] > 0 && bytes.Compare(aw.last, r.ID) >= 0 {
		return errors.New("write accounts: accounts are out of order")
	}
	aw.net = i
	aw.last = append(aw.last[:0], r.ID...)
	aw.counts[i]++
	aw.s.add(r.ID)
	aw.s.add(r.ScreenName)
	aw.s.add(r.Name)
	aw.key = FoldName(append(aw.key[:0], byte(i)), r.ScreenName)
	if len(aw.key) > 1 {
		if err := aw.folded.Add(aw.key, binary.BigEndian.AppendUint32(nil, aw.n)); err != nil {
			return err
		}
	}
	aw.n++
	return aw.w.Err()
}

// Close ends the file and makes it durable.
func (aw *AccountsWriter) Close() (FileSum, error) {
	data := aw.s.end()
	le := binary.LittleEndian
	named := make([]uint32, len(aw.nets))
	if err := aw.sorter.Each(func(key, at []byte) error {
		named[key[0]]++
		aw.w.Append(le.AppendUint32(nil, binary.BigEndian.Uint32(at)))
		return nil
	}); err != nil {
		return FileSum{}, err
	}
	if err := aw.sorter.Close(); err != nil {
		return FileSum{}, err
	}
	meta := le.AppendUint64(nil, data)
	for i, n := range aw.counts {
		meta = le.AppendUint32(meta, n)
		meta = le.AppendUint32(meta, named[i])
	}
	return aw.w.Finish(meta)
}

// Abort closes the file without ending it. After Close it does nothing.
func (aw *AccountsWriter) Abort() {
	aw.s.abort()
	_ = aw.sorter.Close() // what is left goes with the folder
	aw.w.Abort()
}
