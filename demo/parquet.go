package demo

import (
	"bufio"
	"encoding/binary"
	"io"
	"math"

	"github.com/klauspost/compress/s2"
	"github.com/parquet-go/parquet-go/format"

	"throng/internal/parquetfile"
)

const (
	// groupRows and pageRows are how many rows a row group and a page have.
	groupRows = 1 << 19
	pageRows  = 1 << 15
)

// A parquetWriter writes one Parquet file of flat columns. It does what the
// generator needs and no more, because most of what it writes are values of a
// dictionary that the generator knows by number already: looking each of them
// up again as text took more time than drawing it. No least and greatest
// values are written: a load reads every row, and finding them cost a sixth.
type parquetWriter struct {
	out     *bufio.Writer
	file    *parquetfile.Writer
	columns []*column
	rows    int // of the row group
	chunk   parquetfile.Chunk
	page    []byte // the page that is made, then as it is compressed
	packed  []byte
}

// column is the part of a column that belongs to the row group at hand.
type column struct {
	name     string
	kind     format.Type // ByteArray, Int32 or Double
	optional bool
	dict     bool // values are written once, and numbered
	runs     bool // with dict: rows of the same value come together

	defined []uint8  // of an optional column: whether each row has a value
	plain   []byte   // values, or the dictionary's
	numbers []uint32 // with dict: of each value in the dictionary
	values  int
	pages   []pageStart
	known   map[string]uint32 // by text, the number
	order   uint32            // how many are known
	last    string            // the value before, and its number
	lastNum uint32
	local   []uint32 // by the caller's number, that of the dictionary from 1
	used    []uint32 // of local
}

// pageStart is where a page begins: at which row, value and byte.
type pageStart struct{ row, value, at int }

func text(name string) column     { return column{name: name, kind: format.ByteArray} }
func textDict(name string) column { return column{name: name, kind: format.ByteArray, dict: true} }

func runs(name string) column {
	return column{name: name, kind: format.ByteArray, dict: true, runs: true}
}

func optional(c column) column { c.optional = true; return c }

func newParquetWriter(columns []column) *parquetWriter {
	w := &parquetWriter{out: bufio.NewWriterSize(nil, 1<<16)}
	for _, c := range columns {
		c.known = map[string]uint32{}
		w.columns = append(w.columns, &c)
	}
	return w
}

// reset begins another file.
func (w *parquetWriter) reset(out io.Writer) {
	w.out.Reset(out)
	w.rows = 0
	schema := parquetfile.Schema{Name: "row", CreatedBy: "throng version synthetic"}
	for _, c := range w.columns {
		c.reset()
		schema.Columns = append(schema.Columns, parquetfile.Column{
			Name: c.name, Type: c.kind, Optional: c.optional, Codec: format.Snappy,
		})
	}
	w.file = parquetfile.NewWriter(w.out, schema)
}

func (c *column) reset() {
	c.defined, c.plain, c.numbers, c.pages = c.defined[:0], c.plain[:0], c.numbers[:0], c.pages[:0]
	c.values, c.order, c.last, c.lastNum = 0, 0, "", 0
	clear(c.known)
	for _, n := range c.used {
		c.local[n] = 0
	}
	c.used = c.used[:0]
}

// endRow is called after every column was given a value, or none.
func (w *parquetWriter) endRow() {
	w.rows++
	if w.rows == groupRows {
		w.flush()
	} else if w.rows%pageRows == 0 {
		for _, c := range w.columns {
			c.pages = append(c.pages, pageStart{w.rows, c.values, len(c.plain)})
		}
	}
}

// text gives a row its value; "" is no value where the column is optional.
func (c *column) text(s string) {
	if c.optional {
		if s == "" {
			c.defined = append(c.defined, 0)
			return
		}
		c.defined = append(c.defined, 1)
	}
	c.values++
	if !c.dict {
		c.plain = parquetfile.AppendText(c.plain, s)
		return
	}
	if c.lastNum == 0 || s != c.last { // neighbours are often the same
		c.last, c.lastNum = s, c.number(s)
	}
	c.numbers = append(c.numbers, c.lastNum-1)
}

// number is that of a text in the dictionary, from 1.
func (c *column) number(s string) uint32 {
	if c.runs {
		return c.learn(s)
	}
	n, ok := c.known[s]
	if !ok {
		n = c.learn(s)
		c.known[s] = n
	}
	return n
}

// learn makes a text the dictionary's next.
func (c *column) learn(s string) uint32 {
	c.order++
	c.plain = parquetfile.AppendText(c.plain, s)
	return c.order
}

// entry gives a row a value that the caller knows by a small number, a number
// for each text. The text is looked at only once.
func (c *column) entry(number uint32, s *string) {
	if int(number) >= len(c.local) {
		c.local = append(c.local, make([]uint32, int(number)+1-len(c.local))...)
	}
	n := c.local[number]
	if n == 0 {
		n = c.learn(*s)
		c.local[number] = n
		c.used = append(c.used, number)
	}
	c.values++
	c.numbers = append(c.numbers, n-1)
}

