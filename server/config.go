package server

import (
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"throng/blob/s3"
	"throng/internal/logs"
)

// Config is every setting of a server, and of the commands that work beside
// one. The zero value of a field means its default.
type Config struct {
	// Data is the folder that holds everything: index, database, files, keys.
	// It is made with mode 0700. Defaults to ./throng-data.
	Data string
	// Listen is the address of the API and the page. Defaults to
	// 127.0.0.1:8080.
	Listen string
	// AdminListen is the address of metrics and profiles; empty: off. Without a
	// host it is the loopback's.
	AdminListen string
	// Database is "" for SQLite in the data folder, or a postgres:// URL.
	Database string
	// Blobs is "" for a folder in the data folder, or
	// s3://BUCKET/PREFIX?endpoint=URL&region=NAME. The keys of S3 are read from
	// the environment alone: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and, where
	// they end, AWS_SESSION_TOKEN.
	Blobs string
	// Role is what the server does: RoleAll, the default, RoleAPI or RoleWorker.
	Role string
	// JobLease is how long a job may go without a sign of its server before
	// another takes it over. Defaults to 50 seconds.
	JobLease time.Duration
	// Engine is "embedded", the default.
	Engine string
	// Drop is the folder that deliveries to a drop are made in; "" is none.
	Drop string
	// AllowPrivateCallbacks lets callbacks and deliveries go to private and
	// loopback addresses.
	AllowPrivateCallbacks bool
	// ExpandByAgeAndGender lets age and gender weigh in expansions.
	ExpandByAgeAndGender bool
	// PublicURL begins every URL that the server gives out. Defaults to the
	// listen address.
	PublicURL string
	// MinimumSize is the number of people below which a size is not shown
	// and no files are made; 0 means no limit.
	MinimumSize uint64
	// InsightMinimum is the number of members below which no term is listed in a
	// report. Defaults to 10; 1 lists them all.
	InsightMinimum uint64
	// KeepGenerations is how many of the newest generations are kept.
	// Defaults to 2.
	KeepGenerations int
	// KeepAudiences is for how many days audiences stay after their end; 0 is
	// for ever.
	KeepAudiences int
	// DeviceLock is for how long the files of a device audience stay as they
	// are after they were given; -1 is none. Defaults to 12 hours.
	DeviceLock time.Duration
	// CountTimeout bounds previews and look-ups. Defaults to 30 s; -1 is no
	// bound.
	CountTimeout time.Duration
	// MaxConnections is how many connections are served at once. Defaults to
	// 4,096.
	MaxConnections int
	// SecretKey is 32 bytes in base64, which seal what must be read again.
	// Defaults to one made at the first start, in a file of the data folder.
	SecretKey string
	// Version is the program's, for metrics and traces.
	Version string
	// OTLPEndpoint is the base URL of a collector of OpenTelemetry. Where it is
	// empty the variables of OpenTelemetry say where traces go, if anywhere.
	OTLPEndpoint string
	// Logger defaults to slog.Default().
	Logger *slog.Logger
	// Now defaults to time.Now.
	Now func() time.Time

	pace pace // of clients
}

// UsageError is a setting that cannot be used. The command exits with 2.
type UsageError struct{ Setting, Message string }

// Error names the setting, where it is about one.
func (e *UsageError) Error() string {
	if e.Setting == "" {
		return e.Message
	}
	return fmt.Sprintf("--%s: %s", e.Setting, e.Message)
}

func usage(setting, format string, args ...any) error {
	return &UsageError{Setting: setting, Message: fmt.Sprintf(format, args...)}
}

