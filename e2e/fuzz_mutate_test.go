package e2e

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"unicode/utf16"
)

// mutator makes wrong what was right.
type mutator struct{ rnd *rand.Rand }

func pick[T any](rnd *rand.Rand, list []T) T { return list[rnd.IntN(len(list))] }

// mutate changes a request in up to four ways, and now and then in none.
func (m *mutator) mutate(r *asked) {
	for range m.rnd.IntN(5) {
		switch n := m.rnd.IntN(20); {
		case n < 9 && r.tree != nil:
			m.node(r)
		case n < 12:
			m.parameter(r)
		case n < 14:
			m.headers(r)
		case n < 15:
			m.method(r)
		case n < 17:
			m.path(r)
		}
	}
	if r.tree != nil {
		var b bytes.Buffer
		emit(&b, r.tree)
		r.body = b.Bytes()
	}
	if m.rnd.IntN(8) == 0 {
		m.bytes(r)
	}
	if m.rnd.IntN(12) == 0 {
		m.framing(r)
	}
}

// oddValues stand where something else was expected.
var oddValues = []verbatim{
	"null", "true", "false", "0", "-0", "1", "-1", "0.5", "1e3", "1e999", "-1e999", "1e-400", "255", "256", "2147483648", "4294967296",
	"9007199254740993", "9223372036854775807", "9223372036854775808", "-9223372036854775809", "123456789012345678901234567890", `""`, `" "`,
	`"0"`, `"-1"`, `"1"`, `"9223372036854775808"`, `"null"`, `"true"`, `"\u0000"`, `"a\u0000b"`, `"\ud800"`, `"\udfff\ud800"`, `"\u202e\u0000"`,
	`"é"`, `"e\u0301"`, `"ﬁ"`, `"İ"`, `"👩‍👩‍👧‍👦"`, `"\ufeff"`, `"\uffff"`, `"../../etc/passwd"`, `"%00"`, `"%2e%2e%2f"`, `"';--"`, `"a\r\nb"`, `"\t"`,
	`"\\"`, `"\""`, `"*"`, `"("`, `"_%"`, `"http://"`, `"http://[::1"`, `"javascript:x"`, `"2026-13-45"`, `"md5"`, `"ss_id"`, "[]", "{}", "[null]", "[[]]", `{"":""}`,
	`{"id":null}`, `[{"id":"a759"}]`, "\"\xff\xfe\"", "\"\xed\xa0\x80\"", "\"\xc0\xaf\"", "NaN", "Infinity", "+1", "01", "1.", ".5", "'a'", "undefined", "", "\"\n\"", "//", "/**/1",
}

// spot is where a value stands in a tree.
type spot struct {
	list   []any    // of which list[index] it is,
	object *ordered // or object.vals[key]
	index  int
	key    string
}

func (p spot) get() any {
	if p.object != nil {
		return p.object.vals[p.key]
	}
	return p.list[p.index]
}

func (p spot) put(v any) {
	if p.object != nil {
		p.object.vals[p.key] = v
	} else {
		p.list[p.index] = v
	}
}

// maxSpots is about how many values of a tree are looked at: what a list repeats
// is one thing in many places, so that a small tree can be endless.
const maxSpots = 50_000

// spots lists the values of a tree.
func spots(root *[1]any) []spot {
	all := []spot{{list: root[:]}}
	for i := 0; i < len(all) && len(all) < maxSpots; i++ {
		switch x := all[i].get().(type) {
		case []any:
			for j := range x {
				all = append(all, spot{list: x, index: j})
			}
		case *ordered:
			for _, key := range x.keys {
				all = append(all, spot{object: x, key: key})
			}
		}
	}
	return all
}

