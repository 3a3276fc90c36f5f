package kernel

import (
	"encoding/binary"
	"math/bits"
	"unsafe"

	"throng/internal/hexkey"
)

//go:generate go run -C gen ./seek -out ../seek_amd64.s -stubs ../seekvector_amd64.go -pkg kernel

// Sought is a key that is looked for: its hash and, of a key of 16 bytes, its
// last eight, which together say which it is.
type Sought struct{ Hash, Rest uint64 }

// HashKey is the hash of a key of 16 bytes. Keys whose last eight bytes are the
// same have different hashes.
func HashKey(k hexkey.Key) uint64 { return mix(k.Hi ^ mix(k.Lo)) }

// mix is a permutation of the words in which every bit of what goes in changes
// about half of those that come out.
func mix(x uint64) uint64 {
	x ^= x >> 32
	x *= 0xd6e8feb86659fd93
	x ^= x >> 32
	x *= 0xd6e8feb86659fd93
	return x ^ x>>32
}

// The numbers of entries of a [Line].
const (
	LineSlots = 12
	LineFull  = LineSlots + 1 // stands for more
	FullSlots = LineSlots - 2 // how many a line with more has
)

// Line is where a lookup has the entries of one range of hashes: a line of the
// processor's cache.
type Line struct {
	Rows [LineSlots]uint32
	// Tags are eight to a word, the first in the lowest bits; the upper half of
	// the last word is how many there are.
	Tags [2]uint64
}

// Number is how many entries a line has; LineFull where some are elsewhere.
// More than that is a damage.
func (ln *Line) Number() uint32 { return uint32(ln.Tags[1] >> 32) }

// Slots is how many entries are in the line itself.
func (ln *Line) Slots() uint32 {
	if n := ln.Number(); n != LineFull {
		return n
	}
	return FullSlots
}

// Tag is the tag of a slot.
func (ln *Line) Tag(slot uint32) uint8 { return uint8(ln.Tags[slot/8] >> (8 * (slot % 8))) }

// Place is where a key is looked for: a line, and the tag, whose first byte
// entries in the line have.
type Place struct{ Line, Tag uint32 }

// PlaceOf is where a hash is looked for in so many lines.
func PlaceOf(hash uint64, lines int) Place {
	line, behind := bits.Mul64(hash, uint64(lines))
	return Place{uint32(line), uint32(behind >> 32)}
}

// seekers is an implementation of the loops that look for keys.
type seekers struct {
	name string
	// The arguments are as long as they must be, and none is empty.
	hexSought func(dst []Sought, text []byte)
	places    func(dst []Place, sought []Sought, lines []Line)
	look      func(found []uint64, odd []uint32, lines []Line, places []Place, first uint32) (nFound, nOdd int)
	// Of a list of n things of 16 bytes.
	fetch func(list *byte, n int, at []uint32)
}

// useSeekers is the implementation in use: the last of those that the processor
// can run. Only tests write to it.
var useSeekers = seekersHere()[len(seekersHere())-1]

// HexSought makes dst the keys of which text has 32 digits each, in either
// case. What is not a digit means nothing.
func HexSought(dst []Sought, text []byte) {
	if len(dst) > 0 {
		useSeekers.hexSought(dst, text[:hexkey.SumLen*len(dst)])
	}
}

// Places tells where keys are looked for, and has the memory fetch these lines,
// of which there is at least one. dst is as long as sought.
func Places(dst []Place, sought []Sought, lines []Line) {
	if len(sought) > 0 {
		useSeekers.places(dst[:len(sought)], sought, lines)
	}
}

// Look looks for keys, numbered from first on, at their places. It notes the
// rows of those that have one entry with their tag in found: the row in the
// upper half, the key's number in the lower one. Those that may have several,
// or whose line does not have all entries or is damaged, it leaves to the
// caller: their positions in places are in odd. found and odd have room for all
// of places.
func Look(found []uint64, odd []uint32, lines []Line, places []Place, first uint32) (nFound, nOdd int) {
	if len(places) == 0 {
		return 0, 0
	}
	return useSeekers.look(found[:len(places)], odd[:len(places)], lines, places, first)
}

