package throng

import (
	"time"

	"throng/identifier"
)

// Platform is what the devices of a list run.
type Platform uint8

// The platforms.
const (
	Android Platform = 1
	IOS     Platform = 2
	Mixed   Platform = 3
)

// DeviceAudience is an audience that a caller brought as files of device ids.
// While files that replace others are read, the counts are still those of the
// files before.
type DeviceAudience struct {
	ID       int64
	Name     string
	Platform Platform
	// Types are those that its files were declared to hold, in their order,
	// each once.
	Types  []identifier.Type
	Status Status // Running while files are read
	// CreatedAt is when it was made, UpdatedAt when it was last given files,
	// NextUpdateAt when it may be given others.
	CreatedAt, UpdatedAt, NextUpdateAt time.Time
	// Counts is nil until known.
	Counts   *DeviceCounts
	Files    []DeviceFile
	Warnings []string
	Failure  *Failure
}

// DeviceCounts is what became of the lines of a device audience's files. Every
// line has exactly one fate: Rows = Devices + Duplicate + Invalid.
type DeviceCounts struct {
	Rows      uint64 `json:"rows"`
	Devices   uint64 `json:"devices"` // distinct; an id and its MD5 are one
	Duplicate uint64 `json:"duplicate"`
	Invalid   uint64 `json:"invalid"`
	People    uint64 `json:"people"` // who own any of them, on the current generation
}

// DeviceFile is a file of device ids, and what was found in it.
type DeviceFile struct {
	Type identifier.Type `json:"type"` // as declared
	Path string          `json:"path"` // where it was sent to
	// Header tells whether the first line was taken for one.
	Header bool   `json:"header"`
	Rows   uint64 `json:"rows"`
	// Invalid lines have no id of the type; InvalidLines are the first
	// MaxInvalidLines of them.
	Invalid      uint64        `json:"invalid"`
	InvalidLines []InvalidLine `json:"invalid_lines,omitempty"`
	// Findings say what the file looks like, the gravest first.
	Findings []DeviceFinding `json:"findings,omitempty"`
}

// DeviceFinding is something odd about a file of device ids.
type DeviceFinding struct {
	Code    string  `json:"code"`
	Share   float64 `json:"share"` // of the rows that it concerns, 0..1
	Message string  `json:"message"`
	// Hint is true where nothing has to be wrong.
	Hint bool `json:"hint"`
}

// Offer says whom an advertisement is for: the devices of any included audience
// (everyone where there is none), without those of the excluded ones.
type Offer struct {
	ID               int64 // the caller's own number
	Include, Exclude []int64
}

// DeviceID is a device as it is named in a request.
type DeviceID struct {
	Type identifier.Type
	ID   string
	Path string // of the field, for what is wrong with it
}
