package mintegral

import (
	"io"
	"log/slog"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"throng"
	"throng/service"
)

var discard = slog.New(slog.NewTextHandler(io.Discard, nil))

func bad(pairs ...string) (list []throng.Detail) {
	for i := 0; i < len(pairs); i += 2 {
		list = append(list, throng.Detail{Path: pairs[i], Message: pairs[i+1]})
	}
	return list
}

const twoFiles = `"data_path":[{"device_type":2,"data_path":"s3://a/b"},{"device_type":"13","data_path":"s3://a/b"}]`

var decodedFiles = []service.DeviceSource{
	{Type: "idfa", Path: "s3://a/b", At: "data_path[0].data_path"}, {Type: "idfv_md5", Path: "s3://a/b", At: "data_path[1].data_path"},
}

func TestDecodeCreate(t *testing.T) {
	for _, tt := range []struct {
		name, body string
		want       service.DeviceList
	}{
		{"all", `{"ta_name":"n","area_type":1,"platform":2,` + twoFiles + `}`, service.DeviceList{Name: "n", Platform: throng.IOS, Files: decodedFiles}},
		{"strings of digits", `{"ta_name":"n","area_type":"1","platform":"3",` + twoFiles + `}`, service.DeviceList{Name: "n", Platform: throng.Mixed, Files: decodedFiles}},
		{
			"unknown keys", `{"ta_name":"n","area_type":1,"platform":1,"color":1,"data_path":[{"device_type":2,"data_path":"s3://a/b","size":1}]}`,
			service.DeviceList{Name: "n", Platform: throng.Android, Files: decodedFiles[:1], Warnings: []string{
				"data_path[0].size is not a known key and was ignored", "color is not a known key and was ignored",
			}},
		},
		{"nothing", `{}`, service.DeviceList{Problems: bad("ta_name", isRequired, "area_type", isRequired, "platform", isRequired, "data_path", isRequired)}},
		{"no object", `[]`, service.DeviceList{Problems: bad("body", "must be an object")}},
		{
			"all that is wrong", `{"ta_name":7,"area_type":2,"platform":4,"data_path":[{"device_type":5,"data_path":"s3://a/b"},{"data_path":1},7,{"device_type":"x","data_path":""}]}`,
			service.DeviceList{Problems: bad(
				"ta_name", "must be a string", "area_type", wantArea(2), "platform", wantPlatform,
				"data_path[0].device_type", wantDeviceType, "data_path[1].device_type", isRequired, "data_path[1].data_path", "must be a string",
				"data_path[2]", "must be an object", "data_path[3].device_type", "must be a whole number", "data_path[3].data_path", isRequired,
			)},
		},
		{
			"of other types", `{"ta_name":" ","area_type":3,"platform":"iOS","data_path":"s3://a/b"}`,
			service.DeviceList{Problems: bad("ta_name", isRequired, "area_type", wantArea(3), "platform", "must be a whole number", "data_path", "must be a list")},
		},
		{
			"no file", `{"ta_name":"n","area_type":1,"platform":1,"data_path":[]}`,
			service.DeviceList{Name: "n", Platform: 1, Problems: bad("data_path", "must list 1 to 100 files")},
		},
		{
			"too many", `{"ta_name":"n","area_type":1,"platform":1,"data_path":[` + strings.Repeat(`{},`, 100) + `{}]}`,
			service.DeviceList{Name: "n", Platform: 1, Problems: bad("data_path", "must list 1 to 100 files")},
		},
		{"twice", `{"ta_name":"n","ta_name":"m","area_type":1,"platform":1,` + twoFiles + `}`, service.DeviceList{
			Name: "n", Platform: 1, Files: decodedFiles, Problems: bad("ta_name", "is given twice"),
		}},
	} {
		if diff := cmp.Diff(tt.want, decodeCreate([]byte(tt.body))); diff != "" {
			t.Errorf("decodeCreate(%s) (-want +got):\n%s", tt.name, diff)
		}
	}
}

func TestDecodeUpdate(t *testing.T) {
	id, files, problems := decodeUpdate([]byte(`{"ta_id":"10001","ta_name":"not changed",` + twoFiles + `}`))
	if diff := cmp.Diff(decodedFiles, files); id != 10001 || problems != nil || diff != "" {
		t.Errorf("decodeUpdate() = %d, %v (-want +got):\n%s", id, problems, diff)
	}
	_, _, problems = decodeUpdate([]byte(`{"ta_id":0,"data_path":[{"device_type":2}]}`))
	if diff := cmp.Diff(bad("ta_id", "must be at least 1", "data_path[0].data_path", isRequired), problems); diff != "" {
		t.Errorf("decodeUpdate() problems (-want +got):\n%s", diff)
	}
}

