// Command throng builds audiences out of tables about people, and serves them
// over the Silhouette API. `throng help` tells everything.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"throng/bench"
	"throng/server"
)

// version is set by the linker in released builds.
var version = "dev"

// The exit statuses.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2 // wrong usage, or a malformed dataset.json
)

// cli is the whole command line.
type cli struct {
	Settings settings `embed:"" group:"Settings:"`

	Demo     demoCmd     `cmd:"" help:"Serve a synthetic population of 100,000 people, with audiences to look at."`
	Load     loadCmd     `cmd:"" help:"Build a generation from a dataset folder and switch to it."`
	Serve    serveCmd    `cmd:"" help:"Run the HTTP server and the build workers."`
	Count    countCmd    `cmd:"" help:"Count a definition without a server."`
	Insight  insightCmd  `cmd:"" help:"Tell what sets an audience apart."`
	Deliver  deliverCmd  `cmd:"" help:"Send the device ids of an audience to where they are used."`
	Caller   callerCmd   `cmd:"" help:"Make and change API callers."`
	Generate generateCmd `cmd:"" help:"Write a synthetic dataset (Parquet)."`
	Check    checkCmd    `cmd:"" help:"Verify every invariant of the current generation."`
	Backup   backupCmd   `cmd:"" help:"Copy the data folder, while a server runs on it."`
	Restore  restoreCmd  `cmd:"" help:"Make a data folder out of a backup."`
	Bench    benchCmd    `cmd:"" help:"Measure the engine on a population made on the spot, beside another library and the machine itself."`
	Version  versionCmd  `cmd:"" help:"Print the version."`
	Help     helpCmd     `cmd:"" help:"Tell about a command."`
}

// env is what a command may touch of the world.
type env struct {
	ctx      context.Context
	in       io.Reader
	out, err io.Writer
	parser   *kong.Kong
	settings *settings
}

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// run is main with the world as arguments; it returns the exit status.
func run(args []string, in io.Reader, out, errOut io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	c := &cli{}
	done := -1 // set where the parser itself ends the command, as --help does
	parser, err := kong.New(c,
		kong.Name("throng"),
		kong.Description("Build audiences out of tables about people, on your own machine."),
		kong.Writers(out, errOut),
		kong.Exit(func(code int) { done = code }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, FlagsLast: true, WrapUpperBound: 110}),
		vars(),
	)
	if err != nil {
		fmt.Fprintf(errOut, "throng: %v\n", err)
		return exitFailed
	}
	if len(args) == 0 {
		args = []string{"help"}
	}
	args = commandFirst(parser.Model, joinNegative(parser.Model, args))
	file, err := readConfigFile(args, parser.Model)
	if err != nil && (args[0] == "help" || args[0] == "version") {
		file, err = &configFile{}, nil // they do without, and may be what is needed now
	}
	if err != nil {
		fmt.Fprintf(errOut, "throng: %v\n", err)
		return exitUsage
	}
	if err := kong.Resolvers(file).Apply(parser); err != nil {
		fmt.Fprintf(errOut, "throng: %v\n", err)
		return exitFailed
	}
	parsed, err := parser.Parse(args)
	if done >= 0 {
		return done
	}
	if err != nil {
		fmt.Fprintf(errOut, "throng: %v\n", file.blame(err))
		fmt.Fprintln(errOut, "`throng help` tells how to use it.")
		return exitUsage
	}
	e := &env{ctx: ctx, in: in, out: out, err: errOut, parser: parser, settings: &c.Settings}
	return status(file.blame(parsed.Run(e)), errOut)
}

// vars are the words that stand for others in the texts of flags.
func vars() kong.Vars {
	return kong.Vars{"version": version, "bench_rows": strings.Join(bench.RowNames(), ", ")}
}

// status tells an error and gives the exit status that goes with it.
func status(err error, errOut io.Writer) int {
	if err == nil {
		return exitDone
	}
	if silent, ok := errors.AsType[*toldError](err); ok {
		return silent.status
	}
	if errors.Is(err, context.Canceled) { // which only a signal does
		fmt.Fprintln(errOut, "throng: interrupted")
		return exitFailed
	}
	fmt.Fprintf(errOut, "throng: %v\n", err)
	if _, ok := errors.AsType[*server.UsageError](err); ok || server.IsMalformedDataset(err) {
		return exitUsage
	}
	return exitFailed
}

// toldError ends the command with a status after everything has been said.
type toldError struct{ status int }

func (e *toldError) Error() string { return "told already" }
