package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/alecthomas/kong"

	"throng/server"
)

type callerCmd struct {
	Add    callerAddCmd    `cmd:"" help:"Make a caller and print its token, once."`
	List   callerListCmd   `cmd:"" help:"List the callers."`
	Set    callerSetCmd    `cmd:"" help:"Change what a caller may do."`
	Rotate callerRotateCmd `cmd:"" help:"Replace secrets of a caller and print the new ones, once."`
	Revoke callerRevokeCmd `cmd:"" help:"End a caller's access."`
}

// callerFlags say what a caller may do; what is not given stays as it is.
type callerFlags struct {
	CanGenerate      wordList `help:"Types of files made for the caller, comma-separated, or all." placeholder:"TYPES"`
	CanView          wordList `help:"Types of files that the caller sees, or all." placeholder:"TYPES"`
	CanDownload      wordList `help:"Types of files that the caller may download, or all." placeholder:"TYPES"`
	Grant            wordList `help:"Any of choose_outputs, age_first, gender_first, location_first, or all." placeholder:"GRANTS"`
	Builds           *int64   `help:"Credits for builds; -1 is unlimited." placeholder:"N"`
	Insights         *int64   `help:"Credits for insights; -1 is unlimited." placeholder:"N"`
	Expansions       *int64   `help:"Credits for expansions; -1 is unlimited." placeholder:"N"`
	ConcurrentBuilds *int     `help:"Builds that may run at once; 0 is no limit." placeholder:"N"`

	RequestsPerSecond *int   `help:"Requests a second, over both APIs and all servers; 0, the default, is no limit." placeholder:"N"`
	WaitingBuilds     *int   `help:"Builds that may wait for their turn; 0 is no limit. Default: 1000." placeholder:"N"`
	StoredMiB         *int64 `name:"stored-mib" help:"MiB of files that may be kept; 0, the default, is no limit." placeholder:"N"`
}

func (f callerFlags) spec() server.CallerSpec {
	return server.CallerSpec{
		CanGenerate: f.CanGenerate.words, CanView: f.CanView.words, CanDownload: f.CanDownload.words, Grants: f.Grant.words,
		Builds: f.Builds, Insights: f.Insights, Expansions: f.Expansions, ConcurrentBuilds: f.ConcurrentBuilds,
		CallerLimits: server.CallerLimits{RequestsPerSecond: f.RequestsPerSecond, WaitingBuilds: f.WaitingBuilds, StoredMiB: f.StoredMiB},
	}
}

// wordList is a comma-separated flag, which may be given several times; its
// words are nil where it was not.
type wordList struct{ words *[]string }

// Decode implements kong.MapperValue.
func (l *wordList) Decode(c *kong.DecodeContext) error {
	var text string
	if err := c.Scan.PopValueInto("words", &text); err != nil {
		return err
	}
	if l.words == nil {
		l.words = &[]string{}
	}
	for w := range strings.SplitSeq(text, ",") {
		if w = strings.TrimSpace(w); w != "" {
			*l.words = append(*l.words, w)
		}
	}
	return nil
}

type callerAddCmd struct {
	Name  string      `arg:"" help:"Its name."`
	JSON  bool        `name:"json" help:"Print one object with every secret of the caller."`
	Flags callerFlags `embed:""`
}

func (c *callerAddCmd) Run(e *env) error {
	s, err := e.open()
	if err != nil {
		return err
	}
	defer s.Close()
	secrets, err := s.AddCaller(e.ctx, c.Name, c.Flags.spec())
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(e.out).Encode(secrets)
	}
	_, err = fmt.Fprintln(e.out, secrets.Token)
	return err
}

type callerListCmd struct {
	JSON bool `name:"json" help:"Print a JSON array."`
}

func (c *callerListCmd) Run(e *env) error {
	s, err := e.open()
	if err != nil {
		return err
	}
	defer s.Close()
	callers, err := s.Callers(e.ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(e.out).Encode(callers)
	}
	tw := tabwriter.NewWriter(e.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "NAME\tGENERATES\tSEES\tDOWNLOADS\tGRANTS\tBUILDS\tMADE\tSTATE")
	for _, c := range callers {
		state := "active"
		if c.Revoked {
			state = "revoked"
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", c.Name, strings.Join(c.CanGenerate, ","), strings.Join(c.CanView, ","),
			strings.Join(c.CanDownload, ","), strings.Join(c.Grants, ","), credits(c.Builds), c.CreatedAt.UTC().Format(time.DateOnly), state)
	}
	return tw.Flush()
}

func credits(n int64) string {
	if n < 0 {
		return "unlimited"
	}
	return fmt.Sprint(n)
}

type callerSetCmd struct {
	Name  string      `arg:"" help:"Its name."`
	Flags callerFlags `embed:""`
}

func (c *callerSetCmd) Run(e *env) error {
	s, err := e.open()
	if err != nil {
		return err
	}
	defer s.Close()
	return s.SetCaller(e.ctx, c.Name, c.Flags.spec())
}

type callerRevokeCmd struct {
	Name  string `arg:"" help:"Its name."`
	Erase bool   `help:"Erase all that was the caller's, too: audiences, uploads, offers, deliveries, callbacks, keys. Where it is interrupted, run it again."`
}

func (c *callerRevokeCmd) Run(e *env) error {
	s, err := e.open()
	if err != nil {
		return err
	}
	defer s.Close()
	if !c.Erase {
		return s.RevokeCaller(e.ctx, c.Name)
	}
	audiences, uploads := 0, 0
	if err := s.EraseCaller(e.ctx, c.Name, func(a, u int) { audiences, uploads = a, u }); err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.out, "%s is revoked; %d audiences and %d uploads were erased, with all that was made of them\n", c.Name, audiences, uploads)
	return err
}
