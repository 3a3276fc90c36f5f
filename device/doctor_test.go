package device

import (
	"bytes"
	"compress/gzip"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"throng/identifier"
)

func randomUUID(rng *rand.Rand) string {
	hi, lo := rng.Uint64(), rng.Uint64()
	hi = hi&^0xf000 | 0x4000
	lo = lo&^(3<<62) | 2<<62
	return fmt.Sprintf("%08x-%04x-%04x-%04x-%012x", hi>>32, hi>>16&0xffff, hi&0xffff, lo>>48, lo&(1<<48-1))
}

func md5Of(s string) string { return fmt.Sprintf("%x", md5.Sum([]byte(s))) }

// randomIMEI has a check digit.
func randomIMEI(rng *rand.Rand) string {
	body := fmt.Sprintf("35%012d", rng.Uint64N(1e12))
	for check := range 10 {
		if s := body + fmt.Sprint(check); valid(identifier.IMEI, s) {
			return s
		}
	}
	panic("no check digit")
}

func valid(t identifier.Type, s string) bool {
	_, reason := t.Normalize(nil, []byte(s))
	return reason == ""
}

// randomID is an id of a type as it is written in the wild.
func randomID(rng *rand.Rand, t identifier.Type) string {
	f, hashed, _ := FamilyOf(t)
	var s string
	switch f {
	case IMEI:
		switch s = randomIMEI(rng); rng.IntN(4) {
		case 0:
			s = s[:14]
		case 1:
			s += "0"
		}
	case IDFA, IDFV:
		s = strings.ToUpper(randomUUID(rng))
	case GAID:
		s = randomUUID(rng)
	case OAID:
		switch s = randomUUID(rng); rng.IntN(3) {
		case 0:
			s = md5Of(s)[:16]
		case 1:
			s = fmt.Sprintf("%x", sha256.Sum256([]byte(s)))
		}
	}
	if hashed {
		return md5Of(s)
	}
	return s
}

func listOf(n int, line func(i int) string) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(line(i))
		b.WriteByte('\n')
	}
	return b.String()
}

func zipped(s string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	z.Write([]byte(s))
	z.Close()
	return b.String()
}

// inUTF16 is ASCII in UTF-16, in either order of bytes.
func inUTF16(s string, big bool) string {
	b := []byte("\xff\xfe")
	if big {
		b = []byte("\xfe\xff")
	}
	for _, c := range []byte(s) {
		if big {
			b = append(b, 0, c)
		} else {
			b = append(b, c, 0)
		}
	}
	return string(b)
}