// node changes one value of the body.
func (m *mutator) node(r *asked) {
	root := [1]any{r.tree}
	at := pick(m.rnd, spots(&root))
	was := at.get()
	switch m.rnd.IntN(12) {
	case 0, 1, 2, 3:
		odd := pick(m.rnd, oddValues)
		at.put(odd)
		r.changed(fmt.Sprintf("%s for a value", odd))
	case 4:
		long := pick(m.rnd, []int{255, 256, 257, 5000, 100_000})
		at.put(strings.Repeat(pick(m.rnd, []string{"x", "é", "a ", "\u0000", "👍"}), long))
		r.changed("a long text")
	case 5:
		at.put([]any{was})
		r.changed("a list around a value")
	case 6:
		at.put(&ordered{keys: []string{"id"}, vals: map[string]any{"id": was}})
		r.changed("an object around a value")
	case 7:
		depth := pick(m.rnd, []int{3, 9, 100, 9_999, 10_001, 50_000})
		open, shut := pick(m.rnd, []string{"[", `{"parameters":`, `{"parameters":[{"operation":"OR","group":`}), "]"
		if open != "[" {
			shut = strings.Repeat("}]", strings.Count(open, "["))
			shut += "}"
		}
		at.put(verbatim(strings.Repeat(open, depth) + "null" + strings.Repeat(shut, depth)))
		r.changed(fmt.Sprintf("%d deep", depth))
	case 8:
		m.keys(r, was)
	case 9:
		if list, ok := was.([]any); ok && len(list) > 0 {
			n := pick(m.rnd, []int{2, 101, 1001, 10_001})
			at.put(slices.Repeat(list[:1], n))
			r.changed(fmt.Sprintf("a list of %d", n))
		}
	case 10:
		other := pick(m.rnd, spots(&root))
		if !isContainer(other.get()) && !isContainer(was) {
			at.put(other.get())
			other.put(was)
			r.changed("two values swapped")
		}
	case 11:
		var b bytes.Buffer
		emit(&b, was)
		at.put(b.String())
		r.changed("a value as text")
	}
	r.tree = root[0]
}

// oddKeys are names of no field.
var oddKeys = []string{"", "x", "__proto__", "ID", "Id", "operation ", "parameters", "audience", "\x00", "é", "a.b", "a[0]", strings.Repeat("k", 10_000)}

// keys removes, adds, repeats or misspells a key of an object.
func (m *mutator) keys(r *asked, v any) {
	o, ok := v.(*ordered)
	if !ok || len(o.keys) == 0 {
		return
	}
	i := m.rnd.IntN(len(o.keys))
	key := o.keys[i]
	switch m.rnd.IntN(4) {
	case 0:
		o.keys = slices.Delete(slices.Clone(o.keys), i, i+1)
		r.changed("without " + key)
	case 1:
		odd := pick(m.rnd, oddKeys)
		if _, there := o.vals[odd]; !there {
			o.keys = append(slices.Clone(o.keys), odd)
			o.vals[odd] = pick(m.rnd, oddValues)
		}
		r.changed("another key")
	case 2:
		o.keys = append(slices.Clone(o.keys), key)
		r.changed(key + " twice")
	case 3:
		odd := pick(m.rnd, []string{strings.ToUpper(key), key + " ", key + "s", strings.ReplaceAll(key, "_", "")})
		if _, there := o.vals[odd]; !there {
			o.keys[i] = odd
			o.vals[odd] = o.vals[key]
		}
		r.changed(key + " misspelt")
	}
}

// oddTexts stand in paths and queries, as they are written.
var oddTexts = []string{
	"", "0", "-1", "1", "2", "+1", "01", "0x1", "1.0", "1e3", "%31", "999999999999999999", "9223372036854775807", "9223372036854775808", "99999999999999999999999", "abc", "null", "true",
	"%00", "a%00b", "%ff", "%c0%af", "%ed%a0%80", "%2f", "%2F..%2F", "..", "%2e%2e", ".", "%20", "%zz", "%", "%0d%0aX:y", "+", "a+b", "é", "%C3%A9", "%F0%9F%91%8D", "１", "*", "'",
	"%27%20OR%201", "{id}", "[]", "%5B%5D", "a,b", "1,2,,3", "&", "=", ";", "a;b", "#", "%23", "?", "%3F", "\\", "%5C", "C:%5Ca", "md5", "text", "s3://x/y", "http://127.0.0.1/", "_%25",
	strings.Repeat("a", 300), strings.Repeat("9", 400), strings.Repeat("%F0%9F%91%8D", 100), strings.Repeat("x", 20_000),
}

