package service

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"throng"
	"throng/service/page"
)

// outline writes a tree of affinities in one line.
func outline(list []Affinity) string {
	var parts []string
	for _, a := range list {
		text := a.ID
		if !a.Root {
			text += fmt.Sprintf("=%d", a.People)
		}
		if a.Category {
			text += "/"
		}
		if a.Match {
			text += "!"
		}
		if a.Children != nil {
			text += "(" + outline(a.Children) + ")"
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, " ")
}

func TestAffinities(t *testing.T) {
	s := start(t)
	const roots = ".b2b./ .brands./ .influencers./ .interests./ .media./ .personas./ .private./"
	for _, tt := range []struct {
		f    AffinityFilter
		want string
	}{
		{AffinityFilter{}, roots},
		{AffinityFilter{Query: "  "}, roots},
		{AffinityFilter{Query: "nothing such"}, roots},
		{AffinityFilter{Query: "robert exa"}, strings.Replace(roots, ".influencers./", ".influencers./(a1=2/(a2=2/(a3=1!)))", 1)},
		{AffinityFilter{Query: "a2"}, strings.Replace(roots, ".influencers./", ".influencers./(a1=2/(a2=2/!))", 1)},
		{AffinityFilter{Query: "S"}, strings.Replace(roots, ".influencers./", ".influencers./(a1=2/!(a2=2/!))", 1)},
		{AffinityFilter{Query: "example", Categories: true}, roots},
		{AffinityFilter{Query: ".media."}, strings.Replace(roots, ".media./", ".media./!", 1)},
		{AffinityFilter{Query: "pers", Categories: true}, strings.Replace(roots, ".personas./", ".personas./!", 1)},
		{AffinityFilter{ParentID: ".influencers."}, "a1=2/"},
		{AffinityFilter{ParentID: "a2"}, "a3=1"},
		{AffinityFilter{ParentID: "a2", Categories: true}, ""},
		{AffinityFilter{ParentID: "a3"}, ""},
	} {
		list, err := s.Affinities(t.Context(), tt.f)
		if err != nil {
			t.Fatalf("Affinities(%+v): %v", tt.f, err)
		}
		if got := outline(list); got != tt.want {
			t.Errorf("Affinities(%+v) = %s, want %s", tt.f, got, tt.want)
		}
	}
	_, err := s.Affinities(t.Context(), AffinityFilter{ParentID: "nope"})
	wantCode(t, err, throng.NotFound)
}

func TestTerms(t *testing.T) {
	s := start(t)
	list, next, err := s.JobTitles(t.Context(), "", throng.Page{Limit: 1})
	if diff := cmp.Diff([]Term{{"Analyst", "Analyst", 2}}, list); err != nil || diff != "" || next == "" {
		t.Fatalf("JobTitles, first page, next %q, %v (-want +got):\n%s", next, err, diff)
	}
	list, next, err = s.JobTitles(t.Context(), "", throng.Page{Limit: 1, Next: next})
	if diff := cmp.Diff([]Term{{"Programmer", "Programmer", 1}}, list); err != nil || diff != "" || next != "" {
		t.Fatalf("JobTitles, last page, next %q, %v (-want +got):\n%s", next, err, diff)
	}
	list, _, err = s.Employers(t.Context(), "ini", throng.Page{})
	if diff := cmp.Diff([]Term{{"Initech", "Initech", 1}}, list); err != nil || diff != "" {
		t.Errorf("Employers, %v (-want +got):\n%s", err, diff)
	}
	for _, next := range []string{"!", "e30x", page.Cursor(termCursor{Offset: -1}), page.AfterID(1)} {
		_, _, err := s.Employers(t.Context(), "", throng.Page{Next: next})
		wantCode(t, err, throng.Invalid, "next")
	}
}

func TestPlaces(t *testing.T) {
	s := start(t)
	for _, tt := range []struct {
		kind, query string
		want        []Place
	}{
		{"city", "spring", []Place{{"c1", "East Springfield", "city", "North", "Freedonia"}, {"c2", "Springfield", "city", "South", "Freedonia"}}},
		{"city", "pring", []Place{}},
		{"country", "", []Place{{"1", "Freedonia", "country", "", ""}, {"230", "Sylvania", "country", "", ""}}},
		{"dma", "mark", []Place{{"501", "Big Market", "dma", "", ""}}},
		{"region", "south", []Place{{"11", "South", "region", "", ""}}},
	} {
		got, err := s.Places(t.Context(), tt.kind, tt.query)
		if diff := cmp.Diff(tt.want, got); err != nil || diff != "" {
			t.Errorf("Places(%s, %q), %v (-want +got):\n%s", tt.kind, tt.query, err, diff)
		}
	}
	_, err := s.Places(t.Context(), "planet", "")
	wantCode(t, err, throng.NotFound)
}

func TestPersonalityTypes(t *testing.T) {
	s := open(t)
	list := s.PersonalityTypes()
	if len(list) != 52 || list[0] != "challenge" || list[51] != "self-transcendence" {
		t.Errorf("PersonalityTypes = %d terms from %s to %s, want the seed's 52", len(list), list[0], list[len(list)-1])
	}
}
