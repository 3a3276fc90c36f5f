package service

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"throng"
	"throng/engine"
	"throng/identifier"
	"throng/webhook"
)

// checked is a definition against which nothing speaks, and what it uses.
type checked struct {
	warnings           []string
	outputs            []identifier.Type
	uploads, audiences []int64
}

// check finds everything that is wrong with a request for a build, on the
// current generation, and says it at once.
func (s *Service) check(ctx context.Context, g engine.Generation, c *throng.Caller, def *Definition) (checked, error) {
	k, err := s.compile(ctx, g, c.ID, def.Parameters, true)
	if err != nil {
		return checked{}, err
	}
	order, forbidden := c.CheckParameters(def.Parameters)
	outputs, badOutputs, denied, outputWarnings := chooseOutputs(c, def.Outputs)
	addresses, addressWarnings := s.checkURLs(def.Build)

	invalid := slices.Concat(def.Problems, checkNames(def), addresses, badOutputs, order, k.Problems)
	if err := refuse(invalid, slices.Concat(denied, forbidden)); err != nil {
		return checked{}, err
	}
	return checked{
		warnings:  slices.Concat(def.Warnings, addressWarnings, outputWarnings),
		outputs:   outputs,
		uploads:   k.Uploads,
		audiences: k.Audiences,
	}, nil
}

func checkNames(def *Definition) (problems []throng.Detail) {
	const path = "audience.name"
	already := slices.ContainsFunc(def.Problems, func(d throng.Detail) bool {
		return d.Path == path || d.Path == "audience"
	})
	switch n := utf8.RuneCountInString(def.Name); {
	case already:
	case strings.TrimSpace(def.Name) == "":
		problems = append(problems, throng.Detail{Path: path, Message: "is required"})
	case n > throng.MaxName:
		problems = append(problems, throng.Detail{
			Path: path, Message: fmt.Sprintf("has %d characters, more than the %d allowed", n, throng.MaxName),
		})
	}
	for _, text := range []struct{ path, text string }{{path, def.Name}, {"audience.description", def.Description}} {
		if strings.ContainsRune(text.text, 0) {
			problems = append(problems, throng.Detail{Path: text.path, Message: "must not hold a NUL character"})
		}
	}
	return problems
}

// checkURLs accepts any well-formed address: whether it may be called is seen
// when it is called.
func (s *Service) checkURLs(b Build) (problems []throng.Detail, warnings []string) {
	for _, u := range []struct{ path, url string }{
		{"callback_url", b.CallbackURL}, {"insight_callback_url", b.InsightCallbackURL},
	} {
		if u.url == "" {
			continue
		}
		problem, private := webhook.CheckURL(u.url)
		if problem != "" {
			problems = append(problems, throng.Detail{Path: u.path, Message: problem})
		} else if private && !s.cfg.AllowPrivateCallbacks {
			warnings = append(warnings, u.path+": names a private address, which will not be called")
		}
	}
	return problems, warnings
}

// chooseOutputs decides which files are made.
func chooseOutputs(c *throng.Caller, given *[]string) (types []identifier.Type, invalid, forbidden []throng.Detail, warnings []string) {
	wanted := map[identifier.Type]bool{identifier.SSID: true}
	switch {
	case given == nil || !c.Has(throng.ChooseOutputs):
		for _, t := range c.CanGenerate {
			wanted[t] = true
		}
		if given != nil {
			warnings = append(warnings, "outputs: ignored without the grant choose_outputs; every type that you can generate is made")
		}
	default:
		for i, name := range *given {
			path := fmt.Sprintf("outputs[%d]", i)
			switch t := identifier.Type(name); {
			case name == "": // a problem already, or as unknown as any
				invalid = append(invalid, throng.Detail{Path: path, Message: "must be one of " + outputNames()})
			case !slices.Contains(identifier.Outputs(), t):
				invalid = append(invalid, throng.Detail{Path: path, Message: "must be one of " + outputNames()})
			case !c.MayGenerate(t):
				forbidden = append(forbidden, throng.Detail{Path: path, Message: name + " is not among the types that you can generate (can_generate)"})
			default:
				wanted[t] = true
			}
		}
	}
	for _, t := range identifier.Outputs() {
		if wanted[t] {
			types = append(types, t)
		}
	}
	return types, invalid, forbidden, warnings
}

func outputNames() string {
	return strings.Join(retype[string](identifier.Outputs()), ", ")
}

// PreviewAudience counts a definition and stores nothing. Its name, callbacks
// and outputs do not matter. RateLimited and Unavailable where too many previews
// are under way, Unavailable where it takes too long.
func (s *Service) PreviewAudience(ctx context.Context, c *throng.Caller, def Definition) (*throng.Preview, error) {
	ctx, cancel, tell := s.timed(ctx)
	defer cancel()
	leave, err := s.counts.enter(ctx, c.ID)
	if err != nil {
		return nil, tell(err)
	}
	defer leave()
	p, err := s.preview(ctx, c, c.ID, def)
	return p, tell(err)
}

// Count counts a definition with every grant; uploads and audiences are those
// of the caller of that name, or of any for "". It is the operator's: nothing
// bounds its time.
func (s *Service) Count(ctx context.Context, callerName string, def Definition) (*throng.Preview, error) {
	everything := &throng.Caller{Grants: throng.Grants()}
	if callerName != "" {
		row, err := s.callerNamed(ctx, callerName)
		if err != nil {
			return nil, err
		}
		everything.ID = row.ID
	}
	return s.preview(ctx, everything, everything.ID, def)
}

func (s *Service) preview(ctx context.Context, c *throng.Caller, scope int64, def Definition) (*throng.Preview, error) {
	start := s.cfg.Now()
	g, err := s.acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer g.Release()
	invalid, forbidden := c.CheckParameters(def.Parameters)
	invalid = slices.Concat(def.Problems, invalid)
	// Rows are looked for only where nothing speaks against the rest.
	k, err := s.compile(ctx, g, scope, def.Parameters, len(invalid)+len(forbidden) > 0)
	if err != nil {
		return nil, err
	}
	if err := refuse(slices.Concat(invalid, k.Problems), forbidden); err != nil {
		return nil, err
	}
	counts, err := g.Count(ctx, k.Definition, engine.Alone)
	if err != nil {
		return nil, fmt.Errorf("count definition: %w", err)
	}
	p := &throng.Preview{
		Include: s.shown(counts.Include), Filter: s.shown(counts.Filter), Exclude: s.shown(counts.Exclude),
		Warnings: slices.Concat(def.Warnings, k.Warnings),
		Elapsed:  s.cfg.Now().Sub(start),
	}
	if p.Size = p.Exclude; p.Size == nil {
		p.SizeHidden = s.hiddenReason()
	}
	for i, param := range def.Parameters {
		p.Parameters = append(p.Parameters, throng.ParameterSize{
			Operation: param.Operation, Criterion: param.Criterion.Kind(), Size: s.shown(counts.Steps[i]),
		})
	}
	return p, nil
}

// shown is a size as it is told: nil below the operator's minimum.
func (s *Service) shown(n uint64) *uint64 {
	if n < s.cfg.MinimumSize {
		return nil
	}
	return &n
}

func (s *Service) hiddenReason() string {
	return fmt.Sprintf("fewer than the %d people from which sizes and files are given", s.cfg.MinimumSize)
}

// definitionOf reads the parameters of an audience again.
func definitionOf(raw []byte) ([]throng.Parameter, error) {
	params, problems, _ := throng.ParseParameters(raw)
	return params, refuse(problems, nil)
}
