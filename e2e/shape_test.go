package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
)

// ordered is a JSON object with its keys in the order in which they came.
type ordered struct {
	keys []string
	vals map[string]any
}

// parseOrdered reads JSON: objects as *ordered, numbers as json.Number.
func parseOrdered(text []byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	v, err := parseValue(dec)
	if err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one value")
	}
	return v, nil
}

func parseValue(dec *json.Decoder) (any, error) {
	tok, err := dec.Token()
	if err != nil {
		return nil, err
	}
	switch tok {
	case json.Delim('{'):
		o := &ordered{vals: map[string]any{}}
		for dec.More() {
			key, err := dec.Token()
			if err != nil {
				return nil, err
			}
			val, err := parseValue(dec)
			if err != nil {
				return nil, err
			}
			o.keys = append(o.keys, key.(string))
			o.vals[key.(string)] = val
		}
		_, err := dec.Token()
		return o, err
	case json.Delim('['):
		list := []any{}
		for dec.More() {
			val, err := parseValue(dec)
			if err != nil {
				return nil, err
			}
			list = append(list, val)
		}
		_, err := dec.Token()
		return list, err
	}
	return tok, nil
}

// unlike tells where got has another shape than want: other keys, another
// order, another text. Numbers may differ. With more, got may have further
// keys. It returns "" where there is no difference.
func unlike(want, got any, more bool, path string) string {
	switch w := want.(type) {
	case *ordered:
		g, ok := got.(*ordered)
		if !ok {
			return fmt.Sprintf("%s is no object", path)
		}
		keys := slices.Clone(g.keys)
		if more {
			keys = slices.DeleteFunc(keys, func(k string) bool { return !slices.Contains(w.keys, k) })
		}
		if !slices.Equal(w.keys, keys) {
			return fmt.Sprintf("%s has the keys %q, want %q", path, g.keys, w.keys)
		}
		for _, k := range w.keys {
			if diff := unlike(w.vals[k], g.vals[k], more, path+"."+k); diff != "" {
				return diff
			}
		}
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(w) {
			return fmt.Sprintf("%s is %T of %d, want a list of %d", path, got, len(g), len(w))
		}
		for i := range w {
			if diff := unlike(w[i], g[i], more, fmt.Sprintf("%s[%d]", path, i)); diff != "" {
				return diff
			}
		}
	case json.Number:
		if _, ok := got.(json.Number); !ok {
			return fmt.Sprintf("%s is %v, want a number", path, got)
		}
	default:
		if got != want {
			return fmt.Sprintf("%s is %v, want %v", path, got, want)
		}
	}
	return ""
}
