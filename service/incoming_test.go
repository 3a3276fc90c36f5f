package service

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"throng"
	"throng/internal/seal"
	"throng/service/address"
	"throng/service/record"
)

// presign asks for an address and gives its token, too.
func (s *testService) presign(name, md5 string) (in *Incoming, token string) {
	s.t.Helper()
	in, err := s.PresignFile(s.t.Context(), s.caller, name, md5)
	if err != nil {
		s.t.Fatalf("PresignFile(%q, %q) = %v", name, md5, err)
	}
	return in, in.URL[strings.LastIndexByte(in.URL, '/')+1:]
}

// blobsOf lists the keys of the store that begin with one of the prefixes.
func (s *testService) blobsOf(prefixes ...string) (keys []string) {
	s.t.Helper()
	for _, prefix := range prefixes {
		for info, err := range s.blobs.List(s.t.Context(), prefix) {
			if err != nil {
				s.t.Fatal(err)
			}
			keys = append(keys, info.Key)
		}
	}
	return keys
}

func withURL(c *Config) { c.URL = func() string { return "https://audiences.example.com" } }

func TestPresignFile(t *testing.T) {
	s := open(t, withURL)
	sum := md5Of("hello")
	in, _ := s.presign("my list.txt", strings.ToUpper(sum))
	if !regexp.MustCompile(`^https://audiences\.example\.com/incoming/[^/]+$`).MatchString(in.URL) {
		t.Errorf("URL = %s", in.URL)
	}
	if want := regexp.MustCompile(`^s3://throng/audience/tmp_upload/2026/11/21/[a-z]{16}/` + sum + `/my list\.txt$`); !want.MatchString(in.Path) {
		t.Errorf("Path = %s, want %v", in.Path, want)
	}
	if in.Method != "PUT" || in.TTL != 5*time.Minute {
		t.Errorf("method %s, TTL %v, want PUT for 5m", in.Method, in.TTL)
	}
	if in, _ := s.presign("", ""); !regexp.MustCompile(`/[a-z]{16}/file$`).MatchString(in.Path) {
		t.Errorf("Path without name and MD5 = %s", in.Path)
	}
	long := strings.Repeat("é", 255)
	s.presign(long, sum)
	for _, tt := range []struct {
		name, md5 string
		paths     []string
	}{
		{"a/b", sum, []string{"name"}},
		{"..", sum, []string{"name"}},
		{long + "x", sum, []string{"name"}},
		{"a\x00", sum, []string{"name"}},
		{"\xff", sum, []string{"name"}},
		{"a", sum[1:], []string{"md5"}},
		{"a", "g" + sum[1:], []string{"md5"}},
		{"a\n", "md5", []string{"md5", "name"}},
	} {
		_, err := s.PresignFile(t.Context(), s.caller, tt.name, tt.md5)
		wantCode(t, err, throng.Invalid, tt.paths...)
	}
}

