package enginetest

import (
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go"

	"throng/engine/enginetest/model"
)

// sheet is a table to be written. A row of another length than columns is one
// with the wrong number of columns; what a format cannot hold is left out.
type sheet struct {
	name    string
	columns []string
	rows    [][]string
}

// write puts the sheet into dir as one file or as several, each in a random
// format.
func (s *sheet) write(rng *rand.Rand, dir string) error {
	formats := model.Formats()
	if rng.IntN(2) == 0 {
		format := formats[rng.IntN(len(formats))]
		return s.writeFile(rng, filepath.Join(dir, s.name+format), format, s.rows)
	}
	if err := os.MkdirAll(filepath.Join(dir, s.name), 0o700); err != nil {
		return err
	}
	rest := s.rows
	for i := 0; ; i++ {
		n := min(len(rest), 1+rng.IntN(len(s.rows)/2+1))
		format := formats[rng.IntN(len(formats))]
		name := filepath.Join(dir, s.name, fmt.Sprintf("part-%d%s", i, format))
		if err := s.writeFile(rng, name, format, rest[:n]); err != nil {
			return err
		}
		if rest = rest[n:]; len(rest) == 0 {
			return nil
		}
	}
}

func (s *sheet) writeFile(rng *rand.Rand, name, format string, rows [][]string) error {
	var buf bytes.Buffer
	var err error
	switch format[:4] {
	case ".par":
		err = s.parquet(rng, &buf, rows)
	case ".csv":
		err = s.csv(rng, &buf, rows)
	default:
		err = s.ndjson(rng, &buf, rows)
	}
	if err != nil {
		return err
	}
	data := buf.Bytes()
	switch filepath.Ext(format) {
	case ".gz":
		var z bytes.Buffer
		w := gzip.NewWriter(&z)
		if _, err := w.Write(data); err != nil {
			return err
		}
		if err := w.Close(); err != nil {
			return err
		}
		data = z.Bytes()
	case ".zst":
		w, err := zstd.NewWriter(nil)
		if err != nil {
			return err
		}
		data = w.EncodeAll(data, nil)
	}
	return os.WriteFile(name, data, 0o600)
}

// csv writes the columns in an order of its own, with one that nobody knows.
func (s *sheet) csv(rng *rand.Rand, buf *bytes.Buffer, rows [][]string) error {
	order := rng.Perm(len(s.columns))
	if rng.IntN(4) == 0 {
		buf.WriteString("\ufeff")
	}
	w := csv.NewWriter(buf)
	w.UseCRLF = rng.IntN(3) == 0
	extra := rng.IntN(3) == 0
	line := func(row []string) error {
		out := row
		if len(row) == len(s.columns) {
			out = nil
			for _, i := range order {
				out = append(out, row[i])
			}
			if extra {
				out = append(out, "extra_column")
			}
		}
		return w.Write(out)
	}
	if err := line(s.columns); err != nil {
		return err
	}
	for _, row := range rows {
		if extra && len(row) == len(s.columns)+1 {
			row = append(slices.Clone(row), "more") // still the wrong number
		}
		if err := line(row); err != nil {
			return err
		}
	}
	w.Flush()
	return w.Error()
}

func (s *sheet) ndjson(rng *rand.Rand, buf *bytes.Buffer, rows [][]string) error {
	for _, row := range rows {
		if len(row) != len(s.columns) {
			buf.WriteString("{\"person\":\n")
			continue
		}
		buf.WriteByte('{')
		sep := ""
		for i, v := range row {
			if v == "" && rng.IntN(3) > 0 {
				continue
			}
			text := "null"
			if v != "" || rng.IntN(2) == 0 {
				text = jsonText(v)
			}
			if n, err := strconv.Atoi(v); err == nil && strconv.Itoa(n) == v && rng.IntN(2) == 0 {
				text = v
			}
			fmt.Fprintf(buf, "%s%q:%s", sep, s.columns[i], text)
			sep = ","
		}
		if rng.IntN(20) == 0 {
			fmt.Fprintf(buf, `%s"more":[1,{"person":true}]`, sep)
		}
		buf.WriteString("}\n")
	}
	return nil
}

