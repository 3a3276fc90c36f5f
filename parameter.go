package throng

import (
	"encoding/json"

	"throng/query"
)

// Operation is what a parameter does to the audience.
type Operation string

// The vendor's operations.
const (
	Or  Operation = "OR"  // include
	And Operation = "AND" // filter
	Not Operation = "NOT" // exclude
)

// Op is the operation in the engine's words.
func (o Operation) Op() query.Op {
	switch o {
	case And:
		return query.Filter
	case Not:
		return query.Exclude
	default:
		return query.Include
	}
}

// Parameter is an operation and exactly one criterion.
type Parameter struct {
	Operation Operation
	Criterion Criterion
	// Path is where the parameter stands in the request, as in
	// parameters[2].group.parameters[0].
	Path string
	// Raw is the parameter as it was sent.
	Raw json.RawMessage
}

// Limits of one request. They are told in the OpenAPI document and in the
// errors.
const (
	MaxParameters = 100    // in one list
	MaxValues     = 10_000 // in one parameter
	MaxBody       = 1 << 20
	MaxDepth      = 8 // of nested groups
	MaxName       = 255
	MaxCutoff     = 10
)

// Windows are the values that last_tweeted may have.
func Windows() []int { return []int{0, 1, 7, 30, 60, 90, 180, 365} }

// AgeRanges lists the ranges of the vendor, with unknown.
func AgeRanges() []string {
	return []string{"18-24", "25-34", "35-44", "45-54", "over 54", "unknown"}
}

// Genders lists the vendor's genders, with unknown.
func Genders() []string { return []string{"male", "female", "unknown"} }

// Ethnicities lists the vendor's ethnicities, with unknown.
func Ethnicities() []string {
	return []string{"asian", "black", "hispanic", "native", "white", "unknown"}
}
