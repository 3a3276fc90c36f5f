package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"gopkg.in/yaml.v3"
)

// configFile holds the settings of a file. It resolves flags that are neither
// on the line nor in the environment, which are stronger.
type configFile struct {
	path   string
	values map[string]string
	used   map[string]bool // names of flags that have their value from here
}

// readConfigFile reads the settings file that args or the environment name,
// or throng.yaml where it is there. A key that is no setting is an error, and
// so is a value that is not one word or number; an empty one is as if absent.
func readConfigFile(args []string, model *kong.Application) (*configFile, error) {
	c := &configFile{path: "throng.yaml", values: map[string]string{}, used: map[string]bool{}}
	named := false
	if v := os.Getenv("THRONG_CONFIG"); v != "" {
		c.path, named = v, true
	}
	for i, a := range args {
		if v, ok := strings.CutPrefix(a, "--config="); ok {
			c.path, named = v, true
		} else if a == "--config" && i+1 < len(args) {
			c.path, named = args[i+1], true
		}
	}
	text, err := os.ReadFile(c.path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !named:
		return c, nil
	case err != nil:
		return nil, fmt.Errorf("read settings: %w", err)
	}
	if err := c.read(text, model); err != nil {
		return nil, fmt.Errorf("read settings in %s: %w", c.path, err)
	}
	return c, nil
}

func (c *configFile) read(text []byte, model *kong.Application) error {
	var lines map[string]yaml.Node
	if err := yaml.Unmarshal(text, &lines); err != nil {
		return fmt.Errorf("want a setting a line, as in 'listen: 127.0.0.1:9090': %w", err)
	}
	for key, v := range lines {
		isSetting := slices.ContainsFunc(model.Flags, func(f *kong.Flag) bool { return f.Name == key })
		switch {
		case !isSetting || key == "help" || key == "config":
			return fmt.Errorf("%q is no setting", key)
		case v.Kind != yaml.ScalarNode:
			return fmt.Errorf("line %d: %s: want one value", v.Line, key)
		case v.Tag != "!!null":
			c.values[key] = v.Value
		}
	}
	return nil
}

// Validate implements kong.Resolver.
func (c *configFile) Validate(*kong.Application) error { return nil }

// Resolve implements kong.Resolver.
func (c *configFile) Resolve(_ *kong.Context, parent *kong.Path, f *kong.Flag) (any, error) {
	v, ok := c.values[f.Name]
	inEnvironment := slices.ContainsFunc(f.Envs, func(name string) bool {
		_, set := os.LookupEnv(name)
		return set
	})
	if !ok || parent.App == nil || inEnvironment {
		return nil, nil
	}
	c.used[f.Name] = true
	return v, nil
}

// blame says of an error about a setting that it came from the file, where it
// did: on the line it would be looked for in vain.
func (c *configFile) blame(err error) error {
	if err == nil {
		return nil
	}
	flag, _, _ := strings.Cut(strings.TrimPrefix(err.Error(), "--"), " ")
	if name := strings.TrimSuffix(flag, ":"); strings.HasPrefix(err.Error(), "--") && c.used[name] {
		return fmt.Errorf("%w (from %s)", err, c.path)
	}
	return err
}
