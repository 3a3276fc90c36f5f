package storage

import (
	"encoding/binary"

	"throng/internal/hexkey"
)

// Probe is a key that is looked for: its hash and, of a key of 16 bytes, its
// last eight, which together say which it is; of other keys whatever tells the
// caller.
type Probe struct{ Hash, Rest uint64 }

// ProbeKey is the probe of a key of 16 bytes.
func ProbeKey(k hexkey.Key) Probe { return Probe{HashKey(k), k.Lo} }

// Joined is what Join found. It is reused from call to call.
type Joined struct {
	// Found has the rows that may own the key of a probe: the row in the
	// upper half, the position of the probe in the lower one.
	Found []uint64
	// Crowded are the positions of probes whose line has so many entries
	// that it is better to gather all that look into it first. They are not
	// in Found.
	Crowded []uint32
}

const (
	// joinGroup is how many probes are looked up side by side, so that the
	// memory works on many at once.
	joinGroup = 64
	// crowd is how many entries of a line's rest are read one after the other.
	// Where keys are unlike each other no line has nearly as many.
	crowd = 128
	// JoinRoom is how much room Join needs in Found.
	JoinRoom = joinGroup * (lineSlots + crowd)
)

// Join does what Candidates does for many probes, from position first on. It
// stops at the end of probes and where Found has less than JoinRoom left, and
// gives the position of the first one that was not looked up. Probes in about
// the order of their hashes are faster than others.
// An error wraps [ErrCorrupt].
func (l *Lookup) Join(probes []Probe, first int, j *Joined) (next int, err error) {
	if len(l.lines) == 0 {
		return len(probes), nil
	}
	var places [joinGroup]place
	for first < len(probes) && cap(j.Found)-len(j.Found) >= JoinRoom {
		group := probes[first:min(first+joinGroup, len(probes))]
		// One loop for what misses the cache, and next to nothing beside it: the
		// misses of a loop are under way together.
		sink := uint64(0)
		for i := range group {
			at, tag := l.place(group[i].Hash)
			places[i] = place{uint32(at), tag}
			sink += l.lines[at].tags[1]
		}
		discard(sink)
		for i := range group {
			p := places[i]
			if c := p.line >> (chunkShift - lineShift); l.seen[c>>6].Load()&(1<<(c&63)) == 0 {
				if err := l.check(uint64(p.line)<<lineShift, 1<<lineShift); err != nil {
					return first, err
				}
			}
			if err := j.scan(l, &l.lines[p.line], p.tag, uint32(first+i)); err != nil {
				return first, err
			}
		}
		first += len(group)
	}
	return first, nil
}

// place is where a probe is looked for.
type place struct{ line, tag uint32 }

// scan notes the entries of a line with a tag.
func (j *Joined) scan(l *Lookup, ln *line, tag, probe uint32) error {
	number := ln.number()
	if number > lineFull {
		return l.badLine()
	}
	same := ln.same(tag, number)
	n := len(j.Found)
	found := j.Found[:cap(j.Found)]
	// At most one, mostly: whether there is one cannot be guessed, so what is
	// noted then counts only if there is.
	found[n] = uint64(ln.rows[slot(same)%lineSlots])<<32 | uint64(probe)
	n += int((same | -same) >> 63)
	if same&(same-1) != 0 { // two have it by chance, or own one key
		n = len(j.Found)
		for s := range ln.slots() {
			if ln.tag(s) == uint8(tag>>24) {
				found[n] = uint64(ln.rows[s])<<32 | uint64(probe)
				n++
			}
		}
	}
	if number == lineFull {
		rest, err := l.restOf(ln)
		if err != nil {
			return err
		}
		if len(rest) > crowd {
			j.Crowded = append(j.Crowded, probe)
			return nil
		}
		for _, e := range rest {
			if uint32(e>>32) == tag {
				found[n] = e<<32 | uint64(probe)
				n++
			}
		}
	}
	j.Found = found[:n]
	return nil
}

// discard takes what was read ahead of its use, so that the compiler does not
// leave out the reading.
//
//go:noinline
func discard(uint64) {}

// span is some values of a block.
type span struct{ from, to uint32 }

// NoSuchRow is the error that an entry names a row which does not exist.
func (l *Lookup) NoSuchRow() error { return l.corrupt("names a row that does not exist") }

// Own keeps those of found, in their order and place, whose row has the key of
// the probe, one of 16 bytes. found is as Join gives it, and has rows of this
// block alone.
func (cb *ColumnBlock) Own(found []uint64, probes []Probe) []uint64 {
	if cb.flags&flagFixed == 0 || cb.width != 16 || len(cb.data) == 0 {
		return found[:0]
	}
	var spans [joinGroup]span
	kept := found[:0]
	for len(found) > 0 {
		group := found[:min(joinGroup, len(found))]
		for i, f := range group {
			from, to := cb.Range(int(f >> 32 % BlockRows))
			spans[i] = span{uint32(from), uint32(to)}
		}
		sink := uint64(0)
		for i, f := range group {
			sink += probes[uint32(f)].Rest + uint64(cb.data[min(int(spans[i].from)*16, len(cb.data)-1)])
		}
		discard(sink)
		for i, f := range group {
			p, s := probes[uint32(f)], spans[i]
			for values := cb.data[s.from*16 : s.to*16]; len(values) > 0; values = values[16:] {
				if ProbeKey(KeyOf(values)) == p {
					kept = append(kept, f)
					break
				}
			}
		}
		found = found[len(group):]
	}
	return kept
}

// KeyOf is the key of a value stored in 16 bytes.
func KeyOf(stored []byte) hexkey.Key {
	return hexkey.Key{Hi: binary.BigEndian.Uint64(stored), Lo: binary.BigEndian.Uint64(stored[8:])}
}
