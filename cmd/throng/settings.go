package main

import (
	"cmp"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"throng/server"
)

// settings are the flags that every command takes; each can be set in the
// environment and in the configuration file, too.
type settings struct {
	Config                string        `help:"File of settings, a line each, as in 'listen: 127.0.0.1:9090'. Default: throng.yaml, where it is there." env:"THRONG_CONFIG" placeholder:"FILE"`
	Data                  string        `help:"Folder that holds everything. Default: ./throng-data." default:"./throng-data" env:"THRONG_DATA" placeholder:"DIR"`
	Listen                string        `help:"Address of the API and the page. Default: 127.0.0.1:8080." default:"127.0.0.1:8080" env:"THRONG_LISTEN" placeholder:"ADDR"`
	AdminListen           string        `help:"Address of /metrics and profiles, as in :9090, which is the loopback's. Default: off." env:"THRONG_ADMIN_LISTEN" placeholder:"ADDR"`
	Database              string        `help:"A postgres:// URL. Default: SQLite in the data folder." env:"THRONG_DATABASE" placeholder:"URL"`
	Blobs                 string        `help:"Where files are kept: s3://BUCKET/PREFIX?endpoint=URL, with the keys in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. Default: a folder in the data folder." env:"THRONG_BLOBS" placeholder:"URL"`
	Drop                  string        `help:"Folder that 'deliver --to drop' writes to. Default: none." env:"THRONG_DROP" placeholder:"DIR"`
	Role                  string        `help:"What serve does: api (answers requests), worker (runs jobs) or all. Default: all." default:"all" enum:"api,worker,all" env:"THRONG_ROLE" placeholder:"ROLE"`
	JobLease              time.Duration `hidden:"" help:"How long a job may go without a sign of its server." default:"50s" env:"THRONG_JOB_LEASE"`
	Engine                string        `help:"The index: embedded, the default." default:"embedded" env:"THRONG_ENGINE" placeholder:"ENGINE"`
	LogFormat             string        `help:"text or json. Default: text." default:"text" enum:"text,json" env:"THRONG_LOG_FORMAT" placeholder:"FORMAT"`
	LogLevel              string        `help:"What is logged: debug, info, warn or error, and what is worse. Default: info of serve, warn of the other commands, which print what they do." default:"" enum:",debug,info,warn,error" env:"THRONG_LOG_LEVEL" placeholder:"LEVEL"`
	OTLPEndpoint          string        `name:"otlp-endpoint" help:"Where traces go: the http or https URL of an OpenTelemetry collector. Default: what OTEL_EXPORTER_OTLP_ENDPOINT says, else none." env:"THRONG_OTLP_ENDPOINT" placeholder:"URL"`
	AllowPrivateCallbacks bool          `help:"Let callbacks and deliveries go to private and loopback addresses." env:"THRONG_ALLOW_PRIVATE_CALLBACKS"`
	ExpandByAgeAndGender  bool          `help:"Let age and gender weigh where an audience is expanded. Ethnicity never does." env:"THRONG_EXPAND_BY_AGE_AND_GENDER"`
	PublicURL             string        `name:"public-url" help:"Begins every URL given out. Default: the listen address." env:"THRONG_PUBLIC_URL" placeholder:"URL"`
	MinimumSize           uint64        `help:"People below which no size is shown and no file is made. Default: 0, which is none." default:"0" env:"THRONG_MINIMUM_SIZE" placeholder:"N"`
	InsightMinimum        uint64        `help:"Members below which no term is listed in an insight; 1 lists them all. Default: 10." default:"10" env:"THRONG_INSIGHT_MINIMUM" placeholder:"N"`
	KeepGenerations       int           `help:"How many of the newest generations are kept. Default: 2." default:"2" env:"THRONG_KEEP_GENERATIONS" placeholder:"N"`
	KeepAudiences         int           `help:"For how many days audiences stay after their end, and uploads after the last audience that used them. Default: 0, which is for ever." default:"0" env:"THRONG_KEEP_AUDIENCES" placeholder:"DAYS"`
	DeviceLock            time.Duration `help:"For how long the files of a device audience stay as they are after they were given; 0 is none. Default: 12h." default:"12h" env:"THRONG_DEVICE_LOCK" placeholder:"DURATION"`
	CountTimeout          time.Duration `help:"How long a preview or a look-up may take; 0 is no bound. Default: 30s." default:"30s" env:"THRONG_COUNT_TIMEOUT" placeholder:"DURATION"`
	MaxConnections        int           `help:"Connections that are served at once. Default: 4096." default:"4096" env:"THRONG_MAX_CONNECTIONS" placeholder:"N"`
	SecretKey             string        `help:"32 bytes in base64 that seal what must be read again. Default: made at the first start, in the data folder." env:"THRONG_SECRET_KEY" placeholder:"KEY"`
}

