package page

import (
	"encoding/base64"
	"testing"

	"throng"
)

func TestReadByID(t *testing.T) {
	other := Cursor(struct {
		Offset int `json:"o"`
	}{3})
	more := base64.RawURLEncoding.EncodeToString([]byte(`{"b":1}{"b":2}`))
	for _, tt := range []struct {
		page   throng.Page
		limit  int
		before int64
		bad    string // the path of the problem; "" for none
	}{
		{throng.Page{}, Default, 0, ""},
		{throng.Page{Limit: 1, Next: AfterID(7)}, 1, 7, ""},
		{throng.Page{Limit: Max, Next: AfterID(1 << 60)}, Max, 1 << 60, ""},
		{throng.Page{Limit: Max + 1}, 0, 0, "limit"},
		{throng.Page{Limit: -1}, 0, 0, "limit"},
		{throng.Page{Next: AfterID(-1)}, 0, 0, "next"},
		{throng.Page{Next: "!"}, 0, 0, "next"},
		{throng.Page{Next: other}, 0, 0, "next"},
		{throng.Page{Next: more}, 0, 0, "next"},
	} {
		limit, before, problems := ReadByID(tt.page)
		if tt.bad != "" {
			if len(problems) != 1 || problems[0].Path != tt.bad {
				t.Errorf("problems of %+v = %v, want one of %s", tt.page, problems, tt.bad)
			}
			continue
		}
		if limit != tt.limit || before != tt.before || len(problems) > 0 {
			t.Errorf("ReadByID(%+v) = %d, %d, %v, want %d, %d", tt.page, limit, before, problems, tt.limit, tt.before)
		}
	}
}
