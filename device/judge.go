package device

import (
	"bytes"

	"throng/identifier"
	"throng/internal/hexkey"
	"throng/internal/idsort"
	"throng/internal/lines"
)

// judge gives lines of one declared type their fates. It is for one goroutine.
type judge struct {
	typ    identifier.Type
	family Family
	hashed bool
	keep   int // how many refused lines are kept

	keys *idsort.Sorter // of what is taken
	raws *idsort.Sorter // UUIDs as they are; nil where they are not kept

	found  lines.Found // in the piece at hand
	first  bool        // the next line is the first of the file
	header bool        // that was no id
	signs  signs
	known  []byte // raw ids, one a line; a sample
	buf    []byte
}

// piece gives each line of a piece its fate.
func (j *judge) piece(p *lines.Piece) error {
	j.found, j.first = lines.Found{}, p.Number == 0
	return p.Each(j.line)
}

// line gives a line its fate, which comes without its end.
func (j *judge) line(line []byte) error {
	j.found.Lines++
	first := j.first
	j.first = false
	if n := len(line); n > 0 && line[n-1] == '\r' && n < lines.Max {
		line = line[:n-1]
	}
	if j.hashed && len(line) == hexkey.SumLen {
		if k, ok := hexkey.Parse(line); ok && k != emptyKey {
			return j.takeSum(k, line)
		}
	}
	if j.family.uuid() && !j.hashed && len(line) == hexkey.UUIDLen {
		if k, ok := hexkey.Parse(line); ok && k != (hexkey.Key{}) {
			return j.takeUUID(k, line)
		}
	}
	return j.slow(line, first)
}

// slow judges what is not in the form in which most ids are written.
func (j *judge) slow(line []byte, first bool) error {
	text := unquote(bytes.TrimSpace(line))
	normal, reason := j.typ.Normalize(j.buf[:0], text)
	if j.buf = normal[:0]; len(line) >= lines.Max {
		reason = identifier.TooLong
	}
	if first && reason == "" && j.family == OAID && isTitle(text) {
		j.header = true
		return nil
	}
	if reason != "" {
		what := looks(j.family, j.hashed, text, reason)
		if first && len(text) > 0 {
			j.header, j.signs.header = true, what
			return nil
		}
		j.signs.refused[what]++
		j.found.Refuse(what, j.keep)
		return nil
	}
	switch {
	case j.hashed:
		k, _ := hexkey.Parse(normal)
		return j.takeSum(k, text)
	case j.family.uuid():
		k, _ := hexkey.Parse(normal)
		return j.takeUUID(k, text)
	}
	j.know(normal)
	j.signs.text(j.family, normal)
	return j.take(sumOf(normal))
}

func (j *judge) takeSum(k hexkey.Key, text []byte) error {
	j.signs.sum(k, text)
	return j.take(k)
}

func (j *judge) takeUUID(k hexkey.Key, text []byte) error {
	j.buf = appendUUID(j.buf[:0], j.family, k)
	j.signs.uuid(k, text, j.buf)
	j.know(j.buf)
	if j.raws != nil {
		if err := j.raws.AddKey(k); err != nil {
			return err
		}
	}
	return j.take(sumOf(j.buf))
}

func (j *judge) take(k hexkey.Key) error {
	j.signs.device(k)
	return j.keys.AddKey(k)
}

// appendUUID appends a UUID in the normal form of its family.
func appendUUID(dst []byte, f Family, k hexkey.Key) []byte {
	from := len(dst)
	dst = k.AppendUUID(dst)
	if f.upper() {
		for i := from; i < len(dst); i++ {
			if dst[i] >= 'a' {
				dst[i] -= 'a' - 'A'
			}
		}
	}
	return dst
}

// isTitle knows how a column of OAIDs is titled: nearly any word is one by the
// letters that it has.
func isTitle(text []byte) bool {
	switch string(bytes.ToLower(text[:min(len(text), 16)])) {
	case "oaid", "oaids", "id", "ids", "device", "devices", "deviceid", "deviceids", "device-id", "device-ids":
		return true
	}
	return false
}

// unquote takes off the quotes in which a column of a CSV file may stand.
func unquote(text []byte) []byte {
	if n := len(text); n >= 2 && text[0] == '"' && text[n-1] == '"' {
		return bytes.TrimSpace(text[1 : n-1])
	}
	return text
}

// emptyKey is the MD5 of the empty string, which is no device.
var emptyKey = hexkey.Key{Hi: 0xd41d8cd98f00b204, Lo: 0xe9800998ecf8427e}
