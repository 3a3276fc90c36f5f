package devicelist

import (
	"crypto/md5"
	"encoding/hex"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"throng"
	"throng/blob/file"
	"throng/engine"
	"throng/engine/bitmap"
	"throng/engine/bitmap/bitmaptest"
	"throng/identifier"
	"throng/query"
)

func sum(text string) string {
	s := md5.Sum([]byte(text))
	return hex.EncodeToString(s[:])
}

const (
	gaid1 = "11111111-1111-4111-8111-111111111111"
	gaid2 = "22222222-2222-4222-8222-222222222222"
	idfa1 = "AAAAAAAA-AAAA-4AAA-8AAA-AAAAAAAAAAAA"
	plain = "33333333-3333-4333-8333-333333333333"
)

// Every device is listed once, however it is known and whoever owns it.
func TestWrite(t *testing.T) {
	alone := sum("44444444-4444-4444-8444-444444444444")
	dir := bitmaptest.Tables(t, map[string]string{
		"dataset.json": `{"name":"test"}`,
		"people.csv":   "person\np1\np2\np3\n",
		"identifiers.csv": "person,type,value\n" +
			"p1,gaid," + gaid1 + "\np2,gaid," + gaid1 + "\n" + // said of two people
			"p2,gaid_md5," + sum(gaid1) + "\n" + // the sum of one that is listed
			"p1,gaid_md5," + alone + "\n" +
			"p2,gaid," + gaid2 + "\np3,ma_id," + gaid2 + "\n" + // plain, and known as what it is
			"p3,ma_id," + plain + "\n" +
			"p3,idfa," + idfa1 + "\n",
	})
	g := bitmaptest.Load(t, dir, bitmap.Config{Workers: 2}, engine.LoadOptions{Memory: 64 << 20})
	everyone, _, err := g.Select(t.Context(), query.Definition{Steps: []query.Step{{Op: query.Include, Node: query.Not{Node: query.Or{}}}}}, 0)
	if err != nil {
		t.Fatal(err)
	}
	blobs, err := file.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { blobs.Close() })
	for _, tt := range []struct {
		name     string
		choice   Choice
		want     map[identifier.Type][]string
		left     LeftOut
		platform throng.Platform
	}{
		{
			"as they are",
			Choice{},
			map[identifier.Type][]string{identifier.GAID: {gaid1, gaid2}, identifier.GAIDMD5: {alone}, identifier.IDFA: {idfa1}},
			LeftOut{Plain: 1},
			throng.Mixed,
		},
		{
			"of one platform",
			Choice{Platform: throng.IOS},
			map[identifier.Type][]string{identifier.IDFA: {idfa1}},
			LeftOut{Plain: 1, Platform: 3},
			throng.IOS, // gaid1, gaid2 and the sum
		},
		{
			"plain ones as gaid",
			Choice{Platform: throng.Android, PlainAs: identifier.GAID},
			map[identifier.Type][]string{identifier.GAID: {gaid1, gaid2, plain}, identifier.GAIDMD5: {alone}},
			LeftOut{Platform: 1},
			throng.Android,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			temp := t.TempDir()
			prefix := "deliveries/" + strings.ReplaceAll(tt.name, " ", "-")
			lists, left, err := Write(t.Context(), Config{Blobs: blobs, TempDir: temp, Memory: 1 << 20}, g, everyone, prefix, tt.choice)
			if err != nil {
				t.Fatal(err)
			}
			got := map[identifier.Type][]string{}
			for _, l := range Open(blobs, prefix, lists) {
				r, err := l.Open(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				text, err := io.ReadAll(r)
				r.Close()
				if err != nil {
					t.Fatal(err)
				}
				got[l.Type] = strings.Fields(string(text))
				if int64(len(got[l.Type])) != l.Rows {
					t.Errorf("%s has %d lines, %d are told", l.Type, len(got[l.Type]), l.Rows)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("lists (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.left, left); diff != "" {
				t.Errorf("left out (-want +got):\n%s", diff)
			}
			if p := Platform(tt.choice.Platform, lists); p != tt.platform {
				t.Errorf("platform = %v, want %v", p, tt.platform)
			}
			if files, err := os.ReadDir(temp); err != nil || len(files) > 0 {
				t.Errorf("temporary files are left: %v, %v", files, err)
			}
		})
	}
}