// double is entry for a number of 64 bits.
func (c *column) double(number uint32, x float64) {
	if int(number) >= len(c.local) {
		c.local = append(c.local, make([]uint32, int(number)+1-len(c.local))...)
	}
	if c.local[number] == 0 {
		c.order++
		c.local[number] = c.order
		c.used = append(c.used, number)
		c.plain = binary.LittleEndian.AppendUint64(c.plain, math.Float64bits(x))
	}
	c.values++
	c.numbers = append(c.numbers, c.local[number]-1)
}

// int32 gives a row its value; 0 is none.
func (c *column) int32(x int32) {
	if x == 0 {
		c.defined = append(c.defined, 0)
		return
	}
	c.defined = append(c.defined, 1)
	c.values++
	c.plain = binary.LittleEndian.AppendUint32(c.plain, uint32(x))
}

// flush writes the row group.
func (w *parquetWriter) flush() {
	if w.rows == 0 {
		return
	}
	w.file.Group(w.rows)
	for _, c := range w.columns {
		w.writeColumn(c)
		c.reset()
	}
	w.rows = 0
}

// writeColumn writes the pages of a column.
func (w *parquetWriter) writeColumn(c *column) {
	encoding := format.Plain
	if c.dict {
		encoding = format.RLEDictionary
		w.chunk.Dictionary(int(c.order), len(c.plain), w.pack(c.plain))
	}
	w.chunk.Encodings = []format.Encoding{encoding, format.RLE}
	if c.dict {
		w.chunk.Encodings = append(w.chunk.Encodings, format.Plain)
	}
	from := pageStart{}
	for i := range len(c.pages) + 1 {
		to := pageStart{w.rows, c.values, len(c.plain)}
		if i < len(c.pages) {
			to = c.pages[i]
		}
		if to.row == from.row {
			break // the last page is full
		}
		page := w.dataPage(c, from, to)
		w.chunk.Data(to.row-from.row, encoding, len(page), w.pack(page), 0)
		from = to
	}
	w.file.Column(&w.chunk)
}

// dataPage makes the bytes of a page; they are valid until the next call.
func (w *parquetWriter) dataPage(c *column, from, to pageStart) []byte {
	if !c.optional && !c.dict {
		return c.plain[from.at:to.at]
	}
	page := w.page[:0]
	if c.optional {
		page = appendHybrid(append(page, 0, 0, 0, 0), c.defined[from.row:to.row], 1)
		binary.LittleEndian.PutUint32(page, uint32(len(page)-4))
	}
	if c.dict {
		width := max(1, bitsFor(c.order))
		page = appendHybrid(append(page, byte(width)), c.numbers[from.value:to.value], width)
	} else {
		page = append(page, c.plain[from.at:to.at]...)
	}
	w.page = page
	return page
}

// pack compresses a page; the bytes are valid until the next call.
func (w *parquetWriter) pack(page []byte) []byte {
	if n := s2.MaxEncodedLen(len(page)); cap(w.packed) < n {
		w.packed = make([]byte, n+n/4)
	}
	return s2.EncodeSnappy(w.packed[:cap(w.packed)], page)
}

// finish writes what is left of the file.
func (w *parquetWriter) finish() error {
	w.flush()
	if err := w.file.Close(); err != nil {
		return err
	}
	return w.out.Flush()
}

// bitsFor is how many bits the numbers below n need.
func bitsFor(n uint32) int {
	bits := 0
	for n > 1<<bits {
		bits++
	}
	return bits
}

// appendHybrid appends numbers of width bits, 1 to 32, in Parquet's mixture of
// runs and packed groups of eight. Packed groups come alone where no run of at
// least eight begins at one.
func appendHybrid[T uint8 | uint32](dst []byte, v []T, width int) []byte {
	packed := 0 // values before i that are not written yet, whole groups
	for i := 0; i < len(v); {
		run := 1
		for i+run < len(v) && v[i+run] == v[i] {
			run++
		}
		if run < 8 {
			n := min(8, len(v)-i)
			packed += n
			i += n
			continue
		}
		dst = appendPacked(dst, v[i-packed:i], width)
		packed = 0
		dst = binary.AppendUvarint(dst, uint64(run)<<1)
		x := uint32(v[i])
		for b := 0; b < width; b += 8 {
			dst = append(dst, byte(x>>b))
		}
		i += run
	}
	return appendPacked(dst, v[len(v)-packed:], width)
}

// appendPacked appends groups of eight, the last filled with zeros.
func appendPacked[T uint8 | uint32](dst []byte, v []T, width int) []byte {
	if len(v) == 0 {
		return dst
	}
	groups := (len(v) + 7) / 8
	dst = binary.AppendUvarint(dst, uint64(groups)<<1|1)
	end := len(dst) + groups*width
	var acc uint64
	bits := 0
	for _, x := range v {
		acc |= uint64(x) << bits
		if bits += width; bits >= 32 {
			dst = binary.LittleEndian.AppendUint32(dst, uint32(acc))
			acc >>= 32
			bits -= 32
		}
	}
	for len(dst) < end {
		dst = append(dst, byte(acc))
		acc >>= 8
	}
	return dst
}
