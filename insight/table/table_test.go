package table

import (
	"bytes"
	"encoding/csv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/xuri/excelize/v2"

	"throng/insight"
)

// report has a term of every oddness.
func report() *insight.Report {
	r := &insight.Report{}
	for _, d := range insight.Dimensions() {
		r.Dimensions = append(r.Dimensions, insight.DimensionReport{Dimension: d})
	}
	based, none := uint64(40), uint64(0)
	r.Dimensions[0].Terms = []insight.Term{{
		ID: "18-24", Name: "18-24", Count: 12, Share: 0.25, BaselineCount: &based, BaselineShare: new(0.125),
		Index: new(200.0), Low: new(110.5), High: new(361.25),
	}}
	r.Dimensions[7].Terms = []insight.Term{
		{ID: "a1", Name: "=HYPERLINK(\"http://example.com\")", Count: 10, Share: 0.1, BaselineCount: &none, BaselineShare: new(0.0)},
		{ID: "@a2", Name: "+1, \"quoted\"", Count: 10, Share: 0.1},
		{ID: "-3", Name: "\tTab", Count: 10, Share: 0.1},
	}
	r.Clusters = []insight.Cluster{
		{ID: 1, Size: 31, Share: 0.31, Name: "+Soccer · Fitness", Top: []insight.ClusterTerm{
			{Dimension: "affinity", Term: insight.Term{
				ID: "a2", Name: "+Soccer", Count: 30, Share: 0.9375, BaselineCount: &based, BaselineShare: new(0.4),
				Index: new(234.5), Low: new(201.25), High: new(273.0),
			}},
			{Dimension: "tiktok", Term: insight.Term{ID: "=9", Name: "Fitness", Count: 20, Share: 0.625}},
		}},
		{ID: 3, Size: 10, Share: 0.1, Name: "Cluster 3"},
	}
	return r
}

func TestFormatOf(t *testing.T) {
	for ending, begins := range map[string]string{"csv": "dimension,id,", "xlsx": "PK", "json": "", "": ""} {
		f, ok := FormatOf(ending)
		if ok != (begins != "") {
			t.Errorf("FormatOf(%q) = %v, %t", ending, f.Ending, ok)
		}
		if !ok {
			continue
		}
		var b bytes.Buffer
		if err := f.Write(&b, report()); err != nil || f.Ending != ending || !strings.HasPrefix(b.String(), begins) {
			t.Errorf("%s: written as .%s, %v, begins %.13q; want %q", ending, f.Ending, err, b.String(), begins)
		}
	}
}

func TestCSV(t *testing.T) {
	var b, again bytes.Buffer
	if err := CSV(&b, report()); err != nil {
		t.Fatal(err)
	}
	const want = `dimension,id,name,count,share,baseline_count,baseline_share,index,low,high
age,18-24,18-24,12,0.25,40,0.125,200,110.5,361.25
affinity,a1,"'=HYPERLINK(""http://example.com"")",10,0.1,0,0,,,
affinity,'@a2,"'+1, ""quoted""",10,0.1,,,,,
affinity,'-3,'	Tab,10,0.1,,,,,
cluster,1,'+Soccer · Fitness,31,0.31,,,,,
cluster,3,Cluster 3,10,0.1,,,,,
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("CSV (-want +got):\n%s", diff)
	}
	if err := CSV(&again, report()); err != nil || !bytes.Equal(b.Bytes(), again.Bytes()) {
		t.Errorf("the same report is other bytes, %v", err)
	}
	rows, err := csv.NewReader(strings.NewReader(b.String())).ReadAll()
	if err != nil || len(rows) != 7 {
		t.Errorf("CSV reads back as %d rows, %v, want 7", len(rows), err)
	}
}

func TestXLSX(t *testing.T) {
	var b, again bytes.Buffer
	if err := XLSX(&b, report()); err != nil {
		t.Fatal(err)
	}
	if err := XLSX(&again, report()); err != nil || !bytes.Equal(b.Bytes(), again.Bytes()) {
		t.Errorf("the same report is other bytes, %v", err)
	}
	f, err := excelize.OpenReader(&b)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var names []string
	for _, d := range insight.Dimensions() {
		names = append(names, d.Name)
	}
	var without bytes.Buffer
	plain := report()
	plain.Clusters = nil
	if err := XLSX(&without, plain); err != nil {
		t.Fatal(err)
	}
	g, err := excelize.OpenReader(&without)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	if diff := cmp.Diff(names, g.GetSheetList()); diff != "" {
		t.Errorf("sheets without clusters (-want +got):\n%s", diff)
	}
	names = append(names, "clusters")
	if diff := cmp.Diff(names, f.GetSheetList()); diff != "" {
		t.Errorf("sheets (-want +got):\n%s", diff)
	}
	header := strings.Split("id name count share baseline_count baseline_share index low high", " ")
	for sheet, want := range map[string][][]string{
		"age": {header, {"18-24", "18-24", "12", "0.25", "40", "0.125", "200", "110.5", "361.25"}},
		"affinity": {
			header, {"a1", "'=HYPERLINK(\"http://example.com\")", "10", "0.1", "0", "0"}, {"'@a2", "'+1, \"quoted\"", "10", "0.1"}, {"'-3", "'\tTab", "10", "0.1"},
		},
		"tiktok": {header},
		"clusters": {
			append(strings.Split("cluster cluster_name cluster_size cluster_share dimension", " "), header...),
			{"1", "'+Soccer · Fitness", "31", "0.31", "affinity", "a2", "'+Soccer", "30", "0.9375", "40", "0.4", "234.5", "201.25", "273"},
			{"1", "'+Soccer · Fitness", "31", "0.31", "tiktok", "'=9", "Fitness", "20", "0.625"},
			{"3", "Cluster 3", "10", "0.1"},
		},
	} {
		rows, err := f.GetRows(sheet, excelize.Options{RawCellValue: true})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, rows); diff != "" {
			t.Errorf("sheet %s (-want +got):\n%s", sheet, diff)
		}
	}
	if kind, err := f.GetCellType("age", "D2"); err != nil || kind == excelize.CellTypeInlineString || kind == excelize.CellTypeSharedString {
		t.Errorf("a share is a cell of type %v, %v, want a number", kind, err)
	}
	if formula, err := f.GetCellFormula("affinity", "B2"); err != nil || formula != "" {
		t.Errorf("a name is the formula %q, %v", formula, err)
	}
}
