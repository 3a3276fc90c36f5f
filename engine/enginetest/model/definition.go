package model

import "encoding/json"

// External is what a definition may refer to beside the dataset.
type External struct {
	Uploads   map[string]UploadedFile // by key
	Audiences map[int64][]string      // finished audiences: their members by key
}

// UploadedFile is a file of identifiers as it was sent.
type UploadedFile struct {
	Type    string
	Content []byte
}

// Result is what a definition comes down to.
type Result struct {
	Members    []string // keys, in the order of the index
	Parameters []int    // the size of each parameter alone
	After      []int    // how many are left after each parameter: first all OR, then AND, then NOT
	// Include, Filter and Exclude are the sizes after the union of all OR,
	// then after each AND, then after the union of all NOT.
	Include, Filter, Exclude int
}

// Definition is a definition as it is sent, with the two spellings of cutoff.
type Definition struct {
	Parameters []map[string]json.RawMessage `json:"parameters"`
}

// ID is an id that may be sent as a string or a number.
type ID string

// UnmarshalJSON takes the text of a number as it is.
func (id *ID) UnmarshalJSON(b []byte) error {
	var s string
	if json.Unmarshal(b, &s) == nil {
		*id = ID(s)
		return nil
	}
	var n json.Number
	err := json.Unmarshal(b, &n)
	*id = ID(n.String())
	return err
}

// Named is what a criterion lists: an id, or the name of an account.
type Named struct {
	ID         ID     `json:"id"`
	ScreenName string `json:"screen_name"`
}
