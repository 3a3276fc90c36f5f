package service

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"throng"
	"throng/device"
	"throng/identifier"
)

// The devices of the test's people.
const (
	idfa1 = "AEBE52E7-03EE-455A-B3C4-E57283966239" // p1's
	gaid2 = "38400000-8cf0-11bd-b23e-10b96e40000d" // p2's
	maid6 = "6d92078a-8246-4ba4-ae5b-76104861e7dc" // p6's, of whose maker nothing is known
	imei3 = "490154203237518"                      // p3's
)

// peopleWithDevices is the dataset of these tests.
func peopleWithDevices() map[string]string {
	tables := people()
	tables["identifiers.csv"] += "p1,idfa," + idfa1 + "\np2,gaid," + gaid2 + "\np3,imei," + imei3 + "\n"
	return tables
}

// withDevices opens a service that knows the owners of some devices.
func withDevices(t testing.TB, options ...option) *testService {
	t.Helper()
	s := open(t, append([]option{withURL}, options...)...)
	s.load(peopleWithDevices())
	s.run()
	return s
}

// send sends a file and gives its path.
func (s *testService) send(body string) string {
	s.t.Helper()
	return s.sendAs(s.caller, body)
}

func (s *testService) sendAs(c *throng.Caller, body string) string {
	s.t.Helper()
	in, err := s.PresignFile(s.t.Context(), c, "devices.txt", md5Of(body))
	if err != nil {
		s.t.Fatal(err)
	}
	token := in.URL[strings.LastIndexByte(in.URL, '/')+1:]
	if _, err := s.Receive(s.t.Context(), token, int64(len(body)), strings.NewReader(body)); err != nil {
		s.t.Fatal(err)
	}
	return in.Path
}

// sources gives files by type and content, in the order of the arguments.
func (s *testService) sources(typesAndBodies ...string) (files []DeviceSource) {
	s.t.Helper()
	for i := 0; i < len(typesAndBodies); i += 2 {
		files = append(files, DeviceSource{Type: identifier.Type(typesAndBodies[i]), Path: s.send(typesAndBodies[i+1])})
	}
	return files
}

// waitDevices waits until the files of an audience were read.
func (s *testService) waitDevices(id int64) *throng.DeviceAudience {
	s.t.Helper()
	s.wait(s.caller, id)
	a, err := s.DeviceAudience(s.t.Context(), s.caller, id)
	if err != nil {
		s.t.Fatal(err)
	}
	return a
}

// devices creates an audience of files and waits until they were read.
func (s *testService) devicesOf(typesAndBodies ...string) *throng.DeviceAudience {
	s.t.Helper()
	a, err := s.CreateDevices(s.t.Context(), s.caller, DeviceList{Name: "test", Platform: throng.Mixed, Files: s.sources(typesAndBodies...)})
	if err != nil {
		s.t.Fatal(err)
	}
	return s.waitDevices(a.ID)
}

func (s *testService) wantDevices(a *throng.DeviceAudience, want throng.DeviceCounts) {
	s.t.Helper()
	if a.Status != throng.Done || a.Failure != nil {
		s.t.Fatalf("status = %s, %+v, want done", a.Status, a.Failure)
	}
	if diff := cmp.Diff(&want, a.Counts); diff != "" {
		s.t.Errorf("counts (-want +got):\n%s", diff)
	}
}

func (s *testService) wantInSet(id int64, t identifier.Type, value string, want bool) {
	s.t.Helper()
	set, release, err := s.deviceSet(s.t.Context(), id)
	if err != nil {
		s.t.Fatal(err)
	}
	defer release()
	normal, reason := t.Normalize(nil, []byte(value))
	if reason != "" {
		s.t.Fatal(reason)
	}
	f, _, _ := device.FamilyOf(t)
	k, _ := device.KeyOf(t, normal)
	if got, err := set.Contains(f, k); got != want || err != nil {
		s.t.Errorf("set of %d contains the %s = %t, %v, want %t", id, t, got, err, want)
	}
}

