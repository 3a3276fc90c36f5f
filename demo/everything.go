package demo

import (
	"bytes"
	"fmt"
)

// Everything is the documentation's request with a parameter of nearly every
// kind, sixteen in all, on the generated population; key is that of a file
// of ss_id uploaded before.
func Everything(key string) ([]byte, error) {
	body, err := requests.ReadFile("requests/20-everything.json")
	if err != nil {
		return nil, fmt.Errorf("read request: %w", err)
	}
	return bytes.ReplaceAll(body, []byte(uploadKey), []byte(key)), nil
}