// parameter changes the query.
func (m *mutator) parameter(r *asked) {
	name := pick(m.rnd, []string{"x", "query", "limit", "next", "type", "format", "id", "", "%00", "limit[]"})
	for _, p := range r.op.params {
		if p.in == "query" && m.rnd.IntN(2) == 0 {
			name = url.QueryEscape(p.name)
		}
	}
	odd := pick(m.rnd, oddTexts)
	parts := strings.Split(r.query, "&")
	switch m.rnd.IntN(4) {
	case 0:
		parts[m.rnd.IntN(len(parts))] = ""
		r.changed("a parameter less")
	case 1:
		parts = slices.DeleteFunc(parts, func(p string) bool { return strings.HasPrefix(p, name+"=") })
		fallthrough
	default:
		parts = append(parts, name+"="+odd)
		r.changed("a parameter " + name)
	}
	r.query = strings.Trim(strings.Join(parts, "&"), "&")
}

// path changes a part of the path.
func (m *mutator) path(r *asked) {
	parts := strings.Split(r.path, "/")
	i := 1 + m.rnd.IntN(len(parts)-1)
	switch m.rnd.IntN(10) {
	case 0:
		r.path += pick(m.rnd, []string{"/", "//", "/.", "/..", "/x", "%2f", ";a=b", ".json", "%00", "?"})
	case 1:
		parts = slices.Insert(parts, i, pick(m.rnd, []string{"", ".", "..", "x"}))
		r.path = strings.Join(parts, "/")
	case 2:
		r.path = strings.ToUpper(r.path)
	default:
		odd := pick(m.rnd, oddTexts)
		if i > 3 || m.rnd.IntN(4) == 0 { // rather an id than where the API lives
			parts[i] = strings.NewReplacer(" ", "", "#", "%23", "?", "%3F").Replace(odd)
			r.path = strings.Join(parts, "/")
		}
	}
	r.changed("another path")
}

// oddMethods are methods, known or not.
var oddMethods = []string{"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND", "get", "Post", "X", strings.Repeat("M", 300), "GE\tT", "(", "CONNECT"}

func (m *mutator) method(r *asked) {
	r.method = pick(m.rnd, oddMethods)
	r.changed("another method")
}

// oddHeaders are values of headers, by name.
var oddHeaders = map[string][]string{
	"Content-Type": {
		"", "text/plain", "application/json; charset=utf-16", "application/json;", "application/json; charset=UTF-8", "application/problem+json", "application/x-www-form-urlencoded",
		"multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=cut", "multipart/mixed; boundary=\"\xff\"", "/", ";;;", "application/json, text/html", strings.Repeat("a/", 2000), "\xff",
	},
	"Content-Encoding":  {"gzip", "zstd", "identity", "br", "gzip, gzip", ",", "\xff"},
	"Authorization":     {"", "Bearer", "Bearer ", "Bearer x", "bearer \xff", "Basic YTpi", "Bearer a b c", "Bearer " + strings.Repeat("x", 10_000), "\x01"},
	"Idempotency-Key":   {"", "k", "again", "a b", "\xff", "é", strings.Repeat("k", 255), strings.Repeat("k", 256), "\t", "'", "%00"},
	"Accept-Encoding":   {"", "gzip", "gzip;q=0", "gzip;q=0.000", "*;q=0", "gzip;q=banana", ",,,", "zstd, gzip;q=1.5", "\xff", strings.Repeat("gzip,", 1000)},
	"Accept":            {"text/html", "*/*", "", "application/xml;q=1", "\xff"},
	"Range":             {"bytes=0-", "bytes=0-0", "bytes=-1", "bytes=5-2", "bytes=99999999999999999999-", "bytes=0-0,2-2,4-4", "bytes=" + strings.Repeat("0-0,", 2000) + "1-1", "lines=1-2", "bytes=", "\xff", "bytes=a-b", "bytes=-0", "bytes=9999999-"},
	"If-Range":          {`"x"`, "W/\"x\"", "Mon, 02 Jan 2006 15:04:05 GMT", "*", "\xff", ""},
	"If-None-Match":     {"*", `"x"`, `W/"x", "y"`, "x", ",", "\xff"},
	"If-Match":          {"*", `"x"`, ""},
	"If-Modified-Since": {"Mon, 02 Jan 2006 15:04:05 GMT", "never", "Mon, 02 Jan 9999 15:04:05 GMT"},
	"access-key":        {"", "x", "\xff", strings.Repeat("a", 5000)},
	"timestamp":         {"", "0", "-1", "99999999999", "9223372036854775808", "1e9", "now", "\xff"},
	"token":             {"", "x", "\xff", strings.Repeat("0", 32), strings.Repeat("0", 5000)},
	"X-Request-Id":      {"mine", "\xff", strings.Repeat("i", 5000)},
	"Cookie":            {"throng=x", "=", ";;;", "a=\"", "\xff", strings.Repeat("a=b; ", 3000)},
	"Origin":            {"null", "https://elsewhere.example"},
	"Sec-Fetch-Site":    {"cross-site", "same-origin"},
	"X-Forwarded-For":   {"1.2.3.4", "\xff"},
	"Connection":        {"close", "keep-alive", "Upgrade", "x, close"},
	"Upgrade":           {"websocket", "h2c"},
	"Expect":            {"100-continue", "200-ok"},
	"Trailer":           {"X", "Content-Length"},
	"Te":                {"trailers", "x"},
	"Host":              {"elsewhere", "\xff", "a b"},
	"X-Large":           {strings.Repeat("x", 60_000), strings.Repeat("x", 70_000)},
	"Bad Name":          {"x"},
	"X-Odd":             {"\x00", "a\x7fb", "\x01"},
}

