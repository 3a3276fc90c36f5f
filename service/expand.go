package service

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"throng"
	"throng/identifier"
	"throng/service/record"
	"throng/sqldb"
)

// Expand is a request for people who resemble an audience, as an API read it.
// It may be incomplete where it has Problems.
type Expand struct {
	Build
	// Name is the new audience's; "" makes one of the seed's.
	Name string
	// Factor is how many people are wanted, in sizes of the seed.
	Factor                            float64
	IncludeSeed, RemoveSeed           bool
	ReapplyFilters, ReapplyExclusions bool
}

// ExpandAudience starts to build an audience of people who resemble another
// one. It spends a credit of expansions. Conflict where the seed has no members
// to learn from.
func (s *Service) ExpandAudience(ctx context.Context, c *throng.Caller, id int64, e Expand, once *Once) (*throng.Audience, error) {
	row, err := s.audienceRow(ctx, s.db, c, id)
	if err != nil {
		return nil, err
	}
	seed, err := record.Read(row)
	if err != nil {
		return nil, err
	}
	outputs, badOutputs, denied, warnings := chooseOutputs(c, e.Outputs)
	addresses, addressWarnings := s.checkURLs(e.Build)
	if err := refuse(slices.Concat(e.Problems, e.problems(seed), addresses, badOutputs), denied); err != nil {
		return nil, err
	}
	if err := s.expandable(row); err != nil {
		return nil, err
	}
	k := checked{warnings: slices.Concat(e.Warnings, addressWarnings, warnings), outputs: outputs, audiences: []int64{row.ID}}
	if err := s.checkReapplied(ctx, c, row, e, &k); err != nil {
		return nil, err
	}
	if e.Outputs == nil {
		k.keepOutputs(c, row)
	}
	more, err := json.Marshal(record.Details{Expansion: &throng.Expansion{
		SeedID: row.ID, Factor: e.Factor, IncludeSeed: e.IncludeSeed, RemoveSeed: e.RemoveSeed,
		ReapplyFilters: e.ReapplyFilters, ReapplyExclusions: e.ReapplyExclusions,
	}})
	if err != nil {
		return nil, err
	}
	name := e.Name
	if name == "" {
		name = shorten(fmt.Sprintf("%s, expanded by %g", row.Name, e.Factor))
	}
	return s.start(ctx, c, sqldb.Audience{
		Name: name, Definition: json.RawMessage("[]"), Warnings: k.warnings, Details: more,
		CallbackURL: e.CallbackURL, InsightCallbackURL: e.InsightCallbackURL, AutoInsight: e.AutoInsight,
		Outputs: retype[string](k.outputs), SourceID: &row.ID,
	}, k, once)
}

// problems finds what is wrong with a request beside its addresses and outputs.
func (e *Expand) problems(seed record.Details) (problems []throng.Detail) {
	bad := func(path, format string, args ...any) {
		if !slices.ContainsFunc(e.Problems, func(d throng.Detail) bool { return d.Path == path }) {
			problems = append(problems, throng.Detail{Path: path, Message: fmt.Sprintf(format, args...)})
		}
	}
	if !(e.Factor > throng.LeastFactor && e.Factor <= throng.MostFactor) {
		bad("expansion_factor", "must be a number greater than %d and at most %d", throng.LeastFactor, throng.MostFactor)
	}
	if e.IncludeSeed && e.RemoveSeed {
		bad("include_seed", "contradicts remove_seed: the seed's members are either in the result or left out")
		bad("remove_seed", "contradicts include_seed: the seed's members are either in the result or left out")
	}
	if utf8.RuneCountInString(e.Name) > throng.MaxName {
		bad("expansion_name", "has more than %d characters", throng.MaxName)
	}
	if strings.ContainsRune(e.Name, 0) {
		bad("expansion_name", "must not hold a NUL character")
	}
	if !seed.Defined() {
		const message = "cannot be: the audience was not built from a definition"
		if e.ReapplyFilters {
			bad("reapply_filters", message)
		}
		if e.ReapplyExclusions {
			bad("reapply_exclusions", message)
		}
	}
	return problems
}

// expandable is Conflict where an audience has no members to learn from.
func (s *Service) expandable(row sqldb.Audience) error {
	switch {
	case row.Kind != string(throng.Built):
		return throng.Errorf(throng.Conflict, "audience %d is a list of devices, which cannot be expanded: use it as a criterion of an audience, and expand that", row.ID)
	case row.Status == sqldb.StatusRunning:
		return throng.Errorf(throng.Conflict, "audience %d is still being built; expand it when it is done", row.ID)
	case !record.Finished(row):
		return throng.Errorf(throng.Conflict, "audience %d has no members: its status is %s", row.ID, row.Status)
	case row.Size != nil && s.shown(uint64(*row.Size)) == nil:
		return throng.Errorf(throng.Conflict, "audience %d cannot be expanded: it has %s", row.ID, s.hiddenReason())
	}
	return nil
}

// checkReapplied finds what is wrong with the parts of the seed's definition
// that are to hold again.
func (s *Service) checkReapplied(ctx context.Context, c *throng.Caller, row sqldb.Audience, e Expand, k *checked) error {
	if !e.ReapplyFilters && !e.ReapplyExclusions {
		return nil
	}
	params, err := definitionOf(row.Definition)
	if err != nil {
		return err
	}
	g, err := s.acquire(ctx)
	if err != nil {
		return err
	}
	defer g.Release()
	x, err := s.compile(ctx, g, c.ID, reapplied(params, e.ReapplyFilters, e.ReapplyExclusions), true)
	if err != nil {
		return err
	}
	if err := refuse(x.Problems, nil); err != nil {
		return err
	}
	k.uploads, k.audiences = x.Uploads, slices.Concat(k.audiences, x.Audiences)
	slices.Sort(k.audiences)
	k.audiences = slices.Compact(k.audiences)
	return nil
}

// reapplied are the parameters that are to hold again.
func reapplied(params []throng.Parameter, filters, exclusions bool) (out []throng.Parameter) {
	for _, p := range params {
		if p.Operation == throng.And && filters || p.Operation == throng.Not && exclusions {
			out = append(out, p)
		}
	}
	return out
}

// keepOutputs has the files made that another audience has, as far as they are
// still allowed.
func (k *checked) keepOutputs(c *throng.Caller, of sqldb.Audience) {
	k.outputs = slices.DeleteFunc(retype[identifier.Type](of.Outputs), func(t identifier.Type) bool {
		if c.MayGenerate(t) {
			return false
		}
		k.warnings = append(k.warnings, fmt.Sprintf("outputs: %s is not among the types that you can generate any more", t))
		return true
	})
}

// shorten cuts a name to what is allowed.
func shorten(name string) string {
	runes := []rune(name)
	if len(runes) <= throng.MaxName {
		return name
	}
	return string(runes[:throng.MaxName-1]) + "…"
}
