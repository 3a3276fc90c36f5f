package mintegral

import (
	"crypto/md5"
	"crypto/subtle"
	"encoding/hex"
	"net/http"
	"strconv"

	"throng"
)

// window is how many seconds a timestamp may be off, either way.
const window = 300

// authenticate finds who signed a request.
func (h *handlers) authenticate(r *http.Request) (*throng.Caller, error) {
	key, stamp, token := r.Header.Get("access-key"), r.Header.Get("timestamp"), r.Header.Get("token")
	if key == "" || stamp == "" || token == "" {
		return nil, throng.Errorf(throng.Unauthorized, "send the headers access-key, timestamp and token")
	}
	at, err := strconv.ParseUint(stamp, 10, 63)
	if err != nil {
		return nil, throng.Errorf(throng.Unauthorized, "the timestamp must be a number of Unix seconds")
	}
	if off := h.cfg.Now().Unix() - int64(at); off < -window || off > window {
		return nil, throng.Errorf(throng.Unauthorized, "the timestamp is more than %d seconds off the server's clock", window)
	}
	return h.svc.AuthenticateKey(r.Context(), key, func(apiKey string) bool { return signed(apiKey, stamp, token) })
}

// signed tells whether a token is md5(apiKey + md5(timestamp)) in lower-case
// hex, in a time that does not depend on where they differ.
func signed(apiKey, timestamp, token string) bool {
	return subtle.ConstantTimeCompare([]byte(sum(apiKey+sum(timestamp))), []byte(token)) == 1
}

func sum(text string) string {
	b := md5.Sum([]byte(text))
	return hex.EncodeToString(b[:])
}
