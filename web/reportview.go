package web

import "strconv"

// reportView is what a report's page shows, in the words in which it shows it.
type reportView struct {
	Caller            string // "" for the holder of a public link
	Title, Size       string
	Baseline, AsOf    string
	Generation        string
	Minimum, Licence  string
	Self, AudienceURL string
	CSV, XLSX         string
	Baselines         []baselineChoice
	Findings          []findingView
	Clusters          []clusterView
	ClusterNote       string
	Dimensions        []dimensionView
	Coverage          []coverageView

	// Of a report that is not there to be shown:
	Running bool
	Problem string
}

type baselineChoice struct {
	Key, Name string
	Chosen    bool
}

type findingView struct{ Class, Times, Term, Text string }

type clusterView struct {
	Name, Size string
	Width      int
	Terms      []string
}

type dimensionView struct {
	ID, Name, Term, Note string
	Shares               bool // of everybody: two shares a term say more than an index
	Rows                 []termView
}

type termView struct {
	ID, Name             string
	Index                indexBar
	ShareBar             shareBar
	IndexText, Interval  string
	Count                string
	Share, BaselineShare string
}

type coverageView struct{ Name, Share, Baseline string }

// px words a length.
func px(n int) string { return strconv.Itoa(n) }

// compareView is what the page of a comparison shows.
type compareView struct {
	Caller, Title, Problem, Note string
	Audiences                    []string
	Short                        [2]string // names of two audiences that are set side by side
	Upset                        upset
	Intersections                []intersectionView
	Pairs                        []pairView
	Dimensions                   []dimensionView
}

type intersectionView struct{ IDs, Names, Size, Exclusive string }

type pairView struct{ First, Second, Both, Either, Jaccard, FirstIn, SecondIn string }
