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
	// Crowded are the positions of probes whose bucket has so many entries
	// that it is better to gather all that look into it first. They are not
	// in Found.
	Crowded []uint32
}

const (
	// joinGroup is how many probes are looked up side by side, so that the
	// memory works on many at once.
	joinGroup = 64
	// crowd is how many entries of a bucket are read one after the other.
	// Where keys are unlike each other no bucket has nearly as many.
	crowd = 128
	// JoinRoom is how much room Join needs in Found.
	JoinRoom = joinGroup * crowd
)

// Join does what Candidates does for many probes, from position first on. It
// stops at the end of probes and where Found has less than JoinRoom left, and
// gives the position of the first one that was not looked up. Probes in about
// the order of their hashes are much faster than others.
// An error wraps [ErrCorrupt].
func (l *Lookup) Join(probes []Probe, first int, j *Joined) (next int, err error) {
	if len(l.entries) == 0 {
		return len(probes), nil
	}
	var spans [joinGroup]span
	touched := l.touched()
	shift, last := 64-l.bits, len(l.entries)-1
	for first < len(probes) && cap(j.Found)-len(j.Found) >= JoinRoom {
		group := probes[first:min(first+joinGroup, len(probes))]
		// One loop for what misses the cache, and nothing beside it: the misses
		// of a loop are under way together.
		for i := range group {
			at := l.buckets[group[i].Hash>>shift:]
			spans[i] = span{at[0], at[1]}
		}
		for i := range group {
			if err := l.verify(&spans[i], group[i].Hash>>shift, &touched); err != nil {
				return first, err
			}
		}
		sink := uint64(0)
		for _, s := range spans[:len(group)] {
			sink += l.entries[min(int(s.from), last)] ^ l.entries[min(int(s.from)+atOnce-1, last)]
		}
		discard(sink)
		for i := range group {
			j.scan(l.entries, spans[i], l.tag(group[i].Hash), uint32(first+i))
		}
		first += len(group)
	}
	return first, nil
}

// atOnce is how many entries are compared whatever the size of the bucket,
// which only some exceed: it costs less than to guess wrong when to stop.
const atOnce = 8

// scan notes the entries with a tag; some may be of the next bucket.
func (j *Joined) scan(entries []uint64, s span, tag, probe uint32) {
	n := len(j.Found)
	found := j.Found[:cap(j.Found)]
	if int(s.from)+atOnce <= len(entries) {
		for _, e := range (*[atOnce]uint64)(entries[s.from:]) {
			found[n] = e<<32 | uint64(probe)
			if uint32(e>>32) == tag {
				n++
			}
		}
		if s.to-s.from <= atOnce {
			j.Found = found[:n]
			return
		}
		n = len(j.Found)
	}
	if s.to-s.from > crowd {
		j.Crowded = append(j.Crowded, probe)
		return
	}
	for _, e := range entries[s.from:s.to] {
		if uint32(e>>32) == tag {
			found[n] = e<<32 | uint64(probe)
			n++
		}
	}
	j.Found = found[:n]
}

// discard takes what was read ahead of its use, so that the compiler does not
// leave out the reading.
//
//go:noinline
func discard(uint64) {}

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
