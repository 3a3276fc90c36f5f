package model

import (
	"strings"
	"sync"

	"throng/reference"
)

// place is a row of the location table.
type place struct {
	kind, id, name       string
	region, country, dma string
	code                 string // ISO 3166-1 or ISO 3166-2; "" where there is none
}

// placeTable is the location reference of a dataset.
type placeTable struct {
	all  []place
	byID map[[2]string]place // kind, id
	// resolved remembers answers of resolve.
	resolved map[[2]string]string
	// builtin is the built-in table, nil in itself.
	builtin *placeTable
}

func newPlaceTable(all []place) *placeTable {
	t := &placeTable{all: all, byID: map[[2]string]place{}, resolved: map[[2]string]string{}}
	for _, p := range all {
		if _, again := t.byID[[2]string{p.kind, p.id}]; !again {
			t.byID[[2]string{p.kind, p.id}] = p
		}
	}
	return t
}

// forOne gives a table for one model, which shares the places alone.
func (t *placeTable) forOne() *placeTable {
	return &placeTable{all: t.all, byID: t.byID, resolved: map[[2]string]string{}}
}

// resolve gives the id that a place cell means, "" for none.
func (t *placeTable) resolve(kind, cell string) string {
	if cell == "" {
		return ""
	}
	at := [2]string{kind, cell}
	if _, ok := t.byID[at]; ok {
		return cell
	}
	if _, ok := t.resolved[at]; !ok {
		t.resolved[at] = t.resolveName(kind, cell)
	}
	return t.resolved[at]
}

// resolveName finds the place that a code or a name means.
func (t *placeTable) resolveName(kind, cell string) string {
	for _, p := range t.all {
		byCode := p.code != "" && strings.EqualFold(p.code, cell) && (kind == "country" || kind == "region")
		byName := kind == "country" && strings.EqualFold(p.name, cell)
		if p.kind == kind && (byCode || byName) {
			return p.id
		}
	}
	if t.builtin != nil && kind == "country" { // an operator's own table has names alone
		if id := t.builtin.resolve(kind, cell); id != "" && len(cell) == 2 {
			return t.resolve(kind, t.builtin.byID[[2]string{kind, id}].name)
		}
	}
	return ""
}

// builtinTable is the built-in reference, made once: it never changes.
var builtinTable = sync.OnceValue(func() *placeTable {
	var all []place
	table := reference.BuiltIn()
	for _, kind := range reference.Kinds() {
		for _, p := range table.All(kind) {
			all = append(all, place{string(kind), p.ID, p.Name, p.Region, p.Country, p.DMA, p.ISO})
		}
	}
	return newPlaceTable(all)
})

// of gives the places of a row of people: the cells, and what the city and
// the region say of the cells that are absent.
func (t *placeTable) of(c map[string]string) map[string]string {
	at := map[string]string{}
	fill := func(kind, id string) {
		if at[kind] == "" && id != "" {
			at[kind] = id
		}
	}
	for _, kind := range []string{"city", "region", "dma", "country"} {
		fill(kind, t.resolve(kind, c[kind]))
	}
	if at["city"] != "" {
		city := t.byID[[2]string{"city", at["city"]}]
		fill("region", city.region)
		fill("dma", city.dma)
		fill("country", city.country)
	}
	if at["region"] != "" {
		fill("country", t.byID[[2]string{"region", at["region"]}].country)
	}
	return at
}

// loadPlaces reads the table locations, or takes the built-in reference where
// the dataset has none.
func (m *Model) loadPlaces(dir string) error {
	var all []place
	before := len(m.report)
	seen := map[[2]string]bool{}
	err := m.load(dir, "locations", []string{"kind", "id", "name"}, func(c map[string]string) error {
		switch c["kind"] {
		case "city", "region", "dma", "country":
		default:
			return errReject
		}
		if at := [2]string{c["kind"], c["id"]}; seen[at] {
			return errReject
		} else {
			seen[at] = true
		}
		all = append(all, place{c["kind"], c["id"], c["name"], c["region"], c["country"], c["dma"], ""})
		return nil
	})
	if err != nil {
		return err
	}
	if len(m.report) == before {
		m.places = builtinTable().forOne()
		return nil
	}
	m.places = newPlaceTable(all)
	m.places.builtin = builtinTable().forOne()
	return nil
}
