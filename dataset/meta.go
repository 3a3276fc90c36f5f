package dataset

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
	"unicode/utf8"
)

// Meta is what dataset.json says.
type Meta struct {
	Name string
	// AsOf is the instant that the data describes, the zero time where the
	// file does not say.
	AsOf time.Time
	// PersonalityThreshold is in 0..1; 0.75 where the file does not say.
	PersonalityThreshold float64
	Source, License      string
	// Baselines is the value of "baselines" as written, nil where absent.
	Baselines json.RawMessage
}

// MetaError says that dataset.json is malformed.
type MetaError struct {
	Path string
	Err  error
}

// Error implements error.
func (e *MetaError) Error() string { return fmt.Sprintf("read %s: %v", e.Path, e.Err) }

// Unwrap returns the cause.
func (e *MetaError) Unwrap() error { return e.Err }

// metaName is the file with the description of the dataset, and maxMeta the
// most that is read of it.
const (
	metaName = "dataset.json"
	maxMeta  = 16 << 20
)

// readMeta reads dataset.json, if there is one.
func (s *Source) readMeta() error {
	name := filepath.Join(s.Dir, metaName)
	data, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = s.Meta.parse(data)
	}
	if err != nil {
		return &MetaError{Path: name, Err: err}
	}
	return nil
}

// parse reads the text of a dataset.json over the defaults. Unknown keys are
// errors, and so are those that are there twice: a typo in as_of would change
// every answer.
func (m *Meta) parse(data []byte) error {
	data = bytes.TrimPrefix(data, []byte("\uFEFF"))
	switch {
	case len(data) > maxMeta:
		return fmt.Errorf("is larger than %d bytes", maxMeta)
	case !utf8.Valid(data):
		return errors.New("is not UTF-8")
	case !bytes.HasPrefix(bytes.TrimSpace(data), []byte("{")):
		return errors.New("want one JSON object")
	}
	var asOf string
	keys := map[string]struct {
		to   any
		want string
	}{
		"name":                  {&m.Name, "a string"},
		"as_of":                 {&asOf, wantAsOf},
		"personality_threshold": {&m.PersonalityThreshold, wantThreshold},
		"source":                {&m.Source, "a string"},
		"license":               {&m.License, "a string"},
		"baselines":             {&m.Baselines, "an object"},
	}
	seen := map[string]bool{}
	err := eachKey(data, func(key string, value json.RawMessage) error {
		k, known := keys[key]
		switch {
		case !known:
			return fmt.Errorf("%q is no key: want name, as_of, personality_threshold, source, license or baselines", key)
		case seen[key]:
			return fmt.Errorf("%s is there twice", key)
		}
		seen[key] = true
		if string(value) == "null" {
			return nil
		}
		if json.Unmarshal(value, k.to) != nil {
			return fmt.Errorf("%s: want %s", key, k.want)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if asOf != "" {
		us, ok := parseTime([]byte(asOf))
		if !ok {
			return errors.New("as_of: want " + wantAsOf)
		}
		m.AsOf = time.UnixMicro(us).UTC()
	}
	if t := m.PersonalityThreshold; !(t >= 0 && t <= 1) {
		return errors.New("personality_threshold: want " + wantThreshold)
	}
	return nil
}

const (
	wantAsOf      = "an RFC 3339 date or date-time"
	wantThreshold = "a number in 0..1"
)

// eachKey passes on the keys and values of a JSON object with which data
// begins, and after which nothing may follow.
func eachKey(data []byte, yield func(key string, value json.RawMessage) error) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	if _, err := dec.Token(); err != nil {
		return syntaxError(data, err)
	}
	for dec.More() {
		key, err := dec.Token()
		var value json.RawMessage
		if err == nil {
			err = dec.Decode(&value)
		}
		if err != nil {
			return syntaxError(data, err)
		}
		if err := yield(fmt.Sprint(key), value); err != nil {
			return err
		}
	}
	if _, err := dec.Token(); err != nil {
		return syntaxError(data, err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the object")
	}
	return nil
}

// syntaxError says where text is no JSON.
func syntaxError(data []byte, err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("ends before the object does")
	}
	if e, ok := errors.AsType[*json.SyntaxError](err); ok {
		before := data[:min(int(e.Offset), len(data))]
		return fmt.Errorf("line %d: no JSON: %w", 1+bytes.Count(before, []byte{'\n'}), err)
	}
	return err
}
