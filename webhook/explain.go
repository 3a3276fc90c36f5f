package webhook

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"syscall"
	"time"

	"code.dny.dev/ssrf"
)

// Explain puts into our own words why an exchange over a [Transport] brought no
// answer within timeout. The errors of net/http quote the URL and, where an
// answer is malformed, the answer. refused tells that the address must not be
// called, so that trying again is of no use.
func Explain(err error, timeout time.Duration) (text string, refused bool) {
	if errors.Is(err, errPrivate) || errors.Is(err, ssrf.ErrProhibitedIP) || errors.Is(err, ssrf.ErrProhibitedNetwork) || errors.Is(err, ssrf.ErrInvalidHostPort) {
		return "the address is private or otherwise not to be called", true
	}
	if errors.Is(err, errRedirect) {
		return errRedirect.Error(), true
	}
	return cause(err, timeout), false
}

func cause(err error, patience time.Duration) string {
	var dns *net.DNSError
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	var timeout net.Error
	switch {
	case errors.Is(err, errRedirects):
		return "the receiver redirects too often"
	case errors.As(err, &dns) && dns.IsNotFound:
		return "the host name does not exist"
	case errors.As(err, &dns):
		return "the host name could not be resolved"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "no answer within " + patience.String()
	case errors.Is(err, syscall.ECONNREFUSED):
		return "the connection was refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "the connection was reset"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "the host is unreachable"
	case errors.As(err, &certificate):
		return "the receiver's certificate is not valid"
	case errors.Is(err, http.ErrSchemeMismatch), errors.As(err, &record), errors.As(err, &alert):
		return "no TLS connection could be made"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the connection was closed without an answer"
	}
	return "no valid HTTP answer came"
}
