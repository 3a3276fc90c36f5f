package identifier

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

const (
	uuid      = "1a2b3c4d-5e6f-7081-92a3-b4c5d6e7f809"
	uuidUpper = "1A2B3C4D-5E6F-7081-92A3-B4C5D6E7F809"
	uuidPlain = "1a2b3c4D5E6F708192A3b4c5d6e7f809"
	zeroUUID  = "00000000-0000-0000-0000-000000000000"
	sum       = "0123456789abcdef0123456789abcdef"
)

func TestNormalize(t *testing.T) {
	for _, test := range []struct {
		t      Type
		in     string
		want   string
		reason Reason
	}{
		{SSID, "p-1", "p-1", ""},
		{SSID, " p 1 ", " p 1 ", ""},
		{SSID, " ", " ", ""},
		{SSID, "Ünï", "Ünï", ""},
		{SSID, strings.Repeat("x", 64), strings.Repeat("x", 64), ""},
		{SSID, strings.Repeat("x", 65), "", TooLong},
		{SSID, "", "", Empty},
		{SSID, "a\tb", "", ControlCharacter},
		{SSID, "a\r", "", ControlCharacter},
		{SSID, "a\u0085b", "", ControlCharacter},
		{SSID, "a\xff", "", NotUTF8},
		{SSID, "a\n\xff", "", NotUTF8},

		{TwitterID, " 0123\t", "0123", ""},
		{TwitterID, "12345678901234567890", "12345678901234567890", ""},
		{TwitterID, "12a", "", Invalid},
		{TwitterID, "-1", "", Invalid},
		{TwitterID, "1e5", "", Invalid},
		{TwitterID, "١٢", "", Invalid},
		{TwitterID, " ", "", Empty},
		{TwitterID, strings.Repeat("1", MaxLen+1), "", TooLong},

		{TwitterUser, "@Some_Body", "some_body", ""},
		{TwitterUser, " Some_Body\r\n", "some_body", ""},
		{TwitterUser, "@ Body", "body", ""},
		{TwitterUser, "ÄÖ", "äö", ""},
		{TwitterUser, "@", "", Empty},
		{TwitterUser, "@@body", "", Invalid},
		{TwitterUser, "a\nb", "", ControlCharacter},

		{MD5, strings.ToUpper(sum), sum, ""},
		{MD5, "\u00a0" + sum + " ", sum, ""},
		{MD5, sum[1:], "", Invalid},
		{MD5, sum[1:] + "g", "", Invalid},
		{MD5, "D41D8CD98F00B204E9800998ECF8427E", "", EmptyMD5},
		{IDFAMD5, "d41d8cd98f00b204e9800998ecf8427e", "", EmptyMD5},
		{OAIDMD5, strings.ToUpper(sum), sum, ""},

		{EmailRaw, " Jo.Doe@Example.COM ", "jo.doe@example.com", ""},
		{EmailRaw, "JÖ@EXAMPLE.COM", "jö@example.com", ""},
		{EmailRaw, "jo.example.com", "", Invalid},
		{EmailRaw, "jo@\x00example.com", "", ControlCharacter},
		{EmailRaw, "\xff@example.com", "", NotUTF8},
		{EmailRaw, "@" + strings.Repeat("x", MaxLen), "", TooLong},
		{EmailRaw, "@" + strings.Repeat("Ⱥ", MaxLen/2-1), "", TooLong}, // ⱥ takes three bytes, Ⱥ two

		{CintID, " aB-1 ", "aB-1", ""},
		{RampID, "XY1005abC+/=", "XY1005abC+/=", ""},
		{RampID, "\u2003", "", Empty},

		{MAID, uuidUpper, uuid, ""},
		{MAID, " " + uuidPlain, uuid, ""},
		{MAID, zeroUUID, "", ZeroID},
		{MAID, strings.ReplaceAll(zeroUUID, "-", ""), "", ZeroID},
		{MAID, uuid[1:], "", Invalid},
		{MAID, strings.Replace(uuid, "-", "", 1) + "-", "", Invalid},
		{MAID, strings.ReplaceAll(uuid, "-", "_"), "", Invalid},
		{MAID, "{" + uuid + "}", "", Invalid},
		{GAID, uuidUpper, uuid, ""},
		{IDFA, uuid, uuidUpper, ""},
		{IDFV, uuidPlain, uuidUpper, ""},
		{IDFV, zeroUUID, "", ZeroID},

		{IMEI, "12345678901234", "12345678901234", ""},
		{IMEI, "490154203237518", "490154203237518", ""}, // the worked example of the standard
		{IMEI, "490154203237519", "", Invalid},
		{IMEI, "4901542032375180", "4901542032375180", ""},
		{IMEI, "1234567890123", "", Invalid},
		{IMEI, "12345678901234567", "", Invalid},
		{IMEI, "49015420323751a", "", Invalid},

		{OAID, " aB-9 ", "aB-9", ""},
		{OAID, strings.Repeat("a", 64), strings.Repeat("a", 64), ""},
		{OAID, strings.Repeat("a", 65), "", Invalid},
		{OAID, "a_b", "", Invalid},
		{OAID, zeroUUID, "", ZeroID},
		{OAID, "0000000000000000", "", ZeroID},
		{IMEI, "000000000000000", "", ZeroID},
		{IMEI, "00000000000000", "", ZeroID},

		{"planet", "x", "", Invalid},
	} {
		got, reason := test.t.Normalize([]byte("kept "), []byte(test.in))
		if want := "kept " + test.want; string(got) != want || reason != test.reason {
			t.Errorf("%s.Normalize(%q) = %q, %q, want %q, %q", test.t, test.in, got, reason, want, test.reason)
		}
		printed, reason := test.t.Printed([]byte("kept "), []byte(test.in))
		if reason != test.reason {
			t.Errorf("%s.Printed(%q) gives reason %q, want %q", test.t, test.in, reason, test.reason)
		}
		if keepsCase := test.t == TwitterUser || test.t == EmailRaw; !keepsCase && !bytes.Equal(printed, got) {
			t.Errorf("%s.Printed(%q) = %q, want %q", test.t, test.in, printed, got)
		}
	}
}

