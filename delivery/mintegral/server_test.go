package mintegral

import (
	"bufio"
	"compress/gzip"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"throng/identifier"
)

const (
	testAccess = "test-access"
	testAPIKey = "ce4f7c2b8edb173e2533d7a169080504" // of the vendor's example
)

// server answers as the vendor documents it.
type server struct {
	*httptest.Server
	t *testing.T
	// tells: next_update_at and files are listed, as throng does and the vendor
	// does not.
	tells bool
	// lockCode is how an update is refused that comes too soon.
	lockCode int
	// fault, where not nil, answers in place of the API; false lets it answer.
	fault func(w http.ResponseWriter, r *http.Request) bool

	mu        sync.Mutex
	now       time.Time
	files     map[string]*upload // by path
	audiences []*audience
	puts      int
	asked     []string // method and path of every request
}

type upload struct {
	sum  string
	data []byte // nil until sent
}

type audience struct {
	id       int64
	name     string
	platform int
	files    []wireFile
	changed  time.Time
}

func newServer(t *testing.T) *server {
	t.Helper()
	s := &server{t: t, lockCode: 409, now: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC), files: map[string]*upload{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/open/v1/audience/presigned-upload-data", s.signed(s.presign))
	mux.HandleFunc("POST /api/open/v1/audience", s.signed(s.create))
	mux.HandleFunc("PUT /api/open/v1/audience", s.signed(s.update))
	mux.HandleFunc("GET /api/open/v1/audience", s.signed(s.list))
	mux.HandleFunc("PUT /bucket/", s.put)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.asked = append(s.asked, r.Method+" "+r.URL.Path)
		w.Header().Set("Date", s.now.Format(http.TimeFormat))
		if s.fault == nil || !s.fault(w, r) {
			mux.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *server) clock() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

func (s *server) advance(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = s.now.Add(d)
}

func answer(w http.ResponseWriter, code int, message string, data any) {
	json.NewEncoder(w).Encode(map[string]any{"code": code, "message": message, "data": data})
}

func (s *server) signed(do http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		at, err := strconv.ParseInt(r.Header.Get("timestamp"), 10, 64)
		if age := s.now.Sub(time.Unix(at, 0)).Abs(); err != nil || age > 300*time.Second ||
			r.Header.Get("access-key") != testAccess || r.Header.Get("token") != Token(testAPIKey, time.Unix(at, 0)) {
			answer(w, 401, "token is invalid", nil)
			return
		}
		do(w, r)
	}
}

func (s *server) presign(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if q.Get("area_type") != "1" || q.Get("file_name") == "" || len(q.Get("file_md5")) != 32 {
		answer(w, 400, "bad parameter", nil)
		return
	}
	s.puts++
	key := fmt.Sprintf("audience/tmp_upload/2026/11/21/%016d/%s/%s", s.puts, q.Get("file_md5"), q.Get("file_name"))
	path := "s3://mob-emr-test/" + key
	s.files[path] = &upload{sum: q.Get("file_md5")}
	answer(w, 200, "success", map[string]any{
		"area_type": 1, "file_name": q.Get("file_name"), "file_md5": q.Get("file_md5"), "ttl": 300,
		"s3": map[string]any{"method": "PUT", "url": s.URL + "/bucket/" + key, "data_path": path},
	})
}

// put takes a file as a store of S3 does: by its length, without a vendor's
// headers.
func (s *server) put(w http.ResponseWriter, r *http.Request) {
	f := s.files["s3://mob-emr-test/"+strings.TrimPrefix(r.URL.Path, "/bucket/")]
	data, err := io.ReadAll(r.Body)
	sum := md5.Sum(data)
	switch {
	case f == nil:
		w.WriteHeader(http.StatusForbidden)
	case r.ContentLength < 0 || r.Header.Get("access-key") != "" || r.Header.Get("token") != "":
		w.WriteHeader(http.StatusLengthRequired)
	case err != nil, hex.EncodeToString(sum[:]) != f.sum:
		w.WriteHeader(http.StatusBadRequest)
	default:
		f.data = data
	}
}

type wireOrder struct {
	ID       int64      `json:"ta_id"`
	Name     string     `json:"ta_name"`
	Area     int        `json:"area_type"`
	Platform int        `json:"platform"`
	Files    []wireFile `json:"data_path"`
}

// read reads a body whose files must have been sent.
func (s *server) read(w http.ResponseWriter, r *http.Request) (o wireOrder, ok bool) {
	if err := json.NewDecoder(r.Body).Decode(&o); err != nil || len(o.Files) == 0 {
		answer(w, 400, "bad body", nil)
		return o, false
	}
	for i, f := range o.Files {
		if u := s.files[f.DataPath]; u == nil || u.data == nil || f.DeviceType == 0 {
			answer(w, 400, "invalid", map[string]any{"details": []detail{{fmt.Sprintf("data_path[%d].data_path", i), "no file was sent to it"}}})
			return o, false
		}
	}
	return o, true
}

func (s *server) create(w http.ResponseWriter, r *http.Request) {
	o, ok := s.read(w, r)
	if !ok {
		return
	}
	if o.Name == "" || o.Area != 1 || o.Platform < 1 || o.Platform > 3 {
		answer(w, 400, "bad parameter", nil)
		return
	}
	a := &audience{id: 1148 + int64(len(s.audiences)), name: o.Name, platform: o.Platform, files: o.Files, changed: s.now}
	s.audiences = append(s.audiences, a)
	answer(w, 200, "success", map[string]any{"ta_id": a.id})
}

func (s *server) update(w http.ResponseWriter, r *http.Request) {
	o, ok := s.read(w, r)
	if !ok {
		return
	}
	a := s.find(o.ID)
	switch {
	case a == nil:
		answer(w, 404, "audience not found", nil)
	case s.now.Before(a.changed.Add(lockTime)):
		answer(w, s.lockCode, "the audience was changed within 12 hours", nil)
	default:
		a.files, a.changed = o.Files, s.now
		answer(w, 200, "success", map[string]any{"ta_id": a.id})
	}
}

func (s *server) find(id int64) *audience {
	for _, a := range s.audiences {
		if a.id == id {
			return a
		}
	}
	return nil
}

func (s *server) list(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	limit, page := number(q.Get("limit"), 10), number(q.Get("page"), 1)
	var found []map[string]any
	for _, a := range slices.Backward(s.audiences) {
		if ids := q.Get("ta_ids"); ids != "" && !slices.Contains(strings.Split(ids, ","), strconv.FormatInt(a.id, 10)) {
			continue
		}
		if !strings.Contains(strings.ToLower(a.name), strings.ToLower(q.Get("ta_name"))) {
			continue
		}
		var types []string
		for _, f := range a.files {
			if n := strconv.Itoa(f.DeviceType); !slices.Contains(types, n) {
				types = append(types, n)
			}
		}
		row := map[string]any{
			"ta_id": a.id, "platform": a.platform, "ta_name": a.name, "ta_type": 1, "device_type": strings.Join(types, ","),
			"area_type": 1, "ctime": a.changed.Unix(), "utime": a.changed.Unix(),
		}
		if s.tells {
			row["next_update_at"], row["files"] = a.changed.Add(lockTime).Unix(), a.files
		}
		found = append(found, row)
	}
	from, to := min((page-1)*limit, len(found)), min(page*limit, len(found))
	answer(w, 200, "success", map[string]any{
		"page": page, "limit": limit, "current_total": to - from, "total": len(found), "list": found[from:to],
	})
}

func number(s string, otherwise int) int {
	if n, err := strconv.Atoi(s); err == nil {
		return n
	}
	return otherwise
}

// add puts an audience there as if it had been made long ago.
func (s *server) add(name string) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := &audience{
		id: 1148 + int64(len(s.audiences)), name: name, platform: 3, changed: s.now.Add(-24 * time.Hour),
		files: []wireFile{{DeviceType: 2, DataPath: "s3://old"}},
	}
	s.audiences = append(s.audiences, a)
	return a.id
}

// contents reads an audience's files as the vendor does: the first row is a
// header.
func (s *server) contents(a *audience) map[identifier.Type][]string {
	s.t.Helper()
	all := map[identifier.Type][]string{}
	for _, f := range a.files {
		z, err := gzip.NewReader(strings.NewReader(string(s.files[f.DataPath].data)))
		if err != nil {
			s.t.Fatalf("file of type %d: %v", f.DeviceType, err)
		}
		lines := bufio.NewScanner(z)
		if !lines.Scan() || lines.Text() == "" {
			s.t.Fatalf("file of type %d has no header", f.DeviceType)
		}
		for t, n := range deviceTypes {
			if n != f.DeviceType {
				continue
			}
			for lines.Scan() {
				all[t] = append(all[t], lines.Text())
			}
			slices.Sort(all[t])
		}
		if lines.Err() != nil {
			s.t.Fatalf("file of type %d: %v", f.DeviceType, lines.Err())
		}
	}
	return all
}
