// Package insight tells what sets some people apart from others: of sixteen
// dimensions, how many of an audience have each term, how many of a baseline
// have it, and what that makes of the one against the other.
//
// Counting (Count) asks an engine once and gives Counts: everything that a
// report may need, of the audience and of all named baselines, exact. They are
// kept as a file (Write, Read) and answer every later question (Counts.Report)
// without the people and the generation that they are of.
//
// It knows no database and no caller.
package insight

import (
	"time"

	"throng/query"
	"throng/reference"
)

// Dimension is one sort of fact that a report is about.
type Dimension struct {
	// Name is what the dimension is called in reports.
	Name  string
	Field query.Field
	// OfKnown tells that shares are of the people of whom any value is known:
	// else those of whom nothing is known would drown the comparison.
	OfKnown bool
	// Place is the kind of place that the terms are, "" for other terms.
	Place reference.Kind
	// Network tells that the terms are accounts of a network.
	Network bool
}

// Dimensions returns the sixteen, in the order in which they are read. The
// caller owns the slice.
func Dimensions() []Dimension {
	return []Dimension{
		{Name: "age", Field: query.Age, OfKnown: true},
		{Name: "gender", Field: query.Gender, OfKnown: true},
		{Name: "ethnicity", Field: query.Ethnicity, OfKnown: true},
		{Name: "country", Field: query.Country, OfKnown: true, Place: reference.Country},
		{Name: "region", Field: query.Region, OfKnown: true, Place: reference.Region},
		{Name: "dma", Field: query.DMA, OfKnown: true, Place: reference.DMA},
		{Name: "city", Field: query.City, OfKnown: true, Place: reference.City},
		{Name: "affinity", Field: query.Affinity},
		{Name: "personality", Field: query.Personality, OfKnown: true},
		{Name: "job_title", Field: query.JobTitle},
		{Name: "employer", Field: query.Employer},
		{Name: "twitter", Field: query.Twitter, Network: true},
		{Name: "twitch", Field: query.Twitch, Network: true},
		{Name: "youtube", Field: query.YouTube, Network: true},
		{Name: "instagram", Field: query.Instagram, Network: true},
		{Name: "tiktok", Field: query.TikTok, Network: true},
	}
}

// fields are those of the dimensions, in their order.
func fields() []query.Field {
	all := Dimensions()
	list := make([]query.Field, len(all))
	for i, d := range all {
		list[i] = d.Field
	}
	return list
}

// Report is what sets an audience apart from a baseline.
type Report struct {
	Generation string    // on which the members were counted
	AsOf       time.Time // what that generation describes
	Hash       string    // SHA-1 of members and generation, in hex
	// Size is the number of members that were counted.
	Size     uint64
	Baseline Baseline
	// Baselines are the named ones that the audience can be compared with.
	Baselines []Baseline
	// Source and License are the dataset's, for whoever is shown the report; ""
	// where it has none.
	Source, License string
	// Minimum is the number of members below which no term is listed.
	Minimum uint64
	// Dimensions are all sixteen, in the order of [Dimensions].
	Dimensions []DimensionReport
	// Clusters are groups of members who share tastes, the largest first; empty
	// where none were looked for.
	Clusters []Cluster
	// Unclustered is the number of members in no cluster.
	Unclustered uint64
	Warnings    []string
}

// Baseline is who an audience is compared with.
type Baseline struct {
	// Name is that of a named baseline, or audience:ID.
	Name string
	Size uint64 // in people
}

// DimensionReport is the terms of one dimension.
type DimensionReport struct {
	Dimension
	// Coverage is set for the dimensions with OfKnown alone.
	Coverage *Coverage
	// Terms are the first of those that the order lists; Total is how many it
	// lists in all.
	Terms []Term
	Total int
}

// Coverage is the share of people of whom any value of a dimension is known;
// nil where it is withheld, since they are fewer than the minimum, or where
// there is nobody.
type Coverage struct{ Share, BaselineShare *float64 }

// Term is one term of a dimension: how many members have it, and how that
// compares.
type Term struct {
	ID, Name string
	Count    uint64  // members who have it; never below the minimum
	Share    float64 // of the members, or of those of whom the dimension is known
	// BaselineCount and BaselineShare are the same of the baseline; nil where
	// they are withheld: it is another audience in which they are too few.
	BaselineCount *uint64
	BaselineShare *float64
	// Index is 100 · Share / BaselineShare: 200 is twice as common as in the
	// baseline. Low and High are its 95 % interval. All are nil where the
	// baseline share is 0 or withheld.
	Index, Low, High *float64
}

// Cluster is a group of members who share tastes.
type Cluster struct {
	ID    int     `json:"id"` // from 1
	Size  uint64  `json:"size"`
	Name  string  `json:"name"`
	Share float64 `json:"share"` // of the members
	// Top are the terms that set the cluster most apart from the audience, the
	// strongest first; their baseline is the audience.
	Top []ClusterTerm `json:"top"`
}

// ClusterTerm is a term of a cluster with the dimension that it is of.
type ClusterTerm struct {
	Dimension string `json:"dimension"`
	Term
}

// Order is an order of terms, and which of them it lists.
type Order string

// The orders.
const (
	// ByIndex lists the terms whose interval excludes 100, the most
	// over-indexed first.
	ByIndex Order = "index"
	// ByCount lists all, those that most members have first.
	ByCount Order = "count"
	// ByName lists all by name, case ignored.
	ByName Order = "name"
)

// Orders returns the orders, the default first. The caller owns the slice.
func Orders() []Order { return []Order{ByIndex, ByCount, ByName} }

// The limits of terms listed of each dimension.
const (
	DefaultLimit = 50
	MaxLimit     = 1000
)

// DefaultMinimum is the number of members below which no term is listed, where
// an operator does not say.
const DefaultMinimum = 10

// Ask is one question for a report.
type Ask struct {
	// Order defaults to ByIndex, Limit to DefaultLimit.
	Order Order
	Limit int
	// Minimum is the number of members below which no term is listed; never
	// less than the one that the counts were kept with, and at least 1.
	Minimum uint64
}
