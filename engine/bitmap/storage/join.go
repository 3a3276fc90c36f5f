package storage

import (
	"encoding/binary"
	"unsafe"

	"throng/engine/bitmap/kernel"
	"throng/internal/hexkey"
)

// Probe is a key that is looked for: its hash and, of a key of 16 bytes, its
// last eight, which together say which it is; of other keys whatever tells the
// caller.
type Probe = kernel.Sought

// ProbeKey is the probe of a key of 16 bytes.
func ProbeKey(k hexkey.Key) Probe { return Probe{Hash: HashKey(k), Rest: k.Lo} }

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
	// ownGroup is the same for rows, which are asked for and then compared: the
	// processor cannot ask for the next group meanwhile, so it is larger.
	ownGroup = 128
	// crowd is how many entries of a line's rest are read one after the other.
	// Where keys are unlike each other no line has nearly as many.
	crowd = 128
	// JoinRoom is how much room Join needs in Found.
	JoinRoom = joinGroup * (kernel.LineSlots + crowd)
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
	var places [2][joinGroup]kernel.Place
	var odd [joinGroup]uint32
	group := func(from int) []Probe { return probes[from:min(from+joinGroup, len(probes))] }
	kernel.Places(places[0][:], group(first), l.lines)
	for turn := 0; first < len(probes) && cap(j.Found)-len(j.Found) >= JoinRoom; turn++ {
		now := group(first)
		here, next := places[turn%2][:len(now)], &places[(turn+1)%2]
		// The lines of a group are under way while those of the one before are
		// looked through.
		kernel.Places(next[:], group(first+len(now)), l.lines)
		for _, p := range here {
			if err := l.checkLine(p.Line); err != nil {
				return first, err
			}
		}
		have := len(j.Found)
		n, odds := kernel.Look(j.Found[have:cap(j.Found)], odd[:], l.lines, here, uint32(first))
		j.Found = j.Found[:have+n]
		for _, i := range odd[:odds] {
			if err := j.scan(l, here[i], uint32(first)+i); err != nil {
				return first, err
			}
		}
		first += len(now)
	}
	return first, nil
}

// scan notes the entries of a line with a tag, however many.
func (j *Joined) scan(l *Lookup, at kernel.Place, probe uint32) error {
	ln := &l.lines[at.Line]
	if ln.Number() > kernel.LineFull {
		return l.badLine()
	}
	rest, err := l.restOf(ln)
	if err != nil {
		return err
	}
	if len(rest) > crowd {
		j.Crowded = append(j.Crowded, probe)
		return nil
	}
	for s := range ln.Slots() {
		if ln.Tag(s) == uint8(at.Tag>>24) {
			j.Found = append(j.Found, uint64(ln.Rows[s])<<32|uint64(probe))
		}
	}
	for _, e := range rest {
		if uint32(e>>32) == at.Tag {
			j.Found = append(j.Found, e<<32|uint64(probe))
		}
	}
	return nil
}

// NoSuchRow is the error that an entry names a row which does not exist.
func (l *Lookup) NoSuchRow() error { return l.Corrupt("names a row that does not exist") }

// Own keeps those of found, in their order and place, whose row has the key of
// the probe, one of 16 bytes. found is as Join gives it, and has rows of this
// block alone.
func (cb *ColumnBlock) Own(found []uint64, probes []Probe) []uint64 {
	if cb.flags&flagFixed == 0 || cb.width != 16 || len(cb.data) == 0 {
		return found[:0]
	}
	values := unsafe.Slice((*[16]byte)(unsafe.Pointer(unsafe.SliceData(cb.data))), len(cb.data)/16)
	var asked, first, many [ownGroup]uint32
	kept := found[:0]
	for len(found) > 0 {
		group := found[:min(ownGroup, len(found))]
		for i, f := range group {
			from, to := cb.Range(int(f >> 32 % BlockRows))
			asked[i], first[i], many[i] = uint32(f), uint32(from), uint32(to-from)
		}
		kernel.Fetch(probes, asked[:len(group)])
		kernel.Fetch(values, first[:len(group)])
		for i, f := range group {
			for _, v := range values[first[i]:][:many[i]] {
				if kernel.SoughtOf(v[:]) == probes[uint32(f)] {
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
