package api

import (
	"compress/gzip"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"

	kgzip "github.com/klauspost/compress/gzip"

	"throng/service"
)

// ServeFile answers with a finished file: in full, in ranges, not at all where
// the client has it, or compressed where the client takes gzip and asks for no
// range. The tag of the compressed form is another one. It closes the file.
func ServeFile(log *slog.Logger, w http.ResponseWriter, r *http.Request, f *service.File) {
	defer f.Close()
	h := w.Header()
	h.Set("Content-Type", f.ContentType)
	h.Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", f.Name))
	h.Set("Cache-Control", "private, no-cache")
	h.Add("Vary", "Accept-Encoding")
	if r.Header.Get("Range") != "" || !takesGzip(r.Header.Get("Accept-Encoding")) || !compresses(f.ContentType) {
		h.Set("ETag", `"`+f.Tag+`"`)
		http.ServeContent(w, r, "", f.ModTime, f)
		return
	}
	tag := `"` + f.Tag + `-gzip"`
	h.Set("ETag", tag)
	if has(r.Header.Get("If-None-Match"), tag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Encoding", "gzip")
	if r.Method == http.MethodHead {
		return
	}
	// Huffman coding alone: identifiers have no repetitions to find, so that
	// the search for them costs ten times the time for a larger file.
	zw, err := kgzip.NewWriterLevel(w, gzip.HuffmanOnly)
	if err == nil {
		if _, err = io.Copy(zw, f); err == nil {
			err = zw.Close()
		}
	}
	if err != nil && r.Context().Err() == nil {
		// The status is sent: all that is left is to let the client see that
		// the file did not come whole.
		log.ErrorContext(r.Context(), "send file", "request", RequestID(r.Context()), "err", err)
		panic(http.ErrAbortHandler)
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

// has tells whether a list of tags names one.
func has(list, tag string) bool {
	for t := range strings.SplitSeq(list, ",") {
		if t = strings.TrimPrefix(strings.TrimSpace(t), "W/"); t == tag || t == "*" {
			return true
		}
	}
	return false
}
