package insight

import (
	"encoding/binary"
	"hash/crc32"
	"testing"
)

// FuzzDecode reads bodies with a right checksum, whatever they hold.
func FuzzDecode(f *testing.F) {
	f.Add([]byte("\x02{}"))
	f.Add([]byte("\x1d{\"baselines\":[{\"name\":\"a\"}]}\x01\x02\x03\x01a\x01b\x05\x06"))
	f.Fuzz(func(t *testing.T, b []byte) {
		body := append([]byte(magic), b...)
		c, err := decode(binary.LittleEndian.AppendUint32(body, crc32.Checksum(body, castagnoli)))
		if err == nil && len(c.columns) != len(Dimensions()) {
			t.Errorf("decode gives %d dimensions", len(c.columns))
		}
	})
}

// IntervalOf is the index of so many against so many, for tests.
func IntervalOf(count, members, based, others uint64) Term {
	col := column{ids: []string{"x"}, names: []string{""}, counts: []uint32{uint32(count)}}
	r, e := ratio(count, members, based, others)
	return col.term(ranked{ratio: r, error: e}, members, side{counts: []uint32{uint32(based)}}, others)
}
