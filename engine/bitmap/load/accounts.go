package load

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"slices"

	"throng/dataset"
	"throng/engine/bitmap/load/spill"
	"throng/engine/bitmap/storage"
	"throng/internal/extsort"
	"throng/query"
)

const rejectDuplicateAccount = "duplicate account"

func sortByOrder[T any](list []T, order func(T) uint64) {
	slices.SortFunc(list, func(a, b T) int { return cmp.Compare(order(a), order(b)) })
}

// A row of accounts is sorted as a record:
//
//	key      position of the network's field u8, id
//	payload  order u64 big endian, file u32, line u64,
//	         length of screen name u16, screen name, name
//
// so that of several rows with one id the first in the dataset comes first.
const accountHead = 22

// accountNames reads the names of accounts and writes them sorted.
func (l *loader) accountNames(ctx context.Context) (err error) {
	sorter := extsort.New(l.scratch("accounts"), l.opt.Memory/8/int64(l.workers))
	defer func() { err = errors.Join(err, sorter.Close()) }()
	type worker struct {
		out          *extsort.Writer
		row          dataset.AccountRow
		key, payload []byte
	}
	free := make(chan *worker, l.workers)
	for range l.workers {
		free <- &worker{out: sorter.Writer()}
	}
	if err := l.read(ctx, dataset.Accounts, func(b *dataset.Batch) error {
		w := <-free
		defer func() { free <- w }()
		r, be := &w.row, binary.BigEndian
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
			w.key = append(append(w.key[:0], l.fields[r.Network]), r.ID...)
			w.payload = be.AppendUint64(w.payload[:0], order)
			w.payload = be.AppendUint32(w.payload, uint32(b.FileIndex))
			w.payload = be.AppendUint64(w.payload, uint64(b.Lines[row]))
			w.payload = be.AppendUint16(w.payload, uint16(len(r.ScreenName)))
			w.payload = append(append(w.payload, r.ScreenName...), r.Name...)
			if err := w.out.Add(w.key, w.payload); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return err
	}
	l.progress.begin("write accounts", 0)
	return l.writeAccounts(sorter)
}

func (l *loader) writeAccounts(sorter *extsort.Sorter) error {
	w, err := storage.NewAccountsWriter(l.tmp, storage.AccountsName)
	if err != nil {
		return err
	}
	defer w.Abort()
	fields := query.TermFields()
	loaded := uint64(0)
	var last []byte
	if err := sorter.Each(func(key, payload []byte) error {
		if len(payload) < accountHead {
			return spill.ErrDamaged
		}
		be := binary.BigEndian
		if bytes.Equal(key, last) {
			file := int(be.Uint32(payload[8:]))
			path := l.source.Tables[dataset.Accounts].Files[file].Path
			l.rejects.RejectAt(dataset.Accounts, path, file, int(be.Uint64(payload[12:])), rejectDuplicateAccount)
			return nil
		}
		last = append(last[:0], key...)
		loaded++
		names, n := payload[accountHead:], int(be.Uint16(payload[20:]))
		return w.Add(fields[key[0]], storage.AccountRecord{ID: key[1:], ScreenName: names[:n], Name: names[n:]})
	}); err != nil {
		return err
	}
	l.rejects.Load(dataset.Accounts, loaded)
	return l.file(w.Close())
}