func TestPrinted(t *testing.T) {
	for _, test := range []struct {
		t        Type
		in, want string
	}{
		{TwitterUser, " @Some_Body ", "Some_Body"},
		{TwitterUser, "@ ÄÖ", "ÄÖ"},
		{EmailRaw, "\tJo.Doe@Example.COM\r", "Jo.Doe@Example.COM"},
		{MAID, uuidPlain, uuid},
		{IDFA, uuid, uuidUpper},
	} {
		if got, reason := test.t.Printed(nil, []byte(test.in)); string(got) != test.want || reason != "" {
			t.Errorf("%s.Printed(%q) = %q, %q, want %q", test.t, test.in, got, reason, test.want)
		}
	}
}

func TestTypes(t *testing.T) {
	all := Types()
	for _, some := range [][]Type{Outputs(), Uploads(), Devices()} {
		for _, typ := range some {
			if !slices.Contains(all, typ) {
				t.Errorf("Types() lacks %s", typ)
			}
		}
	}
	if len(all) != 18 {
		t.Errorf("%d types, want 18", len(all))
	}
	if diff := cmp.Diff([]Type{"ss_id", "twitter_id", "twitter_user", "md5", "email_raw", "cint_id", "ma_id"}, Outputs()); diff != "" {
		t.Errorf("Outputs() (-want +got):\n%s", diff)
	}
	if got := len(Uploads()); got != 8 || !slices.Contains(Uploads(), RampID) {
		t.Errorf("Uploads() = %v, want the eight with ramp_id", Uploads())
	}
}

func TestRelations(t *testing.T) {
	for typ, want := range map[Type]Type{
		EmailRaw: MD5, IMEI: IMEIMD5, IDFA: IDFAMD5, GAID: GAIDMD5, OAID: OAIDMD5, IDFV: IDFVMD5,
		SSID: "", MAID: "", MD5: "", GAIDMD5: "", CintID: "",
	} {
		got, ok := typ.HasMD5()
		if got != want || ok != (want != "") {
			t.Errorf("%s.HasMD5() = %q, %t, want %q", typ, got, ok, want)
		}
		if ok && (!got.IsMD5() || typ.IsMD5()) {
			t.Errorf("IsMD5 of %s, %s = %t, %t, want false, true", typ, got, typ.IsMD5(), got.IsMD5())
		}
	}
	for _, typ := range Types() {
		if got, want := typ.AlsoMA(), typ == IDFA || typ == GAID; got != want {
			t.Errorf("%s.AlsoMA() = %t, want %t", typ, got, want)
		}
	}
	for typ, want := range map[Type]string{SSID: "ssid", MD5: "md5", TwitterID: "twitter_id"} {
		if got := typ.Extension(); got != want {
			t.Errorf("%s.Extension() = %q, want %q", typ, got, want)
		}
	}
}

