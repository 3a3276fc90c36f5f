package silhouette

import (
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"throng"
	"throng/service"
)

// wireIncoming is where to send a file.
type wireIncoming struct {
	Method string `json:"method"`
	URL    string `json:"url"`
	Path   string `json:"path"`
	TTL    int    `json:"ttl"` // seconds
}

// asksForAddress tells whether an upload is to be sent elsewhere, and then to be
// named by its path.
func asksForAddress(q url.Values) (bool, error) {
	text := q.Get("presign")
	if text == "" {
		return false, nil
	}
	asks, err := strconv.ParseBool(text)
	switch {
	case err != nil:
		return false, invalid("presign", "must be true or false")
	case asks && q.Has("path"):
		return false, invalid("presign", "cannot be asked for together with path")
	}
	return asks, nil
}

// noBody refuses a body where the file comes another way.
func noBody(r *http.Request) error {
	var one [1]byte
	if n, err := io.ReadFull(r.Body, one[:]); n > 0 || err != io.EOF {
		return throng.Errorf(throng.Invalid, "the body must be empty: the file goes to the address that presign gives")
	}
	return nil
}

// presignUpload gives an address for the file of an upload. It is not answered
// again to an idempotency key: an address is good for a few minutes only.
func (h *handlers) presignUpload(w http.ResponseWriter, r *http.Request, c *throng.Caller) error {
	if err := noBody(r); err != nil {
		return err
	}
	q := r.URL.Query()
	in, err := h.svc.PresignUpload(r.Context(), c, q.Get("type"), q.Get("name"), q.Get("md5"))
	if err != nil {
		return err
	}
	return answer(w, wireIncoming{in.Method, in.URL, in.Path, int(in.TTL.Seconds())})
}

// uploadFromPath makes an upload of a file that was sent to an address.
func (h *handlers) uploadFromPath(w http.ResponseWriter, r *http.Request, c *throng.Caller) error {
	if err := noBody(r); err != nil {
		return err
	}
	q := r.URL.Query()
	request := []byte(strings.Join([]string{"path", q.Get("path"), q.Get("type"), q.Get("name")}, "\n"))
	return h.once(w, r, c, request, fromUpload, func(once *service.Once) (any, error) {
		return h.svc.CreateUploadFrom(r.Context(), c, q.Get("type"), q.Get("name"), q.Get("path"), once)
	})
}
