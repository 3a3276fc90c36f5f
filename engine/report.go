package engine

import "time"

// Report tells what a load did with every row.
type Report struct {
	Generation string        `json:"generation"` // "" where the load was refused
	Dataset    string        `json:"dataset"`    // its name
	AsOf       time.Time     `json:"as_of"`
	People     uint64        `json:"people"`
	Tables     []TableReport `json:"tables"` // in the order of dataset.md; only those present
	// Rejects is the path of the file of rejected rows, "" where there is none.
	Rejects  string        `json:"rejects,omitempty"`
	Warnings []string      `json:"warnings,omitempty"`
	Bytes    int64         `json:"bytes"` // of the generation's files
	Elapsed  time.Duration `json:"elapsed_ns"`
	// Steps tells what the time went to, in the order in which steps began.
	Steps []StepReport `json:"steps,omitempty"`
}

// StepReport is the time that one step of a load took.
type StepReport struct {
	Step string `json:"step"`
	// Bytes is the size of the table that was read; for any other step that of
	// all tables.
	Bytes   int64         `json:"bytes"`
	Elapsed time.Duration `json:"elapsed_ns"`
}

// TableReport accounts for one table: Rows = Loaded + Σ Rejected + Σ Skipped.
type TableReport struct {
	Table  string `json:"table"`
	Files  int    `json:"files"`
	Rows   uint64 `json:"rows"`
	Loaded uint64 `json:"loaded"`
	// Rejected counts rows left out because they cannot be used, by reason.
	Rejected map[string]uint64 `json:"rejected,omitempty"`
	// Skipped counts rows left out on purpose, by reason: people below 18 and
	// their rows, tweets outside the window.
	Skipped map[string]uint64 `json:"skipped,omitempty"`
	// Dropped counts malformed cells that were dropped while the row stayed,
	// by column.
	Dropped map[string]uint64 `json:"dropped_cells,omitempty"`
	// Ignored are columns that dataset.md does not list.
	Ignored []string `json:"ignored_columns,omitempty"`
}
