// Package query is the algebra that an audience comes down to: sets of rows,
// built from fields by union, intersection, difference and thresholds. It is
// what every engine understands and all that an engine understands; it knows
// no audience, no caller and no file. Everything here is an immutable value.
//
// A row is one person's number in one generation of an index. A field is one
// sort of fact; a term is one value of a field.
package query

// Field names one sort of fact about people.
type Field string

// The fields of every generation. A row may have several terms of a field,
// except of Age, Gender and Ethnicity (at most one each).
const (
	Age         Field = "age"         // "18-24" "25-34" "35-44" "45-54" "over 54"
	Gender      Field = "gender"      // "male" "female"
	Ethnicity   Field = "ethnicity"   // "asian" "black" "hispanic" "native" "white"
	City        Field = "city"        // ids of the generation's places
	Region      Field = "region"      //
	DMA         Field = "dma"         //
	Country     Field = "country"     //
	Affinity    Field = "affinity"    // ids below the roots; a row has the categories above its affinities, too
	JobTitle    Field = "job_title"   // exact titles
	Employer    Field = "employer"    // exact employers
	Personality Field = "personality" // terms scored at or above the dataset's threshold
	Twitter     Field = "twitter"     // ids of accounts followed
	Twitch      Field = "twitch"      //
	YouTube     Field = "youtube"     //
	Instagram   Field = "instagram"   //
	TikTok      Field = "tiktok"      //

	// Active says when a row last tweeted, by the column last_tweeted alone.
	// Its terms are the windows "1" "7" "30" "60" "90" "180" "365": a row has
	// the term d when it tweeted at or after as_of − d days, so a row with
	// "7" has "30", too. The set of windows is closed (semantics.md), which
	// makes a date filter one stored bitmap and never a scan.
	Active Field = "active"

	// Scored marks rows with a score on any personality term; its one term
	// is "any". It is the base of personality's shares.
	Scored Field = "scored"
)

// The fields that hold text. They are asked by Text alone.
const (
	BioTwitter   Field = "bio.twitter"
	BioTwitch    Field = "bio.twitch"
	BioYouTube   Field = "bio.youtube"
	BioInstagram Field = "bio.instagram"
	BioTikTok    Field = "bio.tiktok"
	Tweet        Field = "tweet" // tweets in (as_of − 7 days, as_of]
)

// TermFields are the fields asked by In and AtLeast, in the order in which
// they are stored.
func TermFields() []Field {
	return []Field{
		Age, Gender, Ethnicity, City, Region, DMA, Country, Affinity, JobTitle,
		Employer, Personality, Twitter, Twitch, YouTube, Instagram, TikTok, Active, Scored,
	}
}

// TextFields are the fields asked by Text, in the order in which they are
// stored.
func TextFields() []Field {
	return []Field{BioTwitter, BioTwitch, BioYouTube, BioInstagram, BioTikTok, Tweet}
}

// Unknown is the value of In that means the rows without any term of the
// field. It may be asked of Age, Gender and Ethnicity.
const Unknown = ""

// Node is a set of rows. The set of nodes is closed: every engine handles
// every one of them.
//
//sumtype:decl
type Node interface{ node() }

// And is the rows that are in all of its nodes; without nodes, every row.
type And struct{ Nodes []Node }

// Or is the rows that are in any of its nodes; without nodes, no row.
type Or struct{ Nodes []Node }

// Not is the rows that are not in Node.
type Not struct{ Node Node }

// In is the rows that have any of the values. A value that no row has matches
// nobody; no value at all matches nobody.
type In struct {
	Field  Field
	Values []string
}

// AtLeast is the rows that have at least K of the distinct values. K is from
// 1; a K above the number of distinct values matches nobody.
type AtLeast struct {
	K      int
	Field  Field
	Values []string
}

// Text is the rows of which any one text, in any of the fields, holds any of
// the phrases: its words next to each other and in order, as internal/words
// cuts them. A phrase without a word matches nobody.
type Text struct {
	Fields  []Field
	Phrases []string
}

// Rows is a set that an engine made earlier on the same generation.
type Rows struct{ Set RowSet }

// RowSet is a set of rows held by an engine. It belongs to one generation,
// never changes and is safe for concurrent use. It outlives the hold that it
// was got from: every later hold of the same generation takes it.
type RowSet interface {
	// Len is the number of rows in the set.
	Len() uint64
}

func (And) node()     {}
func (Or) node()      {}
func (Not) node()     {}
func (In) node()      {}
func (AtLeast) node() {}
func (Text) node()    {}
func (Rows) node()    {}

// Op is what a step does to the result so far.
type Op int

// The three operations.
const (
	Include Op = iota // union with the other includes
	Filter            // must be in it, too
	Exclude           // must not be in it
)

// Step is one node and what it is for.
type Step struct {
	Op   Op
	Node Node
}

// Definition is a list of steps. Its rows are
//
//	(union of all Include) ∩ (each Filter) ∖ (union of all Exclude)
//
// whatever the order of the steps. Without an Include it is empty.
type Definition struct{ Steps []Step }

// Node gives the definition as one node.
func (d Definition) Node() Node {
	var inc, exc []Node
	all := make([]Node, 1, len(d.Steps)+1)
	for _, s := range d.Steps {
		switch s.Op {
		case Include:
			inc = append(inc, s.Node)
		case Filter:
			all = append(all, s.Node)
		case Exclude:
			exc = append(exc, s.Node)
		}
	}
	all[0] = Or{Nodes: inc}
	if len(exc) > 0 {
		all = append(all, Not{Node: Or{Nodes: exc}})
	}
	return And{Nodes: all}
}
