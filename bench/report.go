package bench

import (
	"fmt"
	"math"
	"slices"
)

// Report is everything that a run found.
type Report struct {
	Version   string  `json:"version"`
	Commit    string  `json:"commit,omitempty"`
	Go        string  `json:"go"`
	Machine   Machine `json:"machine"`
	People    int     `json:"people"`
	Seed      uint64  `json:"seed"`
	Clustered bool    `json:"clustered"`
	Rounds    int     `json:"rounds"`
	Rows      []Row   `json:"rows"`
	// Differ lists the answers that were not equal. It is empty where the
	// figures are worth anything.
	Differ []string `json:"differ"`
}

// Machine is what the figures were measured on.
type Machine struct {
	OS     string `json:"os"`
	Arch   string `json:"arch"`
	CPU    string `json:"cpu,omitempty"`
	Cores  int    `json:"cores"`
	Memory int64  `json:"memory_bytes,omitempty"`
	// Kernel names the vector instructions that the engine's loops use.
	Kernel string `json:"kernel"`
}

// Row is one piece of work, measured.
type Row struct {
	ID   string `json:"id"`
	Work string `json:"work"`
	// Figures are what was measured, ours first.
	Figures []Figure `json:"figures"`
	// Cases set the medians of the figures that belong together side by side.
	Cases []Case `json:"cases,omitempty"`
	// Checks hold the figures against their targets.
	Checks []Check `json:"checks,omitempty"`
	// Unsteady says that the machine's own speed moved by more than half
	// between the rounds, every time.
	Unsteady bool     `json:"unsteady,omitempty"`
	Notes    []string `json:"notes,omitempty"`
}

// Figure is a number that was measured, in most cases several times.
type Figure struct {
	Name string `json:"name"`
	Unit string `json:"unit"`
	// Clock is cpu (processor time) or wall, of times.
	Clock  string  `json:"clock,omitempty"`
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// Case is the medians of one piece of work; 0 where it was not done that way.
type Case struct {
	Name     string  `json:"name,omitempty"`
	Unit     string  `json:"unit"`
	OneCore  float64 `json:"one_core,omitempty"`
	AllCores float64 `json:"all_cores,omitempty"`
	// Other is the best that was measured beside it, by OtherName.
	Other     float64 `json:"other,omitempty"`
	OtherName string  `json:"other_name,omitempty"`
	Floor     float64 `json:"floor,omitempty"`
}

// Check is a target.
type Check struct {
	Of string `json:"of"`
	// Must is "<=" or ">=".
	Must   string  `json:"must"`
	Target float64 `json:"target"`
	Unit   string  `json:"unit"`
	Got    float64 `json:"got"`
	Met    bool    `json:"met"`
}

// targetPeople is how many people the targets in milliseconds are for. For
// other numbers they are taken in proportion.
const targetPeople = 100_000_000

// times adds the medians of timings in milliseconds.
func (r *Row) times(timings ...*timing) {
	for _, t := range timings {
		list := t.told()
		clock := t.clock
		if clock == "" {
			clock = byCPU
		}
		r.Figures = append(r.Figures, Figure{
			Name: t.name, Unit: "ms", Clock: string(clock),
			Median: round(1e3 * median(list)), Min: round(1e3 * slices.Min(list)), Max: round(1e3 * slices.Max(list)),
		})
	}
}

// side adds a case: our times on one and on all cores, the machine's floor,
// and others, of which the least is told. Any of them may be nil.
func (r *Row) side(name string, one, all, floor *timing, others ...*timing) {
	ms := func(t *timing) float64 {
		if t == nil {
			return 0
		}
		return round(1e3 * t.median())
	}
	c := Case{Name: name, Unit: "ms", OneCore: ms(one), AllCores: ms(all), Floor: ms(floor)}
	for _, t := range others {
		if x := ms(t); t != nil && (c.OtherName == "" || x < c.Other) {
			c.Other, c.OtherName = x, t.name
		}
	}
	r.Cases = append(r.Cases, c)
}

// figure adds a number measured once.
func (r *Row) figure(name, unit string, value float64) {
	value = round(value)
	r.Figures = append(r.Figures, Figure{Name: name, Unit: unit, Median: value, Min: value, Max: value})
}

// atMost adds a target from above.
func (r *Row) atMost(of, unit string, got, target float64) {
	r.Checks = append(r.Checks, Check{Of: of, Must: "<=", Target: round(target), Unit: unit, Got: round(got), Met: got <= target})
}

// atLeast adds a target from below.
func (r *Row) atLeast(of, unit string, got, target float64) {
	r.Checks = append(r.Checks, Check{Of: of, Must: ">=", Target: round(target), Unit: unit, Got: round(got), Met: got >= target})
}

// milliseconds adds a target that is for targetPeople, in proportion.
func (r *Row) milliseconds(t *timing, target float64, people int) {
	r.atMost(t.name, "ms", 1e3*t.median(), target*float64(people)/targetPeople)
}

// faster adds a target of how many times as long the other takes.
func (r *Row) faster(ours, other *timing, times float64) {
	r.atLeast(fmt.Sprintf("%s / %s", other.name, ours.name), "x", ratio(other, ours), times)
}

func (r *Row) note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

// round keeps four digits.
func round(x float64) float64 {
	if x == 0 || math.IsInf(x, 0) || math.IsNaN(x) {
		return x
	}
	scale := math.Pow(10, 3-math.Floor(math.Log10(math.Abs(x))))
	return math.Round(x*scale) / scale
}
