package storage

import (
	"bytes"
	"testing"

	"throng/identifier"
)

func TestCodec(t *testing.T) {
	for _, tt := range []struct {
		typ               identifier.Type
		printed, key, dec string
		size              int
	}{
		{identifier.MD5, "900150983cd24fb0d6963f7d28e17f72", "", "", 16},
		{identifier.GAID, "01234567-89ab-cdef-0123-456789abcdef", "", "", 16},
		{identifier.IDFA, "01234567-89AB-CDEF-0123-456789ABCDEF", "", "", 16},
		{identifier.TwitterUser, "SomeBody", "somebody", "", 8},
		{identifier.EmailRaw, "A.B@example.com", "a.b@example.com", "", 15},
		{identifier.CintID, "Exact", "Exact", "", 5},
	} {
		c := CodecOf(tt.typ)
		stored := c.Encode(nil, []byte(tt.printed))
		if len(stored) != tt.size {
			t.Errorf("%s: stored in %d bytes, want %d", tt.typ, len(stored), tt.size)
		}
		if got := c.Decode(nil, stored); string(got) != tt.printed {
			t.Errorf("%s: Decode(Encode(%s)) = %s", tt.typ, tt.printed, got)
		}
		if key := c.Key(nil, stored); tt.key != "" && string(key) != tt.key {
			t.Errorf("%s: Key = %s, want %s", tt.typ, key, tt.key)
		}
		if !c.Equal(stored, bytes.Clone(c.Key(nil, stored))) {
			t.Errorf("%s: a value does not equal its own key", tt.typ)
		}
	}
}
