package parquettext

import (
	"math"
	"testing"

	"github.com/parquet-go/parquet-go"
)

func TestOf(t *testing.T) {
	for _, c := range []struct {
		name string
		node parquet.Node
		v    parquet.Value
		want string
	}{
		{"truth", parquet.Leaf(parquet.BooleanType), parquet.BooleanValue(true), "true"},
		{"number", parquet.Int(64), parquet.Int64Value(math.MinInt64), "-9223372036854775808"},
		{"unsigned", parquet.Uint(32), parquet.Int32Value(-1), "4294967295"},
		{"wide unsigned", parquet.Uint(64), parquet.Int64Value(-1), "18446744073709551615"},
		{"an id in a float", parquet.Leaf(parquet.DoubleType), parquet.DoubleValue(1234567890123), "1234567890123"},
		{"huge", parquet.Leaf(parquet.DoubleType), parquet.DoubleValue(1e300), "1e+300"},
		{"no number", parquet.Leaf(parquet.DoubleType), parquet.DoubleValue(math.NaN()), ""},
		{"day", parquet.Date(), parquet.Int32Value(-1), "1969-12-31"},
		{"milliseconds", parquet.Timestamp(parquet.Millisecond), parquet.Int64Value(1), "1970-01-01T00:00:00.001Z"},
		{"nanoseconds", parquet.Timestamp(parquet.Nanosecond), parquet.Int64Value(-1000), "1969-12-31T23:59:59.999999Z"},
		{"decimal", parquet.Decimal(2, 9, parquet.Int32Type), parquet.Int32Value(-5), "-0.05"},
		{"decimal of bytes", parquet.Decimal(3, 20, parquet.FixedLenByteArrayType(9)), parquet.FixedLenByteArrayValue([]byte{0xff, 0, 0, 0, 0, 0, 0, 0, 0}), "-18446744073709551.616"},
		{"UUID", parquet.UUID(), parquet.FixedLenByteArrayValue([]byte("0123456789abcdef")), "30313233-3435-3637-3839-616263646566"},
	} {
		text, err := Of(c.node.Type())
		if err != nil {
			t.Errorf("Of(%s): %v", c.name, err)
			continue
		}
		if got := string(text([]byte("="), c.v)); got != "="+c.want {
			t.Errorf("%s = %q, want %q", c.name, got, "="+c.want)
		}
	}
	if text, err := Of(parquet.String().Type()); text != nil || err != nil {
		t.Errorf("Of(string) is a function: %t, %v, want none", text != nil, err)
	}
}
