package model

import (
	"crypto/md5"
	"encoding/hex"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// owned is an identifier of a person: as it is printed and as it is compared.
type owned struct{ typ, printed, folded string }

var (
	digitsOnly = regexp.MustCompile(`^[0-9]+$`)
	hex32      = regexp.MustCompile(`^[0-9a-f]{32}$`)
	uuidForm   = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)
	oaidForm   = regexp.MustCompile(`^[0-9A-Za-z-]{1,64}$`)
	imeiForm   = regexp.MustCompile(`^[0-9]{14,16}$`)
)

// What stands for no identifier.
const (
	EmptyMD5 = "d41d8cd98f00b204e9800998ecf8427e"
	ZeroUUID = "00000000-0000-0000-0000-000000000000"
)

// MD5 is the sum of a text in hexadecimal digits.
func MD5(s string) string {
	sum := md5.Sum([]byte(s))
	return hex.EncodeToString(sum[:])
}

// parseIdentifier gives the printed and the compared form of an identifier;
// ok is false for what is none of the type.
func parseIdentifier(typ, raw string) (printed, folded string, ok bool) {
	s := raw
	if typ != "ss_id" {
		s = strings.TrimSpace(s)
	}
	if s == "" || !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) {
		return "", "", false
	}
	limit := 1024
	if typ == "ss_id" {
		limit = 64
	}
	if len(s) > limit {
		return "", "", false
	}
	same := func(s string, ok bool) (string, string, bool) { return s, s, ok }
	switch typ {
	case "ss_id", "cint_id", "ramp_id":
		return same(s, true)
	case "twitter_id":
		return same(s, digitsOnly.MatchString(s))
	case "twitter_user":
		s = strings.TrimSpace(strings.TrimPrefix(s, "@"))
		return s, lower(s), s != ""
	case "email_raw":
		return s, lower(s), strings.Contains(s, "@")
	case "md5", "imei_md5", "idfa_md5", "gaid_md5", "oaid_md5", "idfv_md5":
		s = lower(s)
		return same(s, hex32.MatchString(s) && s != EmptyMD5)
	case "ma_id", "gaid":
		s, ok := uuid(s)
		return same(s, ok)
	case "idfa", "idfv":
		s, ok := uuid(s)
		return same(strings.ToUpper(s), ok)
	case "oaid":
		zero, isUUID := strings.Trim(strings.ReplaceAll(s, "-", ""), "0") == "", len(s) == 32 || len(s) == 36
		return same(s, oaidForm.MatchString(s) && (!zero || !isUUID))
	case "imei":
		return same(s, imeiForm.MatchString(s) && (len(s) != 15 || luhnSum(s)%10 == 0))
	default:
		return "", "", false
	}
}

func uuid(s string) (string, bool) {
	s = lower(s)
	if hex32.MatchString(s) {
		s = s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
	}
	return s, uuidForm.MatchString(s) && s != ZeroUUID
}

func luhnSum(s string) int {
	sum, double := 0, false
	for i := len(s) - 1; i >= 0; i-- {
		d := int(s[i] - '0')
		if double {
			d *= 2
			if d > 9 {
				d -= 9
			}
		}
		sum, double = sum+d, !double
	}
	return sum
}

// identifiersOf lists what a person owns of a type that is asked for, in the
// order of loading: rows of the type and what is derived from others.
func (p *person) identifiersOf(typ string) []owned {
	if typ == "ss_id" {
		return []owned{{typ, p.key, p.key}}
	}
	var out []owned
	for _, id := range p.ids {
		switch {
		case id.typ == typ:
			out = append(out, id)
		case typ == "md5" && id.typ == "email_raw", typ == id.typ+"_md5":
			sum := MD5(id.folded) // of the stored form, in the case that it has
			out = append(out, owned{typ, sum, sum})
		case typ == "ma_id" && (id.typ == "idfa" || id.typ == "gaid"):
			s := strings.ToLower(id.folded)
			out = append(out, owned{typ, s, s})
		}
	}
	return out
}

// Output gives the text file of a type for members, which may come in any
// order: its lines, whose each is (a person key a line), how many people have
// a line and how many lines there are. The order of one person's lines is
// that of loading; an engine may print one person's in another.
func (m *Model) Output(members []string, typ string) (lines, owners []string, people, rows int) {
	in := map[string]bool{}
	for _, k := range members {
		in[k] = true
	}
	seen := map[string]bool{}
	for _, p := range m.people {
		if !in[p.key] {
			continue
		}
		any := false
		for _, id := range p.identifiersOf(typ) {
			if seen[id.folded] {
				continue
			}
			seen[id.folded], any = true, true
			lines, owners = append(lines, id.printed), append(owners, p.key)
		}
		if any {
			people++
		}
	}
	return lines, owners, people, len(lines)
}

// UploadResult is the fate of an upload's lines: Rows is the sum of the rest.
type UploadResult struct{ Rows, Matched, Unmatched, Duplicate, Invalid int }

// Upload judges a file of identifiers, plain, gz or zst, and gives the keys of
// the people who own any of them, in the order of the index.
func (m *Model) Upload(typ string, content []byte) (UploadResult, []string) {
	var res UploadResult
	seen := map[string]bool{}
	for _, line := range UploadLines(content) {
		res.Rows++
		_, folded, ok := parseIdentifier(typ, line)
		switch {
		case !ok:
			res.Invalid++
		case seen[folded]:
			res.Duplicate++
		case len(m.owners(typ, folded)) > 0:
			res.Matched++
		default:
			res.Unmatched++
		}
		if ok {
			seen[folded] = true
		}
	}
	in := map[string]bool{}
	for folded := range seen {
		for key := range m.owners(typ, folded) {
			in[key] = true
		}
	}
	var people []string
	for _, p := range m.people {
		if in[p.key] {
			people = append(people, p.key)
		}
	}
	return res, people
}

// NormalForms gives the compared forms of the lines that are identifiers of a
// type, each once, sorted.
func NormalForms(typ string, lines []string) []string {
	seen := map[string]bool{}
	for _, line := range lines {
		if _, folded, ok := parseIdentifier(typ, line); ok {
			seen[folded] = true
		}
	}
	return sortedKeys(seen)
}

// UploadLines are the lines of a file of identifiers, plain, gz or zst.
func UploadLines(content []byte) []string {
	switch {
	case strings.HasPrefix(string(content), "\x1f\x8b"):
		content, _ = unpack(".gz", content)
	case strings.HasPrefix(string(content), "\x28\xb5\x2f\xfd"):
		content, _ = unpack(".zst", content)
	}
	text := strings.TrimPrefix(string(content), "\ufeff")
	if text == "" {
		return nil
	}
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	for i := range lines {
		lines[i] = strings.TrimSuffix(lines[i], "\r")
	}
	return lines
}

// owners finds who owns an identifier in its compared form.
func (m *Model) owners(typ, folded string) map[string]bool {
	if m.ownersOf == nil {
		m.ownersOf = map[string]map[string]map[string]bool{}
	}
	if typ == "email_raw" { // each loaded address is an md5, too
		typ, folded = "md5", MD5(folded)
	}
	if m.ownersOf[typ] == nil {
		byValue := map[string]map[string]bool{}
		for _, p := range m.people {
			for _, id := range p.identifiersOf(typ) {
				if byValue[id.folded] == nil {
					byValue[id.folded] = map[string]bool{}
				}
				byValue[id.folded][p.key] = true
			}
		}
		m.ownersOf[typ] = byValue
	}
	return m.ownersOf[typ][folded]
}
