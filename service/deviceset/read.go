package deviceset

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"throng"
	"throng/blob"
	"throng/device"
	"throng/engine"
	"throng/identifier"
	"throng/query"
	"throng/service/idlist"
	"throng/service/rowstore"
)

// What reading is at.
const (
	StepReading  = "reading"
	StepMatching = "matching"
)

// compareAtMost is how many raw ids of the dataset are compared with what the
// files hold hashed: a fraction of a second's work.
const compareAtMost = 300_000

// writeBuffer is how many bytes of a file are written at once.
const writeBuffer = 128 << 10

// invalidKey is the file of the lines that were refused, by file of devices.
func invalidKey(prefix string) string { return prefix + "/invalid" }

// linesKey is the file of raw advertising ids.
func linesKey(prefix string) string { return prefix + "/lines" }

// Source is one file as it was given. It is kept as JSON.
type Source struct {
	Type     identifier.Type `json:"type"`
	Path     string          `json:"path"`
	At       string          `json:"at"`
	Key      string          `json:"key"`
	Size     int64           `json:"size"`
	Incoming int64           `json:"incoming"`
}

// Found is what reading the files of a device audience found.
type Found struct {
	Prefix   string // of the keys
	Bytes    int64  // of the set and the lines
	Counts   throng.DeviceCounts
	Lists    []throng.DeviceFile // without their invalid lines; see [Refused]
	Warnings []string
	Info     engine.Info // of the generation that people were found on
}

// Config says what files are read with.
type Config struct {
	Blobs   blob.Store
	Rows    *rowstore.Store // keeps who owns them
	Memory  int             // bytes that are sorted in memory
	TempDir string          // "" is os.TempDir()
	Limit   int64           // bytes of a file, as sent and unpacked
}

// reader reads the files of one audience.
type reader struct {
	Config
	found *Found
}

// Read reads all files, then writes and matches what they hold; g is nil where
// nobody is known. found has the prefix to write below, and gets what was found.
// refused is what makes the files of no use, which is the caller's doing. at is
// told how far it is: 0 to 0.6 at [StepReading], then [StepMatching].
func Read(
	ctx context.Context, cfg Config, g engine.Generation, sources []Source, found *Found, at func(step string, share float64),
) (refused *throng.Failure, err error) {
	r := reader{cfg, found}
	if g != nil {
		found.Info = g.Info()
	}
	c := device.NewCollector(device.Config{
		Memory: r.Memory, TempDir: r.TempDir, Limit: r.Limit, KeepRefused: throng.MaxInvalidLines,
	})
	defer c.Close()
	if bad, err := r.collect(ctx, c, sources, func(share float64) { at(StepReading, 0.01+0.59*share) }); bad != nil || err != nil {
		return bad, err
	}
	if g != nil {
		if err := compareRaw(ctx, g, c); err != nil {
			return nil, fmt.Errorf("compare with raw ids: %w", err)
		}
	}
	reports := c.Reports()
	lines := found.report(reports, sources)
	if err := r.writeJSON(ctx, invalidKey(found.Prefix), lines); err != nil {
		return nil, err
	}
	if bad := noDevices(reports, sources, found.Lists); bad != nil {
		return bad, nil
	}
	at(StepMatching, 0.6)
	return nil, r.keepDevices(ctx, g, c)
}

// collect reads the files one after the other.
func (r *reader) collect(ctx context.Context, c *device.Collector, sources []Source, progress func(share float64)) (*throng.Failure, error) {
	total, done := int64(1), int64(0)
	for _, f := range sources {
		total += f.Size
	}
	for _, f := range sources {
		body, err := r.Blobs.Open(ctx, f.Key)
		if errors.Is(err, blob.ErrNotFound) {
			return badFile(f, "is not there any more; send it again"), nil
		}
		if err != nil {
			return nil, fmt.Errorf("open file of devices: %w", err)
		}
		err = c.Read(ctx, f.Type, readFunc(func(b []byte) (int, error) {
			n, err := body.Read(b)
			done += int64(n)
			progress(float64(done) / float64(total))
			return n, err
		}))
		body.Close()
		switch {
		case idlist.ArchiveTrouble(err) != "":
			return badFile(f, idlist.ArchiveTrouble(err)), nil
		case errors.Is(err, device.ErrTooLarge):
			return badFile(f, "has more in it than is allowed"), nil
		case err != nil:
			return nil, fmt.Errorf("read file of devices: %w", err)
		}
	}
	return nil, nil
}

