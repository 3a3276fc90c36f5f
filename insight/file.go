package insight

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
)

// The file of Counts: the magic, whose last digit is the version; the head as
// JSON behind its length; the dimensions, each with the number of its terms,
// those known, and term by term id, name and counts; the CRC-32C of all before
// it, little endian. Numbers are uvarints, texts lie behind their lengths.
const (
	magicBase = "throng insight "
	magic     = magicBase + "1\n"
)

var (
	// ErrDamaged says that a file of counts is not as it was written.
	ErrDamaged = errors.New("counts are damaged")
	// ErrVersion says that another version has written a file of counts: the
	// report has to be made again.
	ErrVersion = errors.New("counts were written by another version")
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Write writes counts in a form that Read reads. The same counts are the same
// bytes.
func (c *Counts) Write(w io.Writer) error {
	head, err := json.Marshal(c.Head)
	if err != nil {
		return fmt.Errorf("write counts: %w", err)
	}
	b := appendText([]byte(magic), string(head))
	for i := range c.columns {
		b = c.columns[i].append(b)
	}
	b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
	if _, err := w.Write(b); err != nil {
		return fmt.Errorf("write counts: %w", err)
	}
	return nil
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func (c *column) append(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(c.ids)))
	b = binary.AppendUvarint(b, c.known)
	for _, n := range c.knownBased {
		b = binary.AppendUvarint(b, n)
	}
	for i, id := range c.ids {
		b = appendText(appendText(b, id), c.names[i])
		b = binary.AppendUvarint(b, uint64(c.counts[i]))
		for _, based := range c.based {
			if based != nil {
				b = binary.AppendUvarint(b, uint64(based[i]))
			}
		}
	}
	return b
}

// Read reads what Write wrote, to the end of r. The error wraps [ErrDamaged] or
// [ErrVersion] where that is what is wrong.
func Read(r io.Reader) (*Counts, error) {
	b, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("read counts: %w", err)
	}
	c, err := decode(b)
	if err != nil {
		return nil, fmt.Errorf("read counts: %w", err)
	}
	return c, nil
}

func decode(b []byte) (*Counts, error) {
	if len(b) < len(magic) || string(b[:len(magicBase)]) != magicBase {
		return nil, ErrDamaged
	}
	if string(b[:len(magic)]) != magic {
		return nil, ErrVersion
	}
	if len(b) < len(magic)+4 {
		return nil, ErrDamaged
	}
	body := b[:len(b)-4]
	if crc32.Checksum(body, castagnoli) != binary.LittleEndian.Uint32(b[len(body):]) {
		return nil, ErrDamaged
	}
	// One string holds all texts, which are parts of it.
	d := &decoder{text: string(body), at: len(magic)}
	c := &Counts{bytes: int64(len(body))}
	if err := json.Unmarshal([]byte(d.string()), &c.Head); err != nil || d.bad {
		return nil, ErrDamaged
	}
	for range Dimensions() {
		c.columns = append(c.columns, d.column(c.Baselines))
	}
	if d.bad || d.at != len(d.text) {
		return nil, ErrDamaged
	}
	return c, nil
}

// decoder reads a body. Once something is wrong, bad is set and all is zero.
type decoder struct {
	text string
	at   int
	bad  bool
}

func (d *decoder) number() (n uint64) {
	for shift := 0; shift < 64; shift += 7 {
		if d.bad || d.at >= len(d.text) {
			break
		}
		c := d.text[d.at]
		d.at++
		n |= uint64(c&0x7f) << shift
		if c < 0x80 {
			return n
		}
	}
	d.bad = true
	return 0
}

func (d *decoder) count() uint32 {
	n := d.number()
	if n > math.MaxUint32 {
		d.bad = true
		return 0
	}
	return uint32(n)
}

func (d *decoder) string() string {
	n := d.number()
	if d.bad || n > uint64(len(d.text)-d.at) {
		d.bad = true
		return ""
	}
	s := d.text[d.at : d.at+int(n)]
	d.at += int(n)
	return s
}

func (d *decoder) column(baselines []BaselineCounts) (c column) {
	n := d.number()
	if n > uint64(len(d.text)) { // each takes more than a byte
		d.bad = true
	}
	if d.bad {
		return c
	}
	c = column{
		known: d.number(), knownBased: make([]uint64, len(baselines)), ids: make([]string, n), names: make([]string, n),
		counts: make([]uint32, n), based: make([][]uint32, len(baselines)),
	}
	for i, b := range baselines {
		if c.knownBased[i] = d.number(); b.Problem == "" {
			c.based[i] = make([]uint32, n)
		}
	}
	for i := range c.ids {
		c.ids[i], c.names[i], c.counts[i] = d.string(), d.string(), d.count()
		for _, based := range c.based {
			if based != nil {
				based[i] = d.count()
			}
		}
		if d.bad {
			return c
		}
	}
	return c
}
