package seal

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

func testKey(t *testing.T) *Key {
	t.Helper()
	k, err := ParseKey(NewKey())
	if err != nil {
		t.Fatalf("ParseKey(NewKey()) = %v", err)
	}
	return k
}

func TestParseKey(t *testing.T) {
	secret := bytes.Repeat([]byte{0xfb, 0xff}, 16) // "+" and "/" in base64
	std := base64.StdEncoding.EncodeToString(secret)
	want, err := ParseKey(std)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		" " + std + "\n", base64.RawStdEncoding.EncodeToString(secret),
		base64.URLEncoding.EncodeToString(secret), base64.RawURLEncoding.EncodeToString(secret),
	} {
		k, err := ParseKey(text)
		if err != nil || k.ID() != want.ID() {
			t.Errorf("ParseKey(%q) = %v, want the same key", text, err)
		}
	}
	for _, text := range []string{
		"", "secret", base64.StdEncoding.EncodeToString(secret[:31]), std + std,
		hex.EncodeToString(secret), strings.Repeat("ä", 43),
	} {
		_, err := ParseKey(text)
		if !errors.Is(err, ErrKey) {
			t.Errorf("ParseKey(%q) = %v, want ErrKey", text, err)
		}
		if text != "" && text != "secret" && strings.Contains(err.Error(), text) {
			t.Errorf("the error holds the key: %v", err)
		}
	}
	if a, b := testKey(t), testKey(t); a.ID() == b.ID() {
		t.Errorf("two keys have the id %s", a.ID())
	}
}

func TestSeal(t *testing.T) {
	k := testKey(t)
	for _, plain := range []string{"", "secret", strings.Repeat("long", 10_000), "\x00\xff"} {
		a, b := k.Seal(plain, "row 1"), k.Seal(plain, "row 1")
		if a == b {
			t.Errorf("the same text was sealed the same twice")
		}
		got, err := k.Open(a, "row 1")
		if err != nil || got != plain {
			t.Errorf("Open(Seal(%.20q)) = %.20q, %v", plain, got, err)
		}
		if _, err := k.Open(a, "row 2"); !errors.Is(err, ErrSealed) {
			t.Errorf("Open for another row = %v, want ErrSealed", err)
		}
		if _, err := testKey(t).Open(a, "row 1"); !errors.Is(err, ErrSealed) {
			t.Errorf("Open with another key = %v, want ErrSealed", err)
		}
	}
	sealed := k.Seal("secret", "row")
	for i := range sealed { // no byte of it can be changed
		changed := []byte(sealed)
		changed[i] ^= 1
		if got, err := k.Open(string(changed), "row"); err == nil && got != "secret" {
			t.Errorf("Open with byte %d changed = %q", i, got)
		} else if err == nil && i < len(sealed)-1 { // the last digit holds unused bits
			t.Errorf("Open with byte %d changed = nil, want ErrSealed", i)
		}
	}
}

func FuzzOpen(f *testing.F) {
	k, err := ParseKey(base64.StdEncoding.EncodeToString(make([]byte, KeySize)))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(k.Seal("secret", "row"), "row")
	f.Add("v1.", "row")
	f.Add("", "")
	f.Add("v1.AAAA", "x")
	f.Fuzz(func(t *testing.T, sealed, binding string) {
		plain, err := k.Open(sealed, binding)
		if err != nil && (!errors.Is(err, ErrSealed) || plain != "") {
			t.Errorf("Open(%q) = %q, %v, want ErrSealed", sealed, plain, err)
		}
		if err == nil && plain != "secret" {
			t.Errorf("Open(%q) = %q: forged", sealed, plain)
		}
	})
}

func TestMAC(t *testing.T) {
	k := testKey(t)
	a := k.MAC("link", "1", "23")
	if len(a) != 32 || !bytes.Equal(a, k.MAC("link", "1", "23")) {
		t.Errorf("MAC = %x, want 32 bytes, the same each time", a)
	}
	for _, parts := range [][]string{{"link", "12", "3"}, {"link", "123"}, {"link", "1", "23", ""}, {"other", "1", "23"}, {}} {
		if bytes.Equal(a, k.MAC(parts...)) {
			t.Errorf("MAC(%q) is that of other parts", parts)
		}
	}
	if bytes.Equal(a, testKey(t).MAC("link", "1", "23")) {
		t.Error("MAC with another key is the same")
	}
}

func TestLoadOrCreate(t *testing.T) {
	name := filepath.Join(t.TempDir(), "secret.key")
	var wg sync.WaitGroup
	ids := make([]string, 8)
	for i := range ids {
		wg.Go(func() {
			k, err := LoadOrCreate(name)
			if err != nil {
				t.Errorf("LoadOrCreate = %v", err)
				return
			}
			ids[i] = k.ID()
		})
	}
	wg.Wait()
	for _, id := range ids {
		if id != ids[0] || id == "" {
			t.Errorf("keys %v, want all the same", ids)
		}
	}
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != 0o600 {
		t.Errorf("mode = %o, want 600", got)
	}
	if err := os.WriteFile(name, []byte("not a key"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = LoadOrCreate(name)
	if !errors.Is(err, ErrKey) || strings.Contains(err.Error(), "not a key") {
		t.Errorf("LoadOrCreate of a damaged file = %v, want ErrKey without its contents", err)
	}
	if b, err := os.ReadFile(name); err != nil || string(b) != "not a key" {
		t.Errorf("the damaged file holds %q, %v, want it untouched", b, err)
	}
}

func TestTokens(t *testing.T) {
	form := regexp.MustCompile(`^thr_[0-9A-Za-z]{43}$`)
	seen := make(map[string]bool)
	for range 1000 {
		token := NewToken()
		if !form.MatchString(token) || seen[token] {
			t.Fatalf("NewToken = %s, want a new one of the form %v", token, form)
		}
		seen[token] = true
	}
	if got := TokenID("thr_abcdefghijkl"); got != "thr_abcdefgh" {
		t.Errorf("TokenID = %s, want thr_abcdefgh", got)
	}
	if got := TokenID("short"); got != "short" {
		t.Errorf("TokenID(short) = %s", got)
	}
	const abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" // FIPS 180-2
	if got := HashToken("abc"); got != abc {
		t.Errorf("HashToken(abc) = %s, want %s", got, abc)
	}
	if !Equal("a", "a") || Equal("a", "b") || Equal("a", "aa") || !Equal("", "") {
		t.Error("Equal is wrong")
	}
}

func TestIsToken(t *testing.T) {
	good := NewToken()
	for text, want := range map[string]bool{
		good: true, good[1:]: false, good + "0": false, good[:len(good)-1]: false, good[:len(good)-1] + "-": false,
		"": false, TokenPrefix: false, NewSecret(): false, good[:len(good)-2] + "é": false,
	} {
		if got := IsToken(text); got != want {
			t.Errorf("IsToken(a text of %d bytes) = %v, want %v", len(text), got, want)
		}
	}
}
