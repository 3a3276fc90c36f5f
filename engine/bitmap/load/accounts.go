package load

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"throng/dataset"
	"throng/engine/bitmap/storage"
	"throng/query"
)

const rejectDuplicateAccount = "duplicate account"

func sortByOrder[T any](list []T, order func(T) uint64) {
	slices.SortFunc(list, func(a, b T) int { return cmp.Compare(order(a), order(b)) })
}

// namedAccount is a row of accounts, kept as one string:
//
//	length of id u16, of screen name u16, of name u16, and the three
type namedAccount struct {
	network uint8
	order   uint64
	line    int
	file    int32 // position in the list of files
	text    []byte
}

func (a *namedAccount) record() storage.AccountRecord {
	le := binary.LittleEndian
	i, s, n := int(le.Uint16(a.text)), int(le.Uint16(a.text[2:])), int(le.Uint16(a.text[4:]))
	t := a.text[6:]
	return storage.AccountRecord{ID: t[:i], ScreenName: t[i : i+s], Name: t[i+s : i+s+n]}
}

// accountNames reads the names of accounts and writes them sorted. They are
// kept in memory meanwhile: a quarter of the load's memory at most.
func (l *loader) accountNames(ctx context.Context) error {
	var mu sync.Mutex
	var list []namedAccount
	var size atomic.Int64
	err := l.read(ctx, dataset.Accounts, func(b *dataset.Batch) error {
		var r dataset.AccountRow
		var arena []byte
		var own []namedAccount
		for row := range b.Rows() {
			out := r.Decode(b, row)
			if !out.OK() {
				l.rejects.Reject(b, row, out.Reject)
				continue
			}
			l.rejects.Drop(b.Table, r.Dropped...)
			order, err := orderOf(b, row)
			if err != nil {
				return err
			}
			from := len(arena)
			le := binary.LittleEndian
			arena = le.AppendUint16(arena, uint16(len(r.ID)))
			arena = le.AppendUint16(arena, uint16(len(r.ScreenName)))
			arena = le.AppendUint16(arena, uint16(len(r.Name)))
			arena = append(append(append(arena, r.ID...), r.ScreenName...), r.Name...)
			own = append(own, namedAccount{
				network: l.fields[r.Network], order: order, line: b.Lines[row], file: int32(b.FileIndex),
				text: arena[from:len(arena):len(arena)],
			})
		}
		if size.Add(int64(len(arena))+64*int64(len(own))) > l.opt.Memory/4 {
			return fmt.Errorf("read accounts: names exceed their share of memory, %d MiB: raise the memory of the load", l.opt.Memory/4>>20)
		}
		mu.Lock()
		list = append(list, own...)
		mu.Unlock()
		return nil
	})
	if err != nil {
		return err
	}
	slices.SortFunc(list, func(a, b namedAccount) int {
		if c := cmp.Compare(a.network, b.network); c != 0 {
			return c
		}
		return cmp.Or(bytes.Compare(a.record().ID, b.record().ID), cmp.Compare(a.order, b.order))
	})
	return l.writeAccounts(list)
}

func (l *loader) writeAccounts(list []namedAccount) error {
	w, err := storage.NewAccountsWriter(l.tmp, storage.AccountsName)
	if err != nil {
		return err
	}
	defer w.Abort()
	fields := query.TermFields()
	loaded := uint64(0)
	for i := range list {
		a := &list[i]
		r := a.record()
		if i > 0 && list[i-1].network == a.network && bytes.Equal(list[i-1].record().ID, r.ID) {
			file := l.source.Tables[dataset.Accounts].Files[a.file].Path
			l.rejects.RejectAt(dataset.Accounts, file, int(a.file), a.line, rejectDuplicateAccount)
			continue
		}
		loaded++
		if err := w.Add(fields[a.network], r); err != nil {
			return err
		}
	}
	l.rejects.Load(dataset.Accounts, loaded)
	return l.file(w.Close())
}
