// Package record is what the rows of audiences hold for the service alone, as JSON,
// and where the files lie that belong to rows.
package record

import (
	"encoding/json"
	"errors"
	"fmt"

	"throng"
	"throng/service/deviceset"
	"throng/sqldb"
)

// Details are what an audience's row holds beside its columns.
type Details struct {
	// Files is the prefix of the keys of the finished build's files.
	Files string `json:"files,omitempty"`
	// Devices are those of a device audience alone.
	Devices *Devices `json:"devices,omitempty"`
	// Expansion and Cluster say what an audience was made of that has no
	// definition.
	Expansion *throng.Expansion `json:"expansion,omitempty"`
	Cluster   *Cluster          `json:"cluster,omitempty"`
}

// Defined tells whether an audience was built from a definition.
func (d Details) Defined() bool { return d.Expansion == nil && d.Cluster == nil }

// Read reads the details of an audience.
func Read(a sqldb.Audience) (d Details, err error) {
	if len(a.Details) == 0 {
		return d, nil
	}
	if err := json.Unmarshal(a.Details, &d); err != nil {
		return d, fmt.Errorf("read details of audience %d: %w", a.ID, err)
	}
	return d, nil
}

// Devices are what the row of a device audience holds. Below the prefix of its
// files lies what package deviceset keeps.
type Devices struct {
	// Sources are the files last given, and Given what was said of the request.
	Sources []deviceset.Source `json:"sources,omitempty"`
	Given   []string           `json:"given,omitempty"`
	// Counts are of the files that are in use, which Lists are then; nil while
	// none ever were.
	Counts *throng.DeviceCounts `json:"counts,omitempty"`
	// Lists are without their invalid lines, which have a file of their own.
	Lists []throng.DeviceFile `json:"lists,omitempty"`
}

// Cluster says which cluster an audience is made of.
type Cluster struct {
	throng.ClusterSource
	// Files is the prefix of the files of its members, which lie beside the
	// report, and Size how many these were.
	Files string `json:"files"`
	Size  uint64 `json:"size"`
}

// Finished tells whether an audience has members. A list of devices has, once
// it was read, also while other files are read in their place.
func Finished(a sqldb.Audience) bool {
	if a.Kind == string(throng.Device) {
		_, err := InUse(a)
		return err == nil
	}
	return a.Status == sqldb.StatusDone
}

// InUse is the prefix of the files of a device audience that are in use.
// [ErrNoDevices] where there are none.
func InUse(row sqldb.Audience) (string, error) {
	d, err := Read(row)
	if err != nil {
		return "", err
	}
	if d.Devices == nil || d.Devices.Counts == nil {
		return "", fmt.Errorf("audience %d: %w", row.ID, ErrNoDevices)
	}
	return d.Files, nil
}

// ErrNoDevices says that an audience has no devices yet, or never will.
var ErrNoDevices = errors.New("no devices were read")