// collect reads lists, types and contents by turns.
func collect(t testing.TB, typesAndLists ...string) *Collector {
	t.Helper()
	c := NewCollector(Config{TempDir: t.TempDir(), KeepRefused: 10})
	t.Cleanup(c.Close)
	for i := 0; i < len(typesAndLists); i += 2 {
		if err := c.Read(t.Context(), identifier.Type(typesAndLists[i]), strings.NewReader(typesAndLists[i+1])); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func codes(r Report) string {
	var list []string
	for _, f := range r.Findings {
		code := f.Code
		if f.Hint {
			code += "?"
		}
		list = append(list, code)
	}
	return strings.Join(list, " ")
}

// Every kind of oddness is told by its code and nothing else is, in lists of
// every length.
func TestDoctor(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 12))
	uuid := func(int) string { return randomUUID(rng) }
	upper := func(i int) string { return strings.ToUpper(uuid(i)) }
	plain := func(i int) string { return strings.ReplaceAll(uuid(i), "-", "") }
	sum := func(i int) string { return md5Of(uuid(i)) }
	imei := func(int) string { return randomIMEI(rng) }
	oaid := func(int) string { return md5Of(randomUUID(rng))[:16] }
	sha1Of := func(i int) string { return fmt.Sprintf("%x", sha1.Sum([]byte(uuid(i)))) }
	sha256Of := func(i int) string { return fmt.Sprintf("%X", sha256.Sum256([]byte(uuid(i)))) }
	phone := func(int) string { return fmt.Sprintf("+49 170 %07d", rng.IntN(1e7)) }
	wrongDigit := func(int) string {
		s := []byte(randomIMEI(rng))
		s[14] = '0' + (s[14]-'0'+1+byte(rng.IntN(9)))%10
		return string(s)
	}
	of := func(fixed string) func(int) string { return func(int) string { return fixed } }
	email := func(i int) string { return fmt.Sprintf("somebody%d@example.com", i) }
	for _, tt := range []struct {
		name  string
		types string
		line  func(int) string
		want  string
		least int // lines from which it is told
	}{
		{"raw UUIDs", "gaid_md5 idfa_md5 idfv_md5 oaid_md5", uuid, "raw_in_md5", 1},
		{"raw UUIDs in upper case", "idfa_md5", upper, "raw_in_md5", 1},
		{"raw UUIDs without hyphens", "gaid_md5 idfa_md5", plain, "raw_in_md5", 8},
		{"raw IMEIs", "imei_md5", imei, "raw_in_md5", 1},
		{"raw OAIDs", "oaid_md5", oaid, "raw_in_md5", 1},
		{"MD5s", "imei", sum, "md5_in_raw", 1},
		{"MD5s among UUIDs", "gaid", sum, "md5_in_raw", 30},
		{"MD5s in upper case among UUIDs", "idfa idfv", func(i int) string { return strings.ToUpper(sum(i)) }, "md5_in_raw", 30},
		{"MD5s that could be OAIDs", "oaid", sum, "md5_in_raw?", 1},
		{"SHA-1", "gaid_md5 imei_md5 oaid_md5 gaid imei", sha1Of, "sha1", 1},
		{"SHA-256", "gaid_md5 imei_md5 idfa imei", sha256Of, "sha256", 1},
		{"zeroed UUIDs", "gaid idfa idfv oaid", of("00000000-0000-0000-0000-000000000000"), "zero_ids", 1},
		{"zeroed UUIDs without hyphens", "gaid idfa", of("00000000000000000000000000000000"), "zero_ids", 1},
		{"zeroed IMEIs", "imei", of("000000000000000"), "zero_ids", 1},
		{"MD5s of the empty string", "gaid_md5 imei_md5", of("d41d8cd98f00b204e9800998ecf8427e"), "empty_md5", 1},
		{"UUIDs without hyphens", "gaid idfa idfv", plain, "no_hyphens?", 1},
		{"UUIDs in braces", "gaid idfa idfv", func(i int) string { return "{" + uuid(i) + "}" }, "braces", 1},
		{"wrong check digits", "imei", wrongDigit, "check_digit", 1},
		{"a spreadsheet's numbers", "imei", of("3.54E+14"), "scientific", 1},
		{"a German spreadsheet's", "imei", of("3,54043E+14"), "scientific", 1},
		{"numbers with a fraction", "imei", func(i int) string { return imei(i) + ".0" }, "scientific", 1},
		{"IMEIs with separators", "imei", func(i int) string { s := imei(i); return s[:2] + "-" + s[2:8] + "-" + s[8:14] + "-" + s[14:] }, "separators", 1},
		{"several columns", "gaid", func(i int) string { return uuid(i) + ",DE,2026-11-01" }, "columns", 1},
		{"quoted columns", "idfa", func(i int) string { return `"` + upper(i) + `","x"` }, "columns", 1},
		{"columns with tabs", "imei_md5", func(i int) string { return sum(i) + "\tx" }, "columns", 1},
		{"e-mail addresses", "gaid imei_md5 oaid", email, "emails", 1},
		{"telephone numbers", "gaid imei imei_md5 oaid", phone, "phones", 1},
		{"telephone numbers without a sign", "gaid imei oaid", func(int) string { return fmt.Sprintf("49170%07d", rng.IntN(1e7)) }, "phones", 1},
		{"UUIDs among IMEIs", "imei imei_md5", uuid, "other_type", 1},
		{"IMEIs among UUIDs", "gaid gaid_md5", imei, "other_type", 1},
		{"IMEIs among OAIDs", "oaid", imei, "other_type", 1},
		{"words for nothing", "gaid imei", of("NULL"), "placeholders", 1},
		{"nothing known", "gaid", func(i int) string { return fmt.Sprintf("device %d", i) }, "unrecognised", 1},
		{"IDFAs in a list of GAIDs", "gaid", upper, "other_case?", 1},
		{"GAIDs in a list of IDFAs", "idfa", uuid, "other_case?", 1},
		{"MD5s in upper case", "gaid_md5", func(i int) string { return strings.ToUpper(sum(i)) }, "other_case?", 30},
	} {
		for typ := range strings.FieldsSeq(tt.types) {
			for _, n := range []int{1, 2, 8, 30, 300} {
				if n < tt.least || n > 30 && testing.Short() {
					continue
				}
				for _, header := range []string{"", "the id\n"} {
					if header == "" && n == 1 && !valid(identifier.Type(typ), tt.line(0)) {
						continue // it is taken for a header; see below
					}
					r := collect(t, typ, header+listOf(n, tt.line)).Reports()[0]
					got := codes(r)
					if got = strings.TrimSuffix(got, " repeated"); got != tt.want && got != "repeated zero_ids" {
						t.Errorf("%s, %d lines of %s, header %q: findings %q, want %q", tt.name, n, typ, header, codes(r), tt.want)
					}
					for _, f := range r.Findings {
						if f.Share <= 0 || f.Share > 1 || f.Message == "" {
							t.Errorf("%s: finding %+v", tt.name, f)
						}
					}
				}
			}
		}
	}
}