// jsonText writes a string, bytes that are no text included.
func jsonText(s string) string {
	if !utf8.ValidString(s) {
		return `"` + s + `"`
	}
	b, err := json.Marshal(s)
	if err != nil {
		return `""`
	}
	return string(b)
}

// parquet writes columns of text, or of numbers and times where all cells allow it.
func (s *sheet) parquet(rng *rand.Rand, buf *bytes.Buffer, rows [][]string) error {
	var good [][]string
	for _, row := range rows {
		if len(row) == len(s.columns) && !slices.ContainsFunc(row, func(v string) bool { return !utf8.ValidString(v) }) {
			good = append(good, row)
		}
	}
	group, convert := parquet.Group{}, map[string]func(string) parquet.Value{}
	for i, c := range s.columns {
		var node parquet.Node
		node, convert[c] = parquetColumn(rng, c, i, good)
		group[c] = parquet.Optional(node)
	}
	schema := parquet.NewSchema(s.name, group)
	w := parquet.NewGenericWriter[any](buf, schema, parquet.MaxRowsPerRowGroup(int64(1+rng.IntN(1000))))
	for _, row := range good {
		var out parquet.Row
		for at, path := range schema.Columns() {
			i := slices.Index(s.columns, path[0])
			if row[i] == "" {
				out = append(out, parquet.NullValue().Level(0, 0, at))
				continue
			}
			out = append(out, convert[path[0]](row[i]).Level(0, 1, at))
		}
		if _, err := w.WriteRows([]parquet.Row{out}); err != nil {
			return err
		}
	}
	return w.Close()
}

func parquetColumn(rng *rand.Rand, column string, i int, rows [][]string) (parquet.Node, func(string) parquet.Value) {
	all := func(ok func(string) bool) bool {
		for _, row := range rows {
			if row[i] != "" && !ok(row[i]) {
				return false
			}
		}
		return true
	}
	if rng.IntN(3) > 0 {
		switch column {
		case "age", "birth_year":
			if all(func(v string) bool { _, err := strconv.Atoi(v); return err == nil }) {
				return parquet.Int(32), func(v string) parquet.Value {
					n, _ := strconv.Atoi(v)
					return parquet.Int32Value(int32(n))
				}
			}
		case "score":
			if all(func(v string) bool { _, err := strconv.ParseFloat(v, 64); return err == nil }) {
				return parquet.Leaf(parquet.DoubleType), func(v string) parquet.Value {
					f, _ := strconv.ParseFloat(v, 64)
					return parquet.DoubleValue(f)
				}
			}
		case "last_tweeted", "posted_at":
			return timeColumn(rng, all)
		}
	}
	return textColumn()
}

func textColumn() (parquet.Node, func(string) parquet.Value) {
	return parquet.String(), func(v string) parquet.Value { return parquet.ByteArrayValue([]byte(v)) }
}

// timeColumn is one of times, or of days, as fine as the cells need it.
func timeColumn(rng *rand.Rand, all func(func(string) bool) bool) (parquet.Node, func(string) parquet.Value) {
	in := func(unit time.Duration) bool {
		return all(func(v string) bool { t, ok := model.ParseTime(v); return ok && t.Equal(t.Truncate(unit)) })
	}
	at := func(v string) time.Time { t, _ := model.ParseTime(v); return t }
	switch {
	case in(24 * time.Hour):
		return parquet.Date(), func(v string) parquet.Value { return parquet.Int32Value(int32(at(v).Unix() / 86400)) }
	case !in(time.Millisecond):
		return textColumn()
	case rng.IntN(2) == 0:
		return parquet.Timestamp(parquet.Microsecond), func(v string) parquet.Value { return parquet.Int64Value(at(v).UnixMicro()) }
	default:
		return parquet.Timestamp(parquet.Millisecond), func(v string) parquet.Value { return parquet.Int64Value(at(v).UnixMilli()) }
	}
}
