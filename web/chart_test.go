package web

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestIndexBar(t *testing.T) {
	for _, test := range []struct {
		index, low, high float64
		want             indexBar
	}{
		{100, 90, 110, indexBar{X: 500, Width: 0, Low: 477, High: 521, Class: "more unsure"}},
		{1000, 900, 1100, indexBar{X: 500, Width: 500, Low: 977, High: 1000, Class: "more"}},
		{10, 9, 11, indexBar{X: 0, Width: 500, Low: 0, High: 21, Class: "less"}},
		{0, 0, 0, indexBar{X: 0, Width: 500, Low: 0, High: 0, Class: "less"}},
		{50, 40, 120, indexBar{X: 349, Width: 151, Low: 301, High: 540, Class: "less unsure"}},
	} {
		if diff := cmp.Diff(test.want, newIndexBar(test.index, test.low, test.high)); diff != "" {
			t.Errorf("index %v (-want +got):\n%s", test.index, diff)
		}
	}
}

func TestWords(t *testing.T) {
	for got, want := range map[string]string{
		percent(0): "0 %", percent(0.00001): "<0.01 %", percent(0.0012): "0.12 %", percent(0.5): "50.0 %", percent(1): "100.0 %",
		times(1800): "18×", times(240): "2.4×", times(30): "0.3×", times(4): "0.04×",
		short(9999): "9999", short(10_500): "10k", short(1_250_000): "1.2M", short(250_000_000): "250M",
		cut("Rustaceans", 5): "Rust…", cut("Go", 5): "Go",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestUpset draws three sets: what nobody is in is left out, the largest comes
// first, and what there is no room for is counted.
func TestUpset(t *testing.T) {
	u := newUpset([]string{"a", "b", "c"}, []uint64{10, 7, 0}, []intersection{
		{In: []int{0}, Size: 4}, {In: []int{1}, Size: 1}, {In: []int{2}}, {In: []int{0, 1}, Size: 6},
	})
	var titles []string
	for _, c := range u.Columns {
		titles = append(titles, c.Title)
	}
	if diff := cmp.Diff([]string{"6 people", "4 people", "1 people"}, titles); diff != "" {
		t.Errorf("columns (-want +got):\n%s", diff)
	}
	if first := u.Columns[0]; !first.Dots[0].On || !first.Dots[1].On || first.Dots[2].On || first.From != first.Dots[0].Y || first.To != first.Dots[1].Y {
		t.Errorf("the column of a and b is drawn as %+v", first)
	}
	if u.Sets[0].BarW != 50 || u.Sets[1].BarW != 35 || u.Sets[2].BarW != 0 {
		t.Errorf("bars of the sets = %+v, want 50, 35 and 0 wide", u.Sets)
	}
	var many []intersection
	for i := range 40 {
		many = append(many, intersection{In: []int{0}, Size: uint64(i + 1)})
	}
	if u := newUpset([]string{"a"}, []uint64{100}, many); len(u.Columns) != upsetMost || u.Left != 40-upsetMost {
		t.Errorf("%d columns are drawn and %d left out, want %d and %d", len(u.Columns), u.Left, upsetMost, 40-upsetMost)
	}
}
