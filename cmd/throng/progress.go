package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/sys/unix"

	"throng/server"
)

// progress shows how far a long operation is: a bar on a terminal; elsewhere
// a line a step, which a log can hold.
type progress struct {
	w        io.Writer
	terminal bool
	step     string
	bar      *progressbar.ProgressBar // nil where none is drawn
}

func newProgress(w io.Writer) *progress {
	f, ok := w.(*os.File)
	return &progress{w: w, terminal: ok && isTerminal(f)}
}

// isTerminal tells whether a file has a window, which terminals alone have.
func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	return err == nil
}

// update is called from one goroutine at a time.
func (p *progress) update(now server.Progress) {
	if !p.terminal {
		if p.step != now.Step {
			p.step = now.Step
			fmt.Fprintln(p.w, describe(now))
		}
		return
	}
	if p.bar == nil || p.step != now.Step {
		p.end()
		p.step = now.Step
		p.bar = progressbar.NewOptions64(max(now.Total, 1), progressbar.OptionSetWriter(p.w),
			progressbar.OptionSetPredictTime(false), progressbar.OptionClearOnFinish(), progressbar.OptionFullWidth())
	}
	p.bar.Describe(describe(now))
	if now.Total > 0 {
		p.bar.ChangeMax64(now.Total)
		_ = p.bar.Set64(min(now.Done, now.Total)) // a bar that cannot be drawn is no failure of the work
	}
}

// describe names the step, and how long all, or else the step, will still take,
// where that is known.
func describe(now server.Progress) string {
	switch {
	case now.Left > 0:
		return fmt.Sprintf("%s (about %s left)", now.Step, about(now.Left))
	case now.StepLeft > 0:
		return fmt.Sprintf("%s (about %s left of this step)", now.Step, about(now.StepLeft))
	}
	return now.Step
}

// about rounds a time as an estimate deserves.
func about(d time.Duration) time.Duration {
	unit := time.Second
	switch {
	case d > 10*time.Minute:
		unit = time.Minute
	case d > time.Minute:
		unit = 10 * time.Second
	}
	return max(d.Round(unit), unit)
}

func (p *progress) end() {
	if p.bar != nil {
		_ = p.bar.Finish() // as above
		p.bar = nil
	}
}