// Fetch has the memory fetch list[i] for all i of at, which are used soon.
func Fetch[T Sought | [ValueBytes]byte](list []T, at []uint32) {
	if len(list) > 0 && len(at) > 0 {
		useSeekers.fetch((*byte)(unsafe.Pointer(unsafe.SliceData(list))), len(list), at)
	}
}

// portableSeekers is for every machine.
var portableSeekers = seekers{name: "portable", hexSought: hexSought, places: placesOf, look: look, fetch: fetch}

func hexSought(dst []Sought, text []byte) {
	for i := range dst {
		k, _ := hexkey.Of(text[hexkey.SumLen*i:][:hexkey.SumLen])
		dst[i] = Sought{HashKey(k), k.Lo}
	}
}

// placesOf reads the lines: the misses of a loop are under way together.
func placesOf(dst []Place, sought []Sought, lines []Line) {
	sink := uint64(0)
	for i := range sought {
		p := PlaceOf(sought[i].Hash, len(lines))
		dst[i] = p
		sink += lines[p.Line].Tags[1]
	}
	discard(sink)
}

// fetch reads the things, as placesOf does the lines.
func fetch(list *byte, n int, at []uint32) {
	sink := byte(0)
	for _, i := range at {
		sink += *(*byte)(unsafe.Add(unsafe.Pointer(list), ValueBytes*min(int(i), n-1)))
	}
	discard(uint64(sink))
}

// discard takes what was read ahead of its use, so that the compiler does not
// leave out the reading.
//
//go:noinline
func discard(uint64) {}

func look(found []uint64, odd []uint32, lines []Line, places []Place, first uint32) (nFound, nOdd int) {
	for i, p := range places {
		ln := &lines[p.Line]
		n := ln.Number()
		if n > LineSlots {
			odd[nOdd] = uint32(i)
			nOdd++
			continue
		}
		same := ln.same(p.Tag, n)
		if same&(same-1) != 0 {
			odd[nOdd] = uint32(i)
			nOdd++
			continue
		}
		// Whether there is one cannot be guessed: what is noted counts only then.
		found[nFound] = uint64(ln.Rows[slot(same)%LineSlots])<<32 | uint64(first+uint32(i))
		nFound += int((same | -same) >> 63)
	}
	return nFound, nOdd
}

// tagSlots are the bits that [Line.same] may give, by how many entries there
// are: slot s is bit s div 8 of the byte s mod 8.
var tagSlots = func() (masks [LineSlots + 1]uint64) {
	for n := range masks {
		for s := range n {
			masks[n] |= 1 << (s/8 + s%8*8)
		}
	}
	return masks
}()

// slot is the slot of the lowest bit of what [Line.same] gives; any where there
// is none.
func slot(same uint64) int {
	bit := bits.TrailingZeros64(same) & 63
	return bit&1*8 + bit>>3
}

// same tells which of the entries of a line, whose number is n, have a tag, in
// bits that slot reads. All are compared at once, eight to a word.
func (ln *Line) same(tag, n uint32) uint64 {
	const each, low = 0x0101010101010101, 0x7f7f7f7f7f7f7f7f
	sought := uint64(tag>>24) * each
	a, b := ln.Tags[0]^sought, ln.Tags[1]^sought
	// The highest bit of each byte becomes 0 where all of them are.
	a, b = a|(a&low+low), b|(b&low+low)
	return tagSlots[n] &^ (a>>7&each | b>>6&(each<<1))
}

// SoughtOf is the key that is stored in 16 bytes.
func SoughtOf(stored []byte) Sought {
	be := binary.BigEndian
	k := hexkey.Key{Hi: be.Uint64(stored), Lo: be.Uint64(stored[8:])}
	return Sought{HashKey(k), k.Lo}
}