func TestDevices(t *testing.T) {
	s := withDevices(t)
	now := s.clock.Now()
	list := DeviceList{
		Name: "A list", Platform: throng.IOS, Warnings: []string{"as the API found"},
		Files: s.sources(
			"idfa", "idfa\r\n"+idfa1+"\r\n"+strings.ToLower(idfa1)+"\r\n\r\nnot one\r\n",
			"idfa_md5", md5Of(idfa1)+"\n"+md5Of("another")+"\n",
			"gaid", "\xef\xbb\xbf\"gaid\"\n\""+gaid2+"\"\n"+maid6+"\n",
			"imei_md5", md5Of(imei3),
		),
	}
	made, err := s.CreateDevices(t.Context(), s.caller, list)
	if err != nil {
		t.Fatal(err)
	}
	want := throng.DeviceAudience{
		ID: made.ID, Name: "A list", Platform: throng.IOS, Status: throng.Running,
		Types:     []identifier.Type{identifier.IDFA, identifier.IDFAMD5, identifier.GAID, identifier.IMEIMD5},
		CreatedAt: now, UpdatedAt: now, NextUpdateAt: now.Add(12 * time.Hour),
		Warnings: []string{
			"as the API found", "files[2]: gaid names Android devices, and the platform is iOS",
			"files[3]: imei_md5 names Android devices, and the platform is iOS",
		},
	}
	if diff := cmp.Diff(&want, made); diff != "" {
		t.Errorf("created (-want +got):\n%s", diff)
	}
	a := s.waitDevices(made.ID)
	// p1 twice in one list and once hashed, p2, p3 hashed, p6 by an advertising
	// id that is nobody's in particular.
	s.wantDevices(a, throng.DeviceCounts{Rows: 9, Devices: 5, Duplicate: 2, Invalid: 2, People: 4})
	want.Status, want.Counts = throng.Done, a.Counts
	want.Files = []throng.DeviceFile{
		{
			Type: identifier.IDFA, Path: list.Files[0].Path, Header: true, Rows: 4, Invalid: 2,
			InvalidLines: []throng.InvalidLine{{Line: 4, Reason: "empty"}, {Line: 5, Reason: "invalid"}},
		},
		{Type: identifier.IDFAMD5, Path: list.Files[1].Path, Rows: 2},
		{Type: identifier.GAID, Path: list.Files[2].Path, Header: true, Rows: 2},
		{Type: identifier.IMEIMD5, Path: list.Files[3].Path, Rows: 1},
	}
	for i := range a.Files {
		if len(a.Files[i].InvalidLines) == 0 {
			a.Files[i].InvalidLines = nil
		}
	}
	if diff := cmp.Diff(&want, a); diff != "" {
		t.Errorf("read (-want +got):\n%s", diff)
	}
	for _, in := range []struct {
		t     identifier.Type
		value string
		want  bool
	}{
		{identifier.IDFA, idfa1, true},
		{identifier.IDFAMD5, md5Of(idfa1), true},
		{identifier.IDFAMD5, md5Of("another"), true},
		{identifier.GAIDMD5, md5Of(gaid2), true},
		{identifier.IMEI, imei3, true},
		{identifier.GAID, idfa1, false},
		{identifier.IDFV, idfa1, false},
		{identifier.IMEI, "4901542032375180", false},
	} {
		s.wantInSet(a.ID, in.t, in.value, in.want)
	}
}

