package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"

	"throng/api/mintegral"
	"throng/api/silhouette"
)

// holdToDocument tells where an exchange is not as the OpenAPI document says:
// the answer always, the request where it was accepted, since wrong ones are
// sent on purpose. What the document does not speak of is none of its business.
func holdToDocument(req *http.Request, body []byte, resp *http.Response, answer []byte) error {
	return holdExchange(req, body, resp, answer, true)
}

// holdExchange is holdToDocument that may leave out the request. What is
// accepted is more than what is documented: empty parameters, and anything
// where nobody looks.
func holdExchange(req *http.Request, body []byte, resp *http.Response, answer []byte, both bool) error {
	route, params, err := documented(req)
	if err != nil || route == nil {
		return err
	}
	sent := req.Clone(req.Context())
	sent.Body = io.NopCloser(bytes.NewReader(body))
	input := &openapi3filter.RequestValidationInput{
		Request: sent, PathParams: params, Route: route,
		Options: &openapi3filter.Options{
			AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, SkipSettingDefaults: true, IncludeResponseStatus: true, MultiError: true,
		},
	}
	if both && accepted(req, resp, answer) {
		if err := openapi3filter.ValidateRequest(req.Context(), input); err != nil {
			return fmt.Errorf("request was accepted: %w", err)
		}
	}
	return openapi3filter.ValidateResponse(req.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: input, Status: resp.StatusCode, Header: resp.Header,
		Body: io.NopCloser(bytes.NewReader(answer)), Options: input.Options,
	})
}

// accepted tells whether a request was carried out. One of the APIs answers 200
// to whatever it understands, and tells the rest in the body.
func accepted(req *http.Request, resp *http.Response, answer []byte) bool {
	var envelope struct{ Code int }
	if strings.HasPrefix(req.URL.Path, mintegral.Base) && json.Unmarshal(answer, &envelope) == nil {
		return envelope.Code == http.StatusOK
	}
	return resp.StatusCode/100 == 2
}

// documented finds the operation of a request in either document, nil where it
// is in none.
func documented(req *http.Request) (*routers.Route, map[string]string, error) {
	for _, read := range []func() (*openapi3.T, error){document, deviceDocument} {
		doc, err := read()
		if err != nil {
			return nil, nil, err
		}
		if route, params := findRoute(doc, req); route != nil {
			return route, params, nil
		}
	}
	return nil, nil, nil
}

// findRoute finds the operation of a request, nil where the document has none.
func findRoute(doc *openapi3.T, req *http.Request) (*routers.Route, map[string]string) {
	for _, path := range doc.Paths.InMatchingOrder() {
		item := doc.Paths.Value(path)
		base := doc.Servers[0].URL
		if len(item.Servers) > 0 {
			base = item.Servers[0].URL
		}
		params, ok := matchPath(strings.TrimSuffix(base, "/")+path, req.URL.Path)
		if op := item.GetOperation(req.Method); ok && op != nil {
			return &routers.Route{Spec: doc, Server: doc.Servers[0], Path: path, PathItem: item, Method: req.Method, Operation: op}, params
		}
	}
	return nil, nil
}

// matchPath matches a path with a template, as in /audiences/{id}.
func matchPath(template, path string) (map[string]string, bool) {
	want, got := strings.Split(template, "/"), strings.Split(path, "/")
	if len(want) != len(got) {
		return nil, false
	}
	params := map[string]string{}
	for i, w := range want {
		if name, ok := strings.CutPrefix(w, "{"); ok {
			params[strings.TrimSuffix(name, "}")] = got[i]
		} else if w != got[i] {
			return nil, false
		}
	}
	return params, true
}

// The documents of the APIs as the scripts hold them to the server: their
// answers have no key that is not documented.
var (
	document       = sync.OnceValues(func() (*openapi3.T, error) { return closed(silhouette.OpenAPI()) })
	deviceDocument = sync.OnceValues(func() (*openapi3.T, error) { return closed(mintegral.OpenAPI()) })
)

// closed reads a document whose objects have no other keys than it tells.
func closed(text []byte) (*openapi3.T, error) {
	var doc any
	if err := json.Unmarshal(text, &doc); err != nil {
		return nil, fmt.Errorf("read document: %w", err)
	}
	closeObjects(doc)
	text, err := json.Marshal(doc)
	if err != nil {
		return nil, err
	}
	loader := openapi3.NewLoader()
	loaded, err := loader.LoadFromData(text)
	if err != nil {
		return nil, fmt.Errorf("load document: %w", err)
	}
	return loaded, loaded.Validate(loader.Context)
}

// closeObjects lets the objects of a document have the keys that are
// documented and no others. Those of requests say themselves that they may.
func closeObjects(v any) {
	switch x := v.(type) {
	case []any:
		for _, e := range x {
			closeObjects(e)
		}
	case map[string]any:
		_, open := x["additionalProperties"]
		if _, has := x["properties"].(map[string]any); has && x["type"] == "object" && !open {
			x["additionalProperties"] = false
		}
		for _, e := range x {
			closeObjects(e)
		}
	}
}
