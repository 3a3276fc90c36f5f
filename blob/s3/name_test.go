package s3

import (
	"math"
	"slices"
	"strings"
	"testing"

	"throng/blob"
)

func TestMarks(t *testing.T) {
	for _, m := range []mark{{1, "a", 0}, {2, newID(), 5 << 30}, {3, goneID, 0}, {math.MaxUint64, "x", math.MaxInt64}} {
		key, rest, isMark, isData := split("a/b" + m.name())
		got, ok := parseMark(rest)
		if key != "a/b" || !isMark || isData || !ok || got != m {
			t.Errorf("%+v was read back as %q %+v, %t", m, key, got, ok)
		}
	}
	var names []string
	for _, version := range []uint64{9, 10, 11, 255, 256, 1 << 40} {
		names = append(names, mark{version, newID(), 1}.name())
	}
	slices.Reverse(names)
	if !slices.IsSorted(names) {
		t.Errorf("the newest is not first: %v", names)
	}
	for _, bad := range []string{"", "-", "--", "fffffffffffffffe-a", "fffffffffffffffe--1", "ffe-a-1", "fffffffffffffffe-a--1", "fffffffffffffffe-a-01", "FFFFFFFFFFFFFFFE-a-1", "fffffffffffffffe-a-1-2"} {
		if m, ok := parseMark(bad); ok {
			t.Errorf("parseMark(%q) = %+v", bad, m)
		}
	}
}

// Everything of a key lies together, and in the order of keys.
func TestNamesKeepTheOrderOfKeys(t *testing.T) {
	keys := []string{"a", "a+", "a-b", "a.b", "a/b", "a/b/c", "a0", "a=", "aA", "a_", "aa"}
	slices.Sort(keys)
	var names []string
	for _, key := range keys {
		names = append(names, key, key+mark{2, "x", 1}.name(), key+mark{1, "y", 1}.name(), key+dataSign+"x", key+dataSign+"y")
	}
	if !slices.IsSorted(names) {
		slices.Sort(names)
		t.Errorf("names lie in another order: %v", names)
	}
}

func TestParseURL(t *testing.T) {
	const good = "s3://bucket/some/prefix?endpoint=http://127.0.0.1:9000&region=eu-west-1&part_mib=16"
	c, err := ParseURL(good)
	if want := (Config{Bucket: "bucket", Prefix: "some/prefix", Endpoint: "http://127.0.0.1:9000", Region: "eu-west-1", PartSize: 16 << 20}); err != nil || c != want {
		t.Errorf("ParseURL(%s) = %+v, %v, want %+v", good, c, err, want)
	}
	for _, text := range []string{"s3://bucket", "s3://bucket/", "s3://b.u-cket/p/?region=x", "s3://bucket?endpoint=https://s3.example.com/"} {
		if _, err := ParseURL(text); err != nil {
			t.Errorf("ParseURL(%s) = %v", text, err)
		}
	}
	for _, text := range []string{
		"", "s3:", "s3://", "http://bucket", "s3://ab", "s3://Bucket", "s3://bucket/a b", "s3://bucket/.a", "s3://bucket/a//b",
		"s3://bucket/" + strings.Repeat("x", 51), "s3://bucket?endpoint=ftp://x", "s3://bucket?endpoint=http://x/path", "s3://bucket?endpoint=x",
		"s3://bucket?endpoint=http://x&endpoint=http://y", "s3://bucket?part_mib=4", "s3://bucket?part_mib=513", "s3://bucket?part_mib=x",
		"s3://bucket?secret=hunter2", "s3://key:hunter2@bucket", "s3://bucket?endpoint=http://key:hunter2@x", "s3://bucket?%zz=hunter2",
	} {
		_, err := ParseURL(text)
		if err == nil {
			t.Errorf("ParseURL(%s) = nil, want an error", text)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("ParseURL(%s) repeats a secret: %v", text, err)
		}
	}
}

func FuzzParseURL(f *testing.F) {
	for _, seed := range []string{"s3://bucket/p?endpoint=http://x:1&region=r", "s3://bucket?part_mib=9", "s3://", "%", "s3://a@bucket"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := ParseURL(text)
		if err == nil && (len(c.Bucket) < 3 || len(c.Prefix) > maxPrefix || c.Prefix != "" && blob.CheckKey(c.Prefix) != nil) {
			t.Errorf("ParseURL(%q) = %+v", text, c)
		}
	})
}

func FuzzParseMark(f *testing.F) {
	f.Add("fffffffffffffffe-gone-0")
	f.Add("fffffffffffffffe-abc-123")
	f.Add("--")
	f.Fuzz(func(t *testing.T, text string) {
		if m, ok := parseMark(text); ok && m.name() != markSign+text {
			t.Errorf("parseMark(%q) = %+v, which is named %q", text, m, m.name())
		}
	})
}