// readFunc is a reader.
type readFunc func([]byte) (int, error)

func (f readFunc) Read(b []byte) (int, error) { return f(b) }

func badFile(f Source, message string) *throng.Failure {
	return &throng.Failure{Code: string(throng.Invalid), Message: f.At + ": the file " + message}
}

// compareRaw shows the doctor what raw ids the dataset knows, where sums could
// be of them.
func compareRaw(ctx context.Context, g engine.Generation, c *device.Collector) error {
	families, types := comparedTypes(c)
	if len(types) == 0 {
		return nil
	}
	everyone, _, err := g.Select(ctx, query.Definition{Steps: []query.Step{{Op: query.Include, Node: query.Not{Node: query.Or{}}}}}, 0)
	if err != nil {
		return err
	}
	n := 0
	enough := errors.New("enough")
	err = g.Stream(ctx, everyone, types, func(b *engine.Batch) error {
		from := uint32(0)
		for _, end := range b.Ends {
			for _, f := range families[b.Type] {
				c.Compare(f, normalOf(f, b.Lines[from:end-1]))
			}
			from = end
		}
		if n += len(b.Ends); n >= compareAtMost {
			return enough
		}
		return nil
	})
	if errors.Is(err, enough) {
		return nil
	}
	return err
}

// report words what was found, and gives the lines that were refused, by file.
func (r *Found) report(reports []device.Report, sources []Source) [][]throng.InvalidLine {
	lines := make([][]throng.InvalidLine, len(reports))
	for i, f := range reports {
		list := throng.DeviceFile{
			Type: f.Type, Path: sources[i].Path, Header: f.Header, Rows: f.Rows, Invalid: f.Invalid,
		}
		for _, x := range f.Findings {
			list.Findings = append(list.Findings, throng.DeviceFinding(x))
			if !x.Hint {
				r.Warnings = append(r.Warnings, sources[i].At+": "+x.Message)
			}
		}
		lines[i] = make([]throng.InvalidLine, len(f.Lines))
		for k, line := range f.Lines {
			lines[i][k] = throng.InvalidLine(line)
		}
		r.Lists = append(r.Lists, list)
		r.Counts.Rows += f.Rows
		r.Counts.Invalid += f.Invalid
	}
	return lines
}

// noDevices tells of the first file that holds no id of its type.
func noDevices(reports []device.Report, sources []Source, lists []throng.DeviceFile) *throng.Failure {
	for i, f := range lists {
		if f.Rows > f.Invalid {
			continue
		}
		message := fmt.Sprintf("holds no %s: it has no line", f.Type)
		switch {
		case f.Rows > 0:
			message = fmt.Sprintf("holds no %s in %d lines: most are refused as %s", f.Type, f.Rows, reports[i].Reason)
		case f.Header:
			message = fmt.Sprintf("holds no %s: its one line is none, and was taken for a header", f.Type)
		}
		if len(f.Findings) > 0 {
			message += "; " + f.Findings[0].Message
		}
		return badFile(sources[i], message)
	}
	return nil
}

// Refused gives the lines that were refused of what was read below a prefix, by
// file. It wraps [blob.ErrNotFound] where there is nothing.
func Refused(ctx context.Context, blobs blob.Store, prefix string) (lines [][]throng.InvalidLine, err error) {
	r, err := blobs.Open(ctx, invalidKey(prefix))
	if err != nil {
		return nil, err
	}
	defer r.Close()
	raw, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	return lines, json.Unmarshal(raw, &lines)
}
