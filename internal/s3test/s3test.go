// Package s3test gives tests a place on an S3 server.
package s3test

import (
	"crypto/rand"
	"net/url"
	"os"
	"strings"
	"testing"
)

// URL returns a URL under whose prefix nothing is yet. Where THRONG_TEST_S3, the
// URL of a scratch bucket, is not set, the test is skipped. The keys are in
// AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. What the test leaves stays.
func URL(t testing.TB) string {
	t.Helper()
	base := os.Getenv("THRONG_TEST_S3")
	if base == "" {
		t.Skip("THRONG_TEST_S3 is not set: not tested on S3; scripts/s3 sets it")
	}
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal("THRONG_TEST_S3 is no URL")
	}
	u.Path = strings.TrimSuffix(u.Path, "/") + "/" + strings.ToLower(rand.Text())
	return u.String()
}
