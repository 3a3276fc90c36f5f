package mintegral

import (
	"strings"
	"testing"
)

// TestSignedVector is the vendor's own example.
func TestSignedVector(t *testing.T) {
	const apiKey, stamp, token = "ce4f7c2b8edb173e2533d7a169080504", "1471256697", "378d387c2b61462cf4bc62b3949111f3"
	if !signed(apiKey, stamp, token) {
		t.Errorf("the vendor's token is not accepted")
	}
	for name, bad := range map[string][3]string{
		"another key":      {apiKey[1:] + "4", stamp, token},
		"another time":     {apiKey, "1471256698", token},
		"another token":    {apiKey, stamp, token[:31] + "4"},
		"upper case":       {apiKey, stamp, strings.ToUpper(token)},
		"shorter":          {apiKey, stamp, token[:31]},
		"none":             {apiKey, stamp, ""},
		"sum without key":  {"", stamp, token},
		"spaces around it": {apiKey, stamp, " " + token},
	} {
		if signed(bad[0], bad[1], bad[2]) {
			t.Errorf("%s is accepted", name)
		}
	}
}
