package model

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
)

// record is one row of a table: its present cells by column. An empty cell is
// not in it. bad says why the row cannot be used whatever its cells.
type record struct {
	cells map[string]string
	bad   string
}

// formats are the endings of table files.
var formats = [...]string{".parquet", ".csv", ".csv.gz", ".csv.zst", ".ndjson", ".ndjson.gz", ".ndjson.zst"}

// tableFiles finds the files of a table in the order in which their rows count.
func tableFiles(dir, table string) ([]string, error) {
	var files []string
	for _, format := range formats {
		name := filepath.Join(dir, table+format)
		if _, err := os.Stat(name); err == nil {
			files = append(files, name)
		}
	}
	entries, err := os.ReadDir(filepath.Join(dir, table))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	for _, e := range entries {
		for _, format := range formats {
			if strings.HasSuffix(e.Name(), format) && !e.IsDir() {
				files = append(files, filepath.Join(dir, table, e.Name()))
				break
			}
		}
	}
	slices.Sort(files)
	return files, nil
}

// readTable passes every row of a table to each; present tells whether the
// table has a file.
func readTable(dir, table string, required []string, each func(record)) (present bool, err error) {
	files, err := tableFiles(dir, table)
	if err != nil {
		return false, err
	}
	for _, name := range files {
		if err := readFile(name, required, each); err != nil {
			return true, fmt.Errorf("read %s: %w", filepath.Base(name), err)
		}
	}
	return len(files) > 0, nil
}

func readFile(name string, required []string, each func(record)) error {
	if strings.HasSuffix(name, ".parquet") {
		return readParquet(name, required, each)
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	if data, err = unpack(name, data); err != nil {
		return err
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if strings.Contains(filepath.Base(name), ".ndjson") {
		return readNDJSON(data, required, each)
	}
	return readCSV(data, required, each)
}

func unpack(name string, data []byte) ([]byte, error) {
	switch {
	case strings.HasSuffix(name, ".gz"):
		r, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			return nil, err
		}
		return io.ReadAll(r)
	case strings.HasSuffix(name, ".zst"):
		r, err := zstd.NewReader(bytes.NewReader(data))
		if err != nil {
			return nil, err
		}
		defer r.Close()
		return io.ReadAll(r)
	default:
		return data, nil
	}
}

func readCSV(data []byte, required []string, each func(record)) error {
	r := csv.NewReader(bytes.NewReader(data))
	r.FieldsPerRecord = -1
	header, err := r.Read()
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	for _, c := range required {
		if !slices.Contains(header, c) {
			return fmt.Errorf("column %s is missing", c)
		}
	}
	for {
		fields, err := r.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		switch {
		case err != nil:
			each(record{bad: "malformed line"})
			continue
		case len(fields) != len(header):
			each(record{bad: "wrong number of columns"})
			continue
		}
		rec := record{cells: map[string]string{}}
		for i, c := range header {
			if fields[i] != "" {
				rec.cells[c] = fields[i]
			}
		}
		each(checked(rec))
	}
}

// checked marks a row with bytes that are no text.
func checked(rec record) record {
	for _, v := range rec.cells {
		if !utf8.ValidString(v) {
			rec.bad = "not UTF-8"
		}
	}
	return rec
}

func readNDJSON(data []byte, required []string, each func(record)) error {
	s := bufio.NewScanner(bytes.NewReader(data))
	s.Buffer(nil, 64<<20)
	for s.Scan() {
		line := s.Bytes()
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		if !utf8.Valid(line) {
			each(record{bad: "not UTF-8"})
			continue
		}
		d := json.NewDecoder(bytes.NewReader(line))
		d.UseNumber()
		var m map[string]any
		if err := d.Decode(&m); err != nil || d.More() {
			each(record{bad: "malformed line"})
			continue
		}
		rec := record{cells: map[string]string{}}
		for k, v := range m {
			switch v := v.(type) {
			case nil:
			case string:
				if v != "" {
					rec.cells[k] = v
				}
			case json.Number:
				rec.cells[k] = v.String()
			default: // neither a string nor a number: no cell of any column
				if slices.Contains(required, k) {
					rec.bad = "malformed value"
				}
			}
		}
		each(rec)
	}
	return s.Err()
}

// readParquet reads flat columns of any type as the text that a CSV file
// would hold.
func readParquet(name string, required []string, each func(record)) (err error) {
	defer func() { // malformed files make the reader panic
		if p := recover(); p != nil {
			err = fmt.Errorf("malformed: %v", p)
		}
	}()
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	stat, err := f.Stat()
	if err != nil {
		return err
	}
	pf, err := parquet.OpenFile(f, stat.Size())
	if err != nil {
		return err
	}
	var names []string
	for _, path := range pf.Schema().Columns() {
		names = append(names, strings.Join(path, "."))
	}
	for _, c := range required {
		if !slices.Contains(names, c) {
			return fmt.Errorf("column %s is missing", c)
		}
	}
	nodes := map[string]parquet.Node{}
	for _, field := range pf.Schema().Fields() {
		nodes[field.Name()] = field
	}
	buf := make([]parquet.Row, 100)
	for _, group := range pf.RowGroups() {
		rows := group.Rows()
		for {
			n, err := rows.ReadRows(buf)
			for _, row := range buf[:n] {
				rec := record{cells: map[string]string{}}
				for _, v := range row {
					c := names[v.Column()]
					if s := parquetText(nodes[c], v); !v.IsNull() && s != "" {
						rec.cells[c] = s
					}
				}
				each(checked(rec))
			}
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return errors.Join(err, rows.Close())
			}
		}
		if err := rows.Close(); err != nil {
			return err
		}
	}
	return nil
}

func parquetText(node parquet.Node, v parquet.Value) string {
	if v.IsNull() {
		return ""
	}
	if t := node.Type().LogicalType(); t != nil {
		switch t := t.Value.(type) {
		case *format.DateType:
			return time.Unix(int64(v.Int32())*86400, 0).UTC().Format("2006-01-02")
		case *format.TimestampType:
			var at time.Time
			switch t.Unit.Value.(type) {
			case *format.MilliSeconds:
				at = time.UnixMilli(v.Int64())
			case *format.MicroSeconds:
				at = time.UnixMicro(v.Int64())
			default:
				at = time.Unix(0, v.Int64())
			}
			return at.UTC().Format(time.RFC3339Nano)
		}
	}
	switch v.Kind() {
	case parquet.Int32:
		return strconv.FormatInt(int64(v.Int32()), 10)
	case parquet.Int64:
		return strconv.FormatInt(v.Int64(), 10)
	case parquet.Float:
		return strconv.FormatFloat(float64(v.Float()), 'g', -1, 32)
	case parquet.Double:
		return strconv.FormatFloat(v.Double(), 'g', -1, 64)
	default:
		return string(v.ByteArray())
	}
}