func TestReceive(t *testing.T) {
	const good = "p1\np2\n"
	put := func(body string) func(*testService, string) error {
		return func(s *testService, token string) error {
			_, err := s.Receive(t.Context(), token, int64(len(body)), strings.NewReader(body))
			return err
		}
	}
	chunked := func(r io.Reader) func(*testService, string) error {
		return func(s *testService, token string) error {
			_, err := s.Receive(t.Context(), token, -1, r)
			return err
		}
	}
	tests := []struct {
		name, md5 string
		before    func(s *testService, token *string)
		put       func(*testService, string) error
		code      throng.Code // "" for none, "?" for one that is nobody's to read
		blobs     int         // that are there afterwards
	}{
		{"the announced bytes", md5Of(good), nil, put(good), "", 1},
		{"any bytes", "", nil, put(good), "", 1},
		{"no bytes", md5Of(""), nil, put(""), "", 1},
		{"of unknown size", md5Of(good), nil, chunked(strings.NewReader(good)), "", 1},
		{"other bytes", md5Of(good), nil, put("p1\np3\n"), throng.Invalid, 0},
		{"the limit", "", nil, put(strings.Repeat("x", 100)), "", 1},
		{"beyond the limit", "", nil, put(strings.Repeat("x", 101)), throng.TooLarge, 0},
		{"beyond the limit, of unknown size", "", nil, chunked(strings.NewReader(strings.Repeat("x", 101))), throng.TooLarge, 0},
		{"endless", "", nil, chunked(endless{}), throng.TooLarge, 0},
		{"cut off", md5Of(good), nil, chunked(io.MultiReader(strings.NewReader("p1\n"), iotest.ErrReader(io.ErrUnexpectedEOF))), throng.Invalid, 0},
		{"lost", md5Of(good), nil, chunked(io.MultiReader(strings.NewReader("p1\n"), iotest.ErrReader(errors.New("lost")))), "?", 0},
		{"in the last second", md5Of(good), func(s *testService, _ *string) { s.clock.Add(incomingTTL - time.Second) }, put(good), "", 1},
		{"too late", md5Of(good), func(s *testService, _ *string) { s.clock.Add(incomingTTL) }, put(good), throng.Forbidden, 0},
		{"with a token made longer", md5Of(good), func(_ *testService, token *string) { *token += "x" }, put(good), throng.Forbidden, 0},
		{"with another slot", md5Of(good), func(_ *testService, token *string) {
			other := (*token)[0] ^ 1 // a letter as well, or the sign beside them
			*token = string(other) + (*token)[1:]
		}, put(good), throng.Forbidden, 0},
		{"with a later end", md5Of(good), func(_ *testService, token *string) {
			parts := strings.Split(*token, ".")
			*token = parts[0] + ".zzzzzzz." + parts[2]
		}, put(good), throng.Forbidden, 0},
		{"of another server", md5Of(good), func(s *testService, token *string) {
			key, err := seal.ParseKey(seal.NewKey())
			if err != nil {
				t.Fatal(err)
			}
			*token = address.Token(key, (*token)[:address.SlotLen], s.clock.Now().Add(incomingTTL))
		}, put(good), throng.Forbidden, 0},
		{"of a caller who was revoked", md5Of(good), func(s *testService, _ *string) {
			if err := s.RevokeCaller(t.Context(), "all"); err != nil {
				t.Fatal(err)
			}
		}, put(good), throng.Forbidden, 0},
		{"the same bytes again", md5Of(good), received(t, good), put(good), "", 1},
		{"the same bytes again, not announced", "", received(t, good), put(good), "", 1},
		{"other bytes after", md5Of(good), received(t, good), put("p1\np3\n"), throng.Conflict, 1},
		{"other bytes after, of unknown size", "", received(t, good), chunked(strings.NewReader("p1\np3\n")), throng.Conflict, 1},
		{"more bytes after", "", received(t, good), put(good + "p3\n"), throng.Conflict, 1},
		{"more bytes after, of unknown size", "", received(t, good), chunked(endless{}), throng.Conflict, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := open(t, func(c *Config) { c.UploadLimit = 100 })
			in, token := s.presign("list.txt", tt.md5)
			if tt.before != nil {
				tt.before(s, &token)
			}
			err := tt.put(s, token)
			switch {
			case tt.code == "" && err != nil:
				t.Errorf("Receive = %v", err)
			case tt.code == "?" && (err == nil || throng.CodeOf(err) != throng.Internal):
				t.Errorf("Receive = %v, want an error without a code", err)
			case tt.code != "" && tt.code != "?":
				wantCode(t, err, tt.code)
			}
			if got := s.blobsOf(record.IncomingPrefix, record.ReceivedPrefix); len(got) != tt.blobs {
				t.Errorf("the store holds %v, want %d", got, tt.blobs)
			}
			file, err := s.received(t.Context(), s.caller, in.Path)
			if tt.blobs == 0 {
				wantCode(t, err, throng.Invalid)
			} else if err != nil || file.Name != "list.txt" || !strings.HasPrefix(file.Key, record.ReceivedPrefix) {
				t.Errorf("received = %+v, %v", file, err)
			}
		})
	}
}

