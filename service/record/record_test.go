package record

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"throng"
	"throng/identifier"
	"throng/service/deviceset"
	"throng/sqldb"
)

// What is stored reads as it did: rows of earlier versions are there.
func TestDetails(t *testing.T) {
	for text, want := range map[string]Details{
		"":                           {},
		`{}`:                         {},
		`{"files":"audiences/1/ab"}`: {Files: "audiences/1/ab"},
		`{"files":"audiences/2/cd","devices":{"sources":[{"type":"gaid","path":"s3://b/p","at":"files[0]","key":"received/x","size":3,"incoming":4}],"given":["w"]}}`: {
			Files: "audiences/2/cd", Devices: &Devices{
				Sources: []deviceset.Source{{Type: identifier.GAID, Path: "s3://b/p", At: "files[0]", Key: "received/x", Size: 3, Incoming: 4}},
				Given:   []string{"w"},
			},
		},
	} {
		got, err := Read(sqldb.Audience{ID: 1, Details: json.RawMessage(text)})
		if err != nil {
			t.Errorf("Read(%s): %v", text, err)
			continue
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("details of %s (-want +got):\n%s", text, diff)
		}
		if raw, err := json.Marshal(got); text != "" && (err != nil || string(raw) != text) {
			t.Errorf("details = %s, %v, want %s", raw, err, text)
		}
	}
	if _, err := Read(sqldb.Audience{ID: 1, Details: json.RawMessage("{")}); err == nil {
		t.Error("details that are cut off are read")
	}
}

func TestDefined(t *testing.T) {
	for _, tt := range []struct {
		d    Details
		want bool
	}{{Details{}, true}, {Details{Expansion: &throng.Expansion{}}, false}, {Details{Cluster: &Cluster{}}, false}} {
		if got := tt.d.Defined(); got != tt.want {
			t.Errorf("Defined of %+v = %t, want %t", tt.d, got, tt.want)
		}
	}
}

// A list of devices has members once it was read, whatever is read now.
func TestFinished(t *testing.T) {
	const read = `{"files":"audiences/1/ab","devices":{"counts":{}}}`
	for _, tt := range []struct {
		kind                  throng.AudienceKind
		status, details, used string
		want                  bool
	}{
		{throng.Built, sqldb.StatusRunning, `{}`, "", false},
		{throng.Built, sqldb.StatusFailed, `{}`, "", false},
		{throng.Built, sqldb.StatusDone, `{"files":"audiences/1/ab"}`, "", true},
		{throng.Device, sqldb.StatusRunning, `{"devices":{}}`, "", false},
		{throng.Device, sqldb.StatusRunning, read, "audiences/1/ab", true},
		{throng.Device, sqldb.StatusFailed, read, "audiences/1/ab", true},
		{throng.Device, sqldb.StatusDone, read, "audiences/1/ab", true},
	} {
		row := sqldb.Audience{ID: 1, Kind: string(tt.kind), Status: tt.status, Details: json.RawMessage(tt.details)}
		if got := Finished(row); got != tt.want {
			t.Errorf("Finished of %s, %s, %s = %t, want %t", tt.kind, tt.status, tt.details, got, tt.want)
		}
		if tt.kind == throng.Built {
			continue
		}
		prefix, err := InUse(row)
		if prefix != tt.used || errors.Is(err, ErrNoDevices) == tt.want {
			t.Errorf("InUse of %s = %q, %v, want %q", tt.details, prefix, err, tt.used)
		}
	}
}

func TestReportPrefix(t *testing.T) {
	if got := ReportPrefix(CountsKey(InsightPrefix(7) + "ab")); got != "insights/7/ab" {
		t.Errorf("ReportPrefix = %s, want insights/7/ab", got)
	}
}
