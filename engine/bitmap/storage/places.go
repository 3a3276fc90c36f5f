package storage

import (
	"encoding/binary"
	"errors"
	"math"

	"throng/engine/bitmap/format"
)

// The places of a dataset that brings its own: a stringTable with kind, id,
// name, region, country and market area of each. meta: places u32, zero u32,
// bytes of strings u64. It is verified when the places are read.

// placeStrings is how many strings a place has.
const placeStrings = 6

// Places is the mapped file of places. It is safe for concurrent use until
// Close.
type Places struct {
	*format.File
	values stringTable
	n      int
}

// OpenPlaces maps the file of places.
func OpenPlaces(path string) (*Places, error) {
	f, err := format.Open(path, format.KindPlaces)
	if err != nil {
		return nil, err
	}
	p := &Places{File: f}
	if err := p.open(); err != nil {
		f.Close()
		return nil, err
	}
	return p, nil
}

func (p *Places) open() error {
	if len(p.Meta()) != 16 {
		return p.Corrupt("directory has a wrong length")
	}
	le := binary.LittleEndian
	n, data, size := uint64(le.Uint32(p.Meta())), le.Uint64(p.Meta()[8:]), uint64(len(p.Payload()))
	if data > size || stringsSize(placeStrings*n, data) != size {
		return p.Corrupt("directory does not fit the file")
	}
	p.values = readStrings(p.File, 0, placeStrings*n, data)
	p.n = int(n)
	return nil
}

// Len is the number of places.
func (p *Places) Len() int { return p.n }

// Verify reads the whole file. An error wraps [ErrCorrupt].
func (p *Places) Verify() error {
	if err := p.Check(0, uint64(len(p.Payload()))); err != nil {
		return err
	}
	return p.values.verify()
}

// Each verifies the file and passes the places to yield in the order in which
// they were written. The strings are copies, which the caller owns. An error
// wraps [ErrCorrupt].
func (p *Places) Each(yield func(p CatalogPlace)) error {
	if err := p.Verify(); err != nil {
		return err
	}
	all := string(p.values.data) // one allocation for all
	next := 0
	var failed error
	read := func() string {
		from, to, err := p.values.bounds(next)
		if next++; err != nil {
			failed = err
			return ""
		}
		return all[from:to]
	}
	for range p.n {
		place := CatalogPlace{Kind: read(), ID: read(), Name: read(), Region: read(), Country: read(), DMA: read()}
		if failed != nil {
			return failed
		}
		yield(place)
	}
	return nil
}

// WritePlaces writes the places into the folder, durably.
func WritePlaces(dir string, places []CatalogPlace) (FileSum, error) {
	if len(places) > math.MaxUint32/placeStrings {
		return FileSum{}, errors.New("write places: there are too many")
	}
	w, err := format.Create(dir, PlacesName, format.KindPlaces)
	if err != nil {
		return FileSum{}, err
	}
	defer w.Abort()
	s := newStringWriter(w)
	defer s.abort()
	for _, p := range places {
		for _, v := range [placeStrings]string{p.Kind, p.ID, p.Name, p.Region, p.Country, p.DMA} {
			s.add([]byte(v))
		}
	}
	data := s.end()
	le := binary.LittleEndian
	meta := le.AppendUint32(nil, uint32(len(places)))
	meta = le.AppendUint32(meta, 0)
	return w.Finish(le.AppendUint64(meta, data))
}
