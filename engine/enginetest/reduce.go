package enginetest

import (
	"encoding/json"
	"maps"
	"slices"
)

// Reduce makes a failing definition smaller as long as it fails: it drops
// parameters and values, the larger parts first, and object keys. fails must
// be false for definitions that are not valid.
func Reduce(def json.RawMessage, fails func(json.RawMessage) bool) json.RawMessage {
	for {
		smaller, ok := reduceOnce(def, fails)
		if !ok {
			return def
		}
		def = smaller
	}
}

// reduceOnce finds one smaller definition that fails.
func reduceOnce(def json.RawMessage, fails func(json.RawMessage) bool) (json.RawMessage, bool) {
	var root any
	if json.Unmarshal(def, &root) != nil {
		return nil, false
	}
	var found json.RawMessage
	try := func() bool {
		raw, err := json.Marshal(root)
		if err == nil && fails(raw) {
			found = raw
			return true
		}
		return false
	}
	return found, shrink(root, func(any) {}, try)
}

// shrink tries everything that is one step smaller than v, which set puts in
// its place, and stops with the step done when try is true.
func shrink(v any, set func(any), try func() bool) bool {
	switch v := v.(type) {
	case []any:
		for size := len(v) / 2; size >= 1; size /= 2 {
			for from := 0; from+size <= len(v); from += size {
				rest := append(append([]any{}, v[:from]...), v[from+size:]...)
				if set(rest); try() {
					return true
				}
			}
		}
		set(v)
		for i := range v {
			if shrink(v[i], func(n any) { v[i] = n }, try) {
				return true
			}
		}
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			old := v[k]
			if delete(v, k); try() {
				return true
			}
			v[k] = old
			if shrink(old, func(n any) { v[k] = n }, try) {
				return true
			}
		}
	}
	return false
}
