package demo

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/parquet-go/parquet-go/format"
)

// row is one row of a table, and says which columns that has. The zero value
// of an optional column is absent.
type row interface {
	columns() []column
	// put gives the columns their values, in their order.
	put(c []*column)
}

// The rows of the tables.
type (
	peopleRow struct {
		Person                                                               string
		Age, BirthYear                                                       int32
		AgeRange, Gender, Ethnicity, City, Region, DMA, Country, LastTweeted string
	}
	identifierRow struct{ Person, Type, Value string }
	followRow     struct {
		Person  string
		Network string
		Number  uint32  // of the id: each has one of its own
		Account *string // its id
	}
	accountRow         struct{ Network, Account, ScreenName, Name string }
	affinityRow        struct{ Affinity, Name, Parent string }
	affinityAccountRow struct{ Affinity, Network, Account string }
	interestRow        struct{ Person, Affinity string }
	jobRow             struct{ Person, Title, Employer string }
	personalityRow     struct {
		Person string
		Term   int // in the order of names
		Name   *string
		Score  int16 // in thousandths
	}
	bioRow      struct{ Person, Network, Text string }
	tweetRow    struct{ Person, PostedAt, Text string }
	locationRow struct{ Kind, ID, Name, Region, Country, DMA string }
)

func (peopleRow) columns() []column {
	number := func(name string) column { return optional(column{name: name, kind: format.Int32}) }
	return []column{
		text("person"), number("age"), number("birth_year"), optional(textDict("age_range")), optional(textDict("gender")),
		optional(textDict("ethnicity")), optional(textDict("city")), optional(textDict("region")), optional(textDict("dma")),
		optional(textDict("country")), optional(text("last_tweeted")),
	}
}

func (r peopleRow) put(c []*column) {
	c[0].text(r.Person)
	c[1].int32(r.Age)
	c[2].int32(r.BirthYear)
	texts(c[3:], r.AgeRange, r.Gender, r.Ethnicity, r.City, r.Region, r.DMA, r.Country, r.LastTweeted)
}

func (followRow) columns() []column {
	return []column{runs("person"), textDict("network"), textDict("account")}
}

func (r followRow) put(c []*column) {
	c[0].text(r.Person)
	c[1].text(r.Network)
	c[2].entry(r.Number, r.Account)
}

func (personalityRow) columns() []column {
	return []column{runs("person"), textDict("term"), {name: "score", kind: format.Double, dict: true}}
}

func (r personalityRow) put(c []*column) {
	c[0].text(r.Person)
	c[1].entry(uint32(r.Term), r.Name)
	c[2].double(uint32(r.Score), float64(r.Score)/1000)
}

func (identifierRow) columns() []column {
	return []column{text("person"), textDict("type"), text("value")}
}

func (accountRow) columns() []column {
	return []column{textDict("network"), text("account"), text("screen_name"), text("name")}
}

func (affinityRow) columns() []column {
	return []column{text("affinity"), text("name"), textDict("parent")}
}

func (affinityAccountRow) columns() []column {
	return []column{textDict("affinity"), textDict("network"), text("account")}
}

func (interestRow) columns() []column { return []column{runs("person"), textDict("affinity")} }

func (jobRow) columns() []column {
	return []column{text("person"), optional(textDict("title")), optional(textDict("employer"))}
}

func (bioRow) columns() []column {
	return []column{text("person"), textDict("network"), text("text")}
}

func (tweetRow) columns() []column {
	return []column{text("person"), text("posted_at"), text("text")}
}

func (locationRow) columns() []column {
	return []column{
		textDict("kind"), text("id"), text("name"), optional(textDict("region")), optional(textDict("country")),
		optional(textDict("dma")),
	}
}

func (r identifierRow) put(c []*column)      { texts(c, r.Person, r.Type, r.Value) }
func (r accountRow) put(c []*column)         { texts(c, r.Network, r.Account, r.ScreenName, r.Name) }
func (r affinityRow) put(c []*column)        { texts(c, r.Affinity, r.Name, r.Parent) }
func (r affinityAccountRow) put(c []*column) { texts(c, r.Affinity, r.Network, r.Account) }
func (r interestRow) put(c []*column)        { texts(c, r.Person, r.Affinity) }
func (r jobRow) put(c []*column)             { texts(c, r.Person, r.Title, r.Employer) }
func (r bioRow) put(c []*column)             { texts(c, r.Person, r.Network, r.Text) }
func (r tweetRow) put(c []*column)           { texts(c, r.Person, r.PostedAt, r.Text) }
func (r locationRow) put(c []*column)        { texts(c, r.Kind, r.ID, r.Name, r.Region, r.Country, r.DMA) }

func texts(c []*column, values ...string) {
	for i, v := range values {
		c[i].text(v)
	}
}

// table writes one file of a table.
type table[T row] struct {
	file   *os.File
	writer *parquetWriter
}

// createTable makes the file and its folder. It uses the memory of writer, if
// that is not nil: one that was made for the same table and is done.
func createTable[T row](writer *parquetWriter, dir, name string, part int) (*table[T], error) {
	folder := filepath.Join(dir, name)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("make table %s: %w", name, err)
	}
	f, err := os.OpenFile(filepath.Join(folder, fmt.Sprintf("%05d.parquet", part)), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("make table %s: %w", name, err)
	}
	if writer == nil {
		var none T
		writer = newParquetWriter(none.columns())
	}
	writer.reset(f)
	return &table[T]{file: f, writer: writer}, nil
}

// add appends a row. After an error it does nothing that matters.
func (t *table[T]) add(row T) {
	row.put(t.writer.columns)
	t.writer.endRow()
}

// close finishes the file and makes it durable.
func (t *table[T]) close() error {
	err := t.writer.finish()
	if err == nil {
		err = t.file.Sync()
	}
	if e := t.file.Close(); err == nil {
		err = e
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", filepath.Base(filepath.Dir(t.file.Name())), err)
	}
	return nil
}

// writeTable writes one file with what fill adds.
func writeTable[T row](dir, name string, part int, fill func(*table[T])) error {
	t, err := createTable[T](nil, dir, name, part)
	if err != nil {
		return err
	}
	fill(t)
	return t.close()
}