func TestDecodeDelete(t *testing.T) {
	for body, want := range map[string][]int64{`{"ta_id":[4734]}`: {4734}, `{"ta_id":["2",1,2],"x":1}`: {2, 1, 2}} {
		ids, problems := decodeDelete([]byte(body))
		if diff := cmp.Diff(want, ids); problems != nil || diff != "" {
			t.Errorf("decodeDelete(%s) problems %v (-want +got):\n%s", body, problems, diff)
		}
	}
	for body, want := range map[string][]throng.Detail{
		`{}`:                     bad("ta_id", isRequired),
		`{"ta_id":null}`:         bad("ta_id", isRequired),
		`{"ta_id":7}`:            bad("ta_id", "must be a list"),
		`{"ta_id":[]}`:           bad("ta_id", "must have at least one id"),
		`{"ta_id":["x",-1,1.5]}`: bad("ta_id[0]", "must be a whole number", "ta_id[1]", "must be at least 1", "ta_id[2]", "must be a whole number"),
		`{"ta_id":[` + strings.Repeat("1,", 1000) + `1]}`: bad("ta_id", "has 1001 ids, more than the 1000 allowed"),
	} {
		if _, problems := decodeDelete([]byte(body)); cmp.Diff(want, problems) != "" {
			t.Errorf("decodeDelete(%.40s) problems (-want +got):\n%s", body, cmp.Diff(want, problems))
		}
	}
}

func TestDecodeOffer(t *testing.T) {
	for _, tt := range []struct {
		body     string
		keys     offerKeys
		want     throng.Offer
		problems []throng.Detail
	}{
		{`{"offer_id":66785,"audience":[4695],"audience_exclude":[4696]}`, documentedOffer, throng.Offer{ID: 66785, Include: []int64{4695}, Exclude: []int64{4696}}, nil},
		{`{"offer_id":"66785","include_ta_id":["4695",4695],"exclude_ta_id":[]}`, targetOffer, throng.Offer{ID: 66785, Include: []int64{4695, 4695}}, nil},
		{`{"offer_id":1,"include_ta_id":[1],"exclude_ta_id":null}`, documentedOffer, throng.Offer{ID: 1}, bad(
			"include_ta_id", "is of the other form of this request; here the list is called audience",
		)},
		{`{"offer_id":1,"include_ta_id":[1],"audience_exclude":[]}`, targetOffer, throng.Offer{ID: 1, Include: []int64{1}}, bad(
			"audience_exclude", "is of the other form of this request; here the list is called exclude_ta_id",
		)},
		{`{"offer_id":1,"audience":null}`, documentedOffer, throng.Offer{ID: 1}, nil},
		{`{"audience":["x"],"audience_exclude":7}`, documentedOffer, throng.Offer{}, bad(
			"offer_id", isRequired, "audience[0]", "must be a whole number", "audience_exclude", "must be a list",
		)},
		{`{"offer_id":1,"exclude_ta_id":[` + strings.Repeat("1,", 100) + `1]}`, targetOffer, throng.Offer{ID: 1}, bad("exclude_ta_id", "has 101 ids, more than the 100 allowed")},
	} {
		got, problems := decodeOffer([]byte(tt.body), tt.keys)
		if diff := cmp.Diff(tt.want, got) + cmp.Diff(tt.problems, problems); diff != "" {
			t.Errorf("decodeOffer(%.80s) (-want +got):\n%s", tt.body, diff)
		}
	}
}

func TestDecodePresign(t *testing.T) {
	const md5 = "1ceada6012b007afb4b0a29984660ad0"
	name, sum, problems := decodePresign(url.Values{"area_type": {"1"}, "file_name": {"test.txt"}, "file_md5": {strings.ToUpper(md5)}})
	if name != "test.txt" || sum != md5 || problems != nil {
		t.Errorf("decodePresign() = %q, %q, %v", name, sum, problems)
	}
	for query, want := range map[string][]throng.Detail{
		"": bad("area_type", isRequired, "file_name", isRequired, "file_md5", isRequired),
		"area_type=2&file_name=x&file_md5=" + md5:           bad("area_type", wantArea(2)),
		"area_type=x&file_name=x&file_md5=" + md5[1:]:       bad("area_type", "must be a whole number", "file_md5", "must be the MD5 of the file in 32 hex digits"),
		"area_type=1&file_name=x&file_md5=" + md5[1:] + "g": bad("file_md5", "must be the MD5 of the file in 32 hex digits"),
	} {
		values, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, problems := decodePresign(values); cmp.Diff(want, problems) != "" {
			t.Errorf("decodePresign(%s) (-want +got):\n%s", query, cmp.Diff(want, problems))
		}
	}
}

