package service

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"throng"
)

func readFull(r io.Reader, b []byte) (int, error) { return io.ReadFull(r, b) }

func mustRead(r io.Reader) string {
	b, err := io.ReadAll(r)
	if err != nil {
		return "unreadable: " + err.Error()
	}
	return string(b)
}

// wantCode fails unless err has the code, and the paths among its details.
func wantCode(t testing.TB, err error, code throng.Code, paths ...string) {
	t.Helper()
	if err == nil || throng.CodeOf(err) != code {
		t.Fatalf("error = %v (%s), want %s", err, throng.CodeOf(err), code)
	}
	if paths == nil {
		return
	}
	if diff := cmp.Diff(paths, pathsOf(err)); diff != "" {
		t.Errorf("paths of %q (-want +got):\n%s", err, diff)
	}
}

func pathsOf(err error) (paths []string) {
	e, ok := err.(*throng.Error) //nolint:errorlint // the service returns it bare
	if !ok {
		return nil
	}
	for _, d := range e.Details {
		paths = append(paths, d.Path)
	}
	slices.Sort(paths)
	return paths
}

func sha(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