// received sends a body to a token, and gives it back.
func received(t *testing.T, body string) func(*testService, *string) {
	return func(s *testService, token *string) {
		sum, err := s.Receive(t.Context(), *token, -1, strings.NewReader(body))
		if err != nil || sum != md5Of(body) {
			t.Fatalf("Receive = %s, %v", sum, err)
		}
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func TestReceived(t *testing.T) {
	s := open(t)
	in, token := s.presign("list.txt", "")
	_, err := s.received(t.Context(), s.caller, in.Path)
	wantCode(t, err, throng.Invalid)
	received(t, "hello")(s, &token)
	file, err := s.received(t.Context(), s.caller, in.Path)
	if err != nil {
		t.Fatal(err)
	}
	want := receivedFile{ID: file.ID, Key: file.Key, Name: "list.txt", MD5: md5Of("hello"), Size: 5}
	if diff := cmp.Diff(want, file); diff != "" {
		t.Errorf("received (-want +got):\n%s", diff)
	}
	if again, err := s.received(t.Context(), s.caller, in.Path); err != nil || again != file {
		t.Errorf("received again = %+v, %v, want %+v", again, err, file)
	}
	other := s.add("other", CallerSettings{})
	for _, path := range []string{in.Path, "", "s3://throng/nothing", in.Path + "x", "\xff\x00"} {
		c := s.caller
		if path == in.Path {
			c = other
		}
		_, err := s.received(t.Context(), c, path)
		wantCode(t, err, throng.Invalid)
		if msg := throng.MessageOf(err); msg != "no file was sent to it" {
			t.Errorf("received(%q) = %q", path, msg)
		}
	}
}

// Several senders of different bytes at once: one wins, and its bytes stay.
func TestReceiveAtOnce(t *testing.T) {
	s := open(t)
	in, token := s.presign("list.txt", "")
	var wg sync.WaitGroup
	errs := make([]error, 6)
	for i := range errs {
		wg.Go(func() {
			_, errs[i] = s.Receive(t.Context(), token, -1, strings.NewReader(fmt.Sprintf("body %d", i%3)))
		})
	}
	wg.Wait()
	file, err := s.received(t.Context(), s.caller, in.Path)
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.blobs.Open(t.Context(), file.Key)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	body := mustRead(r)
	for i, err := range errs {
		if fmt.Sprintf("body %d", i%3) == body {
			if err != nil {
				t.Errorf("sender %d of the bytes that stayed: %v", i, err)
			}
			continue
		}
		wantCode(t, err, throng.Conflict)
	}
	if got := s.blobsOf(record.IncomingPrefix, record.ReceivedPrefix); len(got) != 1 {
		t.Errorf("the store holds %v, want one file", got)
	}
}

func TestSweepIncoming(t *testing.T) {
	s := start(t)
	s.clock.Add(time.Since(s.clock.Now())) // files have the time of the machine
	in, token := s.presign("list.txt", "")
	received(t, "hello")(s, &token)
	s.presign("never sent", "")
	w, err := s.blobs.Create(t.Context(), record.ReceivedPrefix+"orphan")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	f := func(after time.Duration, want int) {
		t.Helper()
		s.clock.Add(after)
		if err := s.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := s.blobsOf(record.IncomingPrefix, record.ReceivedPrefix); len(got) != want {
			t.Errorf("the store holds %v, want %d files", got, want)
		}
	}
	f(0, 2)
	f(incomingLife-time.Minute, 2)
	if _, err := s.received(t.Context(), s.caller, in.Path); err != nil { // keeps it for longer
		t.Error(err)
	}
	f(2*time.Minute, 1)
	f(incomingLife, 0)
	_, err = s.received(t.Context(), s.caller, in.Path)
	wantCode(t, err, throng.Invalid)
	if _, slots, err := s.db.IncomingKeys(t.Context()); err != nil || len(slots) != 0 {
		t.Errorf("%d addresses are left, %v", len(slots), err)
	}
}

func TestCreateUploadFrom(t *testing.T) {
	s := start(t)
	in, token := s.presign("list.txt", "")
	_, err := s.CreateUploadFrom(t.Context(), s.caller, "ss_id", "", in.Path, nil)
	wantCode(t, err, throng.Invalid, "path")
	received(t, "p1\np2\nnobody\n")(s, &token)
	_, err = s.CreateUploadFrom(t.Context(), s.caller, "nothing", "", in.Path, nil)
	wantCode(t, err, throng.Invalid, "type")
	u, err := s.CreateUploadFrom(t.Context(), s.caller, "ss_id", "", in.Path, nil)
	if err != nil || u.Name != "list.txt" || fatesOf(u) != (fates{3, 2, 1, 0, 0}) {
		t.Errorf("CreateUploadFrom = %+v, %v", u, err)
	}
	posted, err := s.CreateUpload(t.Context(), s.caller, "ss_id", "", strings.NewReader("p1\np2\nnobody\n"), nil)
	if err != nil || posted.Key != u.Key {
		t.Errorf("CreateUpload of the same bytes = %+v, %v, want %s", posted, err, u.Key)
	}
}
