package service

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"throng"
	"throng/device"
	"throng/identifier"
	"throng/internal/archivetest"
	"throng/internal/hexkey"
	"throng/service/record"
	"throng/sqldb"
)

// Whoever owns any of the devices is a member, on whatever generation.
func TestDevicesAsCriterion(t *testing.T) {
	s := withDevices(t)
	a := s.devicesOf("gaid", gaid2+"\n"+maid6+"\n", "idfa_md5", md5Of(idfa1))
	members := func() string {
		t.Helper()
		b := s.build(s.caller, fmt.Sprintf(`[{"operation":"OR","audience":{"ids":[%d]}}]`, a.ID))
		return s.members(b.ID)
	}
	if got := members(); got != "p1 p2 p6" {
		t.Errorf("owners = %q, want p1 p2 p6", got)
	}
	tables := peopleWithDevices()
	tables["identifiers.csv"] = strings.Replace(tables["identifiers.csv"], "p2,gaid", "p8,gaid", 1)
	s.load(tables)
	if got := members(); got != "p1 p6 p8" {
		t.Errorf("owners on the next generation = %q, want p1 p6 p8", got)
	}
	found, err := s.Audience(t.Context(), s.caller, a.ID)
	if err != nil || found.Kind != throng.Device || found.Size == nil || *found.Size != 3 {
		t.Errorf("Audience = %+v, %v, want a device audience of 3", found, err)
	}
	if list, _, err := s.ListAudiences(t.Context(), s.caller, AudienceFilter{Kind: throng.Device}); err != nil || len(list) != 1 {
		t.Errorf("ListAudiences of devices = %v, %v, want one", list, err)
	}
	if err := s.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := members(); got != "p1 p6 p8" {
		t.Errorf("owners after a sweep = %q, want p1 p6 p8", got)
	}
	failed := s.devicesOf("gaid", "nothing\nof use\n")
	d := definition(fmt.Sprintf(`[{"operation":"OR","audience":{"ids":[%d]}}]`, failed.ID))
	_, err = s.PreviewAudience(t.Context(), s.caller, d)
	wantCode(t, err, throng.Invalid, "parameters[0].audience.ids[0]")
}

func TestDevicesOfNoUse(t *testing.T) {
	s := withDevices(t, func(c *Config) { c.UploadLimit = 1000 })
	for name, tt := range map[string]struct{ typ, body, want string }{
		"nothing":           {"gaid", "", "it has no line"},
		"a header":          {"gaid", "gaid\n", "taken for a header"},
		"sums as raw ids":   {"imei", "imei\n" + strings.Repeat(md5Of("a")+"\n", 20), "declare it as imei_md5"},
		"a cut archive":     {"gaid", string(archivetest.Gzip(t, strings.Repeat(gaid2+"\n", 1000))[:40]), "damaged or truncated archive"},
		"a zip archive":     {"gaid", "PK\x03\x04\x14\x00\n" + gaid2 + "\n", "is a zip archive or a workbook, which is not read here"},
		"packed twice":      {"gaid", string(archivetest.Gzip(t, string(archivetest.Gzip(t, gaid2+"\n")))), "an archive within an archive"},
		"a spreadsheet's":   {"imei", "imei\n" + strings.Repeat("3.54E+14\n", 3), "format the column as text"},
		"text in UTF-16":    {"gaid", "\xff\xfe" + utf16("gaid\r\n"+strings.Repeat(gaid2+"\r\n", 3)), "save the file as UTF-8"},
		"too much unpacked": {"gaid", string(archivetest.Gzip(t, strings.Repeat("\n", 20_000))), "more in it than is allowed"},
	} {
		a := s.devicesOf(tt.typ, tt.body)
		if a.Status != throng.Failed || a.Failure == nil || a.Failure.Code != string(throng.Invalid) || a.Failure.Retry || a.Counts != nil {
			t.Errorf("%s: status %s, failure %+v, counts %v", name, a.Status, a.Failure, a.Counts)
			continue
		}
		if !strings.HasPrefix(a.Failure.Message, "files[0]: the file ") || !strings.Contains(a.Failure.Message, tt.want) {
			t.Errorf("%s: message = %q, want one with %q", name, a.Failure.Message, tt.want)
		}
	}
}

