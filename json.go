package throng

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Reader walks the JSON of a request and collects every problem and warning with its
// path, so that one answer tells all that is wrong.
type Reader struct {
	problems []Detail
	warnings []string
	ignored  int // unknown keys beyond maxIgnored
}

// maxIgnored is how many unknown keys are named; a request of a thousand odd
// objects would otherwise answer with a thousand warnings.
const maxIgnored = 50

// Bad notes a problem of the field at path; "" is the body itself.
func (r *Reader) Bad(path, format string, args ...any) {
	if path == "" {
		path = "body"
	}
	r.problems = append(r.problems, Detail{Path: path, Message: fmt.Sprintf(format, args...)})
}

func (r *Reader) ignore(path string) {
	if r.ignored++; r.ignored <= maxIgnored {
		r.warnings = append(r.warnings, path+" is not a known key and was ignored")
	}
}

// Findings are the problems and the warnings so far.
func (r *Reader) Findings() (problems []Detail, warnings []string) {
	warnings = r.warnings
	if more := r.ignored - maxIgnored; more > 0 {
		warnings = append(slices.Clip(warnings), fmt.Sprintf("%d more unknown keys were ignored", more))
	}
	return r.problems, warnings
}

// Object is a JSON object whose keys are taken one by one; those never taken
// are unknown.
type Object struct {
	r    *Reader
	path string
	keys []string
	vals map[string]json.RawMessage
}

// Object reads raw as an object. A null, a missing value and anything else
// is a problem, and gives nil.
func (r *Reader) Object(raw json.RawMessage, path string) *Object {
	if len(bytes.TrimSpace(raw)) == 0 || bytes.TrimSpace(raw)[0] != '{' {
		r.Bad(path, "must be an object")
		return nil
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	o := &Object{r: r, path: path, vals: map[string]json.RawMessage{}}
	if _, err := dec.Token(); err != nil {
		r.Bad(path, "must be an object")
		return nil
	}
	for dec.More() {
		tok, err := dec.Token()
		key, isKey := tok.(string)
		var val json.RawMessage
		if err != nil || !isKey || dec.Decode(&val) != nil {
			r.Bad(path, "must be a well-formed object")
			return nil
		}
		if _, twice := o.vals[key]; twice {
			r.Bad(o.At(key), "is given twice")
			continue
		}
		o.keys = append(o.keys, key)
		o.vals[key] = val
	}
	return o
}

// At is the path of a key.
func (o *Object) At(key string) string {
	if o.path == "" {
		return key
	}
	return o.path + "." + key
}

// Take gives a key's value once; a null is as if absent.
func (o *Object) Take(key string) (json.RawMessage, bool) {
	val, ok := o.vals[key]
	delete(o.vals, key)
	if !ok || string(val) == "null" {
		return nil, false
	}
	return val, true
}

// Rest warns of the keys that nobody took.
func (o *Object) Rest() {
	for _, k := range o.keys {
		if _, left := o.vals[k]; left {
			o.r.ignore(o.At(k))
		}
	}
}

// List reads raw as an array of at most MaxValues values.
func (r *Reader) List(raw json.RawMessage, path string) ([]json.RawMessage, bool) {
	l, ok := r.array(raw, path)
	if len(l) > MaxValues {
		r.Bad(path, "has %d values, more than the %d that one parameter may have", len(l), MaxValues)
		return nil, false
	}
	return l, ok
}

// array reads raw as an array of any length.
func (r *Reader) array(raw json.RawMessage, path string) ([]json.RawMessage, bool) {
	var l []json.RawMessage
	if err := json.Unmarshal(raw, &l); err != nil {
		r.Bad(path, "must be a list")
		return nil, false
	}
	return l, true
}

// Text reads a string.
func (r *Reader) Text(raw json.RawMessage, path string) (string, bool) {
	var s string
	if err := json.Unmarshal(raw, &s); err != nil || string(raw) == "null" {
		r.Bad(path, "must be a string")
		return "", false
	}
	return s, true
}

// ID reads a string; a whole number in its place is taken as it is written.
func (r *Reader) ID(raw json.RawMessage, path string) (string, bool) {
	if isDigits(raw) {
		return string(raw), true
	}
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		r.Bad(path, "must be a string")
		return "", false
	}
	return s, true
}

func isDigits(b []byte) bool {
	for _, c := range b {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(b) > 0
}

// Int reads a whole number, or a string of its decimal digits.
func (r *Reader) Int(raw json.RawMessage, path string) (int64, bool) {
	text := string(raw)
	if bytes.HasPrefix(raw, []byte{'"'}) {
		if err := json.Unmarshal(raw, &text); err != nil || !isDigits([]byte(strings.TrimPrefix(text, "-"))) {
			r.Bad(path, "must be a whole number")
			return 0, false
		}
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		n, err = whole(json.RawMessage(text)) // 1e3 is one, too
	}
	if err != nil {
		r.Bad(path, "must be a whole number")
		return 0, false
	}
	return n, true
}

// Flag reads a boolean.
func (r *Reader) Flag(raw json.RawMessage, path string) bool {
	var b bool
	if err := json.Unmarshal(raw, &b); err != nil {
		r.Bad(path, "must be true or false")
		return false
	}
	return b
}

// errNotWhole says that a number is no whole number that a float64 holds exactly.
var errNotWhole = errors.New("not a whole number")

func whole(raw json.RawMessage) (int64, error) {
	f, err := strconv.ParseFloat(string(raw), 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) > 1<<53 {
		return 0, errNotWhole
	}
	return int64(f), nil
}

// ReadJSON checks that body is one JSON value in UTF-8 and nothing else. The
// error tells the position.
func ReadJSON(body []byte) error {
	if !utf8.Valid(body) {
		return Errorf(Invalid, "the body is not UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	var v json.RawMessage
	if err := dec.Decode(&v); err != nil {
		if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
			return Errorf(Invalid, "the body is not JSON: %s at byte %d", syntax.Error(), syntax.Offset)
		}
		return Errorf(Invalid, "the body is not JSON: it ends too early")
	}
	if dec.More() {
		return Errorf(Invalid, "the body goes on after its JSON value, at byte %d", dec.InputOffset())
	}
	return nil
}