func TestDecodeList(t *testing.T) {
	for query, want := range map[string]service.DeviceFilter{
		"": {Page: 1, Limit: 10},
		"ta_ids=&ta_name=&platform=&page=&limit=":                 {Page: 1, Limit: 10},
		"ta_ids=1,2,%203&ta_name=Some&platform=3&page=4&limit=20": {IDs: []int64{1, 2, 3}, Query: "Some", Platform: 3, Page: 4, Limit: 20},
		"limit=501":            {Page: 1, Limit: 500},
		"limit=0&page=0":       {Page: 1, Limit: 1},
		"limit=-7&page=-7":     {Page: 1, Limit: 1},
		"page=9999999999999":   {Page: maxPage, Limit: 10},
		"color=red&platform=1": {Platform: 1, Page: 1, Limit: 10},
	} {
		values, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		got, problems := decodeList(values)
		if diff := cmp.Diff(want, got); problems != nil || diff != "" {
			t.Errorf("decodeList(%s) problems %v (-want +got):\n%s", query, problems, diff)
		}
	}
	for query, want := range map[string][]throng.Detail{
		"page=x&limit=y&platform=z&ta_ids=1,,2": bad("page", "must be a whole number", "limit", "must be a whole number", "platform", "must be a whole number", "platform", wantPlatform, "ta_ids", "must be ids joined by commas"),
		"platform=0":                            bad("platform", wantPlatform),
		"platform=4":                            bad("platform", wantPlatform),
		"ta_ids=0":                              bad("ta_ids", "must be ids joined by commas"),
		"ta_ids=" + strings.Repeat("1,", 1000) + "1": bad("ta_ids", "has 1001 ids, more than the 1000 allowed"),
	} {
		values, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		if _, problems := decodeList(values); cmp.Diff(want, problems) != "" {
			t.Errorf("decodeList(%.40s) (-want +got):\n%s", query, cmp.Diff(want, problems))
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"ta_name":"n","area_type":1,"platform":2,` + twoFiles + `}`))
	f.Add([]byte(`{"ta_id":"10001",` + twoFiles + `}`))
	f.Add([]byte(`{"ta_id":[4734,"1"]}`))
	f.Add([]byte(`{"offer_id":66785,"audience":[4695],"exclude_ta_id":["4696"]}`))
	f.Add([]byte(`{"ta_id":1e3,"data_path":[{"device_type":"-1","data_path":null}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		if throng.ReadJSON(body) != nil { // never gets so far
			return
		}
		if d := decodeCreate(body); len(d.Problems) == 0 && (d.Name == "" || d.Platform < 1 || d.Platform > 3 || len(d.Files) == 0) {
			t.Errorf("decodeCreate() takes %+v", d)
		}
		if id, files, problems := decodeUpdate(body); len(problems) == 0 && (id < 1 || len(files) == 0) {
			t.Errorf("decodeUpdate() takes %d, %+v", id, files)
		}
		if ids, problems := decodeDelete(body); len(problems) == 0 && len(ids) == 0 {
			t.Errorf("decodeDelete() takes no ids")
		}
		for _, keys := range []offerKeys{documentedOffer, targetOffer} {
			if o, problems := decodeOffer(body, keys); len(problems) == 0 && o.ID < 1 {
				t.Errorf("decodeOffer() takes %+v", o)
			}
		}
	})
}

// FuzzQuery: whatever a URL holds is read without harm, and within its limits.
func FuzzQuery(f *testing.F) {
	f.Add("area_type=1&file_name=test.txt&file_md5=1ceada6012b007afb4b0a29984660ad0")
	f.Add("ta_ids=1,2, 3&ta_name=x&platform=3&page=-1&limit=99999999999999999999")
	f.Add("offer_id=66785&offer_id=2;&%zz")
	f.Fuzz(func(t *testing.T, text string) {
		values, _ := url.ParseQuery(text) // what can be read of it is what a request has
		if list, problems := decodeList(values); len(problems) == 0 &&
			(list.Page < 1 || list.Limit < 1 || list.Limit > maxLimit || list.Platform > throng.Mixed || len(list.IDs) > maxListed) {
			t.Errorf("decodeList(%q) takes %+v", text, list)
		}
		if name, md5, problems := decodePresign(values); len(problems) == 0 && (name == "" || len(md5) != 32) {
			t.Errorf("decodePresign(%q) takes %q, %q", text, name, md5)
		}
		q := query{values: values}
		if id := q.id("offer_id"); len(q.problems) == 0 && id < 1 {
			t.Errorf("id(%q) = %d", text, id)
		}
	})
}
