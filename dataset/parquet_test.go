package dataset

import (
	"bytes"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/deprecated"
)

// TestParquetTypes reads a column of each type as text.
func TestParquetTypes(t *testing.T) {
	at := time.Date(2026, 11, 1, 2, 3, 4, 567_891_234, time.UTC)
	wide := make([]byte, 16) // -12345 in 16 bytes
	for i := range wide {
		wide[i] = 0xFF
	}
	wide[14], wide[15] = 0xCF, 0xC7
	for _, c := range []struct {
		name  string
		node  parquet.Node
		value parquet.Value
		want  string
	}{
		{"string", parquet.String(), parquet.ByteArrayValue([]byte("é")), "é"},
		{"bytes", parquet.Leaf(parquet.ByteArrayType), parquet.ByteArrayValue([]byte("abc")), "abc"},
		{"fixed", parquet.Leaf(parquet.FixedLenByteArrayType(3)), parquet.FixedLenByteArrayValue([]byte("abc")), "abc"},
		{"enum", parquet.Enum(), parquet.ByteArrayValue([]byte("male")), "male"},
		{"json", parquet.JSON(), parquet.ByteArrayValue([]byte("{}")), "{}"},
		{"empty", parquet.String(), parquet.ByteArrayValue(nil), "-"},
		{"null", parquet.Optional(parquet.String()), parquet.NullValue(), "-"},
		{"boolean", parquet.Leaf(parquet.BooleanType), parquet.BooleanValue(true), "true"},
		{"int8", parquet.Int(8), parquet.Int32Value(-8), "-8"},
		{"int32", parquet.Leaf(parquet.Int32Type), parquet.Int32Value(math.MinInt32), "-2147483648"},
		{"int64", parquet.Int(64), parquet.Int64Value(math.MinInt64), "-9223372036854775808"},
		{"uint32", parquet.Uint(32), parquet.Int32Value(-1), "4294967295"},
		{"uint64", parquet.Uint(64), parquet.Int64Value(-1), "18446744073709551615"},
		{"float", parquet.Leaf(parquet.FloatType), parquet.FloatValue(0.1), "0.1"},
		{"double", parquet.Leaf(parquet.DoubleType), parquet.DoubleValue(12345678901234567), "12345678901234568"},
		{"large double", parquet.Leaf(parquet.DoubleType), parquet.DoubleValue(1e300), "1e+300"},
		{"NaN", parquet.Leaf(parquet.DoubleType), parquet.DoubleValue(math.NaN()), "-"},
		{"date", parquet.Date(), parquet.Int32Value(int32(at.Unix() / 86400)), "2026-11-01"},
		{"old date", parquet.Date(), parquet.Int32Value(-1), "1969-12-31"},
		{"milliseconds", parquet.Timestamp(parquet.Millisecond), parquet.Int64Value(at.UnixMilli()), "2026-11-01T02:03:04.567Z"},
		{"microseconds", parquet.Timestamp(parquet.Microsecond), parquet.Int64Value(at.UnixMicro()), "2026-11-01T02:03:04.567891Z"},
		{"nanoseconds", parquet.Timestamp(parquet.Nanosecond), parquet.Int64Value(at.UnixNano()), "2026-11-01T02:03:04.567891Z"},
		{"whole second", parquet.Timestamp(parquet.Nanosecond), parquet.Int64Value(0), "1970-01-01T00:00:00Z"},
		{"int96", parquet.Leaf(parquet.Int96Type), parquet.Int96Value(deprecated.Int96{1_000_000_000, 0, 2440589}), "1970-01-02T00:00:01Z"},
		{"decimal 32", parquet.Decimal(2, 9, parquet.Int32Type), parquet.Int32Value(-75), "-0.75"},
		{"decimal 64", parquet.Decimal(0, 18, parquet.Int64Type), parquet.Int64Value(123), "123"},
		{"decimal bytes", parquet.Decimal(3, 10, parquet.ByteArrayType), parquet.ByteArrayValue([]byte{0x30, 0x39}), "12.345"},
		{"decimal fixed", parquet.Decimal(1, 38, parquet.FixedLenByteArrayType(16)), parquet.FixedLenByteArrayValue(wide), "-1234.5"},
		{"uuid", parquet.UUID(), parquet.FixedLenByteArrayValue([]byte("\x01\x23\x45\x67\x89\xab\xcd\xef\x01\x23\x45\x67\x89\xab\xcd\xef")), "01234567-89ab-cdef-0123-456789abcdef"},
	} {
		t.Run(c.name, func(t *testing.T) {
			schema := parquet.NewSchema("people", parquet.Group{"person": parquet.String(), "last_tweeted": c.node})
			var b bytes.Buffer
			w := parquet.NewWriter(&b, schema)
			level := 0
			if c.node.Optional() && !c.value.IsNull() {
				level = 1
			}
			// The columns of a group are in the order of their names.
			row := parquet.Row{c.value.Level(0, level, 0), parquet.ByteArrayValue([]byte("p")).Level(0, 0, 1)}
			if _, err := w.WriteRows([]parquet.Row{row}); err != nil {
				t.Fatal(err)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			write(t, dir, "people.parquet", b.Bytes())
			got, err := readAll(t, table(t, dir, People), 1)
			if err != nil {
				t.Fatal(err)
			}
			want := []string{"0:1 p" + strings.Repeat("|-", 9) + "|" + c.want}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("rows (-want +got):\n%s", diff)
			}
		})
	}
}

