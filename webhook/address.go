package webhook

import (
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// maxURLLen is the greatest length of an address in bytes.
const maxURLLen = 2048

// CheckURL tells what makes a text no address that a message can be sent to, as
// the end of a sentence that begins with its name ("must begin with http:// or
// https://"); "" when it is one. private tells that it names, without any
// resolving, a host of the operator's own network, which delivery will refuse
// unless that is allowed; it is no promise that others lead elsewhere.
func CheckURL(raw string) (problem string, private bool) {
	if len(raw) > maxURLLen {
		return "must be at most " + strconv.Itoa(maxURLLen) + " bytes long", false
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil || strings.ContainsAny(raw, " \t\r\n"):
		return "must be a well-formed URL", false
	case u.Scheme != "http" && u.Scheme != "https": // url.Parse has lowered it
		return "must begin with http:// or https://", false
	case u.Opaque != "" || u.Hostname() == "":
		return "must name a host", false
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return "must have a port between 1 and 65535", false
		}
	}
	return "", privateHost(u.Hostname())
}

// connectTimeout bounds the making of a connection, and of TLS over it.
const connectTimeout = 10 * time.Second

// maxHeader is how many bytes the header of an answer may have.
const maxHeader = 64 << 10

// Transport connects to addresses that users have given: to none that is
// private, loopback, link-local or otherwise special, unless allowPrivate, as
// found after name resolution, and over no proxy. An answer must begin within
// timeout of the request's end. Close its idle connections when done.
func Transport(allowPrivate bool, timeout time.Duration) *http.Transport {
	dial := (&net.Dialer{Timeout: connectTimeout}).DialContext
	if !allowPrivate {
		dial = newGuard().dial
	}
	return &http.Transport{
		Proxy:                 nil, // a proxy would resolve names where no check is
		DialContext:           dial,
		ForceAttemptHTTP2:     true,
		TLSHandshakeTimeout:   connectTimeout,
		ResponseHeaderTimeout: timeout,
		// Of more a receiver has nothing to say.
		MaxResponseHeaderBytes: maxHeader,
		MaxIdleConns:           20,
		IdleConnTimeout:        30 * time.Second,
	}
}
