package delivery

import (
	"testing"

	"throng"
	"throng/identifier"
)

func TestPlatforms(t *testing.T) {
	for _, p := range []throng.Platform{throng.Android, throng.IOS, throng.Mixed} {
		if got, ok := ParsePlatform(PlatformName(p)); got != p || !ok {
			t.Errorf("ParsePlatform(%q) = %d, %t, want %d", PlatformName(p), got, ok, p)
		}
	}
	for _, name := range []string{"", "Android", "symbian"} {
		if got, ok := ParsePlatform(name); ok {
			t.Errorf("ParsePlatform(%q) = %d, want none", name, got)
		}
	}
	if got := PlatformName(0); got != "" {
		t.Errorf("PlatformName(0) = %q, want none", got)
	}
}

// Every type of device runs a platform, an id's the same as its MD5's; of no
// other type is that known.
func TestRuns(t *testing.T) {
	devices := map[identifier.Type]bool{}
	for _, typ := range identifier.Devices() {
		devices[typ] = true
		p, ok := Runs(typ)
		if !ok || p == throng.Mixed {
			t.Errorf("Runs(%s) = %d, %t, want a platform", typ, p, ok)
		}
		if sum, raw := typ.HasMD5(); raw {
			if q, _ := Runs(sum); q != p {
				t.Errorf("Runs(%s) = %d, of its MD5 %d", typ, p, q)
			}
		}
	}
	for _, typ := range identifier.Types() {
		if _, ok := Runs(typ); ok != devices[typ] {
			t.Errorf("Runs(%s) is known: %t, want %t", typ, ok, devices[typ])
		}
	}
}
