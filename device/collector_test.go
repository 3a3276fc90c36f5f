package device

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"throng/identifier"
	"throng/internal/hexkey"
	"throng/internal/lines"
)

func (c *Collector) all(t testing.TB, f Family) (keys []hexkey.Key) {
	t.Helper()
	if err := c.Each(t.Context(), f, func(k hexkey.Key) bool { keys = append(keys, k); return true }); err != nil {
		t.Fatal(err)
	}
	return keys
}

func refused(line uint64, reason string) Refused { return Refused{Line: line, Reason: reason} }

func TestKeyOf(t *testing.T) {
	id := "38400000-8cf0-11bd-b23e-10b96e40000d"
	want, _ := hexkey.Parse([]byte(md5Of(id)))
	for _, tt := range []struct {
		typ    identifier.Type
		normal string
		ok     bool
	}{
		{identifier.GAID, id, true},
		{identifier.GAIDMD5, md5Of(id), true},
		{identifier.OAIDMD5, md5Of(id), true},
		{identifier.GAIDMD5, id, false},
		{identifier.GAIDMD5, md5Of(id)[1:], false},
		{identifier.MAID, id, false},
		{identifier.MD5, md5Of(id), false},
	} {
		k, ok := KeyOf(tt.typ, []byte(tt.normal))
		if ok != tt.ok || ok && k != want {
			t.Errorf("KeyOf(%s, %s) = %v, %t, want %t", tt.typ, tt.normal, k, ok, tt.ok)
		}
	}
	for _, f := range Families() {
		for _, typ := range []identifier.Type{f.Raw(), f.MD5()} {
			if got, hashed, ok := FamilyOf(typ); got != f || hashed != typ.IsMD5() || !ok {
				t.Errorf("FamilyOf(%s) = %s, %t, %t", typ, got, hashed, ok)
			}
		}
		if typ, ok := f.Raw().HasMD5(); typ != f.MD5() || !ok {
			t.Errorf("the sums of %s are %s, want %s", f.Raw(), f.MD5(), typ)
		}
	}
	if n := len(Families()); n != NumFamilies {
		t.Errorf("%d families, want %d", n, NumFamilies)
	}
}

// Lines of every form have their fates.
func TestCollector(t *testing.T) {
	const (
		u  = "1a2b3c4d-5e6f-4081-92a3-b4c5d6e7f809"
		u2 = "2a2b3c4d-5e6f-4081-92a3-b4c5d6e7f809"
	)
	up := strings.ToUpper
	for _, tt := range []struct {
		name, typ, list string
		want            Report
		ids             []string // whose sums are the keys
	}{
		{"nothing", "gaid", "", Report{}, nil},
		{"one id, no end", "gaid", u, Report{Rows: 1}, []string{u}},
		{"one id", "gaid", u + "\n", Report{Rows: 1}, []string{u}},
		{"a header alone", "gaid", "gaid\n", Report{Header: true}, nil},
		{"CRLF, a mark, quotes, spaces", "gaid", "\xef\xbb\xbf\"Advertising ID\"\r\n\"" + u + "\"\r\n  " + u2 + "\t\r\n", Report{Header: true, Rows: 2}, []string{u, u2}},
		{"a mark before an id", "gaid", "\xef\xbb\xbf" + u, Report{Rows: 1}, []string{u}},
		{"quotes around the first id", "gaid", `" ` + u + ` "` + "\n" + u, Report{Rows: 2}, []string{u}},
		{"every form of one UUID", "idfa", u + "\n" + up(u) + "\n" + strings.ReplaceAll(u, "-", "") + "\n", Report{Rows: 3}, []string{up(u)}},
		{"an empty first line", "gaid", "\n" + u + "\n", Report{Rows: 2, Invalid: 1, Lines: []Refused{refused(1, "empty")}, Reason: "empty"}, []string{u}},
		{"an empty last line", "gaid", u + "\n\n", Report{Rows: 2, Invalid: 1, Lines: []Refused{refused(2, "empty")}, Reason: "empty"}, []string{u}},
		{"lines count from the header", "gaid", "id\n" + u + "\nx\n{" + u + "}\n\"\"\n", Report{
			Header: true, Rows: 4, Invalid: 3, Reason: reasonBraces,
			Lines: []Refused{refused(3, "invalid"), refused(4, reasonBraces), refused(5, "empty")},
		}, []string{u}},
		{"a word as first OAID", "oaid", "OAID\naB-9\n", Report{Header: true, Rows: 1}, []string{"aB-9"}},
		{"OAIDs keep their case", "oaid", "aB-9\nab-9\n", Report{Rows: 2}, []string{"aB-9", "ab-9"}},
		{"IMEIs", "imei", "490154203237518\n49015420323751\n4901542032375180\n490154203237519\n", Report{
			Rows: 4, Invalid: 1, Lines: []Refused{refused(4, reasonCheckDigit)}, Reason: reasonCheckDigit,
		}, []string{"490154203237518", "49015420323751", "4901542032375180"}},
		{"too long a line", "gaid", u + "\n" + strings.Repeat(" ", lines.Max) + u2 + "\n" + u2, Report{
			Rows: 3, Invalid: 1, Lines: []Refused{refused(2, "too long")}, Reason: "too long",
		}, []string{u, u2}},
		{"the longest line", "gaid", u + "\n" + strings.Repeat(" ", lines.Max-len(u2)-1) + u2 + "\n", Report{Rows: 2}, []string{u, u2}},
	} {
		for name, list := range map[string]string{"": tt.list, ", zipped": zipped(tt.list)} {
			c := collect(t, tt.typ, list)
			got := c.Reports()[0]
			got.Findings, got.Type = nil, ""
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("%s%s (-want +got):\n%s", tt.name, name, diff)
			}
			var want []hexkey.Key
			for _, id := range tt.ids {
				want = append(want, sumOf([]byte(id)))
			}
			f, _, _ := FamilyOf(identifier.Type(tt.typ))
			if diff := cmp.Diff(sortedKeys(want), c.all(t, f)); diff != "" {
				t.Errorf("%s%s: keys (-want +got):\n%s", tt.name, name, diff)
			}
		}
	}
}

