package throng

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"
)

// reader walks a request and collects every problem and warning with its
// path, so that one answer tells all that is wrong.
type reader struct {
	problems []Detail
	warnings []string
	ignored  int // unknown keys beyond maxIgnored
}

// maxIgnored is how many unknown keys are named; a request of a thousand odd
// objects would otherwise answer with a thousand warnings.
const maxIgnored = 50

func (r *reader) bad(path, format string, args ...any) {
	r.problems = append(r.problems, Detail{Path: path, Message: fmt.Sprintf(format, args...)})
}

func (r *reader) ignore(path string) {
	if r.ignored++; r.ignored <= maxIgnored {
		r.warnings = append(r.warnings, path+" is not a known key and was ignored")
	}
}

func (r *reader) finish() {
	if more := r.ignored - maxIgnored; more > 0 {
		r.warnings = append(r.warnings, fmt.Sprintf("%d more unknown keys were ignored", more))
	}
}

// object is a JSON object whose keys are taken one by one; those never taken
// are unknown.
type object struct {
	r    *reader
	path string
	keys []string
	vals map[string]json.RawMessage
}

// object reads raw as an object. A null, a missing value and anything else
// is a problem, and gives nil.
func (r *reader) object(raw json.RawMessage, path string) *object {
	if len(bytes.TrimSpace(raw)) == 0 || bytes.TrimSpace(raw)[0] != '{' {
		r.bad(path, "must be an object")
		return nil
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	o := &object{r: r, path: path, vals: map[string]json.RawMessage{}}
	if _, err := dec.Token(); err != nil {
		r.bad(path, "must be an object")
		return nil
	}
	for dec.More() {
		tok, err := dec.Token()
		key, isKey := tok.(string)
		var val json.RawMessage
		if err != nil || !isKey || dec.Decode(&val) != nil {
			r.bad(path, "must be a well-formed object")
			return nil
		}
		if _, twice := o.vals[key]; twice {
			r.bad(o.at(key), "is given twice")
			continue
		}
		o.keys = append(o.keys, key)
		o.vals[key] = val
	}
	return o
}

func (o *object) at(key string) string {
	if o.path == "" {
		return key
	}
	return o.path + "." + key
}

// take gives a key's value once; a null is as if absent.
func (o *object) take(key string) (json.RawMessage, bool) {
	val, ok := o.vals[key]
	delete(o.vals, key)
	if !ok || string(val) == "null" {
		return nil, false
	}
	return val, true
}

// rest warns of the keys that nobody took.
func (o *object) rest() {
	for _, k := range o.keys {
		if _, left := o.vals[k]; left {
			o.r.ignore(o.at(k))
		}
	}
}

// list reads raw as an array.
func (r *reader) list(raw json.RawMessage, path string) ([]json.RawMessage, bool) {
	var l []json.RawMessage
	if err := json.Unmarshal(raw, &l); err != nil {
		r.bad(path, "must be a list")
		return nil, false
	}
	if len(l) > MaxValues {
		r.bad(path, "has %d values, more than the %d that one parameter may have", len(l), MaxValues)
		return nil, false
	}
	return l, true
}

// text reads a string.
func (r *reader) text(raw json.RawMessage, path string) (string, bool) {
	var s string
	if err := json.Unmarshal(raw, &s); err != nil || string(raw) == "null" {
		r.bad(path, "must be a string")
		return "", false
	}
	return s, true
}

// id reads a string; a whole number in its place is taken as it is written.
func (r *reader) id(raw json.RawMessage, path string) (string, bool) {
	if isDigits(raw) {
		return string(raw), true
	}
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		r.bad(path, "must be a string")
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

// flag reads a boolean.
func (r *reader) flag(raw json.RawMessage, path string) bool {
	var b bool
	if err := json.Unmarshal(raw, &b); err != nil {
		r.bad(path, "must be true or false")
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