// withDefaults fills in what is not set and refuses what cannot be.
func (c Config) withDefaults() (Config, error) {
	if c.Data == "" {
		c.Data = "throng-data"
	}
	abs, err := filepath.Abs(c.Data)
	if err != nil {
		return c, fmt.Errorf("find data folder: %w", err)
	}
	c.Data = abs
	if c.Listen == "" {
		c.Listen = "127.0.0.1:8080"
	}
	if c.Role == "" {
		c.Role = RoleAll
	}
	if c.KeepGenerations == 0 {
		c.KeepGenerations = 2
	}
	if c.DeviceLock == 0 {
		c.DeviceLock = 12 * time.Hour
	}
	if c.CountTimeout == 0 {
		c.CountTimeout = 30 * time.Second
	}
	if c.MaxConnections == 0 {
		c.MaxConnections = 4096
	}
	if strings.HasPrefix(c.AdminListen, ":") {
		c.AdminListen = "127.0.0.1" + c.AdminListen
	}
	c.pace = c.pace.withDefaults()
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	c.Logger = slog.New(logs.Handler(c.Logger.Handler()))
	return c, errors.Join(c.checkEngine(), c.checkAddresses(), c.checkStores(), c.checkURL(), c.checkKey(), c.checkTraces(), c.checkRole())
}

func (c Config) checkEngine() error {
	switch {
	case c.Engine == "", c.Engine == "embedded":
		return nil
	case strings.HasPrefix(c.Engine, "clickhouse://"):
		return usage("engine", "the ClickHouse engine is not built yet; use embedded")
	}
	return usage("engine", "want embedded, not %q", c.Engine)
}

func (c Config) checkAddresses() error {
	if !isAddress(c.Listen) {
		return usage("listen", "want HOST:PORT, as in 127.0.0.1:8080, not %q", c.Listen)
	}
	if c.AdminListen != "" && !isAddress(c.AdminListen) {
		return usage("admin-listen", "want HOST:PORT, as in 127.0.0.1:9090, not %q", c.AdminListen)
	}
	return nil
}

func isAddress(s string) bool {
	_, port, err := net.SplitHostPort(s)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	return err == nil
}

func (c Config) checkStores() error {
	if c.MaxConnections < 1 {
		return usage("max-connections", "want at least 1")
	}
	if c.KeepGenerations < 1 {
		return usage("keep-generations", "want at least 1")
	}
	if c.KeepAudiences < 0 || c.KeepAudiences > maxKeep {
		return usage("keep-audiences", "want a number of days from 1 to %d, or 0 to keep them for ever", maxKeep)
	}
	if c.Blobs != "" {
		if _, err := c.bucket(); err != nil {
			return err
		}
	}
	if c.Database != "" && !strings.HasPrefix(c.Database, "postgres://") && !strings.HasPrefix(c.Database, "postgresql://") {
		return usage("database", "want a postgres:// URL, or nothing for SQLite in the data folder")
	}
	return nil
}

// maxKeep is a hundred years in days.
const maxKeep = 36_500

// bucket says where files are kept that are not kept in a folder.
func (c Config) bucket() (s3.Config, error) {
	b, err := s3.ParseURL(c.Blobs)
	if err != nil {
		return b, usage("blobs", "%v; leave it out to keep files in the data folder", err)
	}
	b.AccessKey, b.SecretKey, b.SessionToken = os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_SECRET_ACCESS_KEY"), os.Getenv("AWS_SESSION_TOKEN")
	if b.AccessKey == "" || b.SecretKey == "" {
		return b, usage("blobs", "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment")
	}
	return b, nil
}

func (c Config) checkURL() error {
	if c.PublicURL == "" {
		return nil
	}
	u, err := url.Parse(c.PublicURL)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") || u.RawQuery != "" || u.Fragment != "" {
		return usage("public-url", "want an http or https URL, as in https://audiences.example.com")
	}
	return nil
}

func (c Config) checkTraces() error {
	if c.OTLPEndpoint == "" {
		return nil
	}
	u, err := url.Parse(c.OTLPEndpoint)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return usage("otlp-endpoint", "want the http or https URL of a collector, as in http://127.0.0.1:4318")
	}
	return nil
}

func (c Config) checkKey() error {
	if c.SecretKey == "" {
		return nil
	}
	if key, err := base64.StdEncoding.DecodeString(c.SecretKey); err != nil || len(key) != 32 {
		return usage("secret-key", "want 32 bytes in base64")
	}
	return nil
}
