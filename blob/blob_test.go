package blob

import (
	"errors"
	"path"
	"strings"
	"testing"
)

func TestCheckKey(t *testing.T) {
	f := func(key string, ok bool) {
		t.Helper()
		err := CheckKey(key)
		if ok != (err == nil) {
			t.Errorf("CheckKey(%.40q) = %v, want ok %t", key, err, ok)
		}
		if err != nil && !errors.Is(err, ErrInvalidKey) {
			t.Errorf("CheckKey(%.40q) = %v, want ErrInvalidKey", key, err)
		}
	}
	f("a", true)
	f("outputs/123/md5.txt", true)
	f("A-Z_a.z+0=9", true)
	f("a..b/c.", true)
	f(strings.Repeat("a", 255), true)
	f(strings.Repeat("abcdefgh/", 99)+"abcdefghi", true) // 900 bytes
	f("", false)
	f("/a", false)
	f("a/", false)
	f("a//b", false)
	f(".", false)
	f("..", false)
	f("a/../b", false)
	f("a/.tmp", false)
	f("a b", false)
	f(`a\b`, false)
	f("a\x00", false)
	f("ä", false)
	f("a:b", false)
	f(strings.Repeat("a", 256), false)
	f(strings.Repeat("abcdefgh/", 99)+"abcdefghij", false)
}

func FuzzCheckKey(f *testing.F) {
	for _, seed := range []string{"a", "a/b.txt", "../x", "a//b", "/", "a/.b", "\x00", strings.Repeat("a/", 500)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, key string) {
		if CheckKey(key) != nil {
			return
		}
		if path.Clean("/"+key) != "/"+key {
			t.Errorf("CheckKey(%q) = nil, but it is not in its simplest form", key)
		}
		for element := range strings.SplitSeq(key, "/") {
			if element == "" || element[0] == '.' {
				t.Errorf("CheckKey(%q) = nil, but it has the element %q", key, element)
			}
		}
	})
}
