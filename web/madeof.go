package web

import (
	"fmt"
	"strconv"
	"strings"

	"throng"
)

// madeOfView says what an audience was made of that has no definition.
type madeOfView struct {
	Title, Text  string // Text goes on after the link to the source
	Source       string
	SourceURL    string
	Facts        []factView
	Terms        []weightView
	TermsCaption string
}

type factView struct{ Name, Value string }

type weightView struct{ Dimension, Name, Weight string }

// madeOf is nil of an audience with a definition.
func madeOf(a throng.Audience) *madeOfView {
	switch {
	case a.Expansion != nil:
		return expanded(a.Expansion)
	case a.Cluster != nil:
		c := a.Cluster
		return &madeOfView{
			Title: "A group within", Source: fmt.Sprintf("audience %d", c.AudienceID), SourceURL: fmt.Sprintf("/audiences/%d", c.AudienceID),
			Text:  "These people share tastes; the report on it tells all of its groups.",
			Facts: []factView{{"Group", fmt.Sprintf("%d: %s", c.ID, c.Name)}},
		}
	}
	return nil
}

func expanded(x *throng.Expansion) *madeOfView {
	v := &madeOfView{
		Title: "People who resemble", Source: fmt.Sprintf("audience %d", x.SeedID), SourceURL: fmt.Sprintf("/audiences/%d", x.SeedID),
		Text:  "Whoever has more of what sets it apart comes first.",
		Facts: []factView{{"How many", "times " + strconv.FormatFloat(x.Factor, 'f', -1, 64)}, {"Its own members", seedWords(x)}},
	}
	var kept []string
	if x.ReapplyFilters {
		kept = append(kept, "its filters")
	}
	if x.ReapplyExclusions {
		kept = append(kept, "its exclusions")
	}
	if len(kept) > 0 {
		v.Facts = append(v.Facts, factView{"Held to", strings.Join(kept, " and ")})
	}
	if x.AUC != nil {
		v.Facts = append(v.Facts, factView{"How well it is told apart", fmt.Sprintf("AUC %.3f, by %s members who were not learnt from", *x.AUC, group(x.HeldOut))})
	}
	for _, t := range x.Terms {
		name := t.Dimension
		if words, ok := dimensionWords[t.Dimension]; ok {
			name = words[0]
		}
		v.Terms = append(v.Terms, weightView{name, t.Name, strings.Replace(fmt.Sprintf("%+.2f", t.Weight), "-", "−", 1)})
	}
	v.TermsCaption = "What weighs most. A weight is what having it adds to the log-odds of being a member."
	return v
}

func seedWords(x *throng.Expansion) string {
	switch {
	case x.IncludeSeed:
		return "come first"
	case x.RemoveSeed:
		return "are left out"
	}
	return "come in where they score enough"
}
