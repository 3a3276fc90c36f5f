package service

import (
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"testing"

	"throng"
	"throng/blob"
	"throng/identifier"
	"throng/service/rowstore"
)

// tears are what file systems make of files that were not synced: none may be
// taken for the file that was written.
var tears = map[string]func(b []byte) []byte{
	"empty":                  func([]byte) []byte { return nil },
	"shorter by a line":      func(b []byte) []byte { return b[:len(b)/2] },
	"shorter in a line":      func(b []byte) []byte { return b[:len(b)-2] },
	"zeros behind":           func(b []byte) []byte { return append(slices.Clone(b[:len(b)/2]), make([]byte, len(b)-len(b)/2)...) },
	"zeros in place of all":  func(b []byte) []byte { return make([]byte, len(b)) },
	"zeros before":           func(b []byte) []byte { return append(make([]byte, len(b)/2), b[len(b)/2:]...) },
	"as before, and so well": slices.Clone[[]byte],
}

// tear changes files of the store, and forgets what is kept of them in memory
// and beside them.
func (s *testService) tear(key string, how func([]byte) []byte) {
	s.t.Helper()
	r := must(s.blobs.Open(s.t.Context(), key))
	whole := must(io.ReadAll(r))
	r.Close()
	s.put(key, string(how(whole)))
	prefix := path.Dir(key)
	for _, kept := range s.keys(prefix + "/" + rowstore.Prefix) {
		if err := s.blobs.Delete(s.t.Context(), kept); err != nil {
			s.t.Fatal(err)
		}
	}
	s.rows.Forget(func(string) bool { return true })
}

// TestTornLists has the lists of an upload and of an audience torn: what is made
// of them fails and says why, and counts nothing.
func TestTornLists(t *testing.T) {
	for name, how := range tears {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			u := must(s.CreateUpload(t.Context(), s.caller, "ss_id", "", strings.NewReader("p1\np2\np3\np5\n"), nil))
			row := must(s.db.UploadByKey(t.Context(), s.caller.ID, u.Key))
			a := s.build(s.caller, everyone)
			for what, use := range map[string]struct{ key, params string }{
				"upload":   {linesKey(row.BlobKey), fmt.Sprintf(`[{"operation":"OR","upload":{"keys":[%q],"type":"ss_id"}}]`, u.Key)},
				"audience": {s.textOf(a.ID, identifier.SSID), fmt.Sprintf(`[{"operation":"OR","audience":{"ids":[%d]}}]`, a.ID)},
			} {
				want := s.members(s.build(s.caller, use.params).ID)
				s.tear(use.key, how)
				got := s.create(s.caller, definition(use.params))
				done := s.wait(s.caller, got.ID)
				if strings.HasPrefix(name, "as before") {
					if members := s.members(got.ID); members != want {
						t.Errorf("%s that is whole: members = %q, want %q", what, members, want)
					}
					continue
				}
				if done.Status != throng.Failed || done.Size != nil || !strings.Contains(done.Failure.Message, "damaged") {
					t.Errorf("audience of a torn %s is %s, of %v people: %+v; want failed for a damage", what, done.Status, done.Size, done.Failure)
				}
			}
		})
	}
}

// TestTornOutputs has files of audiences cut short: nobody downloads a part of
// one, in whatever form.
func TestTornOutputs(t *testing.T) {
	s := start(t)
	for _, form := range []Format{Text, CSV, Parquet} {
		for _, typ := range []identifier.Type{identifier.SSID, identifier.MD5} {
			a := s.build(s.caller, everyone)
			s.tear(s.textOf(a.ID, typ), tears["shorter by a line"])
			if f, err := s.OpenOutput(t.Context(), s.caller, a.ID, string(typ), form); !errors.Is(err, blob.ErrDamaged) {
				t.Errorf("a torn file of %s as %s is opened: %v, %v", typ, form, f, err)
			}
			if f, err := s.OpenPacked(t.Context(), s.caller, a.ID, string(typ), form); !errors.Is(err, blob.ErrDamaged) {
				t.Errorf("a torn file of %s as %s is opened, packed: %v, %v", typ, form, f, err)
			}
		}
	}
}

// textOf is the key of an audience's text.
func (s *testService) textOf(id int64, typ identifier.Type) string {
	s.t.Helper()
	for _, o := range must(s.db.Outputs(s.t.Context(), id)) {
		if o.Type == string(typ) {
			return o.BlobKey
		}
	}
	s.t.Fatalf("audience %d has no file of %s", id, typ)
	return ""
}
