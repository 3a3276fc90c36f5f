package device

import (
	"crypto/md5"
	"encoding/binary"

	"throng/identifier"
	"throng/internal/hexkey"
)

// Family is what a device id is, in whatever form it is written.
type Family uint8

// The families. Their numbers are part of the format of sets.
const (
	IMEI Family = iota
	IDFA
	GAID
	OAID
	IDFV

	// NumFamilies is how many families there are.
	NumFamilies = 5
)

// families holds the two types of each family: as it is, and as an MD5.
var families = [NumFamilies][2]identifier.Type{
	IMEI: {identifier.IMEI, identifier.IMEIMD5},
	IDFA: {identifier.IDFA, identifier.IDFAMD5},
	GAID: {identifier.GAID, identifier.GAIDMD5},
	OAID: {identifier.OAID, identifier.OAIDMD5},
	IDFV: {identifier.IDFV, identifier.IDFVMD5},
}

// Families returns all of them in the order of their numbers. The caller owns
// the slice.
func Families() []Family { return []Family{IMEI, IDFA, GAID, OAID, IDFV} }

// FamilyOf tells to which family identifiers of a type belong, and whether
// they are MD5 sums of its ids. ok is false for types that name no device, or
// do not say which family (ma_id).
func FamilyOf(t identifier.Type) (f Family, md5 bool, ok bool) {
	for i, types := range families {
		if t == types[0] || t == types[1] {
			return Family(i), t == types[1], true
		}
	}
	return 0, false, false
}

// Raw is the type of ids of the family as they are.
func (f Family) Raw() identifier.Type { return families[f][0] }

// MD5 is the type of their MD5 sums.
func (f Family) MD5() identifier.Type { return families[f][1] }

// String is the name of the raw type.
func (f Family) String() string { return string(f.Raw()) }

// uuid tells whether ids of the family are UUIDs.
func (f Family) uuid() bool { return f == IDFA || f == GAID || f == IDFV }

// upper tells whether the family's maker writes its UUIDs in upper case.
func (f Family) upper() bool { return f == IDFA || f == IDFV }

// KeyOf is the 16 bytes by which a device is known: the MD5 of its raw normal
// form. So an id and its MD5 have one key. normal is the normal form
// (identifier.Type.Normalize) of an id of type t; ok is false where t names no
// device, or what should be an MD5 sum is none.
func KeyOf(t identifier.Type, normal []byte) (k hexkey.Key, ok bool) {
	_, hashed, ok := FamilyOf(t)
	if !ok {
		return k, false
	}
	if hashed {
		if len(normal) != hexkey.SumLen {
			return k, false
		}
		return hexkey.Parse(normal)
	}
	return sumOf(normal), true
}

func sumOf(text []byte) hexkey.Key {
	sum := md5.Sum(text)
	return hexkey.Key{Hi: binary.BigEndian.Uint64(sum[:8]), Lo: binary.BigEndian.Uint64(sum[8:])}
}
