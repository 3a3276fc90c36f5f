package throng

// The bounds of an expansion's factor; the least itself is not allowed.
const (
	LeastFactor = 1
	MostFactor  = 10
)

// Expansion is how an audience was made of people who resemble another one, its
// seed.
type Expansion struct {
	SeedID int64
	// Factor is how many people were asked for, in sizes of the seed.
	Factor float64
	// IncludeSeed puts the members of the seed first, RemoveSeed leaves them out.
	IncludeSeed, RemoveSeed bool
	// ReapplyFilters lets only those in who satisfy every AND of the seed's
	// definition, ReapplyExclusions only those who match no NOT of it.
	ReapplyFilters, ReapplyExclusions bool

	// AUC is how often a member of the seed who was not learnt from scores more
	// than somebody else; nil until known, and where the seed is too small.
	AUC *float64 `json:",omitempty"`
	// HeldOut is how many members AUC is about.
	HeldOut uint64 `json:",omitempty"`
	// Terms are those that weigh most.
	Terms []WeightedTerm `json:",omitempty"`
}

// WeightedTerm is what having a term says about resembling a seed.
type WeightedTerm struct {
	Dimension, ID, Name string
	// Weight is the logarithm of the factor by which it changes the odds.
	Weight float64
}

// ClusterSource is the cluster that an audience was made of.
type ClusterSource struct {
	AudienceID int64
	// ID is the cluster's number in the report on that audience.
	ID   int
	Name string
}