// utf16 is ASCII in little-endian UTF-16.
func utf16(text string) string {
	var b strings.Builder
	for _, c := range []byte(text) {
		b.WriteByte(c)
		b.WriteByte(0)
	}
	return b.String()
}

// Sums that were made in another way are recognised by the raw ids that the
// dataset has.
func TestDevicesHashedOtherwise(t *testing.T) {
	s := withDevices(t)
	for name, tt := range map[string]struct{ typ, body, code string }{
		"the other case":    {"idfa_md5", md5Of(strings.ToLower(idfa1)), "md5_other_case"},
		"twice":             {"imei_md5", md5Of(md5Of(imei3)), "md5_twice"},
		"an ma_id":          {"idfa_md5", md5Of(maid6), "md5_other_case"},
		"without hyphens":   {"gaid_md5", md5Of(strings.ReplaceAll(gaid2, "-", "")), "md5_no_hyphens"},
		"as it should be":   {"gaid_md5", md5Of(gaid2), ""},
		"of unknown origin": {"gaid_md5", md5Of("x"), ""},
	} {
		a := s.devicesOf(tt.typ, tt.body)
		code := ""
		for _, f := range a.Files[0].Findings {
			code += f.Code
		}
		if code != tt.code || len(a.Warnings) != len(a.Files[0].Findings) {
			t.Errorf("%s: findings %q, warnings %q, want %q", name, code, a.Warnings, tt.code)
		}
	}
}

func TestDevicesWithoutDataset(t *testing.T) {
	s := open(t, withURL)
	s.run()
	a := s.devicesOf("gaid", gaid2+"\n"+maid6)
	s.wantDevices(a, throng.DeviceCounts{Rows: 2, Devices: 2})
	if len(a.Warnings) != 1 {
		t.Errorf("warnings = %q, want one", a.Warnings)
	}
	s.wantInSet(a.ID, identifier.GAID, gaid2, true)
	s.load(peopleWithDevices())
	b := s.build(s.caller, fmt.Sprintf(`[{"operation":"OR","audience":{"ids":[%d]}}]`, a.ID))
	if got := s.members(b.ID); got != "p2 p6" {
		t.Errorf("owners = %q, want p2 p6", got)
	}
}

// A worker that dies while it reads is followed by another.
func TestDevicesAreReadAgain(t *testing.T) {
	g := &gate{match: "/devices"}
	s := withDevices(t, gated(g))
	g.fails.Store(2)
	a := s.devicesOf("gaid", gaid2+"\n"+gaid2)
	s.wantDevices(a, throng.DeviceCounts{Rows: 2, Devices: 1, Duplicate: 1, People: 1})
	if keys := s.files(a.ID); len(keys) != 4 {
		t.Errorf("files after two failures: %q, want four", keys)
	}
	g.fails.Store(1000)
	b := s.devicesOf("gaid", gaid2)
	if b.Status != throng.Failed || b.Failure == nil || b.Failure.Code != string(throng.Internal) || !b.Failure.Retry {
		t.Errorf("status = %s, %+v, want failed for a reason that may pass", b.Status, b.Failure)
	}
	if keys := s.files(b.ID); len(keys) != 0 {
		t.Errorf("files of what failed: %q", keys)
	}
}

// A server that hangs while it reads devices is followed by another, and what
// the first still does is of no effect. Nothing shows until all of it is there.
func TestDevicesAfterACrash(t *testing.T) {
	g := &gate{match: "/devices"}
	s := withDevices(t, gated(g), func(c *Config) { c.BuildWorkers = 1 })
	a := s.devicesOf("gaid", gaid2)
	g.hold = make(chan struct{})
	select {
	case <-g.seen:
	default:
	}
	s.clock.Add(12 * time.Hour)
	if _, err := s.UpdateDevices(t.Context(), s.caller, a.ID, s.sources("idfa", idfa1+"\n"+idfa1), nil); err != nil {
		t.Fatal(err)
	}
	<-g.seen
	s.wantInSet(a.ID, identifier.GAID, gaid2, true)
	two := s.again()
	two.run()
	two.wantDevices(two.waitDevices(a.ID), throng.DeviceCounts{Rows: 2, Devices: 1, Duplicate: 1, People: 1})
	two.wantInSet(a.ID, identifier.IDFA, idfa1, true)
	close(g.hold)
	if err := s.jobs.Stop(context.Background()); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool { return len(two.files(a.ID)) == 4 }) // set, rows, advertising ids, invalid lines
	// The first server sees the change a second later.
	s.clock.Add(time.Second)
	s.wantInSet(a.ID, identifier.IDFA, idfa1, true)
	s.wantInSet(a.ID, identifier.GAID, gaid2, false)
}

