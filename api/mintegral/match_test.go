package mintegral

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"throng"
)

const example = `{"offer_id":66785,"devices":[{"device_type":2,"id":"6D92078A-8246-4BA4-AE5B-76104861E7DC"},{"id":"a-b","device_type":9}]}`

func TestQuickMatch(t *testing.T) {
	want := []throng.DeviceID{{Type: "idfa", ID: "6D92078A-8246-4BA4-AE5B-76104861E7DC", Path: "devices[0].id"}, {Type: "oaid_md5", ID: "a-b", Path: "devices[1].id"}}
	for name, body := range map[string]string{
		"plain": example, "spaced": strings.NewReplacer(":", " : ", ",", ",\n\t", "{", "{ ", "}", "\r\n}").Replace(example),
		"the other way round": `{"devices":` + example[strings.Index(example, "["):len(example)-1] + `,"offer_id":66785}`,
	} {
		offer, devices, ok := quickMatch([]byte(body))
		if diff := cmp.Diff(want, devices); !ok || offer != 66785 || diff != "" {
			t.Errorf("quickMatch(%s) = %d, %t (-want +got):\n%s", name, offer, ok, diff)
		}
	}
	if offer, devices, ok := quickMatch([]byte(`{"offer_id":1,"devices":[]}`)); !ok || offer != 1 || devices == nil || len(devices) != 0 {
		t.Errorf("quickMatch(no devices) = %d, %v, %t", offer, devices, ok)
	}
	if _, devices, ok := quickMatch([]byte(question(maxDevices))); !ok || len(devices) != maxDevices {
		t.Errorf("quickMatch(%d devices) = %d, %t", maxDevices, len(devices), ok)
	}
}

func TestCarefulMatch(t *testing.T) {
	for _, tt := range []struct {
		name, body string
		offer      int64
		devices    []throng.DeviceID
	}{
		{"strings of digits", `{"offer_id":"1","devices":[{"device_type":"1","id":490154203237518}]}`, 1, []throng.DeviceID{{Type: "imei", ID: "490154203237518", Path: "devices[0].id"}}},
		{"escapes", `{"offer_id":1,"devices":[{"device_type":4,"id":"\u0061"}]}`, 1, []throng.DeviceID{{Type: "oaid", ID: "a", Path: "devices[0].id"}}},
		{"unknown keys", `{"offer_id":1,"at":7,"devices":[{"device_type":4,"id":"a","os":"x"}]}`, 1, []throng.DeviceID{{Type: "oaid", ID: "a", Path: "devices[0].id"}}},
		{"none", `{"offer_id":1,"devices":[]}`, 1, []throng.DeviceID{}},
	} {
		offer, devices, err := carefulMatch([]byte(tt.body))
		if diff := cmp.Diff(tt.devices, devices); err != nil || offer != tt.offer || diff != "" {
			t.Errorf("carefulMatch(%s) = %d, %v (-want +got):\n%s", tt.name, offer, err, diff)
		}
	}
	for body, want := range map[string]string{
		``:                            "the body is empty; it must be a JSON object",
		`{"offer_id":1,`:              "the body is not JSON: it ends too early",
		`[]`:                          "body must be an object",
		`{}`:                          "offer_id is required; devices is required",
		`{"offer_id":-1,"devices":7}`: "offer_id must be at least 1; devices must be a list",
		question(1001):                "devices has 1001 devices, more than the 1000 allowed",
		`{"offer_id":1,"offer_id":2,"devices":[]}`: "offer_id is given twice",
		// What only the ids' own rules forbid is told with all the rest.
		`{"offer_id":1,"devices":[{"device_type":5,"id":"a"},{"device_type":2},{"device_type":2,"id":"nope"},7]}`: "devices[0].device_type " + wantDeviceType +
			"; devices[1].id is required; devices[3] must be an object; and 1 more",
	} {
		var nothing []byte
		if body != "" {
			nothing = []byte(body)
		}
		if _, _, err := carefulMatch(nothing); err == nil || throng.MessageOf(err) != want || throng.CodeOf(err) != throng.Invalid {
			t.Errorf("carefulMatch(%.60s) = %v, want %s", body, err, want)
		}
	}
}

// question asks for n devices.
func question(n int) string {
	var b strings.Builder
	b.WriteString(`{"offer_id":66785,"devices":[`)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"device_type":3,"id":"%08x-8246-4ba4-ae5b-76104861e7dc"}`, i)
	}
	return b.String() + "]}"
}

// FuzzMatch: what the quick reader takes, the careful one takes for the same.
func FuzzMatch(f *testing.F) {
	f.Add([]byte(example))
	f.Add([]byte(`{"offer_id":"1","devices":[{"device_type":"1","id":490154203237518}]}`))
	f.Add([]byte(` {"devices" : [ ] , "offer_id" : 1 } `))
	f.Add([]byte(`{"offer_id":1,"devices":[{"id":"\u0061","device_type":13,"id":""}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		offer, devices, ok := quickMatch(body)
		same, again, err := carefulMatch(body)
		if !ok {
			return
		}
		if diff := cmp.Diff(again, devices); err != nil || same != offer || diff != "" {
			t.Fatalf("quickMatch(%s) = %d; carefulMatch: %d, %v (-careful +quick):\n%s", body, offer, same, err, diff)
		}
	})
}

func BenchmarkDecodeMatch(b *testing.B) {
	body := []byte(question(100))
	b.Run("quick", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, _, ok := quickMatch(body); !ok {
				b.Fatal("not taken")
			}
		}
	})
	b.Run("careful", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, _, err := carefulMatch(body); err != nil {
				b.Fatal(err)
			}
		}
	})
}
