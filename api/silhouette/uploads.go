package silhouette

import (
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"

	"github.com/go-chi/chi/v5"

	"throng"
	"throng/api"
	"throng/service"
)

func (h *handlers) createUpload(w http.ResponseWriter, r *http.Request, c *throng.Caller) error {
	q := r.URL.Query()
	if asks, err := asksForAddress(q); err != nil {
		return err
	} else if asks {
		return h.presignUpload(w, r, c)
	}
	if q.Has("path") {
		return h.uploadFromPath(w, r, c)
	}
	r.Body = api.PacedBody(w, r.Body)
	body, name, err := uploadBody(r, h.svc.UploadFits)
	if err != nil {
		return err
	}
	if q.Get("name") != "" {
		name = q.Get("name")
	}
	return h.once(w, r, c, nil, fromUpload, func(once *service.Once) (any, error) {
		return h.svc.CreateUpload(r.Context(), c, q.Get("type"), name, body, once)
	})
}

// uploadBody gives the bytes of the file: the body itself, or the one file of
// a form, with its name. fits refuses a file of so many bytes.
func uploadBody(r *http.Request, fits func(int64) error) (io.Reader, string, error) {
	media, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || !strings.HasPrefix(media, "multipart/") {
		return r.Body, "", fits(r.ContentLength)
	}
	form := multipart.NewReader(r.Body, params["boundary"])
	for {
		part, err := form.NextPart()
		if isEnd(err) {
			return nil, "", throng.Errorf(throng.Invalid, "the form holds no file")
		}
		if err != nil {
			return nil, "", errForm()
		}
		if part.FileName() != "" {
			return &onlyFile{part: part, form: form}, part.FileName(), nil
		}
	}
}

// onlyFile reads a form's file and makes sure that no second one follows.
type onlyFile struct {
	part *multipart.Part
	form *multipart.Reader
	end  error // once it was reached
}

// Read implements io.Reader.
func (f *onlyFile) Read(p []byte) (n int, err error) {
	if f.end != nil {
		return 0, f.end
	}
	if n, err = f.part.Read(p); err != nil {
		f.end = f.rest(err)
	}
	return n, f.end
}

// rest reads what follows the file, which ended with err.
func (f *onlyFile) rest(err error) error {
	for isEnd(err) {
		part, next := f.form.NextPart()
		switch {
		case isEnd(next):
			return io.EOF
		case next == nil && part.FileName() != "":
			return throng.Errorf(throng.Invalid, "the form holds more than one file")
		case next != nil:
			err = next
		}
	}
	return errForm()
}

// isEnd tells the end of a form from one that was cut off, whose error wraps
// io.EOF, too.
func isEnd(err error) bool {
	return err == io.EOF //nolint:errorlint // see above
}

func errForm() error {
	return throng.Errorf(throng.Invalid, "the form is malformed or ended too early")
}

func (h *handlers) listUploads(w http.ResponseWriter, r *http.Request, c *throng.Caller) error {
	list, next, err := h.svc.Uploads(r.Context(), c, pageFrom(r.URL.Query()))
	if err != nil {
		return err
	}
	data := make([]wireUploadState, len(list))
	for i, u := range list {
		data[i] = fromUploadState(u)
	}
	return answer(w, pageOf(data, next))
}

func (h *handlers) getUpload(w http.ResponseWriter, r *http.Request, c *throng.Caller) error {
	u, err := h.svc.Upload(r.Context(), c, uploadKey(r))
	if err != nil {
		return err
	}
	return answer(w, fromUploadState(*u))
}

func (h *handlers) deleteUpload(w http.ResponseWriter, r *http.Request, c *throng.Caller) error {
	key := uploadKey(r)
	if err := h.svc.DeleteUpload(r.Context(), c, key); err != nil {
		return err
	}
	return answer(w, struct {
		Key    string `json:"key"`
		Status string `json:"status"`
	}{key, "deleted"})
}

// uploadKey is the rest of the path: keys are written so that path and key
// are one.
func uploadKey(r *http.Request) string {
	return "/uploads/" + chi.URLParam(r, "date") + "/" + chi.URLParam(r, "file")
}
