package service

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"throng"
	"throng/internal/archivetest"
	"throng/service/rowstore"
	"throng/service/sweep"
)

type fates struct{ Rows, Matched, Unmatched, Duplicate, Invalid uint64 }

func fatesOf(u *throng.Upload) fates {
	return fates{u.Rows, u.Matched, u.Unmatched, u.Duplicate, u.Invalid}
}

func TestUploadFates(t *testing.T) {
	s := start(t)
	for _, tt := range []struct {
		name, typ, body string
		want            fates
		lines           []throng.InvalidLine
		members         string
	}{
		{"empty", "ss_id", "", fates{}, nil, ""},
		{"one without end", "ss_id", "p1", fates{1, 1, 0, 0, 0}, nil, "p1"},
		{"a last end starts no line", "ss_id", "p1\np2\n", fates{2, 2, 0, 0, 0}, nil, "p1 p2"},
		{"empty lines", "ss_id", "\n\np1\n\n", fates{4, 1, 0, 0, 3}, []throng.InvalidLine{{Line: 1, Reason: "empty"}, {Line: 2, Reason: "empty"}, {Line: 4, Reason: "empty"}}, "p1"},
		{"CRLF and BOM", "ss_id", "\xef\xbb\xbfp1\r\np2\r\n", fates{2, 2, 0, 0, 0}, nil, "p1 p2"},
		{"ss_id is not trimmed", "ss_id", " p1\np1\n", fates{2, 1, 1, 0, 0}, nil, "p1"},
		{"every fate", "email_raw", " ANN@example.com \nann@EXAMPLE.com\nnobody@example.com\nno address\n", fates{4, 1, 1, 1, 1}, []throng.InvalidLine{{Line: 4, Reason: "invalid"}}, "p1"},
		{"an e-mail matches who has only its md5", "email_raw", "Gus@Example.com\n", fates{1, 1, 0, 0, 0}, nil, "p7"},
		{"md5 in any case, of an address", "md5", strings.ToUpper(md5Of("bob@example.com")) + "\n11111111111111111111111111111111\nd41d8cd98f00b204e9800998ecf8427e\n", fates{3, 2, 0, 0, 1}, []throng.InvalidLine{{Line: 3, Reason: "md5 of the empty string"}}, "p2 p4"},
		{"ma_id without hyphens, and zero", "ma_id", "6D92078A82464BA4AE5B76104861E7DC\n00000000-0000-0000-0000-000000000000\n", fates{2, 1, 0, 0, 1}, []throng.InvalidLine{{Line: 2, Reason: "zero id"}}, "p6"},
		{"twitter_user", "twitter_user", "@fivealive\nFIVEALIVE\n", fates{2, 1, 0, 1, 0}, nil, "p5"},
		{"a line of a megabyte", "ss_id", strings.Repeat("x", 1<<20) + "\np1\n", fates{2, 1, 0, 0, 1}, []throng.InvalidLine{{Line: 1, Reason: "too long"}}, "p1"},
		{"control characters", "cint_id", "a\x00b\nfine\n", fates{2, 0, 1, 0, 1}, []throng.InvalidLine{{Line: 1, Reason: "control character"}}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			u, err := s.CreateUpload(t.Context(), s.caller, tt.typ, tt.name, strings.NewReader(tt.body), nil)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, fatesOf(u)); diff != "" {
				t.Errorf("fates (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.lines, u.InvalidLines); diff != "" {
				t.Errorf("invalid lines (-want +got):\n%s", diff)
			}
			again, err := s.Upload(t.Context(), s.caller, u.Key)
			if diff := cmp.Diff(u, again); err != nil || diff != "" {
				t.Errorf("Upload (-made +read), %v:\n%s", err, diff)
			}
			a := s.build(s.caller, fmt.Sprintf(`[{"operation":"OR","upload":{"keys":[%q],"type":%q}}]`, u.Key, tt.typ))
			if got := s.members(a.ID); got != tt.members {
				t.Errorf("members = %q, want %q", got, tt.members)
			}
		})
	}
}

func md5Of(text string) string {
	sum := md5.Sum([]byte(text))
	return hex.EncodeToString(sum[:])
}