// config gives the settings to a server that logs to errOut.
func (s *settings) config(e *env) server.Config {
	var level slog.Level
	_ = level.UnmarshalText([]byte(cmp.Or(s.LogLevel, "warn"))) // one of four words
	options := &slog.HandlerOptions{Level: level}
	var handler slog.Handler = slog.NewTextHandler(e.err, options)
	if s.LogFormat == "json" {
		handler = slog.NewJSONHandler(e.err, options)
	}
	lock, count := s.DeviceLock, s.CountTimeout
	if lock <= 0 {
		lock = -1
	}
	if count <= 0 {
		count = -1
	}
	// A zero of these would be taken for not set.
	generations, connections := cmp.Or(s.KeepGenerations, -1), cmp.Or(s.MaxConnections, -1)
	return server.Config{
		Data: s.Data, Listen: s.Listen, AdminListen: s.AdminListen, Database: s.Database, Blobs: s.Blobs, Drop: s.Drop, Engine: s.Engine,
		Role: s.Role, JobLease: s.JobLease,
		AllowPrivateCallbacks: s.AllowPrivateCallbacks, ExpandByAgeAndGender: s.ExpandByAgeAndGender, PublicURL: s.PublicURL, MinimumSize: s.MinimumSize, InsightMinimum: max(s.InsightMinimum, 1),
		KeepGenerations: generations, KeepAudiences: s.KeepAudiences, DeviceLock: lock, CountTimeout: count, MaxConnections: connections,
		SecretKey: s.SecretKey, Version: version, OTLPEndpoint: s.OTLPEndpoint, Logger: slog.New(handler),
	}
}

// open opens the server's stores for a command.
func (e *env) open() (*server.Server, error) {
	return server.Open(e.ctx, e.settings.config(e))
}

// commandFirst moves the words that name a command to the front of args, so
// that flags may stand anywhere on the line.
func commandFirst(model *kong.Application, args []string) []string {
	takesValue := valueFlags(model)
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

// joinNegative writes flags whose value is a negative number in one word:
// --builds -1, where -1 would be taken for a flag.
func joinNegative(model *kong.Application, args []string) []string {
	takesValue := valueFlags(model)
	var joined []string
	for i := 0; i < len(args); i++ {
		switch next := min(i+1, len(args)-1); {
		case args[i] == "--":
			return append(joined, args[i:]...)
		case takesValue[args[i]] && next > i && isNegative(args[next]):
			joined = append(joined, args[i]+"="+args[next])
			i = next
		default:
			joined = append(joined, args[i])
		}
	}
	return joined
}

// isNegative tells of a negative number or time, as in -1, -.5 and -1h.
func isNegative(word string) bool {
	digits := strings.TrimPrefix(strings.TrimPrefix(word, "-"), ".")
	return strings.HasPrefix(word, "-") && digits != "" && '0' <= digits[0] && digits[0] <= '9'
}

// valueFlags tells of all flags, by "--name" and "-n", whether they take a
// value.
func valueFlags(model *kong.Application) map[string]bool {
	takesValue := map[string]bool{}
	_ = kong.Visit(model, func(n kong.Visitable, next kong.Next) error {
		if f, ok := n.(*kong.Flag); ok {
			takesValue["--"+f.Name] = !f.IsBool()
			if f.Short != 0 {
				takesValue["-"+string(f.Short)] = !f.IsBool()
			}
		}
		return next(nil)
	})
	return takesValue
}

func childNamed(n *kong.Node, name string) *kong.Node {
	for _, c := range n.Children {
		if c.Type == kong.CommandNode && c.Name == name {
			return c
		}
	}
	return nil
}
