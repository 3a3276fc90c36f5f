//go:build unix

package kernel

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// TestPrinters compares every implementation with the standard library, on
// values that lie between pages that cannot be touched.
func TestPrinters(t *testing.T) {
	const most = 512 // a whole number of pages
	rng := newRand(t)
	memory := fenced(t, ValueBytes*most)
	data := memory[len(memory)-ValueBytes*most:]
	for _, p := range printersHere() {
		t.Run(p.name, func(t *testing.T) {
			for n := range 200 {
				for i := range data {
					data[i] = byte(rng.Uint32())
				}
				values := make([]uint32, n)
				for i := range values {
					values[i] = rng.Uint32N(most)
				}
				if n%3 == 0 {
					slices.Sort(values)
				}
				checkPrinter(t, p, HexLine, data, values)
				checkPrinter(t, p, UUIDLine, data, values)
			}
		})
	}
}

// checkPrinter prints values into memory of the very length.
func checkPrinter(t *testing.T, p *printers, line int, data []byte, values []uint32) {
	t.Helper()
	for _, digits := range []*[16]byte{&lowerDigits, &upperDigits} {
		var want strings.Builder
		for _, v := range values {
			s := hex.EncodeToString(data[ValueBytes*v:][:ValueBytes])
			if line == UUIDLine {
				s = s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
			}
			if digits == &upperDigits {
				s = strings.ToUpper(s)
			}
			want.WriteString(s + "\n")
		}
		memory := bytes.Repeat([]byte{0xa5}, line*len(values)+64)
		got := memory[32 : len(memory)-32]
		if len(values) > 0 {
			f := p.hexLines
			if line == UUIDLine {
				f = p.uuidLines
			}
			f(got, data, values, digits)
		}
		if string(got) != want.String() {
			t.Fatalf("%d values print %.200q, want %.200q", len(values), got, want.String())
		}
		if around := slices.Concat(memory[:32], memory[len(memory)-32:]); !bytes.Equal(around, bytes.Repeat([]byte{0xa5}, 64)) {
			t.Fatalf("%d values print beyond their lines", len(values))
		}
	}
}

func TestPrint(t *testing.T) {
	data, err := hex.DecodeString("0123456789abcdeffedcba9876543210")
	if err != nil {
		t.Fatal(err)
	}
	was := usePrinters
	defer func() { usePrinters = was }()
	for _, usePrinters = range printersHere() {
		f := func(got []byte, want string) {
			t.Helper()
			if string(got) != want {
				t.Errorf("%s prints %q, want %q", usePrinters.name, got, want)
			}
		}
		line := make([]byte, HexLine)
		HexLines(line, data, []uint32{0})
		f(line, "0123456789abcdeffedcba9876543210\n")
		HexLines(nil, nil, nil)
		line = make([]byte, UUIDLine)
		UUIDLines(line, data, []uint32{0}, false)
		f(line, "01234567-89ab-cdef-fedc-ba9876543210\n")
		UUIDLines(line, data, []uint32{0}, true)
		f(line, "01234567-89AB-CDEF-FEDC-BA9876543210\n")
		UUIDLines(nil, nil, nil, true)
	}
}

// BenchmarkPrint prints values in order and spread out, beside the standard
// library.
func BenchmarkPrint(b *testing.B) {
	const n = 4096
	for _, step := range []int{1, 10} {
		data := make([]byte, ValueBytes*n*step)
		for i := range data {
			data[i] = byte(rand.Uint32())
		}
		values := make([]uint32, n)
		for i := range values {
			values[i] = uint32(i * step)
		}
		dst := make([]byte, UUIDLine*n)
		run := func(name string, f func()) {
			b.Run(fmt.Sprintf("%s/values=%d/step=%d", name, n, step), func(b *testing.B) {
				for b.Loop() {
					f()
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/value")
			})
		}
		for _, p := range printersHere() {
			run("hex/"+p.name, func() { p.hexLines(dst, data, values, &lowerDigits) })
			run("uuid/"+p.name, func() { p.uuidLines(dst, data, values, &lowerDigits) })
		}
		run("hex/library", func() {
			out := dst[:0]
			for _, v := range values {
				out = append(hex.AppendEncode(out, data[ValueBytes*v:][:ValueBytes]), '\n')
			}
		})
	}
}