// oddNames are the keys of oddHeaders in an order that is always the same.
var oddNames = func() (names []string) {
	for name := range oddHeaders {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}()

func (m *mutator) headers(r *asked) {
	name := pick(m.rnd, oddNames)
	value := pick(m.rnd, oddHeaders[name])
	switch m.rnd.IntN(5) {
	case 0:
		r.add(name, value)
		r.changed("a second header " + name)
	case 1:
		r.drop(name)
		r.changed("without header " + name)
	default:
		r.set(name, value)
		r.changed("header " + name)
	}
}

// bytes changes the body as bytes.
func (m *mutator) bytes(r *asked) {
	b := slices.Clone(r.body)
	switch m.rnd.IntN(10) {
	case 0:
		b = nil
		r.changed("no body")
	case 1:
		b = b[:m.rnd.IntN(len(b)+1)]
		r.changed("half a body")
	case 2:
		b = append(b, pick(m.rnd, []string{"}", "]", " {}", "\x00", "\xff", ",", "\n\n", `"`})...)
		r.changed("something after the body")
	case 3:
		b = append([]byte(pick(m.rnd, []string{"\xef\xbb\xbf", "\x00", " ", "\n", "//\n", "\xff\xfe"})), b...)
		r.changed("something before the body")
	case 4:
		wide := utf16.Encode([]rune(string(b)))
		b = []byte{0xff, 0xfe}
		for _, c := range wide {
			b = append(b, byte(c), byte(c>>8))
		}
		r.changed("UTF-16")
	case 5:
		var packed bytes.Buffer
		w := gzip.NewWriter(&packed)
		_, _ = w.Write(b) // to memory
		_ = w.Close()
		b = packed.Bytes()
		if m.rnd.IntN(2) == 0 {
			b = b[:m.rnd.IntN(len(b))]
		}
		r.changed("gzip")
	case 6:
		b = append(b, bytes.Repeat([]byte(pick(m.rnd, []string{" ", "\n", "[", "0"})), pick(m.rnd, []int{10_000, 1<<20 - len(b)%(1<<20), 1<<20 + 1}))...)
		r.changed("a large body")
	default:
		for range 1 + m.rnd.IntN(8) {
			if len(b) > 0 {
				b[m.rnd.IntN(len(b))] = byte(m.rnd.IntN(256))
			}
		}
		r.changed("other bytes")
	}
	r.body = b
}

// framing lets a request tell its length otherwise.
func (m *mutator) framing(r *asked) {
	r.length = pick(m.rnd, []string{"chunked", "chunked", "0", "-1", "x", fmt.Sprint(max(0, len(r.body)-1))})
	r.changed("length " + r.length)
	if r.length != "chunked" { // what comes behind is no request
		r.set("Connection", "close")
	}
}