func TestUploadArchives(t *testing.T) {
	s := start(t)
	text := "p1\np2\nnobody\n"
	want := fates{3, 2, 1, 0, 0}
	gz, zst := archivetest.Gzip(t, text), archivetest.Zstd(t, text)
	for name, body := range map[string][]byte{
		"plain": []byte(text), "gzip": gz, "zstd": zst,
		"gzip of two members": append(archivetest.Gzip(t, "p1\n"), archivetest.Gzip(t, "p2\nnobody\n")...),
	} {
		u, err := s.CreateUpload(t.Context(), s.caller, "ss_id", name, bytes.NewReader(body), nil)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := fatesOf(u); got != want {
			t.Errorf("%s: fates = %+v, want %+v", name, got, want)
		}
		if key := "/uploads/2026-11-21/" + md5Of(string(body)) + ".ssid"; u.Key != key {
			t.Errorf("%s: key = %s, want %s", name, u.Key, key)
		}
	}
	before, _, _ := s.Uploads(t.Context(), s.caller, throng.Page{})
	for name, body := range map[string][]byte{
		"truncated gzip": gz[:len(gz)-5], "no gzip after all": []byte("\x1f\x8b\x00 what is this"),
		"damaged gzip": damage(gz, len(gz)-6), "truncated zstd": zst[:len(zst)-3],
		"gzip and something": append(slices.Clone(gz), "trailing"...),
	} {
		_, err := s.CreateUpload(t.Context(), s.caller, "ss_id", name, bytes.NewReader(body), nil)
		if throng.CodeOf(err) != throng.Invalid || err == nil {
			t.Errorf("%s: error = %v, want invalid_request", name, err)
		}
	}
	cut := io.MultiReader(strings.NewReader("p1\np2"), iotest.ErrReader(errors.New("connection lost")))
	if _, err := s.CreateUpload(t.Context(), s.caller, "ss_id", "", cut, nil); err == nil {
		t.Error("an upload cut short was accepted")
	}
	_, err := s.CreateUpload(t.Context(), s.caller, "ss_id", "", io.MultiReader(strings.NewReader("p1\np2"), iotest.ErrReader(io.ErrUnexpectedEOF)), nil)
	wantCode(t, err, throng.Invalid)
	if after, _, _ := s.Uploads(t.Context(), s.caller, throng.Page{}); len(after) != len(before) {
		t.Errorf("%d uploads after refusals, want %d", len(after), len(before))
	}
	s.noOrphans(len(before))
}

func damage(b []byte, at int) []byte {
	b = slices.Clone(b)
	b[at] ^= 0x55
	return b
}

// noOrphans checks that there are files for n uploads and for nothing else.
func (s *testService) noOrphans(n int) {
	s.t.Helper()
	prefixes := map[string]bool{}
	for info, err := range s.blobs.List(s.t.Context(), "uploads/") {
		if err != nil {
			s.t.Fatal(err)
		}
		prefixes[filepath.Dir(info.Key)] = true
	}
	if len(prefixes) != n {
		s.t.Errorf("files of %d uploads, want %d", len(prefixes), n)
	}
	temp, err := os.ReadDir(s.cfg.TempDir)
	if err != nil || len(temp) != 0 {
		s.t.Errorf("%d temporary files, %v, want none", len(temp), err)
	}
}

func TestUploadTwice(t *testing.T) {
	s := start(t)
	up := func(c *throng.Caller, typ string) *throng.Upload {
		t.Helper()
		return must(s.CreateUpload(t.Context(), c, typ, "", strings.NewReader("p1\n"), nil))
	}
	first := up(s.caller, "ss_id")
	if again := up(s.caller, "ss_id"); !cmp.Equal(first, again) {
		t.Errorf("the same bytes again = %+v, want %+v", again, first)
	}
	if u := up(s.caller, "cint_id"); u.Key == first.Key {
		t.Errorf("another type has the same key %s", u.Key)
	}
	other := s.add("other", CallerSettings{})
	if u := up(other, "ss_id"); u.Key != first.Key {
		t.Errorf("key of another caller = %s, want %s", u.Key, first.Key)
	}
	s.noOrphans(3)
	// One caller's is not the other's.
	if err := s.DeleteUpload(t.Context(), other, first.Key); err != nil {
		t.Fatal(err)
	}
	if got, want := s.members(s.build(s.caller, fmt.Sprintf(`[{"operation":"OR","upload":{"keys":[%q],"type":"ss_id"}}]`, first.Key)).ID), "p1"; got != want {
		t.Errorf("members = %q, want %q", got, want)
	}
	s.noOrphans(2)
	s.clock.Add(24 * time.Hour)
	if u := up(s.caller, "ss_id"); u.Key == first.Key {
		t.Errorf("the next day's key is the same: %s", u.Key)
	}
}

