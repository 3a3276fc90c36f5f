package address

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"throng/internal/seal"
)

func FuzzToken(f *testing.F) {
	key, err := seal.ParseKey(strings.Repeat("A", 43) + "=")
	if err != nil {
		f.Fatal(err)
	}
	good := Token(key, "abcdefghijklmnop", time.Unix(1_800_000_000, 0))
	for _, seed := range []string{good, "", ".", "..", "a.b.c", good[:20], good + "."} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, token string) {
		slot, ends, ok := ReadToken(key, token)
		if ok && (token != good || slot != "abcdefghijklmnop" || ends.Unix() != 1_800_000_000) {
			t.Errorf("ReadToken(%q) = %q, %v: forged", token, slot, ends)
		}
	})
}

// A link is read back, and proved by its own key, audience and counter alone.
func TestLink(t *testing.T) {
	var keys [2]*seal.Key
	for i := range keys {
		var err error
		if keys[i], err = seal.ParseKey(seal.NewKey()); err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range []int64{1, 127, 128, 1 << 40, 1 << 62} {
		token := Link(keys[0], id, 3)
		got, proof, ok := ReadLink(token)
		if got != id || !ok || !IsLink(keys[0], id, 3, proof) {
			t.Errorf("ReadLink(Link(%d)) = %d, %t, want it proved", id, got, ok)
		}
		for name, forged := range map[string]bool{
			"another key":      IsLink(keys[1], id, 3, proof),
			"another audience": IsLink(keys[0], id+1, 3, proof),
			"another counter":  IsLink(keys[0], id, 4, proof),
			"less of it":       IsLink(keys[0], id, 3, proof[1:]),
		} {
			if forged {
				t.Errorf("the proof of link %d holds for %s", id, name)
			}
		}
	}
	good := Link(keys[0], 5, 0)
	for _, bad := range []string{
		"", "!", good[1:], good + "A", good[:len(good)-1], strings.Repeat("_", len(good)),
		base64.RawURLEncoding.EncodeToString(make([]byte, 1+linkSum)), // audience 0
	} {
		if id, _, ok := ReadLink(bad); ok {
			t.Errorf("ReadLink(%q) = %d, want none", bad, id)
		}
	}
}

func TestIsName(t *testing.T) {
	for name, want := range map[string]bool{
		"a": true, "a b.txt": true, "...": true, strings.Repeat("é", 255): true,
		".": false, "..": false, "a/b": false, "a\x00": false, "a\n": false, "\xff": false, strings.Repeat("é", 256): false,
	} {
		if got := IsName(name); got != want {
			t.Errorf("IsName(%q) = %t, want %t", name, got, want)
		}
	}
}

func TestNewSlot(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		slot := NewSlot()
		if len(slot) != SlotLen || strings.Trim(slot, "abcdefghijklmnopqrstuvwxyz") != "" || seen[slot] {
			t.Fatalf("NewSlot() = %q, want %d letters that are new", slot, SlotLen)
		}
		seen[slot] = true
	}
}

func TestPath(t *testing.T) {
	day := time.Date(2024, 1, 10, 23, 0, 0, 0, time.UTC)
	for _, tt := range []struct{ md5, want string }{
		{"5d41402abc4b2a76b9719d911017c592", "s3://b/audience/tmp_upload/2024/01/10/abcdefghijklmnop/5d41402abc4b2a76b9719d911017c592/n"},
		{"", "s3://b/audience/tmp_upload/2024/01/10/abcdefghijklmnop/n"},
	} {
		if got := Path("b", day, "abcdefghijklmnop", tt.md5, "n"); got != tt.want {
			t.Errorf("Path = %s, want %s", got, tt.want)
		}
	}
}
