package drop

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"throng/blob"
	"throng/blob/file"
	"throng/delivery"
	"throng/delivery/deliverytest"
	"throng/identifier"
)

func openStore(t *testing.T) blob.Store {
	t.Helper()
	s, err := file.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestDrop(t *testing.T) {
	deliverytest.Run(t, func(t *testing.T) *deliverytest.Place {
		s := openStore(t)
		return &deliverytest.Place{
			Kind:   New(s),
			Orders: map[string]delivery.Order{"create": deliverytest.NewOrder()},
			Complete: func(t *testing.T, _ delivery.Order) []map[identifier.Type][]string {
				return complete(t, s)
			},
		}
	})
}

// complete reads what a receiver finds by the manifests, and holds it to them.
func complete(t *testing.T, s blob.Store) (all []map[identifier.Type][]string) {
	t.Helper()
	for info, err := range s.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		folder, ok := strings.CutSuffix(info.Key, ManifestName)
		if !ok {
			continue
		}
		var m Manifest
		if err := json.Unmarshal([]byte(read(t, s, info.Key)), &m); err != nil {
			t.Fatalf("read manifest: %v", err)
		}
		found, rows := map[identifier.Type][]string{}, int64(0)
		for _, f := range m.Files {
			text := read(t, s, folder+f.Name)
			ids := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
			if int64(len(ids)) != f.Rows || int64(len(text)) != f.Bytes || sumOf(text) != f.SHA256 {
				t.Errorf("%s has %d rows, %d bytes, sum %s; the manifest says %+v", f.Name, len(ids), len(text), sumOf(text), f)
			}
			slices.Sort(ids)
			found[f.Type] = ids
			rows += f.Rows
		}
		if m.TotalRows != rows || m.Version != 1 {
			t.Errorf("manifest %+v of %d rows", m, rows)
		}
		all = append(all, found)
	}
	return all
}

func read(t *testing.T, s blob.Store, key string) string {
	t.Helper()
	r, err := s.Open(t.Context(), key)
	if err != nil {
		t.Fatalf("open %s: %v", key, err)
	}
	defer r.Close()
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("read %s: %v", key, err)
	}
	return string(text)
}

func TestManifest(t *testing.T) {
	s, o := openStore(t), deliverytest.NewOrder()
	d, err := New(s).Open(o, delivery.Secret{})
	if err != nil {
		t.Fatal(err)
	}
	var res delivery.Result
	for !res.Done {
		if res, err = d.Step(t.Context(), []delivery.List{deliverytest.NewList(identifier.IMEI, []string{"490154203237518"})}, res.State); err != nil {
			t.Fatal(err)
		}
	}
	const want = `{
  "version": 1,
  "delivery": 17,
  "audience": 67454,
  "name": "Tea \u0026 \"Golang\" – spring",
  "platform": "mix",
  "ordered_at": "2026-11-21T12:00:00Z",
  "files": [
    {
      "name": "imei.txt",
      "type": "imei",
      "rows": 1,
      "bytes": 16,
      "sha256": "` + "SUM" + `"
    }
  ],
  "rows": 1,
  "bytes": 16
}
`
	if diff := cmp.Diff(strings.Replace(want, "SUM", sumOf("490154203237518\n"), 1), read(t, s, res.RemoteID)); diff != "" {
		t.Errorf("manifest (-want +got):\n%s", diff)
	}
}

func TestCheck(t *testing.T) {
	good := deliverytest.NewOrder()
	with := func(change func(o *delivery.Order)) delivery.Order { o := good; change(&o); return o }
	for _, test := range []struct {
		name   string
		store  blob.Store
		order  delivery.Order
		secret delivery.Secret
		want   []string
	}{
		{"good", openStore(t), good, delivery.Secret{}, nil},
		{"no store", nil, good, delivery.Secret{}, []string{"to"}},
		{"endpoint", openStore(t), with(func(o *delivery.Order) { o.Endpoint = "/tmp" }), delivery.Secret{}, []string{"endpoint"}},
		{"update", openStore(t), with(func(o *delivery.Order) { o.Update = "1" }), delivery.Secret{}, []string{"update"}},
		{"secret", openStore(t), good, delivery.Secret{APIKey: "x"}, []string{"credentials"}},
	} {
		var got []string
		for _, p := range New(test.store).Check(test.order, test.secret) {
			got = append(got, p.Path)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("Check(%s) (-want +got):\n%s", test.name, diff)
		}
	}
	_, err := New(nil).Open(good, delivery.Secret{})
	if p, ok := errors.AsType[*delivery.Problem](err); !ok || !p.Final {
		t.Errorf("Open() without a store = %v, want a final problem", err)
	}
}

func sumOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}
