package service

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"throng"
)

// An upload tells how many of its lines the current dataset knows, by whatever
// way its caller asks, also after a load.
func TestUploadCountsFollowLoads(t *testing.T) {
	const body = "p1\np2\nnobody\nnobody\n\n"
	s := start(t)
	u := must(s.CreateUpload(t.Context(), s.caller, "ss_id", "", strings.NewReader(body), nil))
	other := must(s.CreateUpload(t.Context(), s.caller, "ss_id", "", strings.NewReader("p2\n"), nil))
	before := fates{5, 2, 1, 1, 1}
	if diff := cmp.Diff(before, fatesOf(u)); diff != "" {
		t.Fatalf("fates when made (-want +got):\n%s", diff)
	}
	asked := map[string]func() *throng.Upload{
		"Upload": func() *throng.Upload { return must(s.Upload(t.Context(), s.caller, u.Key)) },
		"CreateUpload": func() *throng.Upload {
			return must(s.CreateUpload(t.Context(), s.caller, "ss_id", "", strings.NewReader(body), nil))
		},
		"Uploads": func() *throng.Upload {
			list, _, err := s.Uploads(t.Context(), s.caller, throng.Page{})
			if err != nil || len(list) != 2 || list[1].Key != u.Key {
				t.Fatalf("Uploads = %+v, %v, want the two that were made, newest first", list, err)
			}
			return &list[1]
		},
	}
	for _, tt := range []struct {
		how    string
		people string
		want   fates
	}{
		{"Upload", "p1\n", fates{5, 1, 2, 1, 1}},
		{"Uploads", "p1\np2\nnobody\n", fates{5, 3, 0, 1, 1}},
		{"CreateUpload", "p7\n", fates{5, 0, 3, 1, 1}},
		{"Uploads", "p2\n", fates{5, 1, 2, 1, 1}},
	} {
		s.load(map[string]string{"people.csv": "person\n" + tt.people})
		got := asked[tt.how]()
		if got.Key != u.Key {
			t.Errorf("%s: key %s, want %s", tt.how, got.Key, u.Key)
		}
		if diff := cmp.Diff(tt.want, fatesOf(got)); diff != "" {
			t.Errorf("%s with people %q (-want +got):\n%s", tt.how, tt.people, diff)
		}
		// Whoever asked, it is known from then on.
		for how, ask := range asked {
			if diff := cmp.Diff(tt.want, fatesOf(ask())); diff != "" {
				t.Errorf("%s after %s with people %q (-want +got):\n%s", how, tt.how, tt.people, diff)
			}
		}
	}
	if got, want := fatesOf(must(s.Upload(t.Context(), s.caller, other.Key))), (fates{1, 1, 0, 0, 0}); got != want {
		t.Errorf("fates of the other = %+v, want %+v", got, want)
	}
}
