package mintegral

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"throng"
	"throng/identifier"
	"throng/service"
)

const (
	maxFiles     = 100  // of an audience
	maxAudiences = 100  // in each list of an offer
	maxDevices   = 1000 // in one question
	maxDeleted   = 1000 // at once
	maxListed    = 1000 // of ids to list
	maxPage      = 1 << 30
	defaultLimit = 10
	maxLimit     = 500
)

// decodeCreate reads the body of POST /audience. What is wrong with it is in
// Problems.
func decodeCreate(body []byte) (d service.DeviceList) {
	r := &throng.Reader{}
	if o := r.Object(body, ""); o != nil {
		if raw, ok := required(r, o, "ta_name"); ok {
			if s, ok := r.Text(raw, "ta_name"); ok && strings.TrimSpace(s) == "" {
				r.Bad("ta_name", isRequired)
			} else {
				d.Name = s
			}
		}
		if raw, ok := required(r, o, "area_type"); ok {
			if n, ok := r.Int(raw, "area_type"); ok && n != outside {
				r.Bad("area_type", "%s", wantArea(n))
			}
		}
		if raw, ok := required(r, o, "platform"); ok {
			if n, ok := r.Int(raw, "platform"); ok && !isPlatform(n) {
				r.Bad("platform", wantPlatform)
			} else if ok {
				d.Platform = throng.Platform(n)
			}
		}
		d.Files = decodeFiles(r, o)
		o.Rest()
	}
	d.Problems, d.Warnings = r.Findings()
	return d
}

// decodeUpdate reads the body of PUT /audience.
func decodeUpdate(body []byte) (id int64, files []service.DeviceSource, problems []throng.Detail) {
	r := &throng.Reader{}
	if o := r.Object(body, ""); o != nil {
		if raw, ok := required(r, o, "ta_id"); ok {
			id = positive(r, raw, "ta_id")
		}
		files = decodeFiles(r, o)
	}
	problems, _ = r.Findings()
	return id, files, problems
}

func decodeFiles(r *throng.Reader, o *throng.Object) (files []service.DeviceSource) {
	raw, ok := required(r, o, "data_path")
	if !ok {
		return nil
	}
	list, ok := r.List(raw, "data_path")
	if !ok {
		return nil
	}
	if len(list) == 0 || len(list) > maxFiles {
		r.Bad("data_path", "must list 1 to %d files", maxFiles)
		return nil
	}
	for i, raw := range list {
		e := r.Object(raw, fmt.Sprintf("data_path[%d]", i))
		if e == nil {
			continue
		}
		f := service.DeviceSource{At: e.At("data_path")}
		f.Type = decodeType(r, e)
		if raw, ok := required(r, e, "data_path"); ok {
			if f.Path, ok = r.Text(raw, f.At); ok && f.Path == "" {
				r.Bad(f.At, isRequired)
			}
		}
		e.Rest()
		if f.Type != "" && f.Path != "" {
			files = append(files, f)
		}
	}
	return files
}

// decodeType reads a device_type, "" where it is none.
func decodeType(r *throng.Reader, o *throng.Object) identifier.Type {
	raw, ok := required(r, o, "device_type")
	if !ok {
		return ""
	}
	n, ok := r.Int(raw, o.At("device_type"))
	if !ok {
		return ""
	}
	t, ok := deviceType(n)
	if !ok {
		r.Bad(o.At("device_type"), wantDeviceType)
	}
	return t
}

// decodeDelete reads the body of DELETE /audience.
func decodeDelete(body []byte) (ids []int64, problems []throng.Detail) {
	r := &throng.Reader{}
	if o := r.Object(body, ""); o != nil {
		if raw, ok := required(r, o, "ta_id"); ok {
			ids = idList(r, raw, "ta_id", maxDeleted)
			if problems, _ = r.Findings(); len(ids) == 0 && len(problems) == 0 {
				r.Bad("ta_id", "must have at least one id")
			}
		}
	}
	problems, _ = r.Findings()
	return ids, problems
}

// offerKeys are the names of an offer's lists; clients know two pairs.
type offerKeys struct{ include, exclude string }

var (
	documentedOffer = offerKeys{"audience", "audience_exclude"}
	targetOffer     = offerKeys{"include_ta_id", "exclude_ta_id"}
)

// other is the pair that is not this one.
func (k offerKeys) other() offerKeys {
	if k == documentedOffer {
		return targetOffer
	}
	return documentedOffer
}

// decodeOffer reads the body of PUT /offer/audience. A list that is not there
// is empty. The other form's keys are refused: without its lists an offer would
// be for everyone.
func decodeOffer(body []byte, keys offerKeys) (offer throng.Offer, problems []throng.Detail) {
	r := &throng.Reader{}
	if o := r.Object(body, ""); o != nil {
		if raw, ok := required(r, o, "offer_id"); ok {
			offer.ID = positive(r, raw, "offer_id")
		}
		if raw, ok := o.Take(keys.include); ok {
			offer.Include = idList(r, raw, keys.include, maxAudiences)
		}
		if raw, ok := o.Take(keys.exclude); ok {
			offer.Exclude = idList(r, raw, keys.exclude, maxAudiences)
		}
		other := keys.other()
		for _, k := range [][2]string{{other.include, keys.include}, {other.exclude, keys.exclude}} {
			if _, ok := o.Take(k[0]); ok {
				r.Bad(k[0], "is of the other form of this request; here the list is called %s", k[1])
			}
		}
	}
	problems, _ = r.Findings()
	return offer, problems
}

