package throng

import (
	"encoding/json"
	"time"

	"throng/identifier"
)

// Status is where an audience is in its life.
type Status string

// The four states. Running is the only one that ends.
const (
	Running  Status = "running"
	Done     Status = "done"
	Failed   Status = "failed"
	Canceled Status = "canceled"
)

// AudienceKind tells how an audience came to be.
type AudienceKind string

// The kinds.
const (
	Built  AudienceKind = "built"
	Device AudienceKind = "device"
)

// Audience is a definition plus the members found on one generation. Finished
// members never change.
type Audience struct {
	ID          int64
	CallerID    int64
	Kind        AudienceKind
	Name        string
	Description string
	Status      Status
	Step        string  // what a running build is at
	Progress    float64 // 0..1
	Heartbeat   time.Time
	// Size is the number of members; nil until known, never 0 in its place.
	Size *uint64
	// SizeHidden says why Size is withheld, "" where it is not.
	SizeHidden string
	Generation string
	AsOf       time.Time // zero until the build began
	CreatedAt  time.Time
	FinishedAt time.Time // zero while running
	// Parameters is the list as sent.
	Parameters []json.RawMessage
	// ParameterSizes is the size of each parameter alone; empty until known, and
	// nil for one that is withheld.
	ParameterSizes []*uint64
	Warnings       []string
	Failure        *Failure
	// Outputs are the finished files that the asking caller may see.
	Outputs []Output
	// Insight is nil until a report is asked for.
	Insight *InsightState
}

// Failure says why a build ended without members.
type Failure struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Retry   bool   `json:"retry"` // whether building again can help
}

// Output is one finished file of identifiers.
type Output struct {
	Type   identifier.Type
	People uint64 // members with at least one line
	Rows   uint64 // lines
	Bytes  int64
	SHA256 string // hex
}

// Preview is the answer to "how many would that be".
type Preview struct {
	Size       *uint64 // nil where withheld
	SizeHidden string
	Parameters []ParameterSize
	// Include, Filter and Exclude are the sizes after each group; nil where withheld.
	Include, Filter, Exclude *uint64
	Warnings                 []string
	Elapsed                  time.Duration
}

// ParameterSize is the size of one parameter alone.
type ParameterSize struct {
	Operation Operation
	Criterion CriterionKind
	Size      *uint64
}
