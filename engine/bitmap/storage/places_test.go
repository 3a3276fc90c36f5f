package storage

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func somePlaces() []CatalogPlace {
	list := []CatalogPlace{{Kind: "country", ID: "c", Name: "Cee"}, {Kind: "dma", ID: "d", Name: "Dee\u00e9"}}
	for i := range 200 {
		list = append(list, CatalogPlace{Kind: "city", ID: fmt.Sprint(i), Name: fmt.Sprint("City ", i), Region: "r", Country: "c", DMA: "d"})
	}
	return list
}

func writePlaces(t testing.TB, dir string) string {
	t.Helper()
	if _, err := WritePlaces(dir, somePlaces()); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, PlacesName)
}

func TestPlaces(t *testing.T) {
	p, err := OpenPlaces(writePlaces(t, t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	var got []CatalogPlace
	if err := p.Each(func(p CatalogPlace) { got = append(got, p) }); err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil { // what was passed outlives the file
		t.Fatal(err)
	}
	if diff := cmp.Diff(somePlaces(), got); diff != "" {
		t.Errorf("Each (-want +got):\n%s", diff)
	}
	if _, err := WritePlaces(t.TempDir(), nil); err != nil {
		t.Errorf("WritePlaces of none: %v", err)
	}
}
