package device

import (
	"bytes"

	"throng/internal/hexkey"
)

// compared counts how the sums of a list were made, of those whose raw ids are
// known.
type compared struct {
	right     uint64 // of the normal form
	otherCase uint64
	plain     uint64 // without hyphens, in either case
	twice     uint64 // of the digits of the right sum, in either case
}

func (c compared) known() uint64 { return c.right + c.otherCase + c.plain + c.twice }

// Suspects tells whether any list holds sums of a family, so that it is worth
// comparing them with raw ids.
func (c *Collector) Suspects(f Family) bool {
	for _, l := range c.lists {
		if l.family == f && l.hashed && len(l.signs.sample.keys) > 0 {
			return true
		}
	}
	return false
}

// Compare takes a raw id of a family, in its normal form, that is known from
// elsewhere, and looks for sums in which it was hashed in another way than it
// should be. It takes about a microsecond, so a sample is enough.
func (c *Collector) Compare(f Family, raw []byte) {
	forms := waysOf(f, raw)
	for _, l := range c.lists {
		if l.family != f || !l.hashed {
			continue
		}
		l.compared.right += l.count(forms.right)
		l.compared.otherCase += l.count(forms.otherCase)
		l.compared.plain += l.count(forms.plain[0], forms.plain[1])
		l.compared.twice += l.count(forms.twice[0], forms.twice[1])
	}
}

// count is 1 where a list has any of the sums; 0 keys are none.
func (l *list) count(keys ...hexkey.Key) uint64 {
	for _, k := range keys {
		if k == (hexkey.Key{}) {
			continue
		}
		if has, _ := l.signs.sample.has(k); has {
			return 1
		}
	}
	return 0
}

// ways are the sums of one id. The zero key is none.
type ways struct {
	right, otherCase hexkey.Key
	plain, twice     [2]hexkey.Key
}

func waysOf(f Family, raw []byte) (w ways) {
	w.right = sumOf(raw)
	lower, upper := bytes.ToLower(raw), bytes.ToUpper(raw)
	if other := lower; !bytes.Equal(lower, upper) {
		if bytes.Equal(other, raw) {
			other = upper
		}
		w.otherCase = sumOf(other)
	}
	if f.uuid() {
		w.plain = [2]hexkey.Key{sumOf(bytes.ReplaceAll(lower, []byte{'-'}, nil)), sumOf(bytes.ReplaceAll(upper, []byte{'-'}, nil))}
	}
	digits := w.right.Append(nil)
	w.twice = [2]hexkey.Key{sumOf(digits), sumOf(bytes.ToUpper(digits))}
	return w
}