// TestParquetBadRows leaves out rows alone, not their neighbours.
func TestParquetBadRows(t *testing.T) {
	type interest struct {
		Person   string `parquet:"person"`
		Affinity string `parquet:"affinity"`
	}
	dir := t.TempDir()
	write(t, dir, "interests.parquet", parquetOf(t, []interest{
		{"a", "1"}, {"\xff", "2"}, {"\xa9", "3"}, {"b", strings.Repeat("x", maxRecord+1)}, {"c\xc3", "4"}, {"d", "5"},
	}, 4))
	got, err := readAll(t, table(t, dir, Interests), 2)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"0:1 a|1", "0:2 BAD not UTF-8", "0:3 BAD not UTF-8", "0:4 BAD row is too long", "0:5 BAD not UTF-8", "0:6 d|5"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}

// FuzzParquet reads damaged files: an error or rows, never a panic.
func FuzzParquet(f *testing.F) {
	small := parquetOf(f, follows(40), 25)
	f.Add(small, uint32(0), byte(0))
	for i := range 16 {
		f.Add(small, uint32(i*len(small)/16), byte(1<<(i%8)))
	}
	f.Fuzz(func(t *testing.T, data []byte, at uint32, bits byte) {
		if len(data) > 0 {
			data = bytes.Clone(data)
			data[int(at)%len(data)] ^= bits
		}
		dir := t.TempDir()
		if err := os.WriteFile(dir+"/follows.parquet", data, 0o600); err != nil {
			t.Fatal(err)
		}
		tab := &Table{
			Name: Follows, Files: []File{{Path: "follows.parquet", Format: Parquet, Size: int64(len(data))}},
			dir: dir, ignored: map[string]bool{},
		}
		rows := 0
		err := tab.Read(t.Context(), 1, nil, func(b *Batch) error {
			for i := range b.Rows() {
				for col := range 3 {
					rows += len(b.Cell(i, col)) & 1
				}
			}
			return nil
		})
		if err != nil && !strings.HasPrefix(err.Error(), "read follows.parquet: ") {
			t.Errorf("Read = %v, want an error with the file's name", err)
		}
	})
}

// TestParquetFlips turns each bit of a small file.
func TestParquetFlips(t *testing.T) {
	if testing.Short() {
		t.Skip("short")
	}
	small := parquetOf(t, follows(12), 25)
	dir := t.TempDir()
	errs := 0
	for i := range len(small) {
		data := flip(small, i)
		write(t, dir, "follows.parquet", data)
		tab := &Table{
			Name: Follows, Files: []File{{Path: "follows.parquet", Format: Parquet, Size: int64(len(data))}},
			dir: dir, ignored: map[string]bool{},
		}
		if err := tab.Read(t.Context(), 1, nil, func(*Batch) error { return nil }); err != nil {
			errs++
		}
	}
	if errs == 0 {
		t.Errorf("%d damaged files are read without an error", len(small))
	}
	t.Logf("%d of %d damaged files are refused", errs, len(small))
}
