package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"

	"github.com/go-chi/chi/v5"

	"throng"
)

// Encode words a value as JSON, without the escapes that are meant for HTML.
func Encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("encode answer: %w", err)
	}
	return b.Bytes(), nil
}

// Send sends an answer of JSON.
func Send(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that is gone reads nothing
}

// RequireJSON is ReadJSON for a body that must be there.
func RequireJSON(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	body, err := ReadJSON(w, r)
	if err == nil && body == nil {
		err = errEmptyBody()
	}
	return body, err
}

func errEmptyBody() error {
	return throng.Errorf(throng.Invalid, "the body is empty; it must be a JSON object")
}

// Allowed lists the methods that the path of a request has, for the header
// Allow.
func Allowed(routes chi.Routes, r *http.Request) (methods []string) {
	at := chi.RouteContext(r.Context())
	for _, m := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete} {
		if routes.Match(chi.NewRouteContext(), m, at.RoutePath) {
			methods = append(methods, m)
		}
	}
	return methods
}
