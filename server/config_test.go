package server

import (
	"errors"
	"testing"
)

// TestAddresses: metrics and profiles are the loopback's where no host is named.
func TestAddresses(t *testing.T) {
	for _, tt := range []struct{ listen, admin, want, setting string }{
		{"", "", "", ""},
		{":8080", ":9090", "127.0.0.1:9090", ""},
		{"[::1]:0", "0.0.0.0:9090", "0.0.0.0:9090", ""},
		{"127.0.0.1:65535", "[::]:9090", "[::]:9090", ""},
		{"127.0.0.1:65536", "", "", "listen"},
		{"127.0.0.1:http", "", "", "listen"},
		{"127.0.0.1", "", "", "listen"},
		{"", "9090", "", "admin-listen"},
		{"", ":", "", "admin-listen"},
	} {
		c, err := Config{Data: t.TempDir(), Listen: tt.listen, AdminListen: tt.admin}.withDefaults()
		refused := ""
		if e, ok := errors.AsType[*UsageError](err); ok {
			refused = e.Setting
		}
		if refused != tt.setting || err == nil && c.AdminListen != tt.want || err != nil && refused == "" {
			t.Errorf("listen %q, admin %q: %q, %v, want %q, of the setting %q", tt.listen, tt.admin, c.AdminListen, err, tt.want, tt.setting)
		}
	}
}