// decodeMatch reads the body of POST /offer/match, whatever it looks like.
// Devices are those in which nothing is wrong that can be seen here.
func decodeMatch(body []byte) (offer int64, devices []throng.DeviceID, problems []throng.Detail) {
	r := &throng.Reader{}
	if o := r.Object(body, ""); o != nil {
		if raw, ok := required(r, o, "offer_id"); ok {
			offer = positive(r, raw, "offer_id")
		}
		if raw, ok := required(r, o, "devices"); ok {
			devices = decodeDevices(r, raw)
		}
	}
	problems, _ = r.Findings()
	return offer, devices, problems
}

func decodeDevices(r *throng.Reader, raw json.RawMessage) []throng.DeviceID {
	list, ok := r.List(raw, "devices")
	if !ok {
		return nil
	}
	if len(list) > maxDevices {
		r.Bad("devices", "has %d devices, more than the %d allowed", len(list), maxDevices)
		return nil
	}
	devices := make([]throng.DeviceID, 0, len(list))
	for i, raw := range list {
		e := r.Object(raw, fmt.Sprintf("devices[%d]", i))
		if e == nil {
			continue
		}
		d := throng.DeviceID{Type: decodeType(r, e), Path: e.At("id")}
		raw, ok := required(r, e, "id")
		if ok {
			d.ID, ok = r.ID(raw, d.Path)
		}
		if ok && d.Type != "" {
			devices = append(devices, d)
		}
	}
	return devices
}

const isRequired = "is required"

// required takes a key that must be there.
func required(r *throng.Reader, o *throng.Object, key string) (json.RawMessage, bool) {
	raw, ok := o.Take(key)
	if !ok {
		r.Bad(o.At(key), isRequired)
	}
	return raw, ok
}

// idList reads a list of ids, each in its place.
func idList(r *throng.Reader, raw json.RawMessage, path string, most int) (ids []int64) {
	list, ok := r.List(raw, path)
	if !ok {
		return nil
	}
	if len(list) > most {
		r.Bad(path, "has %d ids, more than the %d allowed", len(list), most)
		return nil
	}
	for i, raw := range list {
		if id := positive(r, raw, fmt.Sprintf("%s[%d]", path, i)); id > 0 {
			ids = append(ids, id)
		}
	}
	return ids
}

// positive reads an id; 0 where it is none.
func positive(r *throng.Reader, raw json.RawMessage, path string) int64 {
	n, ok := r.Int(raw, path)
	if ok && n < 1 {
		r.Bad(path, "must be at least 1")
		return 0
	}
	return n
}

const wantPlatform = "must be 1 (Android), 2 (iOS) or 3 (mix)"

func isPlatform(n int64) bool { return n >= int64(throng.Android) && n <= int64(throng.Mixed) }

func wantArea(n int64) string {
	if n == 2 {
		return "must be 1: the data cluster of the mainland of China is not served here"
	}
	return "must be 1"
}

// query reads the parameters of a URL. An empty one is as if absent.
type query struct {
	values   url.Values
	problems []throng.Detail
}

func (q *query) bad(key, message string) {
	q.problems = append(q.problems, throng.Detail{Path: key, Message: message})
}

// number reads a whole number; otherwise where there is none.
func (q *query) number(key string, otherwise int64) int64 {
	s := q.values.Get(key)
	if s == "" {
		return otherwise
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		q.bad(key, "must be a whole number")
		return otherwise
	}
	return n
}

// text reads a text that must be there.
func (q *query) text(key string) string {
	s := q.values.Get(key)
	if s == "" {
		q.bad(key, isRequired)
	}
	return s
}

// id reads an id that must be there.
func (q *query) id(key string) int64 {
	if q.text(key) == "" {
		return 0
	}
	n := q.number(key, 1)
	if n < 1 {
		q.bad(key, "must be at least 1")
	}
	return n
}

func decodePresign(values url.Values) (name, md5 string, problems []throng.Detail) {
	q := query{values: values}
	if q.text("area_type") != "" {
		if n := q.number("area_type", outside); n != outside {
			q.bad("area_type", wantArea(n))
		}
	}
	name = q.text("file_name")
	md5 = strings.ToLower(q.text("file_md5"))
	if sum, err := hex.DecodeString(md5); md5 != "" && (err != nil || len(sum) != 16) {
		q.bad("file_md5", "must be the MD5 of the file in 32 hex digits")
	}
	return name, md5, q.problems
}

// decodeList reads the parameters of GET /audience. What is out of range of
// page and limit is taken for the nearest that is not.
func decodeList(values url.Values) (f service.DeviceFilter, problems []throng.Detail) {
	q := query{values: values}
	f.Query = values.Get("ta_name")
	f.Page = int(min(max(1, q.number("page", 1)), maxPage))
	f.Limit = int(min(max(1, q.number("limit", defaultLimit)), maxLimit))
	if n := q.number("platform", 0); n != 0 || values.Get("platform") != "" {
		if !isPlatform(n) {
			q.bad("platform", wantPlatform)
		}
		f.Platform = throng.Platform(n)
	}
	if s := values.Get("ta_ids"); s != "" {
		for part := range strings.SplitSeq(s, ",") {
			id, err := strconv.ParseInt(strings.TrimSpace(part), 10, 64)
			if err != nil || id < 1 {
				q.bad("ta_ids", "must be ids joined by commas")
				break
			}
			f.IDs = append(f.IDs, id)
		}
		if len(f.IDs) > maxListed {
			q.bad("ta_ids", fmt.Sprintf("has %d ids, more than the %d allowed", len(f.IDs), maxListed))
		}
	}
	return f, q.problems
}
