package demo

import (
	"encoding/hex"
	"math/rand/v2"
	"strconv"

	"throng/identifier"
)

// identifiers draws what a person can be found by. All of it is made up: the
// domains are reserved, device numbers are of test equipment, and numbers of
// accounts lie beyond those that the network gives out.
func (w *worker) identifiers(t *table[identifierRow], r *rand.Rand, p *person) {
	w.emails(t, r, p)
	if p.on[twitter] && chance(r, 0.85) {
		w.text = append(w.text[:0], "syn_"...)
		if chance(r, 0.2) {
			w.text[0] = 'S'
		}
		w.text = append(w.text, p.key[1:]...)
		t.add(identifierRow{p.key, string(identifier.TwitterUser), string(w.text)})
		t.add(identifierRow{p.key, string(identifier.TwitterID), decimal(beyondInt64(hash(w.seed, 'T', uint64(p.index))))})
	}
	w.panels(t, r, p)
	w.devices(t, r, p)
}

var emailDomains = [...]string{"@example.com", "@example.org", "@example.net"}

// emails draws addresses: every second pair in twenty is a household with one
// address between them.
func (w *worker) emails(t *table[identifierRow], r *rand.Rand, p *person) {
	owner := uint64(p.index)
	if hash(w.seed, 'H', owner/2)%20 == 0 {
		owner &^= 1
	}
	switch x := r.Float64(); {
	case x < 0.60:
		t.add(identifierRow{p.key, string(identifier.EmailRaw), w.email(hash(w.seed, 'E', owner))})
		if x < 0.07 {
			t.add(identifierRow{p.key, string(identifier.EmailRaw), w.email(hash(w.seed, 'F', owner))})
		}
	case x < 0.70: // known by the hash alone
		sum := identifier.EmailMD5(nil, []byte(w.email(hash(w.seed, 'E', owner))))
		t.add(identifierRow{p.key, string(identifier.MD5), string(sum)})
	}
}

func (w *worker) email(x uint64) string {
	w.text = append(w.text[:0], [...]string{"reader", "walker", "maker", "Neighbor", "guest", "friend"}[x%6]...)
	w.text = append(w.text, '.')
	w.number(x >> 12)
	w.text = append(w.text, emailDomains[x>>3%3]...)
	return string(w.text)
}

func (w *worker) panels(t *table[identifierRow], r *rand.Rand, p *person) {
	if chance(r, 0.10) {
		w.text = append(w.text[:0], "syn-cint-"...)
		w.number(r.Uint64())
		t.add(identifierRow{p.key, string(identifier.CintID), string(w.text)})
	}
	if chance(r, 0.22) {
		w.text = append(w.text[:0], "XYsyn"...)
		w.number(r.Uint64())
		t.add(identifierRow{p.key, string(identifier.RampID), string(w.text)})
	}
}

// devices draws telephones: of Android, of Apple, or of neither known.
func (w *worker) devices(t *table[identifierRow], r *rand.Rand, p *person) {
	add := func(kind identifier.Type, value string) { t.add(identifierRow{p.key, string(kind), value}) }
	hashed := func(kind identifier.Type, value string) string {
		normal, _ := kind.Normalize(nil, []byte(value))
		return string(identifier.HexMD5(nil, normal))
	}
	switch x := r.Float64(); {
	case x < 0.22:
		id := uuid(r)
		if add(identifier.GAID, id); chance(r, 0.05) {
			add(identifier.GAIDMD5, hashed(identifier.GAID, id))
		}
		if chance(r, 0.15) {
			add(identifier.OAID, uuid(r))
		}
		if chance(r, 0.2) {
			number := imei(r)
			if add(identifier.IMEI, number); chance(r, 0.1) {
				add(identifier.IMEIMD5, hashed(identifier.IMEI, number))
			}
		}
	case x < 0.38:
		id, _ := identifier.IDFA.Normalize(nil, []byte(uuid(r)))
		add(identifier.IDFA, string(id))
		if chance(r, 0.3) {
			vendor, _ := identifier.IDFV.Normalize(nil, []byte(uuid(r)))
			add(identifier.IDFV, string(vendor))
		}
	case x < 0.40: // known by a hash alone
		add(identifier.IDFAMD5, hashed(identifier.IDFA, uuid(r)))
	case x < 0.58:
		add(identifier.MAID, uuid(r))
	}
}

// uuid draws a UUID of version 4.
func uuid(r *rand.Rand) string {
	var raw [16]byte
	for i := range 2 {
		x := r.Uint64()
		for j := range 8 {
			raw[8*i+j] = byte(x >> (8 * j))
		}
	}
	raw[6], raw[8] = raw[6]&0x0f|0x40, raw[8]&0x3f|0x80
	var b [36]byte
	hex.Encode(b[:8], raw[:4])
	hex.Encode(b[9:13], raw[4:6])
	hex.Encode(b[14:18], raw[6:8])
	hex.Encode(b[19:23], raw[8:10])
	hex.Encode(b[24:], raw[10:])
	b[8], b[13], b[18], b[23] = '-', '-', '-', '-'
	return string(b[:])
}

// imei draws a number with the prefix of test equipment, 00, and a right check
// digit (Luhn).
func imei(r *rand.Rand) string {
	var b [15]byte
	sum := 0
	for i := range 14 {
		d := 0
		if i > 1 {
			d = r.IntN(10)
		}
		b[i] = byte('0' + d)
		if i%2 == 1 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	b[14] = byte('0' + (10-sum%10)%10)
	return string(b[:])
}

func decimal(x uint64) string { return strconv.FormatUint(x, 10) }
