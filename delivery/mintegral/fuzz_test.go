package mintegral

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"throng/delivery"
	"throng/delivery/deliverytest"
)

// said answers every request with the same bytes, without a network.
type said struct {
	status int
	body   string
}

// RoundTrip implements http.RoundTripper.
func (s said) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		io.Copy(io.Discard, r.Body)
		r.Body.Close()
	}
	return &http.Response{
		StatusCode: s.status, Status: http.StatusText(s.status), Header: http.Header{}, Body: io.NopCloser(strings.NewReader(s.body)), Request: r,
	}, nil
}

// FuzzAnswer: whatever a receiver answers, a delivery is done or has a problem
// that can be shown.
func FuzzAnswer(f *testing.F) {
	for _, body := range []string{
		`{"code":200,"message":"success","data":{"ta_id":1148}}`,
		`{"code":200,"data":{"list":[{"ta_id":7,"ta_name":"x","device_type":"2,8,9","platform":3,"utime":1,"next_update_at":9999999999}]}}`,
		`{"code":200,"data":{"s3":{"method":"PUT","url":"http://127.0.0.1:1/x","data_path":"s3://b/x"}}}`,
		`{"code":409,"msg":"locked","data":{"details":[{"path":"a","message":"b"}]}}`,
		`{"code":200,"data":null}`, `[]`, ``, "\xff", `{"code":200,"data":{"list":[{"next_update_at":"2026-11-22T00:00:00Z","utime":-9223372036854775808}]}}`,
	} {
		f.Add(uint16(200), body, "")
		f.Add(uint16(503), body, `{"ta_id":0,"files":[]}`)
	}
	f.Add(uint16(200), ``, `{"unlocked":true,"before":{"ids":[7],"utime":3}}`)
	f.Fuzz(func(t *testing.T, status uint16, body, state string) {
		k := New(Config{AllowPrivate: true})
		defer k.Close()
		k.client = &http.Client{Transport: said{int(status), body}}
		for _, update := range []string{"", "7"} {
			o := deliverytest.NewOrder()
			o.Update, o.Name = update, "x"
			d, err := k.Open(o, testSecret)
			if err != nil {
				t.Fatal(err)
			}
			res := delivery.Result{State: []byte(state)}
			if state == "" {
				res.State = nil
			}
			for range maxFuzzSteps {
				if res, err = d.Step(t.Context(), deliverytest.Lists(), res.State); err != nil || res.Done {
					break
				}
			}
			if p, ok := errors.AsType[*delivery.Problem](err); ok && (strings.ContainsAny(p.Message, "\n\x00") || strings.Contains(p.Message, testAPIKey)) {
				t.Errorf("problem %q is not fit to be shown", p.Message)
			}
		}
	})
}

const maxFuzzSteps = 12
