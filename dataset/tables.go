package dataset

// The tables, in the order of the documentation.
const (
	People           = "people"
	Identifiers      = "identifiers"
	Follows          = "follows"
	Accounts         = "accounts"
	Affinities       = "affinities"
	AffinityAccounts = "affinity_accounts"
	Interests        = "interests"
	Jobs             = "jobs"
	Personality      = "personality"
	Bios             = "bios"
	Tweets           = "tweets"
	Locations        = "locations"
)

// Names returns the names of the twelve tables in the order of the
// documentation. The caller owns the slice.
func Names() []string {
	return []string{
		People, Identifiers, Follows, Accounts, Affinities, AffinityAccounts,
		Interests, Jobs, Personality, Bios, Tweets, Locations,
	}
}

// Column is one column that a table may have.
type Column struct {
	Name     string
	Required bool
}

// Columns returns the columns of a table in the order in which [Batch] numbers
// them, nil where there is no such table. The caller owns the slice.
func Columns(table string) []Column {
	switch table {
	case People:
		return columns(1, "person", "age", "birth_year", "age_range", "gender", "ethnicity",
			"city", "region", "dma", "country", "last_tweeted")
	case Identifiers:
		return columns(3, "person", "type", "value")
	case Follows:
		return columns(3, "person", "network", "account")
	case Accounts:
		return columns(2, "network", "account", "screen_name", "name")
	case Affinities:
		return columns(2, "affinity", "name", "parent")
	case AffinityAccounts:
		return columns(3, "affinity", "network", "account")
	case Interests:
		return columns(2, "person", "affinity")
	case Jobs:
		return columns(1, "person", "title", "employer")
	case Personality:
		return columns(3, "person", "term", "score")
	case Bios:
		return columns(3, "person", "network", "text")
	case Tweets:
		return columns(3, "person", "posted_at", "text")
	case Locations:
		return columns(3, "kind", "id", "name", "region", "country", "dma")
	default:
		return nil
	}
}

// columns makes columns of which the first few are required.
func columns(required int, names ...string) []Column {
	cols := make([]Column, len(names))
	for i, name := range names {
		cols[i] = Column{Name: name, Required: i < required}
	}
	return cols
}
