package web

import (
	"fmt"
	"testing"

	"throng/insight"
)

// indexed is a term with an index and the ends of its interval.
func indexed(id string, low, index, high float64) insight.Term {
	base := 0.1
	return insight.Term{ID: id, Name: id, Count: 50, Share: base * index / 100, BaselineShare: &base, Index: &index, Low: &low, High: &high}
}

// TestFindings: what is surest comes first, no dimension has more than a third,
// and what may be chance is none.
func TestFindings(t *testing.T) {
	r := &insight.Report{Baseline: insight.Baseline{Name: "global", Size: 1000}}
	for _, name := range []string{"affinity", "city", "employer", "twitter"} {
		d := insight.DimensionReport{Dimension: insight.Dimension{Name: name}}
		for i := range 6 {
			d.Terms = append(d.Terms, indexed(fmt.Sprintf("%s %d", name, i), float64(200+10*i), 300, 400))
		}
		d.Terms = append(d.Terms, indexed(name+" under", 20, 30, 40), indexed(name+" chance", 90, 120, 160), insight.Term{ID: "none", Count: 20})
		r.Dimensions = append(r.Dimensions, d)
	}
	list := findings(r)
	if len(list) != pageFindings {
		t.Fatalf("%d findings, want %d", len(list), pageFindings)
	}
	of, less := map[string]int{}, 0
	for _, f := range list {
		of[f.Text]++
		if f.Class == "less" {
			less++
		}
		if f.Term == "none" || len(f.Term) > 6 && f.Term[len(f.Term)-6:] == "chance" {
			t.Errorf("%s is told as a finding", f.Term)
		}
	}
	if less == 0 || less > pageFindings/3 {
		t.Errorf("%d findings are below, want 1 to %d", less, pageFindings/3)
	}
	for text, n := range of {
		if n > pageFindings/3 {
			t.Errorf("%d findings are %q, want at most %d", n, text, pageFindings/3)
		}
	}
}

// TestFurthest keeps what is surely far from 100, to either side, in the order
// of the index.
func TestFurthest(t *testing.T) {
	var terms []insight.Term
	for i := range 100 {
		terms = append(terms, indexed(fmt.Sprintf("common %d", i), 95, 100, 105))
	}
	terms = append(terms, indexed("rare", 500, 900, 1500), indexed("shunned", 5, 10, 20), indexed("liked", 150, 200, 250))
	got := furthest(terms)
	if len(got) != pageTerms || got[0].ID != "rare" || got[1].ID != "liked" || got[len(got)-1].ID != "shunned" {
		t.Errorf("%d terms from %s to %s, want %d from rare to shunned", len(got), got[0].ID, got[len(got)-1].ID, pageTerms)
	}
}
