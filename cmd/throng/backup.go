package main

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"throng/server"
)

type backupCmd struct {
	To         string `arg:"" help:"A folder that is not there or empty, or a file that ends in .tar."`
	WithoutKey bool   `help:"Leave the secret key out; who restores must have it."`
}

func (c *backupCmd) Run(e *env) error {
	switch strings.ToLower(filepath.Ext(c.To)) {
	case ".gz", ".tgz", ".zst", ".zip", ".xz", ".bz2": // it would become a folder of that name
		return &server.UsageError{Message: fmt.Sprintf("want a folder, or a file that ends in .tar, not %s", filepath.Base(c.To))}
	}
	s, err := e.open()
	if err != nil {
		return err
	}
	defer s.Close()
	show := newProgress(e.err)
	made, err := s.Backup(e.ctx, c.To, server.BackupOptions{WithoutKey: c.WithoutKey, Progress: show.update})
	show.end()
	if err != nil {
		return err
	}
	if made.HasKey {
		fmt.Fprintln(e.err, "the backup holds the secret key and everything about people: keep it as you keep the data folder")
	} else {
		fmt.Fprintln(e.err, "the backup does not hold the secret key: without it nothing that is sealed can be read again")
	}
	return printBackup(e.out, c.To, made, "made")
}

type restoreCmd struct {
	From  string `arg:"" help:"The folder or file that 'throng backup' wrote."`
	Check bool   `help:"Verify the backup and write nothing."`
}

func (c *restoreCmd) Run(e *env) error {
	show := newProgress(e.err)
	found, err := server.Restore(e.ctx, e.settings.config(e), c.From, server.RestoreOptions{CheckOnly: c.Check, Progress: show.update})
	show.end()
	if err != nil {
		return err
	}
	return printBackup(e.out, c.From, found, "every sum is as it should be")
}

func printBackup(w io.Writer, where string, b server.Backup, end string) error {
	generation := "no generation"
	if b.Generation != "" {
		generation = "generation " + b.Generation
	}
	_, err := fmt.Fprintf(w, "%s: %s, %d files, %.1f MB; %s\n", where, generation, b.Files, float64(b.Bytes)/1e6, end)
	return err
}
