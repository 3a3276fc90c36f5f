package check

import (
	"testing"

	"throng/engine/bitmap/kernel"
	"throng/engine/bitmap/storage"
)

// bitmap makes a bitmap of rows.
func bitmap(rows ...uint16) []uint64 {
	b := make([]uint64, kernel.Words)
	kernel.OrArray(kernel.AsBlock(b), rows)
	return b
}

func TestSound(t *testing.T) {
	const limit = 1000 // rows of the block
	array := func(card int, rows ...uint16) storage.Container {
		return storage.Container{Kind: storage.Array, Card: card, Array: rows}
	}
	runs := func(card int, runs ...storage.Run) storage.Container {
		return storage.Container{Kind: storage.Runs, Card: card, Runs: runs}
	}
	for _, tt := range []struct {
		name string
		c    storage.Container
		want bool
	}{
		{"none", storage.Container{}, true},
		{"none that counts", storage.Container{Card: 1}, false},
		{"array", array(3, 0, 5, 999), true},
		{"array without rows", array(0), false},
		{"array that counts another number", array(2, 0, 5, 999), false},
		{"array out of order", array(2, 5, 0), false},
		{"array with a row twice", array(2, 5, 5), false},
		{"array beyond the block", array(2, 5, 1000), false},
		{"bitmap", storage.Container{Kind: storage.Bitmap, Card: 2, Bitmap: bitmap(0, 999)}, true},
		{"bitmap that counts another number", storage.Container{Kind: storage.Bitmap, Card: 3, Bitmap: bitmap(0, 999)}, false},
		{"bitmap beyond the block", storage.Container{Kind: storage.Bitmap, Card: 2, Bitmap: bitmap(0, 1000)}, false},
		{"runs", runs(12, storage.Run{Start: 0, Last: 9}, storage.Run{Start: 998, Last: 999}), true},
		{"runs that count another number", runs(11, storage.Run{Start: 0, Last: 9}, storage.Run{Start: 998, Last: 999}), false},
		{"runs that touch", runs(4, storage.Run{Start: 0, Last: 1}, storage.Run{Start: 2, Last: 3}), false},
		{"a run that ends before it begins", runs(1, storage.Run{Start: 4, Last: 3}), false},
		{"runs beyond the block", runs(2, storage.Run{Start: 999, Last: 1000}), false},
		{"a kind that is none", storage.Container{Kind: 9, Card: 1}, false},
	} {
		if got := sound(tt.c, limit); got != tt.want {
			t.Errorf("%s: sound = %t, want %t", tt.name, got, tt.want)
		}
	}
}

func TestSameRows(t *testing.T) {
	rows := []uint16{1, 2, 3, 70}
	for _, tt := range []struct {
		name string
		c    storage.Container
		want bool
	}{
		{"array", storage.Container{Kind: storage.Array, Card: 4, Array: []uint16{1, 2, 3, 70}}, true},
		{"other array", storage.Container{Kind: storage.Array, Card: 4, Array: []uint16{1, 2, 3, 71}}, false},
		{"bitmap", storage.Container{Kind: storage.Bitmap, Card: 4, Bitmap: bitmap(rows...)}, true},
		{"other bitmap", storage.Container{Kind: storage.Bitmap, Card: 4, Bitmap: bitmap(1, 2, 3, 71)}, false},
		{"runs", storage.Container{Kind: storage.Runs, Card: 4, Runs: []storage.Run{{Start: 1, Last: 3}, {Start: 70, Last: 70}}}, true},
		{"fewer runs", storage.Container{Kind: storage.Runs, Card: 3, Runs: []storage.Run{{Start: 1, Last: 3}}}, false},
		{"none", storage.Container{}, false},
	} {
		if got := sameRows(rows, tt.c); got != tt.want {
			t.Errorf("%s: sameRows = %t, want %t", tt.name, got, tt.want)
		}
	}
	if !sameRows(nil, storage.Container{}) {
		t.Error("no rows are not those of no container")
	}
}