// What attempts that died have left goes after a day; what is in use stays.
func TestSweepDevices(t *testing.T) {
	s := withDevices(t)
	a := s.devicesOf("gaid", gaid2+"\nx\n")
	want := s.files(a.ID)
	left := record.AudiencePrefix(a.ID) + "left/devices"
	s.put(left, "of an attempt that died")
	// Blobs are as old as the machine's clock says.
	for _, tt := range []struct {
		now  time.Duration
		want int
	}{{0, len(want) + 1}, {23 * time.Hour, len(want) + 1}, {25 * time.Hour, len(want)}} {
		s.cfg.Now = func() time.Time { return time.Now().Add(tt.now) }
		if err := s.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := s.files(a.ID); len(got) != tt.want {
			t.Errorf("%v later there are %d files, want %d: %q", tt.now, len(got), tt.want, got)
		}
	}
	if diff := cmp.Diff(want, s.files(a.ID)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	s.wantInSet(a.ID, identifier.GAID, gaid2, true)
}

func (s *testService) openSets() int {
	return s.sets.Open()
}

// The set that an offer asks is there before it is asked.
func TestDeviceSetsAreHeldReady(t *testing.T) {
	s := withDevices(t, func(c *Config) { c.DeviceLock = -1 })
	a, b := s.devicesOf("gaid", gaid2), s.devicesOf("gaid", gaid2)
	err := s.db.PutOffer(t.Context(), sqldb.Offer{CallerID: s.caller.ID, ID: 1, Exclude: []int64{a.ID}, UpdatedAt: s.clock.Now()})
	if err != nil {
		t.Fatal(err)
	}
	wantCode(t, s.DeleteDevices(t.Context(), s.caller, []int64{b.ID, a.ID}), throng.Conflict)
	for _, id := range []int64{a.ID, b.ID} {
		if _, err := s.UpdateDevices(t.Context(), s.caller, id, s.sources("gaid", maid6), nil); err != nil {
			t.Fatal(err)
		}
		s.waitDevices(id)
	}
	waitFor(t, func() bool { return s.openSets() == 1 }) // of b, which nobody asks, there is none
	s.wantInSet(a.ID, identifier.GAID, maid6, true)
	if n := s.openSets(); n != 1 {
		t.Errorf("%d sets are open after a question, want the one that was there", n)
	}
}

// Sets are closed when they are not needed any more, and no sooner.
func TestDeviceSetsAreReleased(t *testing.T) {
	s := withDevices(t, func(c *Config) { c.DeviceLock = -1 })
	a := s.devicesOf("gaid", gaid2)
	set, release, err := s.deviceSet(t.Context(), a.ID)
	if err != nil {
		t.Fatal(err)
	}
	again, release2, err := s.deviceSet(t.Context(), a.ID)
	if err != nil || again != set {
		t.Fatalf("a second holder has another set, %v", err)
	}
	if _, err := s.UpdateDevices(t.Context(), s.caller, a.ID, s.sources("gaid", maid6), nil); err != nil {
		t.Fatal(err)
	}
	s.waitDevices(a.ID)
	s.wantInSet(a.ID, identifier.GAID, gaid2, false)
	if set.Len(device.GAID) != 1 {
		t.Error("the set was closed although it is held")
	}
	release()
	release() // of no effect
	if set.Len(device.GAID) != 1 {
		t.Error("the set was closed although another holds it")
	}
	release2()
	if _, err := set.Contains(device.GAID, hexkey.Key{}); !errors.Is(err, device.ErrClosed) {
		t.Errorf("Contains after the last holder = %v, want %v", err, device.ErrClosed)
	}
	if err := s.DeleteDevices(t.Context(), s.caller, []int64{a.ID}); err != nil {
		t.Fatal(err)
	}
	if n := s.openSets(); n != 0 {
		t.Errorf("%d sets are open, want none", n)
	}
	left, err := os.ReadDir(s.cfg.TempDir)
	if err != nil || len(left) != 0 {
		t.Errorf("%d temporary files, %v, want none", len(left), err)
	}
}
