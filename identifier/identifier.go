// Package identifier knows the types of identifiers, which strings are valid
// identifiers of each, and the one form in which each is stored, matched and
// printed.
//
// All of it is pure: no state, no I/O, safe for concurrent use.
package identifier

import "strings"

// Type is a type of identifier, by the name that both requests and tables use.
type Type string

// The types of identifiers.
const (
	SSID        Type = "ss_id"        // the person key, exact
	TwitterID   Type = "twitter_id"   // decimal digits
	TwitterUser Type = "twitter_user" // a screen name, case ignored
	MD5         Type = "md5"          // the MD5 of an e-mail address
	EmailRaw    Type = "email_raw"    // an e-mail address, case ignored
	CintID      Type = "cint_id"      // exact
	RampID      Type = "ramp_id"      // exact
	MAID        Type = "ma_id"        // a mobile advertising id of either maker
	IMEI        Type = "imei"
	IMEIMD5     Type = "imei_md5"
	IDFA        Type = "idfa"
	IDFAMD5     Type = "idfa_md5"
	GAID        Type = "gaid"
	GAIDMD5     Type = "gaid_md5"
	OAID        Type = "oaid"
	OAIDMD5     Type = "oaid_md5"
	IDFV        Type = "idfv"
	IDFVMD5     Type = "idfv_md5"
)

// Types returns every type, those of outputs first. The caller owns the slice.
func Types() []Type {
	return append(Outputs(), RampID,
		IMEI, IMEIMD5, IDFA, IDFAMD5, GAID, GAIDMD5, OAID, OAIDMD5, IDFV, IDFVMD5)
}

// Outputs returns the seven types of which an audience has output files, in
// the order in which they are listed to users. The caller owns the slice.
func Outputs() []Type {
	return []Type{SSID, TwitterID, TwitterUser, MD5, EmailRaw, CintID, MAID}
}

// Uploads returns the eight types of which a list can be uploaded, in the
// order in which they are listed to users. The caller owns the slice.
func Uploads() []Type {
	return []Type{SSID, TwitterID, TwitterUser, MD5, EmailRaw, RampID, CintID, MAID}
}

// Devices returns the ten types that name one device, each beside its MD5.
// The caller owns the slice.
func Devices() []Type {
	return []Type{IMEI, IMEIMD5, IDFA, IDFAMD5, GAID, GAIDMD5, OAID, OAIDMD5, IDFV, IDFVMD5}
}

// Extension returns the extension, without a dot, of the key of an upload of
// this type: "ssid" for SSID, else the type's own name.
func (t Type) Extension() string {
	if t == SSID {
		return "ssid"
	}
	return string(t)
}

// HasMD5 returns the type that holds the MD5 of identifiers of t, and whether
// there is one. What is hashed is the normal form, see [EmailMD5] and
// [HexMD5].
func (t Type) HasMD5() (Type, bool) {
	switch t {
	case EmailRaw:
		return MD5, true
	case IMEI:
		return IMEIMD5, true
	case IDFA:
		return IDFAMD5, true
	case GAID:
		return GAIDMD5, true
	case OAID:
		return OAIDMD5, true
	case IDFV:
		return IDFVMD5, true
	default:
		return "", false
	}
}

// IsMD5 reports whether identifiers of t are MD5 sums.
func (t Type) IsMD5() bool {
	return t == MD5 || strings.HasSuffix(string(t), "_md5")
}

// AlsoMA reports whether an identifier of t is a mobile advertising id too.
// Its form as one is MAID.Normalize of its own normal form.
func (t Type) AlsoMA() bool { return t == IDFA || t == GAID }
