package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// operation is one thing that a document says may be asked.
type operation struct {
	doc          *apiDocument
	method, path string // the path with the base before it, as in /platform/v0/audiences/{id}
	params       []parameter
	bodies       map[string]any // schema by content type
	examples     []any          // bodies of JSON
}

type parameter struct {
	name, in string
	required bool
	schema   any
	example  any
}

// apiDocument is an OpenAPI document as plain JSON.
type apiDocument struct {
	name string
	root map[string]any
}

// operations lists what a document says may be asked, in the order of paths
// and methods.
func operations(name string, text []byte) ([]operation, error) {
	d := &apiDocument{name: name}
	if err := json.Unmarshal(text, &d.root); err != nil {
		return nil, err
	}
	base := d.at(d.root, "servers", 0, "url").(string)
	var ops []operation
	paths := d.root["paths"].(map[string]any)
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		item := paths[path].(map[string]any)
		if _, apart := item["servers"]; apart {
			continue // of the server, not of the API
		}
		for _, method := range slices.Sorted(maps.Keys(item)) {
			if op, ok := item[method].(map[string]any); ok && method != "parameters" {
				ops = append(ops, d.operation(strings.ToUpper(method), base+path, item, op))
			}
		}
	}
	return ops, nil
}

func (d *apiDocument) operation(method, path string, item, op map[string]any) operation {
	o := operation{doc: d, method: method, path: path, bodies: map[string]any{}}
	for _, of := range []map[string]any{item, op} {
		list, _ := of["parameters"].([]any)
		for _, v := range list {
			p := d.resolve(v)
			required, _ := p["required"].(bool)
			o.params = append(o.params, parameter{p["name"].(string), p["in"].(string), required, p["schema"], p["example"]})
		}
	}
	content, _ := d.at(op, "requestBody", "content").(map[string]any)
	for media, v := range content {
		o.bodies[media] = d.at(v, "schema")
		if example := d.at(v, "example"); example != nil && media == "application/json" {
			o.examples = append(o.examples, example)
		}
		examples, _ := d.at(v, "examples").(map[string]any)
		for _, name := range slices.Sorted(maps.Keys(examples)) {
			o.examples = append(o.examples, d.at(examples, name, "value"))
		}
	}
	return o
}

// at walks down; nil where there is nothing.
func (d *apiDocument) at(v any, path ...any) any {
	for _, p := range path {
		switch p := p.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[p]
		case int:
			l, _ := v.([]any)
			if p >= len(l) {
				return nil
			}
			v = l[p]
		}
	}
	return v
}

// resolve follows references.
func (d *apiDocument) resolve(v any) map[string]any {
	m, _ := v.(map[string]any)
	ref, ok := m["$ref"].(string)
	if !ok {
		return m
	}
	at := any(d.root)
	for key := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
		at = d.at(at, key)
	}
	return d.resolve(at)
}

// world is what exists for a caller, by the name of the field or parameter
// that takes it: of lists of objects, by the name of the list and "id".
type world map[string][]any

// sampler makes what a document allows.
type sampler struct {
	rnd  *rand.Rand
	have world
}

// maxSampled is how deep what is made may be.
const maxSampled = 12

// value makes a value of a schema. name is of the field that holds it.
func (s *sampler) value(d *apiDocument, schema any, name string, depth int) any {
	m := d.resolve(schema)
	if known := s.have[name]; len(known) > 0 && m["type"] != "array" && m["type"] != "object" && s.rnd.IntN(10) > 0 {
		return known[s.rnd.IntN(len(known))]
	}
	if c, ok := m["const"]; ok {
		return c
	}
	for _, key := range []string{"enum", "examples"} {
		if list, ok := m[key].([]any); ok && len(list) > 0 {
			return list[s.rnd.IntN(len(list))]
		}
	}
	if _, plain := m["properties"]; !plain {
		for _, key := range []string{"oneOf", "anyOf", "allOf"} {
			if list, ok := m[key].([]any); ok && len(list) > 0 {
				return s.value(d, list[s.rnd.IntN(len(list))], name, depth)
			}
		}
	}
	switch s.typeOf(m) {
	case "object":
		return s.object(d, m, name, depth)
	case "array":
		list := []any{}
		if depth < maxSampled {
			for range 1 + s.rnd.IntN(3) {
				list = append(list, s.value(d, m["items"], name, depth+1))
			}
		}
		return list
	case "integer", "number":
		low, high := 0.0, 1000.0
		if v, ok := m["minimum"].(float64); ok {
			low, high = v, v+1000
		}
		if v, ok := m["maximum"].(float64); ok {
			high = v
		}
		return int64(low) + s.rnd.Int64N(int64(high-low)+1)
	case "boolean":
		return s.rnd.IntN(2) == 0
	case "string":
		return []any{"soccer", "Go", "a", "New York", "123"}[s.rnd.IntN(5)]
	}
	return nil
}

