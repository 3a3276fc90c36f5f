package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"throng/client"
	"throng/demo"
	"throng/server"
)

type demoCmd struct{}

// demoPeople is how many people the demo has.
const demoPeople = 100_000

// demoCaller is the caller that the demo makes its audiences with.
const demoCaller = "demo"

func (c *demoCmd) Run(e *env) error {
	e.settings.AllowPrivateCallbacks = true // the vendor's example calls localhost
	s, err := e.open()
	if err != nil {
		return err
	}
	defer s.Close()
	if err := demoData(e, s); err != nil {
		return err
	}
	token, err := s.DemoCaller(e.ctx, demoCaller)
	if err != nil {
		return err
	}
	// The server ends with the context of its own, so that a failing show
	// ends it, too.
	ctx, stop := context.WithCancel(e.ctx)
	defer stop()
	group, gctx := errgroup.WithContext(ctx)
	ready := make(chan string, 1)
	group.Go(func() error { return s.Serve(gctx, func(url string) { ready <- url }) })
	group.Go(func() error {
		select {
		case url := <-ready:
			return demoShow(gctx, e.out, s, url, token)
		case <-gctx.Done():
			return nil
		}
	})
	if err := group.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// demoData generates and loads the population where it is not there yet. A
// data folder that holds something else is left alone.
func demoData(e *env, s *server.Server) error {
	now, loaded, err := s.Current(e.ctx)
	switch {
	case err != nil:
		return err
	case loaded && now.Name == demo.Name:
		return nil
	case loaded:
		return &server.UsageError{Setting: "data", Message: fmt.Sprintf("the folder holds another dataset, %q; name one of its own for the demo", now.Name)}
	}
	dir := filepath.Join(e.settings.Data, "demo-dataset")
	fmt.Fprintf(e.out, "Making a synthetic population of %d people in %s: none of them exists.\n", demoPeople, dir)
	show := newProgress(e.err)
	start := time.Now()
	if _, err := os.Stat(dir); err != nil {
		err := demo.Generate(e.ctx, demo.Config{People: demoPeople, Seed: 1, Dir: dir, Progress: func(done, total int64) {
			show.update(server.Progress{Step: "generating", Done: done, Total: total})
		}})
		show.end()
		if err != nil {
			return err
		}
	}
	generated := time.Now()
	report, err := s.Load(e.ctx, dir, server.LoadOptions{AllowRejects: 0.05, Progress: show.update})
	show.end()
	if err != nil {
		return err
	}
	var rows uint64
	for _, t := range report.Tables {
		rows += t.Rows
	}
	fmt.Fprintf(e.out, "Generated in %v; loaded %d people and %d rows in %v.\n\n",
		generated.Sub(start).Round(10*time.Millisecond), report.People, rows, time.Since(generated).Round(10*time.Millisecond))
	return nil
}

// demoShow makes the audiences and tells how to go on.
func demoShow(ctx context.Context, w io.Writer, s *server.Server, url, token string) error {
	fmt.Fprintln(w, "Every person here is synthetic. The requests of the API's documentation, sent to this server:")
	fmt.Fprintln(w)
	c := client.New(url, token)
	shown, err := demo.Show(ctx, c, w)
	if err != nil {
		return err
	}
	if shown.First != nil {
		some, err := demo.SomeMembers(ctx, c, shown.First)
		if err != nil {
			return err
		}
		if err := s.DemoUpload(ctx, token, demo.VendorUpload, bytes.NewReader(some)); err != nil {
			return err
		}
	}
	fmt.Fprintf(w, "\nToken:  %s\n", token)
	fmt.Fprintf(w, "Page:   %s/   (paste the token)\n", url)
	fmt.Fprintf(w, "API:    %s/docs\n", url)
	if shown.Report != "" {
		fmt.Fprintf(w, "Report: %s   (on audience %d, for whoever has this address)\n", shown.Report, shown.First.ID)
	}
	fmt.Fprintf(w, "\nHow many would that be:\n  curl -s -H 'Authorization: Bearer %s' -H 'Content-Type: application/json' %s/platform/v0/audiences/preview -d '%s'\n",
		token, url, demo.Example())
	if first := shown.First; first != nil {
		fmt.Fprintf(w, "The members of audience %d:\n  curl -s -H 'Authorization: Bearer %s' %s/platform/v0/audiences/%d/outputs/md5\n", first.ID, token, url, first.ID)
	}
	_, err = fmt.Fprintln(w, "\nServing until interrupted.")
	return err
}