// Lists of several types, with more in them than is sorted in memory.
func TestCollectorOfMany(t *testing.T) {
	rng := rand.New(rand.NewPCG(21, 22))
	dir := t.TempDir()
	c := NewCollector(Config{TempDir: dir, Memory: 1})
	want := map[Family][]hexkey.Key{}
	ma := map[string]bool{}
	for _, typ := range []identifier.Type{identifier.GAID, identifier.IDFA, identifier.IDFAMD5, identifier.GAIDMD5, identifier.IDFV, identifier.GAID} {
		f, _, _ := FamilyOf(typ)
		list := listOf(40_000, func(int) string {
			id := randomID(rng, typ)
			k, ok := KeyOf(typ, []byte(id))
			if !ok {
				t.Fatalf("%s is no %s", id, typ)
			}
			want[f] = append(want[f], k)
			if typ.AlsoMA() {
				ma[strings.ToLower(id)] = true
			}
			return id
		})
		if err := c.Read(t.Context(), typ, strings.NewReader(list)); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range Families() {
		if got := c.Taken(f); got != uint64(len(want[f])) {
			t.Errorf("Taken(%s) = %d, want %d", f, got, len(want[f]))
		}
		if got := c.all(t, f); !slices.Equal(got, sortedKeys(want[f])) {
			t.Errorf("%s: %d keys, want %d", f, len(got), len(want[f]))
		}
	}
	n, last := 0, ""
	if err := c.EachMA(t.Context(), func(text []byte) bool {
		if n++; !ma[string(text)] || string(text) <= last {
			t.Fatalf("advertising id %d is not in order, or none of the lists", n)
		}
		last = string(text)
		return true
	}); err != nil || n != len(ma) || !c.HasMA() {
		t.Errorf("%d advertising ids, %v, want %d", n, err, len(ma))
	}
	c.Close()
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("%d files are left, %v", len(left), err)
	}
}