func (s *sampler) typeOf(m map[string]any) string {
	switch t := m["type"].(type) {
	case string:
		return t
	case []any:
		return t[s.rnd.IntN(len(t))].(string)
	}
	return "string"
}

// object makes an object of what it must have, of one of its alternatives, and
// now and then of what else it may have.
func (s *sampler) object(d *apiDocument, m map[string]any, name string, depth int) any {
	must := map[string]bool{}
	require := func(v any) {
		list, _ := d.at(v, "required").([]any)
		for _, key := range list {
			must[key.(string)] = true
		}
	}
	require(m)
	for _, key := range []string{"oneOf", "anyOf"} {
		if list, ok := m[key].([]any); ok {
			if depth > maxSampled/2 { // the first is never a definition in a definition
				require(list[0])
			} else {
				require(list[s.rnd.IntN(len(list))])
			}
		}
	}
	_, alternatives := m["oneOf"]
	properties, _ := m["properties"].(map[string]any)
	o := &ordered{vals: map[string]any{}}
	for _, key := range slices.Sorted(maps.Keys(properties)) {
		optional := !alternatives && depth < maxSampled && s.rnd.IntN(3) == 0
		if !must[key] && !optional {
			continue
		}
		below := key
		if key == "id" {
			below = name + ".id"
		}
		o.keys = append(o.keys, key)
		o.vals[key] = s.value(d, properties[key], below, depth+1)
	}
	return o
}

// request makes a request that the document allows.
func (s *sampler) request(o operation) *asked {
	r := &asked{op: o, method: o.method}
	path, query := o.path, url.Values{}
	for _, p := range o.params {
		if !p.required && s.rnd.IntN(3) > 0 {
			continue
		}
		v := p.example
		if v == nil || len(s.have[p.name]) > 0 {
			v = s.value(o.doc, p.schema, p.name, 0)
		}
		text := fmt.Sprint(v)
		switch p.in {
		case "path":
			path = strings.Replace(path, "{"+p.name+"}", url.PathEscape(text), 1)
		case "query":
			query.Set(p.name, text)
		case "header":
			r.set(p.name, strings.Trim(text, " \r\n"))
		}
	}
	r.path, r.query = path, query.Encode()
	s.body(r)
	return r
}

// body gives a request one of the bodies that it may have.
func (s *sampler) body(r *asked) {
	if len(r.op.bodies) == 0 {
		return
	}
	schema, isJSON := r.op.bodies["application/json"]
	if !isJSON {
		media := slices.Sorted(maps.Keys(r.op.bodies))
		s.file(r, media[s.rnd.IntN(len(media))])
		return
	}
	r.set("Content-Type", "application/json")
	if n := len(r.op.examples); n > 0 && s.rnd.IntN(2) == 0 {
		text, err := json.Marshal(r.op.examples[s.rnd.IntN(n)])
		if err != nil {
			panic(err) // it was JSON a moment ago
		}
		if r.tree, err = parseOrdered(text); err != nil {
			panic(err)
		}
	} else {
		r.tree = s.value(r.op.doc, schema, "", 0)
	}
	s.local(r.tree)
}

// local has whatever is called be called on this machine, and what uploads and
// audiences are used be the caller's.
func (s *sampler) local(v any) {
	switch x := v.(type) {
	case []any:
		for _, e := range x {
			s.local(e)
		}
	case *ordered:
		for key, val := range x.vals {
			switch known := s.have[key]; {
			case strings.HasSuffix(key, "callback_url") || key == "endpoint":
				x.vals[key] = "http://127.0.0.1:9/nobody"
			case len(known) > 0 && (key == "keys" || key == "ids"):
				x.vals[key] = []any{known[s.rnd.IntN(len(known))]}
			case len(known) > 0 && (key == "ta_id" || key == "data_path") && !isContainer(val):
				x.vals[key] = known[s.rnd.IntN(len(known))]
			default:
				s.local(val)
			}
		}
	}
}

func isContainer(v any) bool {
	switch v.(type) {
	case []any, *ordered:
		return true
	}
	return false
}

// file gives a request a file as its body.
func (s *sampler) file(r *asked, media string) {
	var lines strings.Builder
	for range s.rnd.IntN(50) {
		lines.WriteString(md5Of(strconv.Itoa(s.rnd.IntN(1000))) + "\n")
	}
	r.body = []byte(lines.String())
	r.set("Content-Type", media)
	if media == "multipart/form-data" {
		r.set("Content-Type", "multipart/form-data; boundary=cut")
		r.body = []byte("--cut\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a.txt\"\r\n\r\n" + lines.String() + "\r\n--cut--\r\n")
	}
}
