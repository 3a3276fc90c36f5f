package silhouette

import (
	"net/http"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/go-chi/chi/v5"

	"throng"
	"throng/internal/lines"
)

func TestOpenAPIIsValid(t *testing.T) {
	doc := document(t)
	if got := doc.OpenAPI; !strings.HasPrefix(got, "3.1") {
		t.Errorf("OpenAPI().openapi = %q, want 3.1", got)
	}
	if err := doc.Validate(t.Context(), openapi3.EnableExamplesValidation()); err != nil {
		t.Errorf("OpenAPI() is no valid document: %v", err)
	}
}

// TestOpenAPIHasEveryRoute holds the document and the router to each other.
func TestOpenAPIHasEveryRoute(t *testing.T) {
	doc := document(t)
	routes := map[string]bool{}
	router, ok := New(Config{URL: func() string { return "" }}).(chi.Routes)
	if !ok {
		t.Fatalf("New() = %T, want routes to walk", router)
	}
	err := chi.Walk(router, func(method, route string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		routes[method+" "+route] = true
		return nil
	})
	if err != nil {
		t.Fatalf("walk routes: %v", err)
	}
	for path, item := range doc.Paths.Map() {
		if len(item.Servers) > 0 { // of the server, not of this API
			continue
		}
		for method := range item.Operations() {
			if !routes[method+" "+path] {
				t.Errorf("the document has %s %s, which is not answered", method, path)
			}
			delete(routes, method+" "+path)
		}
	}
	for route := range routes {
		t.Errorf("the document lacks %s", route)
	}
}

func document(t *testing.T) *openapi3.T {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData(OpenAPI())
	if err != nil {
		t.Fatalf("load OpenAPI(): %v", err)
	}
	return doc
}

// TestOpenAPILimits: every operation says that it may be refused for a while, and
// the numbers of the document are those of the code.
func TestOpenAPILimits(t *testing.T) {
	doc := document(t)
	for path, item := range doc.Paths.Map() {
		if len(item.Servers) > 0 { // of the server, not of this API
			continue
		}
		for method, op := range item.Operations() {
			for _, status := range []string{"429", "503"} {
				r := op.Responses.Value(status)
				if r == nil || r.Value.Headers["Retry-After"] == nil {
					t.Errorf("%s %s does not document %s with Retry-After", method, path, status)
				}
			}
		}
	}
	limits, ok := doc.Info.Extensions["x-limits"].(map[string]any)
	if !ok {
		t.Fatalf("x-limits = %T", doc.Info.Extensions["x-limits"])
	}
	for name, want := range map[string]float64{
		"json_body_bytes": throng.MaxBody, "parameters": throng.MaxParameters, "values": throng.MaxValues, "name_characters": throng.MaxName,
		"unpacked_ratio": lines.MaxRatio, "zstd_window_bytes": lines.MaxWindow,
	} {
		if l, _ := limits[name].(map[string]any); l["value"] != want {
			t.Errorf("x-limits.%s = %v, want %v", name, l["value"], want)
		}
	}
	if l, _ := limits["waiting_builds"].(map[string]any); l["default"] != float64(throng.DefaultWaitingBuilds) {
		t.Errorf("x-limits.waiting_builds = %v, want %d", l, throng.DefaultWaitingBuilds)
	}
}