func TestCollectorRefuses(t *testing.T) {
	gone := errors.New("the disk is gone")
	packed := zipped(strings.Repeat("x\n", 10_000))
	for name, tt := range map[string]struct {
		typ  identifier.Type
		list io.Reader
		want error
	}{
		"a type that is no device's": {identifier.MD5, strings.NewReader(""), nil},
		"a cut archive":              {identifier.GAID, strings.NewReader(packed[:len(packed)/2]), ErrArchive},
		"a damaged archive":          {identifier.GAID, strings.NewReader(packed[:20] + "xxxx" + packed[24:]), ErrArchive},
		"a disk that fails":          {identifier.GAID, iotest.ErrReader(gone), gone},
		"in the midst of an archive": {identifier.GAID, io.MultiReader(strings.NewReader(packed[:30]), iotest.ErrReader(gone)), gone},
		"too large a list":           {identifier.GAID, strings.NewReader(strings.Repeat("x\n", 600)), ErrTooLarge},
		"too large, unpacked":        {identifier.GAID, strings.NewReader(packed), ErrTooLarge},
	} {
		c := NewCollector(Config{TempDir: t.TempDir(), Limit: 1000})
		if err := c.Read(t.Context(), tt.typ, tt.list); err == nil || tt.want != nil && !errors.Is(err, tt.want) {
			t.Errorf("%s: Read = %v, want %v", name, err, tt.want)
		}
		c.Close()
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(gone)
	c := NewCollector(Config{})
	defer c.Close()
	if err := c.Read(ctx, identifier.GAID, strings.NewReader("x\n")); !errors.Is(err, gone) {
		t.Errorf("Read after it was given up = %v, want %v", err, gone)
	}
}

// Whatever the bytes are, each line has one fate, and what is taken is what the
// type's normal form says.
func FuzzCollector(f *testing.F) {
	const u = "1a2b3c4d-5e6f-4081-92a3-b4c5d6e7f809"
	for i, s := range []string{
		"id\n" + u, "\xef\xbb\xbf\"" + u + "\"\r\n\n", md5Of(u) + "\n" + strings.ToUpper(md5Of(u)), "490154203237518\n3.54E+14\n", "null\n{" + u + "}",
		inUTF16(u+"\n"+u, false), inUTF16(u+"\n"+u, true), zipped(u + "\n"), "a,b;c\td|e\n+49 170 1\r\r\n", "00000000000000\n0\n-\n@\n\"\"\n\"",
	} {
		f.Add(uint8(i), []byte(s))
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, n uint8, list []byte) {
		typ := identifier.Devices()[int(n)%10]
		c := NewCollector(Config{TempDir: dir, Limit: 1 << 20, KeepRefused: 5})
		defer c.Close()
		if err := c.Read(context.Background(), typ, bytes.NewReader(list)); err != nil {
			_, foreign := errors.AsType[*lines.ForeignError](err)
			if !foreign && !errors.Is(err, ErrArchive) && !errors.Is(err, ErrTooLarge) {
				t.Fatalf("Read = %v", err)
			}
			return
		}
		r := c.Reports()[0]
		family, _, _ := FamilyOf(typ)
		if r.Invalid > r.Rows || c.Taken(family) != r.Rows-r.Invalid || uint64(len(r.Lines)) != min(r.Invalid, 5) {
			t.Fatalf("%s: %d taken, %+v", typ, c.Taken(family), r)
		}
		for _, x := range r.Findings {
			if x.Share <= 0 || x.Share > 1 || x.Code == "" || x.Message == "" {
				t.Fatalf("finding %+v of %+v", x, r)
			}
		}
		if bytes.HasPrefix(list, []byte{0x1f, 0x8b}) || bytes.HasPrefix(list, []byte{0x28, 0xb5, 0x2f, 0xfd}) {
			return
		}
		if diff := cmp.Diff(naive(typ, list), c.all(t, family)); diff != "" {
			t.Fatalf("%s: keys (-want +got):\n%s", typ, diff)
		}
	})
}

// naive gives the keys of a list, line by line.
func naive(typ identifier.Type, list []byte) []hexkey.Key {
	var keys []hexkey.Key
	list = bytes.TrimPrefix(list, []byte("\xef\xbb\xbf"))
	for i, line := range bytes.Split(list, []byte("\n")) {
		text := bytes.TrimSpace(line)
		if len(text) >= 2 && text[0] == '"' && text[len(text)-1] == '"' {
			text = text[1 : len(text)-1]
		}
		normal, reason := typ.Normalize(nil, text)
		if reason != "" || len(line) >= lines.Max || i == 0 && typ == identifier.OAID && isTitle(bytes.TrimSpace(text)) {
			continue
		}
		k, _ := KeyOf(typ, normal)
		keys = append(keys, k)
	}
	return sortedKeys(keys)
}

func BenchmarkCollector(b *testing.B) {
	const n = 1_000_000
	rng := rand.New(rand.NewPCG(23, 24))
	for _, typ := range []identifier.Type{identifier.GAID, identifier.GAIDMD5, identifier.IMEI} {
		list := listOf(n, func(int) string { return randomID(rng, typ) })
		b.Run(fmt.Sprintf("type=%s/rows=1e6", typ), func(b *testing.B) {
			for b.Loop() {
				c := NewCollector(Config{TempDir: b.TempDir()})
				if err := c.Read(b.Context(), typ, strings.NewReader(list)); err != nil {
					b.Fatal(err)
				}
				f, _, _ := FamilyOf(typ)
				if err := c.Each(b.Context(), f, func(hexkey.Key) bool { return true }); err != nil {
					b.Fatal(err)
				}
				c.Close()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/row")
		})
	}
}
