package api

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"

	"throng/internal/huffgz"
	"throng/service"
)

// Output is a file that is asked for: Stat tells about it, Open opens it as it
// is, Packed in its gzip form. See the methods of service.Service.
type Output struct {
	Stat, Open, Packed func() (*service.File, error)
}

// ServeFile answers with a finished file: in full, in ranges, not at all where
// the client has it or wants another one, or compressed where the client takes gzip. The tag of the
// compressed form is another one; ranges are of that form only where If-Range
// names its tag, that is where a client goes on with it. Files that are made
// when they are asked for are not made for HEAD, nor for a client who has them.
// An error was not answered yet.
func ServeFile(log *slog.Logger, w http.ResponseWriter, r *http.Request, out Output) error {
	info, err := out.Stat()
	if err != nil {
		return err
	}
	if unit := r.Header.Get("Range"); unit != "" && !strings.HasPrefix(unit, "bytes=") {
		r = r.Clone(r.Context())
		r.Header.Del("Range") // of a unit that is not ours it counts as not there (RFC 9110, 14.2)
	}
	part := r.Method == http.MethodGet && r.Header.Get("Range") != ""
	tag, packed := chooseForm(r, info, part)
	if want := r.Header.Get("If-Match"); want != "" && !lists(want, tag) {
		describe(w.Header(), tag)
		w.WriteHeader(http.StatusPreconditionFailed)
		return nil
	}
	if had := r.Header.Get("If-None-Match"); lists(had, tag) || lists(had, "W/"+tag) {
		describe(w.Header(), tag)
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	if r.Method == http.MethodHead {
		describe(w.Header(), tag)
		describeBody(w.Header(), info, packed)
		if !packed && info.Size >= 0 {
			w.Header().Set("Content-Length", strconv.FormatInt(info.Size, 10))
		}
		return nil
	}
	open := out.Open
	if packed && part {
		open = out.Packed
	}
	f, err := open()
	if err != nil {
		return err
	}
	defer f.Close()
	describe(w.Header(), tag)
	describeBody(w.Header(), info, packed)
	if !packed || part {
		http.ServeContent(w, r, "", f.ModTime, f)
		return nil
	}
	sendPacked(log, w, r, f)
	return nil
}

// chooseForm tells which form of a file a request gets, with its tag: packed, or
// as it is. part says that a range is asked for.
func chooseForm(r *http.Request, info *service.File, part bool) (tag string, packed bool) {
	if takesGzip(r.Header.Get("Accept-Encoding")) && compresses(info.ContentType) {
		tag = `"` + info.Tag + `-gzip"`
		if !part || r.Header.Get("If-Range") == tag {
			return tag, true
		}
	}
	return `"` + info.Tag + `"`, false
}

// sendPacked compresses a file on its way.
func sendPacked(log *slog.Logger, w http.ResponseWriter, r *http.Request, f io.Reader) {
	// Identifiers have no repetitions to find, so that the search for them
	// costs ten times the time for a larger file.
	zw := huffgz.NewWriter(w)
	_, err := io.CopyBuffer(zw, struct{ io.Reader }{f}, make([]byte, copyBuffer))
	if err == nil {
		err = zw.Close()
	}
	if err != nil && r.Context().Err() == nil {
		// The status is sent: all that is left is to let the client see that
		// the file did not come whole.
		log.ErrorContext(r.Context(), "send file", "err", err)
		panic(http.ErrAbortHandler)
	}
}

// copyBuffer is as much as is compressed at once.
const copyBuffer = 128 << 10

// describe tells of a file what a 304 tells, too.
func describe(h http.Header, tag string) {
	h.Set("Cache-Control", "private, no-cache")
	h.Add("Vary", "Accept-Encoding")
	h.Set("Accept-Ranges", "bytes")
	h.Set("ETag", tag)
}

// describeBody tells of the body that comes, or would.
func describeBody(h http.Header, info *service.File, packed bool) {
	h.Set("Content-Type", info.ContentType)
	h.Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", info.Name))
	if packed {
		h.Set("Content-Encoding", "gzip")
	}
}

func compresses(contentType string) bool { return strings.HasPrefix(contentType, "text/") }

// takesGzip reads an Accept-Encoding header.
func takesGzip(header string) bool {
	for part := range strings.SplitSeq(header, ",") {
		coding, params, _ := strings.Cut(strings.TrimSpace(part), ";")
		if !strings.EqualFold(strings.TrimSpace(coding), "gzip") {
			continue
		}
		q := strings.ReplaceAll(strings.TrimSpace(params), " ", "")
		return !strings.HasPrefix(q, "q=0") || strings.Trim(q[len("q=0"):], ".0") != ""
	}
	return false
}

// lists tells whether a list of tags names one, or any. A weak tag in it is
// another one.
func lists(list, tag string) bool {
	for t := range strings.SplitSeq(list, ",") {
		if t = strings.TrimSpace(t); t == tag || t == "*" {
			return true
		}
	}
	return false
}
