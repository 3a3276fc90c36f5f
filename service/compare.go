package service

import (
	"context"
	"fmt"
	"slices"

	"throng"
	"throng/engine"
	"throng/insight"
	"throng/query"
	"throng/service/overlap"
	"throng/service/record"
	"throng/sqldb"
)

// Comparison is what audiences have in common. Sizes are nil where they are
// withheld.
type Comparison struct {
	Generation string // on which all members were found
	Audiences  []ComparedAudience
	// Intersections are of every choice of audiences, by how many they are, then in
	// the order in which the audiences were named.
	Intersections []Intersection
	Pairs         []Overlap
	// Report sets one of two audiences apart from the other, its baseline; nil of
	// more.
	Report   *insight.Report
	Warnings []string
}

// ComparedAudience is one of those compared. Size is of its members who were
// found on the generation.
type ComparedAudience struct {
	ID   int64
	Name string
	Size *uint64
}

// Intersection is the people who are in all of some audiences: Exclusive of them
// are in no other one that is compared.
type Intersection struct {
	IDs             []int64
	Exclusive, Size *uint64
}

// Overlap is how alike two audiences are.
type Overlap struct {
	A, B                int64
	Intersection, Union *uint64
	// Jaccard is intersection / union, Containment the share of A that is in B,
	// and of B in A; nil where a size is withheld, or there is nobody.
	Jaccard     *float64
	Containment [2]*float64
}

// The numbers of audiences that can be compared at once.
const (
	minCompared = 2
	maxCompared = 6
)

// CompareAudiences tells what finished audiences of a caller have in common.
// Where they were built on different generations all are looked for on the
// current one. The baseline of two is the second, unless q names the first, as
// audience:ID.
func (s *Service) CompareAudiences(ctx context.Context, c *throng.Caller, ids []int64, q InsightQuery) (*Comparison, error) {
	rows, err := s.compared(ctx, c, ids, q)
	if err != nil {
		return nil, err
	}
	g, err := s.commonGeneration(ctx, rows)
	if err != nil {
		return nil, loaded(err)
	}
	defer g.Release()
	out := &Comparison{Generation: g.Info().ID}
	sets := make([]query.RowSet, len(rows))
	for i, row := range rows {
		var gone uint64
		if sets[i], gone, err = s.memberRows(ctx, g, row); err != nil {
			return nil, fmt.Errorf("find members of audience %d: %w", row.ID, err)
		}
		if gone > 0 {
			out.Warnings = append(out.Warnings, fmt.Sprintf(
				"%d of the members of audience %d are not in the dataset any more", gone, row.ID))
		}
		out.Audiences = append(out.Audiences, ComparedAudience{row.ID, row.Name, s.shown(sets[i].Len())})
	}
	sizes, err := overlap.Count(ctx, g, sets)
	if err != nil {
		return nil, err
	}
	s.tellIntersections(out, ids, sizes)
	if len(sets) == 2 && out.Audiences[0].Size != nil && out.Audiences[1].Size != nil {
		if q.Baseline == audienceName(ids[0]) {
			ids, sets = []int64{ids[1], ids[0]}, []query.RowSet{sets[1], sets[0]}
		}
		if out.Report, err = s.sideBySide(ctx, g, ids, sets, q); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// compared finds the audiences that are named.
func (s *Service) compared(ctx context.Context, c *throng.Caller, ids []int64, q InsightQuery) (rows []sqldb.Audience, err error) {
	problems := slices.Clone(q.Problems)
	bad := func(format string, args ...any) {
		problems = append(problems, throng.Detail{Path: "ids", Message: fmt.Sprintf(format, args...)})
	}
	named := !slices.ContainsFunc(problems, func(d throng.Detail) bool { return d.Path == "ids" })
	if n := len(ids); named && (n < minCompared || n > maxCompared) {
		bad("must name %d to %d audiences, as in ids=1,2", minCompared, maxCompared)
		ids = nil
	}
	seen := map[int64]bool{}
	for _, id := range ids {
		if seen[id] {
			bad("name audience %d twice", id)
			continue
		}
		seen[id] = true
		row, err := s.db.Audience(ctx, c.ID, id)
		switch {
		case isNotFound(err) || id <= 0:
			bad("name audience %d, which does not exist", id)
		case err != nil:
			return nil, err
		case !record.Finished(row):
			bad("name audience %d, which is not finished: its status is %s", id, row.Status)
		}
		rows = append(rows, row)
	}
	if q.Baseline != "" && (len(ids) != 2 || q.Baseline != audienceName(ids[0]) && q.Baseline != audienceName(ids[1])) {
		problems = append(problems, throng.Detail{Path: "baseline", Message: "must be one of the two audiences, as in audience:1"})
	}
	q.Problems = problems
	return rows, q.check()
}

// commonGeneration holds the generation on which all audiences were built, or
// the current one where they differ or it is gone.
func (s *Service) commonGeneration(ctx context.Context, rows []sqldb.Audience) (engine.Generation, error) {
	same := rows[0].Generation
	for _, row := range rows {
		if row.Generation != same || row.Kind != string(throng.Built) {
			same = ""
		}
	}
	return s.generationOf(ctx, sqldb.Audience{Generation: same})
}

func (s *Service) tellIntersections(out *Comparison, ids []int64, size overlap.Sizes) {
	for _, m := range size.Choices() {
		of := Intersection{Exclusive: s.shown(size.Exclusive(m)), Size: s.shown(size[m])}
		for i, id := range ids {
			if m&(1<<i) != 0 {
				of.IDs = append(of.IDs, id)
			}
		}
		out.Intersections = append(out.Intersections, of)
		if len(of.IDs) == 2 {
			low := m & -m
			out.Pairs = append(out.Pairs, s.overlap(of.IDs, size[low], size[m^low], size[m]))
		}
	}
}

// overlap compares two audiences of sizes a and b of which both are in common.
// The union would tell what is withheld of the intersection.
func (s *Service) overlap(ids []int64, a, b, both uint64) Overlap {
	o := Overlap{A: ids[0], B: ids[1], Intersection: s.shown(both)}
	if o.Intersection == nil || s.shown(a) == nil || s.shown(b) == nil {
		return o
	}
	o.Union = s.shown(a + b - both)
	o.Jaccard = overlap.Share(both, a+b-both)
	o.Containment = [2]*float64{overlap.Share(both, a), overlap.Share(both, b)}
	return o
}

// sideBySide sets the first of two audiences apart from the second.
func (s *Service) sideBySide(ctx context.Context, g engine.Generation, ids []int64, sets []query.RowSet, q InsightQuery) (*insight.Report, error) {
	var groups [2]*insight.Group
	for i := range groups {
		var err error
		if groups[i], err = insight.CountRows(ctx, g, audienceName(ids[i]), sets[i]); err != nil {
			return nil, err
		}
	}
	counts, err := insight.Keep(ctx, g, groups[0], groups[1:], s.cfg.InsightMinimum)
	if err != nil {
		return nil, err
	}
	ask := insight.Ask{Order: q.Order, Limit: q.Limit, Minimum: max(s.cfg.InsightMinimum, s.cfg.MinimumSize)}
	return counts.Report(groups[1].Name, ask.Minimum, ask)
}