// Lists that are odd in a way of their own.
func TestDoctorOfOneList(t *testing.T) {
	rng := rand.New(rand.NewPCG(13, 14))
	ids := func(n int) string { return listOf(n, func(int) string { return randomUUID(rng) }) }
	one := randomUUID(rng)
	for _, tt := range []struct{ name, typ, list, want string }{
		{"UTF-16", "gaid", inUTF16("gaid\r\n"+ids(50), false), "utf_16"},
		{"UTF-16, the other order", "gaid", inUTF16(ids(50), true), "utf_16"},
		{"UTF-16, one line", "gaid", inUTF16(one, false), "utf_16"},
		{"lines that end in CR", "gaid", strings.ReplaceAll(ids(50), "\n", "\r"), "line_ends"},
		{"a file of one id", "gaid", strings.Repeat(one+"\n", 50), "repeated"},
		{"mostly one id", "gaid", strings.Repeat(one+"\n", 60) + ids(40), "repeated"},
		{"one id among others", "gaid", listOf(100, func(i int) string {
			if i%2 == 0 || i%5 == 0 {
				return one
			}
			return randomUUID(rng)
		}), "repeated"},
		{"two lines that are alike", "gaid", one + "\n" + one, ""},
		{"each id twice", "gaid", strings.Repeat(ids(50), 2), ""},
		{"an empty line after each", "gaid", strings.ReplaceAll(ids(50), "\n", "\n\n"), ""},
		{"more empty lines", "gaid", strings.ReplaceAll(ids(50), "\n", "\n\n\n"), "empty_lines?"},
		{"the sum of a zeroed id", "idfa_md5", strings.Repeat(md5Of("00000000-0000-0000-0000-000000000000")+"\n", 30) + listOf(70, func(int) string { return md5Of(randomUUID(rng)) }), "zero_ids"},
		{"a fifth zeroed", "gaid", strings.Repeat("00000000-0000-0000-0000-000000000000\n", 21) + ids(80), "zero_ids"},
		{"one of four zeroed", "gaid", "00000000-0000-0000-0000-000000000000\n" + ids(4), ""},
		{"one of two an e-mail address", "gaid", ids(1) + "a@example.com", ""},
		{"two of three", "gaid", ids(1) + "a@example.com\nb@example.com", "emails"},
		{"a sum alone", "imei", md5Of("x"), "md5_in_raw"},
		{"a sum alone, longer", "gaid_md5", hex.EncodeToString(make([]byte, 20)), "sha1"},
		{"a header alone", "gaid", "gaid", "unrecognised"},
		{"nothing", "gaid", "", ""},
		{"two ills", "gaid", ids(20) + listOf(40, func(int) string { return "null" }) + listOf(30, func(i int) string { return fmt.Sprint("a@", i) }), "placeholders emails"},
	} {
		if r := collect(t, tt.typ, tt.list).Reports()[0]; codes(r) != tt.want {
			t.Errorf("%s: findings %q, want %q", tt.name, codes(r), tt.want)
		}
	}
}

// How sums were made is seen where the raw ids are known, from another list or
// from elsewhere.
func TestDoctorOfSums(t *testing.T) {
	rng := rand.New(rand.NewPCG(15, 16))
	for _, f := range Families() {
		var raw []string
		for range 200 {
			raw = append(raw, randomID(rng, f.Raw()))
		}
		rawList := strings.Join(raw, "\n")
		for _, tt := range []struct {
			name string
			hash func(id string) string
			want string
		}{
			{"as it should be", md5Of, ""},
			{"the other case", func(id string) string {
				if other := strings.ToLower(id); other != id {
					return md5Of(other)
				}
				return md5Of(strings.ToUpper(id))
			}, "md5_other_case"},
			{"without hyphens", func(id string) string { return md5Of(strings.ReplaceAll(id, "-", "")) }, "md5_no_hyphens"},
			{"twice", func(id string) string { return md5Of(md5Of(id)) }, "md5_twice"},
			{"twice, in upper case", func(id string) string { return md5Of(strings.ToUpper(md5Of(id))) }, "md5_twice"},
			{"of what nobody knows", func(id string) string { return md5Of("x" + id) }, ""},
		} {
			want := tt.want
			if want == "md5_other_case" && f == IMEI || want == "md5_no_hyphens" && !f.uuid() {
				want = "" // the same sum as it should be
			}
			sums := listOf(len(raw), func(i int) string { return tt.hash(raw[i]) })
			unknown := listOf(100, func(int) string { return md5Of(randomUUID(rng)) })
			both := collect(t, string(f.MD5()), sums+unknown, string(f.Raw()), rawList)
			if got := codes(both.Reports()[0]); got != want {
				t.Errorf("%s hashed %s, beside raw ids: findings %q, want %q", f, tt.name, got, want)
			}
			alone := collect(t, string(f.MD5()), sums+unknown)
			if !alone.Suspects(f) {
				t.Errorf("%s: a list of sums is not worth comparing", f)
			}
			for _, id := range raw[:40] {
				alone.Compare(f, []byte(id))
			}
			if got := codes(alone.Reports()[0]); got != want {
				t.Errorf("%s hashed %s, compared with known ids: findings %q, want %q", f, tt.name, got, want)
			}
		}
	}
}

