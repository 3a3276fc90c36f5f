package mintegral

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"throng"
	"throng/identifier"
	"throng/service"
)

// outside is the only area that is served: all but the mainland of China.
const outside = 1

// uploaded is the only ta_type: audiences made of files.
const uploaded = 1

// deviceTypes are the vendor's numbers. Idfv has two pairs of them, of which
// the first is answered.
var deviceTypes = [...]identifier.Type{
	1: identifier.IMEI, 2: identifier.IDFA, 3: identifier.GAID, 4: identifier.OAID,
	6: identifier.IMEIMD5, 7: identifier.IDFAMD5, 8: identifier.GAIDMD5, 9: identifier.OAIDMD5,
	10: identifier.IDFV, 11: identifier.IDFVMD5, 12: identifier.IDFV, 13: identifier.IDFVMD5,
}

const wantDeviceType = "must be 1 to 4 or 6 to 13"

func deviceType(n int64) (identifier.Type, bool) {
	if n < 0 || n >= int64(len(deviceTypes)) || deviceTypes[n] == "" {
		return "", false
	}
	return deviceTypes[n], true
}

// numberOf is the vendor's number of a type; 0 for none.
func numberOf(t identifier.Type) int { return max(0, slices.Index(deviceTypes[:], t)) }

type wirePresigned struct {
	AreaType int     `json:"area_type"`
	FileName string  `json:"file_name"`
	FileMD5  string  `json:"file_md5"`
	TTL      int     `json:"ttl"` // seconds
	S3       wirePut `json:"s3"`
}

type wirePut struct {
	Method   string `json:"method"`
	URL      string `json:"url"`
	DataPath string `json:"data_path"`
}

func fromIncoming(in *service.Incoming, name, md5 string) wirePresigned {
	return wirePresigned{
		AreaType: outside, FileName: name, FileMD5: md5, TTL: int(in.TTL / time.Second),
		S3: wirePut{in.Method, in.URL, in.Path},
	}
}

type wireID struct {
	ID int64 `json:"ta_id"`
}

// wireList is a page of audiences.
type wireList struct {
	Page         int            `json:"page"`
	Limit        int            `json:"limit"`
	CurrentTotal int            `json:"current_total"`
	Total        int64          `json:"total"`
	List         []wireAudience `json:"list"`
}

// wireAudience has the vendor's keys in the vendor's order, and then ours.
type wireAudience struct {
	ID         int64  `json:"ta_id"`
	Platform   int    `json:"platform"`
	Name       string `json:"ta_name"`
	Type       int    `json:"ta_type"`
	DeviceType string `json:"device_type"` // numbers, joined by commas
	AreaType   int    `json:"area_type"`
	CTime      int64  `json:"ctime"` // Unix seconds, as all times
	UTime      int64  `json:"utime"`

	Status       string     `json:"status"`
	Devices      *uint64    `json:"devices"`
	People       *uint64    `json:"people"`
	Rows         *uint64    `json:"rows"`
	Invalid      *uint64    `json:"invalid"`
	Duplicate    *uint64    `json:"duplicate"`
	NextUpdateAt int64      `json:"next_update_at"`
	Error        *string    `json:"error"`
	Warnings     []string   `json:"warnings"`
	Files        []wireFile `json:"files"`
}

type wireFile struct {
	DeviceType   int                    `json:"device_type"`
	DataPath     string                 `json:"data_path"`
	Header       bool                   `json:"header"`
	Rows         uint64                 `json:"rows"`
	Invalid      uint64                 `json:"invalid"`
	InvalidLines []throng.InvalidLine   `json:"invalid_lines"`
	Findings     []throng.DeviceFinding `json:"findings"`
}

// fromAudiences words a page. Invalid lines are shown where it has one audience
// alone: a page of all that are kept could have gigabytes.
func fromAudiences(list []throng.DeviceAudience, total int64, f service.DeviceFilter) wireList {
	lines := 0
	if len(list) == 1 {
		lines = throng.MaxInvalidLines
	}
	v := wireList{Page: f.Page, Limit: f.Limit, CurrentTotal: len(list), Total: total, List: make([]wireAudience, len(list))}
	for i, a := range list {
		v.List[i] = fromAudience(a, lines)
	}
	return v
}

func fromAudience(a throng.DeviceAudience, lines int) wireAudience {
	v := wireAudience{
		ID: a.ID, Platform: int(a.Platform), Name: a.Name, Type: uploaded, DeviceType: numbers(a.Types), AreaType: outside,
		CTime: a.CreatedAt.Unix(), UTime: a.UpdatedAt.Unix(), Status: statusOf(a.Status), NextUpdateAt: ceil(a.NextUpdateAt),
		Warnings: notNil(a.Warnings), Files: make([]wireFile, len(a.Files)),
	}
	if n := a.Counts; n != nil {
		v.Devices, v.People, v.Rows, v.Invalid, v.Duplicate = &n.Devices, &n.People, &n.Rows, &n.Invalid, &n.Duplicate
	}
	if a.Failure != nil {
		v.Error = &a.Failure.Message
	}
	for i, f := range a.Files {
		v.Files[i] = wireFile{
			DeviceType: numberOf(f.Type), DataPath: f.Path, Header: f.Header, Rows: f.Rows, Invalid: f.Invalid,
			InvalidLines: notNil(f.InvalidLines[:min(lines, len(f.InvalidLines))]), Findings: notNil(f.Findings),
		}
	}
	return v
}

// statusOf words how an audience stands.
func statusOf(s throng.Status) string {
	switch s {
	case throng.Running:
		return "processing"
	case throng.Done:
		return "ready"
	default:
		return "failed"
	}
}

// numbers lists types as the vendor does, as in "2,8,9".
func numbers(types []identifier.Type) string {
	list := make([]int, len(types))
	for i, t := range types {
		list[i] = numberOf(t)
	}
	slices.Sort(list)
	var b strings.Builder
	for i, n := range slices.Compact(list) {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.Itoa(n))
	}
	return b.String()
}

// ceil gives the first whole second that is not before t, so that who waits
// for it has waited long enough; 0 for no time.
func ceil(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Add(time.Second - 1).Unix()
}

type wireOffer struct {
	ID      int64   `json:"offer_id"`
	Include []int64 `json:"audience"`
	Exclude []int64 `json:"audience_exclude"`
}

type wireMatches struct {
	Matches []bool `json:"matches"` // in the order of the devices
}

// notNil makes an empty list of nil: a list is never null.
func notNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
