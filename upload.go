package throng

import (
	"time"

	"throng/identifier"
)

// Upload is a file of identifiers that a caller brought. Every line has
// exactly one fate: Rows = Matched + Unmatched + Duplicate + Invalid.
type Upload struct {
	Key       string // /uploads/2026-11-21/<32 hex>.md5
	Type      identifier.Type
	Name      string
	Status    UploadStatus
	CreatedAt time.Time
	// The counts are for the generation that was current when it was matched.
	Rows, Matched, Unmatched, Duplicate, Invalid uint64
	// InvalidLines are the first MaxInvalidLines of them.
	InvalidLines []InvalidLine
	Failure      string
}

// UploadStatus is where an upload is in its life.
type UploadStatus string

// The states of an upload.
const (
	UploadPending UploadStatus = "pending"
	UploadReady   UploadStatus = "ready"
	UploadFailed  UploadStatus = "failed"
)

// MaxInvalidLines is how many invalid lines of an upload are kept.
const MaxInvalidLines = 1000

// InvalidLine says why a line was not taken; it holds no value.
type InvalidLine struct {
	Line   uint64 `json:"line"`
	Reason string `json:"reason"`
}

// Credits is what a caller may still do; -1 is unlimited.
type Credits struct{ Builds, Insights, Expansions int64 }

// Page asks for a part of a list.
type Page struct {
	Limit int    // 0: the list's default; -1: what was asked for is no length
	Next  string // a cursor from the page before; "" the first page
}