// Among more sums than a sample holds, some of those that are known are found.
func TestDoctorOfManySums(t *testing.T) {
	rng := rand.New(rand.NewPCG(17, 18))
	raw := make([]string, 20_000)
	for i := range raw {
		raw[i] = strings.ToUpper(randomUUID(rng))
	}
	list := listOf(300_000, func(i int) string {
		if i%15 == 0 {
			return md5Of(strings.ToLower(raw[i/15]))
		}
		return fmt.Sprintf("%016x%016x", rng.Uint64(), rng.Uint64())
	})
	c := collect(t, "idfa_md5", list+list)
	for _, id := range raw[:2000] {
		c.Compare(IDFA, []byte(id))
	}
	r := c.Reports()[0]
	l := c.lists[0]
	if codes(r) != "md5_other_case" || l.compared.otherCase < 200 || l.compared.right != 0 {
		t.Errorf("findings %q after %+v, want md5_other_case", codes(r), l.compared)
	}
	if len(l.signs.sample.keys) != sampleSize {
		t.Errorf("the sample has %d sums, want %d", len(l.signs.sample.keys), sampleSize)
	}
}

// Nothing that is in order is accused: a thousand lists of all types and
// lengths, with the little that is wrong everywhere.
func TestHealthyLists(t *testing.T) {
	const seed = 19
	rng := rand.New(rand.NewPCG(seed, 20))
	faults := []func() string{
		func() string { return "" },
		func() string { return "null" },
		func() string { return "00000000-0000-0000-0000-000000000000" },
		func() string { return "somebody@example.com" },
		func() string { return "d41d8cd98f00b204e9800998ecf8427e" },
		func() string { return randomUUID(rng) + ",x" },
		func() string { return "{" + randomUUID(rng) + "}" },
		func() string { return "cut" },
	}
	rounds := 1000
	if testing.Short() {
		rounds = 100
	}
	for round := range rounds {
		typ := identifier.Devices()[round%10]
		n := 1 + rng.IntN(10)
		switch rng.IntN(4) {
		case 0:
			n = 1
		case 1:
			n = 1 + rng.IntN(300)
		case 2:
			n = 1 + rng.IntN(4000)
		}
		ids := make([]string, n)
		for i := range ids {
			if ids[i] = randomID(rng, typ); i > 0 && rng.IntN(20) == 0 {
				ids[i] = ids[rng.IntN(i)]
			}
		}
		invalid := 0
		if rng.IntN(2) == 0 {
			invalid = (n + rng.IntN(50)) / 50
		}
		for range invalid {
			at := 1 + rng.IntN(len(ids)) // the first would be a header
			ids = append(ids[:at], append([]string{faults[rng.IntN(len(faults))]()}, ids[at:]...)...)
		}
		end := []string{"\n", "\r\n"}[rng.IntN(2)]
		quote := []string{"", "", `"`}[rng.IntN(3)]
		list := quote + strings.Join(ids, quote+end+quote) + quote
		header := rng.IntN(2) == 0
		if header {
			list = []string{"id", string(typ), `"Device ID"`, "device_id,"}[rng.IntN(4)] + end + list
		}
		list = []string{"", "", "\xef\xbb\xbf"}[rng.IntN(3)] + list + []string{"", end}[rng.IntN(2)]
		if rng.IntN(3) == 0 {
			list = zipped(list)
		}
		r := collect(t, string(typ), list).Reports()[0]
		for _, f := range r.Findings {
			if !f.Hint {
				t.Errorf("seed %d, list %d of %d %s: accused of %+v", seed, round, n, typ, f)
			}
		}
		if r.Header != header || r.Rows < uint64(n) || r.Invalid > uint64(invalid) {
			t.Errorf("seed %d, list %d of %d %s and %d faults, header %t: %+v", seed, round, n, typ, invalid, header, r)
		}
	}
}