// One path may be listed under two types: each of its lines is judged for each.
func TestDevicesOfOneFile(t *testing.T) {
	s := withDevices(t)
	path := s.send(idfa1 + "\n" + gaid2 + "\n")
	a, err := s.CreateDevices(t.Context(), s.caller, DeviceList{Name: "seed", Platform: throng.IOS, Files: []DeviceSource{
		{Type: identifier.IDFA, Path: path, At: "data[0].path"}, {Type: identifier.GAID, Path: path, At: "data[1].path"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if len(a.Warnings) != 1 || !strings.HasPrefix(a.Warnings[0], "data[1].path: ") {
		t.Errorf("warnings = %q, want one of the gaids", a.Warnings)
	}
	s.wantDevices(s.waitDevices(a.ID), throng.DeviceCounts{Rows: 4, Devices: 4, People: 2})
}

func TestCreateDevicesRefuses(t *testing.T) {
	s := withDevices(t)
	other := s.add("other", CallerSettings{})
	good := DeviceSource{Type: identifier.GAID, Path: s.send(gaid2)}
	theirs := DeviceSource{Type: identifier.GAID, Path: s.sendAs(other, gaid2)}
	for _, tt := range []struct {
		name  string
		list  DeviceList
		paths []string
	}{
		{"nothing", DeviceList{}, []string{"files", "name", "platform"}},
		{"a blank name", DeviceList{Name: " \t", Platform: 1, Files: []DeviceSource{good}}, []string{"name"}},
		{"a long name", DeviceList{Name: strings.Repeat("é", 256), Platform: 1, Files: []DeviceSource{good}}, []string{"name"}},
		{"no text", DeviceList{Name: "a\xff", Platform: 1, Files: []DeviceSource{good}}, []string{"name"}},
		{"an unknown platform", DeviceList{Name: "a", Platform: 4, Files: []DeviceSource{good}}, []string{"platform"}},
		{"a type that is no device's", DeviceList{Name: "a", Platform: 1, Files: []DeviceSource{good, {Type: identifier.MAID, Path: good.Path, At: "data_path[1].x"}}}, []string{"data_path[1].x"}},
		{"another's file, and none", DeviceList{Name: "a", Platform: 1, Files: []DeviceSource{theirs, good, {Type: identifier.GAID, Path: "s3://x/y"}, {Type: identifier.GAID}}}, []string{"files[0]", "files[2]", "files[3]"}},
		{"too many files", DeviceList{Name: "a", Platform: 1, Files: slices.Repeat([]DeviceSource{good}, 101)}, []string{"files"}},
		{"what the API found, too", DeviceList{Files: []DeviceSource{theirs}, Problems: []throng.Detail{{Path: "area", Message: "is unknown"}}}, []string{"area", "files[0]"}},
	} {
		_, err := s.CreateDevices(t.Context(), s.caller, tt.list)
		t.Run(tt.name, func(t *testing.T) { wantCode(t, err, throng.Invalid, tt.paths...) })
	}
	if list, total, err := s.ListDevices(t.Context(), s.caller, DeviceFilter{}); len(list) != 0 || total != 0 || err != nil {
		t.Errorf("list = %v, %d, %v, want none", list, total, err)
	}
}

func TestUpdateDevices(t *testing.T) {
	s := withDevices(t)
	a := s.devicesOf("gaid", gaid2)
	files := s.sources("idfa", idfa1+"\nx\n")
	update := func(c *throng.Caller, files []DeviceSource, problems ...throng.Detail) (*throng.DeviceAudience, error) {
		return s.UpdateDevices(t.Context(), c, a.ID, files, problems)
	}
	_, err := update(s.add("other", CallerSettings{}), files)
	wantCode(t, err, throng.NotFound)
	_, err = update(s.caller, nil)
	wantCode(t, err, throng.Invalid, "files")
	_, err = update(s.caller, []DeviceSource{{Type: "x", Path: "y"}}, throng.Detail{Path: "more", Message: "is wrong"})
	wantCode(t, err, throng.Invalid, "files[0]", "files[0]", "more")
	s.clock.Add(12*time.Hour - time.Second)
	_, err = update(s.caller, files)
	wantCode(t, err, throng.Conflict)
	if want := "2026-11-22T00:00:00Z"; !strings.Contains(throng.MessageOf(err), want) {
		t.Errorf("message = %q, which does not tell %s", throng.MessageOf(err), want)
	}
	s.clock.Add(time.Second)
	now := s.clock.Now()
	b, err := update(s.caller, files)
	if err != nil {
		t.Fatal(err)
	}
	if b.Status != throng.Running || !b.UpdatedAt.Equal(now) || !b.NextUpdateAt.Equal(now.Add(12*time.Hour)) || !b.CreatedAt.Equal(a.CreatedAt) {
		t.Errorf("updated: %+v", b)
	}
	if diff := cmp.Diff(a.Counts, b.Counts); diff != "" {
		t.Errorf("counts while files are read (-before +now):\n%s", diff)
	}
	b = s.waitDevices(a.ID)
	s.wantDevices(b, throng.DeviceCounts{Rows: 2, Devices: 1, Invalid: 1, People: 1})
	s.wantInSet(a.ID, identifier.GAID, gaid2, false)
	s.wantInSet(a.ID, identifier.IDFA, idfa1, true)

	// What is of no use leaves what was there.
	s.clock.Add(12 * time.Hour)
	if _, err := update(s.caller, s.sources("idfa", "e\nmail@example.com\n")); err != nil {
		t.Fatal(err)
	}
	c := s.waitDevices(a.ID)
	if c.Status != throng.Failed || c.Failure == nil || !strings.Contains(c.Failure.Message, "an e-mail address") {
		t.Errorf("status = %s, %+v, want one that tells of e-mail addresses", c.Status, c.Failure)
	}
	if diff := cmp.Diff([]any{b.Counts, b.Files, b.Warnings}, []any{c.Counts, c.Files, c.Warnings}); diff != "" {
		t.Errorf("after files of no use (-before +now):\n%s", diff)
	}
	s.wantInSet(a.ID, identifier.IDFA, idfa1, true)
	// What is not used goes: a set, rows, advertising ids and invalid lines stay.
	waitFor(t, func() bool { return len(s.files(a.ID)) == 4 })
	// And the lock holds after that, too.
	_, err = update(s.caller, files)
	wantCode(t, err, throng.Conflict)
}

func TestUpdateDevicesWithoutLock(t *testing.T) {
	g := &gate{match: "/devices", hold: make(chan struct{})}
	s := withDevices(t, gated(g), func(c *Config) { c.DeviceLock = -1 })
	a, err := s.CreateDevices(t.Context(), s.caller, DeviceList{Name: "a", Platform: throng.Android, Files: s.sources("gaid", gaid2)})
	if err != nil {
		t.Fatal(err)
	}
	<-g.seen
	_, err = s.UpdateDevices(t.Context(), s.caller, a.ID, s.sources("gaid", maid6), nil)
	wantCode(t, err, throng.Conflict)
	if _, _, err := s.deviceSet(t.Context(), a.ID); err == nil {
		t.Error("the set of an audience that is being read is there, want none")
	}
	close(g.hold)
	s.wantDevices(s.waitDevices(a.ID), throng.DeviceCounts{Rows: 1, Devices: 1, People: 1})
	if _, err = s.UpdateDevices(t.Context(), s.caller, a.ID, s.sources("gaid", maid6), nil); err != nil {
		t.Fatal(err)
	}
	s.waitDevices(a.ID)
	s.wantInSet(a.ID, identifier.GAID, maid6, true)
}

func TestDeleteDevices(t *testing.T) {
	s := withDevices(t)
	a, b := s.devicesOf("gaid", gaid2), s.devicesOf("idfa", idfa1)
	built := s.build(s.caller, everyone)
	del := func(ids ...int64) error { return s.DeleteDevices(t.Context(), s.caller, ids) }
	wantCode(t, del(), throng.Invalid, "ids")
	wantCode(t, del(a.ID, built.ID), throng.NotFound)
	wantCode(t, del(a.ID, 0), throng.NotFound)
	wantCode(t, s.DeleteDevices(t.Context(), s.add("other", CallerSettings{}), []int64{a.ID}), throng.NotFound)
	if len(s.files(a.ID)) == 0 {
		t.Fatal("files are gone although nothing was deleted")
	}
	if err := del(b.ID, a.ID, a.ID); err != nil {
		t.Fatal(err)
	}
	if keys := slices.Concat(s.files(a.ID), s.files(b.ID)); len(keys) != 0 {
		t.Errorf("files of deleted audiences: %q", keys)
	}
	if _, total, _ := s.ListDevices(t.Context(), s.caller, DeviceFilter{}); total != 0 {
		t.Errorf("%d audiences after all were deleted", total)
	}
	// One that is being read can be deleted, too, by either verb.
	c, err := s.CreateDevices(t.Context(), s.caller, DeviceList{Name: "c", Platform: throng.Android, Files: s.sources("gaid", gaid2)})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteAudience(t.Context(), s.caller, c.ID); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool { return len(s.files(c.ID)) == 0 })
}

func TestListDevices(t *testing.T) {
	s := withDevices(t)
	var ids []int64
	for i, name := range []string{"Alpha", "alphabet", "Beta"} {
		a, err := s.CreateDevices(t.Context(), s.caller, DeviceList{
			Name: name, Platform: throng.Platform(i%2 + 1), Files: s.sources("gaid", gaid2+"\nx\n"),
		})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, a.ID)
		s.waitDevices(a.ID)
	}
	s.build(s.caller, everyone)
	for _, tt := range []struct {
		f     DeviceFilter
		want  []int64
		total int64
	}{
		{DeviceFilter{}, []int64{ids[2], ids[1], ids[0]}, 3},
		{DeviceFilter{Query: "ALPHA"}, []int64{ids[1], ids[0]}, 2},
		{DeviceFilter{Platform: throng.Android}, []int64{ids[2], ids[0]}, 2},
		{DeviceFilter{IDs: []int64{ids[1], 999}}, []int64{ids[1]}, 1},
		{DeviceFilter{IDs: []int64{}}, nil, 0},
		{DeviceFilter{Limit: 2}, []int64{ids[2], ids[1]}, 3},
		{DeviceFilter{Limit: 2, Page: 2}, []int64{ids[0]}, 3},
		{DeviceFilter{Limit: 2, Page: 9}, nil, 3},
	} {
		list, total, err := s.ListDevices(t.Context(), s.caller, tt.f)
		if err != nil {
			t.Fatal(err)
		}
		var got []int64
		for _, a := range list {
			got = append(got, a.ID)
			if lines := len(a.Files[0].InvalidLines); (lines == 1) != (len(list) == 1) {
				t.Errorf("%+v: %d invalid lines in a list of %d", tt.f, lines, len(list))
			}
		}
		if diff := cmp.Diff(tt.want, got); diff != "" || total != tt.total {
			t.Errorf("ListDevices(%+v), total %d, want %d (-want +got):\n%s", tt.f, total, tt.total, diff)
		}
	}
	if _, total, err := s.ListDevices(t.Context(), s.add("other", CallerSettings{}), DeviceFilter{}); total != 0 || err != nil {
		t.Errorf("another caller sees %d audiences, %v", total, err)
	}
}
