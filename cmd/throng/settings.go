package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"
	"gopkg.in/yaml.v3"

	"throng/server"
)

// settings are the flags that every command takes; each can be set in the
// environment and in the configuration file, too.
type settings struct {
	Config                string        `help:"File of settings, a line each, as in 'listen: 127.0.0.1:9090'. Default: throng.yaml, where it is there." env:"THRONG_CONFIG" placeholder:"FILE"`
	Data                  string        `help:"Folder that holds everything. Default: ./throng-data." default:"./throng-data" env:"THRONG_DATA" placeholder:"DIR"`
	Listen                string        `help:"Address of the API and the page. Default: 127.0.0.1:8080." default:"127.0.0.1:8080" env:"THRONG_LISTEN" placeholder:"ADDR"`
	AdminListen           string        `help:"Address of /metrics and profiles. Default: off." env:"THRONG_ADMIN_LISTEN" placeholder:"ADDR"`
	Database              string        `help:"A postgres:// URL. Default: SQLite in the data folder." env:"THRONG_DATABASE" placeholder:"URL"`
	Blobs                 string        `help:"Where files are kept: s3://BUCKET/PREFIX?endpoint=URL, with the keys in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. Default: a folder in the data folder." env:"THRONG_BLOBS" placeholder:"URL"`
	Drop                  string        `help:"Folder that 'deliver --to drop' writes to. Default: none." env:"THRONG_DROP" placeholder:"DIR"`
	Engine                string        `help:"The index: embedded." default:"embedded" env:"THRONG_ENGINE" placeholder:"ENGINE"`
	LogFormat             string        `help:"text or json." default:"text" enum:"text,json" env:"THRONG_LOG_FORMAT" placeholder:"FORMAT"`
	AllowPrivateCallbacks bool          `help:"Let callbacks and deliveries go to private and loopback addresses." env:"THRONG_ALLOW_PRIVATE_CALLBACKS"`
	PublicURL             string        `name:"public-url" help:"Begins every URL given out. Default: the listen address." env:"THRONG_PUBLIC_URL" placeholder:"URL"`
	MinimumSize           uint64        `help:"People below which no size is shown and no file is made." default:"0" env:"THRONG_MINIMUM_SIZE" placeholder:"N"`
	InsightMinimum        uint64        `help:"Members below which no term is listed in an insight; 1 lists them all. Default: 10." default:"10" env:"THRONG_INSIGHT_MINIMUM" placeholder:"N"`
	KeepGenerations       int           `help:"How many of the newest generations are kept. Default: 2." default:"2" env:"THRONG_KEEP_GENERATIONS" placeholder:"N"`
	DeviceLock            time.Duration `help:"For how long the files of a device audience stay as they are after they were given; 0 is none. Default: 12h." default:"12h" env:"THRONG_DEVICE_LOCK" placeholder:"DURATION"`
	SecretKey             string        `help:"32 bytes in base64 that seal what must be read again. Default: made at the first start, in the data folder." env:"THRONG_SECRET_KEY" placeholder:"KEY"`
}

// config gives the settings to a server that logs to errOut.
func (s *settings) config(e *env) server.Config {
	var handler slog.Handler = slog.NewTextHandler(e.err, nil)
	if s.LogFormat == "json" {
		handler = slog.NewJSONHandler(e.err, nil)
	}
	lock := s.DeviceLock
	if lock <= 0 {
		lock = -1
	}
	return server.Config{
		Data: s.Data, Listen: s.Listen, AdminListen: s.AdminListen, Database: s.Database, Blobs: s.Blobs, Drop: s.Drop, Engine: s.Engine,
		AllowPrivateCallbacks: s.AllowPrivateCallbacks, PublicURL: s.PublicURL, MinimumSize: s.MinimumSize, InsightMinimum: max(s.InsightMinimum, 1),
		KeepGenerations: s.KeepGenerations, DeviceLock: lock, SecretKey: s.SecretKey, Logger: slog.New(handler),
	}
}

// open opens the server's stores for a command.
func (e *env) open() (*server.Server, error) {
	return server.Open(e.ctx, e.settings.config(e))
}

// commandFirst moves the words that name a command to the front of args, so
// that flags may stand anywhere on the line.
func commandFirst(model *kong.Application, args []string) []string {
	takesValue := map[string]bool{} // flags, by "--name" and "-n"
	_ = kong.Visit(model, func(n kong.Visitable, next kong.Next) error {
		if f, ok := n.(*kong.Flag); ok {
			takesValue["--"+f.Name] = !f.IsBool()
			if f.Short != 0 {
				takesValue["-"+string(f.Short)] = !f.IsBool()
			}
		}
		return next(nil)
	})
	var front, rest []string
	node := model.Node
	for i := 0; i < len(args); i++ {
		a := args[i]
		switch child := childNamed(node, a); {
		case a == "--":
			return slices.Concat(front, rest, args[i:])
		case child != nil:
			front = append(front, a)
			node = child
		case strings.HasPrefix(a, "-"):
			rest = append(rest, a)
			if takesValue[a] && i+1 < len(args) {
				i++
				rest = append(rest, args[i])
			}
		default:
			rest = append(rest, args[i:]...)
			return append(front, rest...)
		}
	}
	return append(front, rest...)
}

func childNamed(n *kong.Node, name string) *kong.Node {
	for _, c := range n.Children {
		if c.Type == kong.CommandNode && c.Name == name {
			return c
		}
	}
	return nil
}

// readConfigFile reads the settings file that args or the environment name,
// or throng.yaml where it is there. A key that is no setting is an error.
func readConfigFile(args []string, model *kong.Application) (kong.Resolver, error) {
	path, named := "throng.yaml", false
	if v := os.Getenv("THRONG_CONFIG"); v != "" {
		path, named = v, true
	}
	for i, a := range args {
		if v, ok := strings.CutPrefix(a, "--config="); ok {
			path, named = v, true
		} else if a == "--config" && i+1 < len(args) {
			path, named = args[i+1], true
		}
	}
	values := map[string]any{}
	text, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !named:
	case err != nil:
		return nil, fmt.Errorf("read settings: %w", err)
	default:
		if err := yaml.Unmarshal(text, &values); err != nil {
			return nil, fmt.Errorf("read settings in %s: %w", path, err)
		}
	}
	known := map[string]bool{}
	for _, f := range model.Flags {
		known[f.Name] = f.Name != "help" && f.Name != "config"
	}
	for key := range values {
		if !known[key] {
			return nil, fmt.Errorf("read settings in %s: %q is no setting", path, key)
		}
	}
	return kong.ResolverFunc(func(_ *kong.Context, parent *kong.Path, f *kong.Flag) (any, error) {
		v, ok := values[f.Name]
		inEnvironment := slices.ContainsFunc(f.Envs, func(name string) bool {
			_, set := os.LookupEnv(name)
			return set
		})
		if !ok || parent.App == nil || inEnvironment { // which is stronger
			return nil, nil
		}
		return fmt.Sprint(v), nil
	}), nil
}
