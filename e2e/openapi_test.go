package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"

	"throng/api/silhouette"
)

// holdToDocument tells where an exchange is not as the OpenAPI document says:
// the answer always, the request where it was accepted, since wrong ones are
// sent on purpose. What the document does not speak of is none of its business.
func holdToDocument(req *http.Request, body []byte, resp *http.Response, answer []byte) error {
	router, err := document()
	if err != nil {
		return err
	}
	route, params, err := router.FindRoute(req)
	if errors.Is(err, routers.ErrPathNotFound) || errors.Is(err, routers.ErrMethodNotAllowed) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("find route: %w", err)
	}
	sent := req.Clone(req.Context())
	sent.Body = io.NopCloser(bytes.NewReader(body))
	input := &openapi3filter.RequestValidationInput{
		Request: sent, PathParams: params, Route: route,
		Options: &openapi3filter.Options{
			AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, SkipSettingDefaults: true, IncludeResponseStatus: true, MultiError: true,
		},
	}
	if resp.StatusCode/100 == 2 {
		if err := openapi3filter.ValidateRequest(req.Context(), input); err != nil {
			return fmt.Errorf("request was accepted: %w", err)
		}
	}
	return openapi3filter.ValidateResponse(req.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: input, Status: resp.StatusCode, Header: resp.Header,
		Body: io.NopCloser(bytes.NewReader(answer)), Options: input.Options,
	})
}

// document is the API's document as the scripts hold it to the server: its
// answers have no key that is not documented.
var document = sync.OnceValues(func() (routers.Router, error) {
	var doc any
	if err := json.Unmarshal(silhouette.OpenAPI(), &doc); err != nil {
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
	if err := loaded.Validate(loader.Context); err != nil {
		return nil, fmt.Errorf("validate document: %w", err)
	}
	return legacy.NewRouter(loaded)
})

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