func TestEmailMD5(t *testing.T) {
	const address = "jo.doe@example.com"
	want := md5.Sum([]byte(address))
	if got := string(EmailMD5([]byte("kept "), []byte(address))); got != "kept "+hex.EncodeToString(want[:]) {
		t.Errorf("EmailMD5(%s) = %s, want %x", address, got, want)
	}
	// The sum that stands for a missing address is the one that is refused.
	if _, reason := MD5.Normalize(nil, EmailMD5(nil, nil)); reason != EmptyMD5 {
		t.Errorf("the sum of no address is refused as %q, want %q", reason, EmptyMD5)
	}
}

func TestNormalizeDoesNotAllocate(t *testing.T) {
	dst := make([]byte, 0, MaxLen)
	for typ, s := range map[Type]string{
		SSID: "p1", TwitterUser: "@Some", EmailRaw: "Jö@example.com", MD5: sum, IDFA: uuid, OAID: uuid, IMEI: "490154203237518",
	} {
		raw := []byte(s)
		if n := testing.AllocsPerRun(100, func() { typ.Normalize(dst, raw) }); n != 0 {
			t.Errorf("%s.Normalize allocates %v times, want 0", typ, n)
		}
	}
}

func FuzzNormalize(f *testing.F) {
	for i, s := range []string{
		"p-1", "12", "@Some", sum, "Jo@Example.com", " x ", uuid, "490154203237518", uuidUpper, uuidPlain, zeroUUID, "@ @x", "İ@ẞ", "a\u0085", "\xff", "Ⱥ@",
	} {
		f.Add(uint8(i), []byte(s))
	}
	f.Fuzz(func(t *testing.T, n uint8, raw []byte) {
		typ := Types()[int(n)%len(Types())]
		before := bytes.Clone(raw)
		key, reason := typ.Normalize(nil, raw)
		printed, printedReason := typ.Printed(nil, raw)
		if !bytes.Equal(before, raw) {
			t.Fatalf("%s: the raw form was changed", typ)
		}
		if reason != printedReason {
			t.Fatalf("%s: Normalize(%q) says %q, Printed %q", typ, raw, reason, printedReason)
		}
		if reason != "" {
			if len(key) != 0 || len(printed) != 0 {
				t.Fatalf("%s: %q is refused, and yet is %q, %q", typ, raw, key, printed)
			}
			return
		}
		if len(key) == 0 || !utf8.Valid(printed) || bytes.ContainsAny(printed, "\n\r\x00") {
			t.Fatalf("%s: %q is %q, %q: not fit for a line", typ, raw, key, printed)
		}
		for _, form := range [][]byte{key, printed} {
			if again, reason := typ.Normalize(nil, form); reason != "" || !bytes.Equal(again, key) {
				t.Fatalf("%s: Normalize(%q) = %q, and of %q %q, %q", typ, raw, key, form, again, reason)
			}
		}
		if again, reason := typ.Printed(nil, printed); reason != "" || !bytes.Equal(again, printed) {
			t.Fatalf("%s: Printed(%q) = %q, %q", typ, printed, again, reason)
		}
		if typ.AlsoMA() {
			if _, reason := MAID.Normalize(nil, key); reason != "" {
				t.Fatalf("%s: %q is no ma_id: %s", typ, key, reason)
			}
		}
	})
}

func BenchmarkNormalize(b *testing.B) {
	dst := make([]byte, 0, 64)
	for typ, s := range map[Type]string{EmailRaw: "Jo.Doe@Example.com", MD5: sum, MAID: uuidUpper} {
		raw := []byte(s)
		b.Run(string(typ), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, reason := typ.Normalize(dst, raw); reason != "" {
					b.Fatal(reason)
				}
			}
		})
	}
}
