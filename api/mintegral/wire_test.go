package mintegral

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"throng"
	"throng/api"
	"throng/identifier"
	"throng/service"
)

func TestDeviceTypes(t *testing.T) {
	for n, want := range map[int64]identifier.Type{
		-1: "", 0: "", 1: "imei", 2: "idfa", 3: "gaid", 4: "oaid", 5: "", 6: "imei_md5", 7: "idfa_md5", 8: "gaid_md5", 9: "oaid_md5",
		10: "idfv", 11: "idfv_md5", 12: "idfv", 13: "idfv_md5", 14: "", 1 << 40: "",
	} {
		got, ok := deviceType(n)
		if got != want || ok != (want != "") {
			t.Errorf("deviceType(%d) = %q, %t, want %q", n, got, ok, want)
		}
		if back := numberOf(want); ok && n < 12 && back != int(n) {
			t.Errorf("numberOf(%s) = %d, want %d", want, back, n)
		}
	}
	if got := numberOf("ma_id"); got != 0 {
		t.Errorf("numberOf(ma_id) = %d, want 0", got)
	}
	for want, types := range map[string][]identifier.Type{
		"": nil, "2,8,9": {"oaid_md5", "idfa", "gaid_md5", "idfa"}, "10,11": {"idfv_md5", "idfv"}, "1,6,10": {"idfv", "imei", "imei_md5"},
	} {
		if got := numbers(types); got != want {
			t.Errorf("numbers(%v) = %q, want %q", types, got, want)
		}
	}
}

func TestFromAudiences(t *testing.T) {
	made := time.Date(2026, 11, 21, 9, 30, 0, 999, time.UTC)
	lines := make([]throng.InvalidLine, 12)
	ready := throng.DeviceAudience{
		ID: 7, Name: "<n>", Platform: throng.IOS, Types: []identifier.Type{"gaid", "idfa"}, Status: throng.Done,
		CreatedAt: made, UpdatedAt: made.Add(time.Minute), NextUpdateAt: made.Add(time.Hour),
		Counts: &throng.DeviceCounts{Rows: 5, Devices: 3, Duplicate: 1, Invalid: 1, People: 2},
		Files: []throng.DeviceFile{{Type: "gaid", Path: "s3://b/x", Header: true, Rows: 5, Invalid: 1, InvalidLines: lines, Findings: []throng.DeviceFinding{
			{Code: "c", Share: 0.2, Message: "m", Hint: true},
		}}},
		Warnings: []string{"w"},
	}
	failed := throng.DeviceAudience{ID: 8, Status: throng.Failed, Failure: &throng.Failure{Message: "why"}, Files: []throng.DeviceFile{{Type: "oaid"}}}
	f := service.DeviceFilter{Page: 2, Limit: 10}
	body, err := api.Encode(fromAudiences([]throng.DeviceAudience{ready, failed}, 12, f))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"page":2,"limit":10,"current_total":2,"total":12,"list":[` +
		`{"ta_id":7,"platform":2,"ta_name":"<n>","ta_type":1,"device_type":"2,3","area_type":1,"ctime":1795253400,"utime":1795253460,` +
		`"status":"ready","devices":3,"people":2,"rows":5,"invalid":1,"duplicate":1,"next_update_at":1795257001,"error":null,"warnings":["w"],` +
		`"files":[{"device_type":3,"data_path":"s3://b/x","header":true,"rows":5,"invalid":1,"invalid_lines":[],` +
		`"findings":[{"code":"c","share":0.2,"message":"m","hint":true}]}]},` +
		`{"ta_id":8,"platform":0,"ta_name":"","ta_type":1,"device_type":"","area_type":1,"ctime":-62135596800,"utime":-62135596800,` +
		`"status":"failed","devices":null,"people":null,"rows":null,"invalid":null,"duplicate":null,"next_update_at":0,"error":"why","warnings":[],` +
		`"files":[{"device_type":4,"data_path":"","header":false,"rows":0,"invalid":0,"invalid_lines":[],"findings":[]}]}]}` + "\n"
	if diff := cmp.Diff(want, string(body)); diff != "" {
		t.Errorf("fromAudiences() (-want +got):\n%s", diff)
	}
	if got := fromAudiences([]throng.DeviceAudience{ready}, 1, f).List[0].Files[0].InvalidLines; len(got) != 12 {
		t.Errorf("of one audience alone %d invalid lines are shown, want all 12", len(got))
	}
	for status, want := range map[throng.Status]string{throng.Running: "processing", throng.Done: "ready", throng.Failed: "failed", throng.Canceled: "failed"} {
		if got := statusOf(status); got != want {
			t.Errorf("statusOf(%s) = %s, want %s", status, got, want)
		}
	}
}

func TestRefuse(t *testing.T) {
	const path = "data_path[0].device_type"
	detailed := throng.Refuse(throng.Invalid, []throng.Detail{{Path: path, Message: wantDeviceType}})
	for _, tt := range []struct {
		name string
		err  error
		want string
	}{
		{
			"details", detailed,
			`{"code":400,"message":"data_path[0].device_type must be 1 to 4 or 6 to 13","msg":"data_path[0].device_type must be 1 to 4 or 6 to 13",` +
				`"data":{"details":[{"path":"data_path[0].device_type","message":"must be 1 to 4 or 6 to 13"}]}}`,
		},
		{"bare", throng.Errorf(throng.Conflict, "busy"), `{"code":409,"message":"busy","msg":"busy","data":{"details":[]}}`},
		{"unsupported", throng.Errorf(throng.Unsupported, "x"), `{"code":400,"message":"x","msg":"x","data":{"details":[]}}`},
		{"inside", errors.New("disk sda1 is full"), `{"code":500,"message":"internal error","msg":"internal error","data":{"details":[]}}`},
	} {
		w := httptest.NewRecorder()
		h := &handlers{cfg: Config{Logger: discard}}
		h.fail(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil), tt.err)
		if got := w.Body.String(); w.Code != 200 || got != tt.want+"\n" {
			t.Errorf("fail(%s) = %d %s, want 200 %s", tt.name, w.Code, got, tt.want)
		}
		if got := w.Header().Get("WWW-Authenticate"); got != "" {
			t.Errorf("fail(%s) asks for %s", tt.name, got)
		}
	}
}

func TestRenamed(t *testing.T) {
	names := map[string]string{"include": "audience", "exclude": "audience_exclude"}
	in := throng.Refuse(throng.NotFound, []throng.Detail{{Path: "include[1]", Message: "a"}, {Path: "exclude", Message: "b"}, {Path: "included", Message: "c"}})
	got, ok := errors.AsType[*throng.Error](renamed(in, names))
	want := []throng.Detail{{Path: "audience[1]", Message: "a"}, {Path: "audience_exclude", Message: "b"}, {Path: "included", Message: "c"}}
	if diff := cmp.Diff(want, got.Details); !ok || diff != "" || got.Code != throng.NotFound || got.Message != "audience[1] a; audience_exclude b; included c" {
		t.Errorf("renamed() = %s %q (-want +got):\n%s", got.Code, got.Message, diff)
	}
	for _, same := range []error{nil, errors.New("x"), throng.Errorf(throng.Conflict, "no details")} {
		if got := renamed(same, names); !errors.Is(got, same) {
			t.Errorf("renamed(%v) = %v, want it as it is", same, got)
		}
	}
}