func TestUploadOnce(t *testing.T) {
	s := start(t)
	once := func() *Once {
		return &Once{Method: "POST", Path: "/uploads", Key: "k", Answer: func(made any) (int, []byte, error) {
			return 200, []byte(made.(*throng.Upload).Key), nil
		}}
	}
	if _, err := s.CreateUpload(t.Context(), s.caller, "ss_id", "", strings.NewReader("p1\n"), once()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.CreateUpload(t.Context(), s.caller, "ss_id", "", strings.NewReader("p1\n"), once()); !errors.Is(err, ErrAnswered) {
		t.Errorf("the same again: %v, want ErrAnswered", err)
	}
	_, err := s.CreateUpload(t.Context(), s.caller, "ss_id", "", strings.NewReader("p2\n"), once())
	wantCode(t, err, throng.Conflict)
	s.noOrphans(1)
}

func TestUploadRefusals(t *testing.T) {
	s := start(t, func(c *Config) { c.UploadLimit = 1000 })
	for _, tt := range []struct {
		name, typ, file, body string
		code                  throng.Code
	}{
		{"no type", "", "", "p1\n", throng.Invalid},
		{"unknown type", "fax", "", "p1\n", throng.Invalid},
		{"a list of devices is for the other API", "idfa", "", "p1\n", throng.Invalid},
		{"long name", "ss_id", strings.Repeat("n", 256), "p1\n", throng.Invalid},
		{"at the limit", "ss_id", "", strings.Repeat("p1\n", 333) + "p", ""},
		{"beyond the limit", "ss_id", "", strings.Repeat("p1\n", 333) + "p1", throng.TooLarge},
		{"an archive that grows without measure", "ss_id", "", string(archivetest.Gzip(t, strings.Repeat("p1\n", 100_000))), throng.TooLarge},
	} {
		_, err := s.CreateUpload(t.Context(), s.caller, tt.typ, tt.file, strings.NewReader(tt.body), nil)
		if tt.code == "" && err != nil || tt.code != "" && (err == nil || throng.CodeOf(err) != tt.code) {
			t.Errorf("%s: error = %v, want %q", tt.name, err, tt.code)
		}
	}
	s.noOrphans(1)
	for size, want := range map[int64]bool{-1: true, 0: true, 1000: true, 1001: false} {
		if err := s.UploadFits(size); (err == nil) != want || err != nil && throng.CodeOf(err) != throng.TooLarge {
			t.Errorf("UploadFits(%d) = %v, want it to fit: %v", size, err, want)
		}
	}
}

// An upload under a key that the operator chose is used as any other.
func TestKeepUpload(t *testing.T) {
	s := start(t)
	const key = "/uploads/2022-11-02/078ace94fad569f01d1a3a99a440cf5c.ssid"
	for range 2 {
		u, err := s.KeepUpload(t.Context(), s.caller, key, "ss_id", "an example", strings.NewReader("p1\np2\nnobody\n"))
		if err != nil || u.Key != key || u.Matched != 2 || u.Unmatched != 1 {
			t.Fatalf("KeepUpload() = %+v, %v, want two of three people under %s", u, err, key)
		}
	}
	if list, _, err := s.Uploads(t.Context(), s.caller, throng.Page{}); err != nil || len(list) != 1 {
		t.Errorf("Uploads() = %+v, %v, want the one", list, err)
	}
	if err := s.DeleteUpload(t.Context(), s.caller, key); err != nil {
		t.Errorf("DeleteUpload(%s) = %v", key, err)
	}
	s.noOrphans(0)
}

func TestUploadSortedInFiles(t *testing.T) {
	s := start(t, func(c *Config) { c.SortMemory = 1 })
	var b strings.Builder
	for i := range 150_000 {
		fmt.Fprintf(&b, "nobody%d@example.com\n", i%100_000)
	}
	b.WriteString("ann@example.com\n")
	u, err := s.CreateUpload(t.Context(), s.caller, "email_raw", "", strings.NewReader(b.String()), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := fatesOf(u), (fates{150_001, 1, 100_000, 50_000, 0}); got != want {
		t.Errorf("fates = %+v, want %+v", got, want)
	}
	s.noOrphans(1)
}

// Rows kept for a generation go with it, and are found anew where needed.
func TestSweepRows(t *testing.T) {
	s := start(t)
	u := must(s.CreateUpload(t.Context(), s.caller, "ss_id", "", strings.NewReader("p1\n"), nil))
	use := fmt.Sprintf(`[{"operation":"OR","upload":{"keys":[%q],"type":"ss_id"}}]`, u.Key)
	a := s.build(s.caller, use)
	rows := func() (n int) {
		for info := range s.blobs.List(t.Context(), "") {
			if strings.Contains(info.Key, rowstore.Prefix) {
				n++
			}
		}
		return n
	}
	if got := rows(); got != 2 {
		t.Fatalf("%d sets of rows, want 2: the upload's and the audience's", got)
	}
	for range 2 {
		s.load(people())
	}
	if err := s.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := rows(); got != 0 {
		t.Errorf("%d sets of rows are left of a generation that is gone, want 0", got)
	}
	if got := s.members(s.build(s.caller, fmt.Sprintf(`[{"operation":"OR","audience":{"ids":[%d]}}]`, a.ID)).ID); got != "p1" {
		t.Errorf("members = %q, want p1", got)
	}
}

func TestSweepUploads(t *testing.T) {
	s := start(t)
	kept := must(s.CreateUpload(t.Context(), s.caller, "ss_id", "", strings.NewReader("p1\n"), nil))
	w := must(s.blobs.Create(t.Context(), "uploads/orphan/lines"))
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	s.cfg.Now = func() time.Time { return time.Now().Add(sweep.OrphanAge - time.Hour) }
	if err := s.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.noOrphans(2)
	s.cfg.Now = func() time.Time { return time.Now().Add(sweep.OrphanAge + time.Hour) }
	if err := s.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.noOrphans(1)
	if _, err := s.Upload(t.Context(), s.caller, kept.Key); err != nil {
		t.Error(err)
	}
}

// What was packed to fill a disk is refused, with a word on what is wrong, and
// leaves nothing: as an upload, and as a list of devices.
func TestBombs(t *testing.T) {
	s := withDevices(t)
	var bomb bytes.Buffer
	z, err := zstd.NewWriter(&bomb, zstd.WithWindowSize(1<<20), zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	line := bytes.Repeat([]byte(gaid2+"\n"), 1<<15)
	for range 40 { // 45 MiB
		z.Write(line)
	}
	z.Close()
	var wide bytes.Buffer
	if z, err = zstd.NewWriter(&wide, zstd.WithWindowSize(64<<20)); err != nil {
		t.Fatal(err)
	}
	z.Write(line)
	z.Flush()
	z.Write(line)
	z.Close()
	for message, body := range map[string]string{"500 times its size": bomb.String(), "without --long": wide.String()} {
		_, err := s.CreateUpload(t.Context(), s.caller, "ma_id", "", strings.NewReader(body), nil)
		wantCode(t, err, throng.Invalid)
		if !strings.Contains(err.Error(), message) {
			t.Errorf("refusal of an upload = %q, want %q in it", err, message)
		}
		s.noOrphans(0)
		a := s.devicesOf("gaid", body)
		if a.Status != throng.Failed || !strings.Contains(a.Failure.Message, "files[0]: the file ") || !strings.Contains(a.Failure.Message, message) {
			t.Errorf("devices of it are %s, %+v, want %q", a.Status, a.Failure, message)
		}
	}
	if left, err := os.ReadDir(s.cfg.TempDir); err != nil || len(left) != 0 {
		t.Errorf("temporary files are left: %v, %v", left, err)
	}
}
