package demo

import (
	"bufio"
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"text/tabwriter"
	"time"

	"throng/client"
)

// Name is the name of every generated dataset.
const Name = "throng synthetic demo"

// The requests are those of the vendor's documentation, one of each kind,
// less the callbacks: nobody listens there.
//
//go:embed requests/*.json
var requests embed.FS

// uploadKey stands in the requests for the key of a file uploaded just before.
const uploadKey = "/uploads/UPLOADED.ssid"

// VendorUpload is the upload that the documentation's examples name.
const VendorUpload = "/uploads/2022-11-02/078ace94fad569f01d1a3a99a440cf5c.ssid"

// Shown is what there is to be looked at after [Show].
type Shown struct {
	// First is the first audience with members; nil where none has any.
	First *client.Audience
	// Report is the public address of the report on it, "" where there is none.
	Report string
}

// interval is how often Show asks whether something is done.
const interval = 20 * time.Millisecond

// Show makes an audience of every kind through the API, as any client would,
// waits for them and prints what came of each. From the first one with members
// it goes on: to its report, to people who are like them, and to the largest
// group among them.
func Show(ctx context.Context, c *client.Client, w io.Writer) (shown Shown, err error) {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if shown.First, err = showRequests(ctx, c, tw); err != nil {
		return shown, err
	}
	if shown.First != nil {
		if shown.Report, err = showMore(ctx, c, tw, shown.First.ID); err != nil {
			return shown, err
		}
	}
	return shown, tw.Flush()
}

// showRequests makes an audience of each request, and returns the first one
// with members.
func showRequests(ctx context.Context, c *client.Client, tw io.Writer) (first *client.Audience, err error) {
	names, err := fs.Glob(requests, "requests/*.json")
	if err != nil {
		return nil, fmt.Errorf("list requests: %w", err)
	}
	var key string
	fmt.Fprintln(tw, "REQUEST\tAUDIENCE\tSTATE\tPEOPLE\tLINES OF EACH FILE")
	for _, name := range names {
		body, err := fs.ReadFile(requests, name)
		if err != nil {
			return nil, fmt.Errorf("read request: %w", err)
		}
		if bytes.Contains(body, []byte(uploadKey)) {
			if key == "" {
				if key, err = uploadSome(ctx, c, first); err != nil {
					return nil, err
				}
			}
			body = bytes.ReplaceAll(body, []byte(uploadKey), []byte(key))
		}
		a, err := build(ctx, c, body)
		if err != nil {
			return nil, fmt.Errorf("make audience of %s: %w", path.Base(name), err)
		}
		printAudience(tw, strings.TrimSuffix(path.Base(name), ".json"), a)
		if first == nil && a.Size != nil && *a.Size > 0 {
			first = a
		}
	}
	return first, nil
}

// showMore makes of an audience what can be made of it, and returns the address
// of its report.
func showMore(ctx context.Context, c *client.Client, tw io.Writer, id int64) (report string, err error) {
	i, err := showInsight(ctx, c, id)
	if err != nil {
		return "", err
	}
	expanded, err := c.Expand(ctx, id, client.Expanding{Factor: expansionFactor})
	if err != nil {
		return "", fmt.Errorf("expand audience %d: %w", id, err)
	}
	if err := showMade(ctx, c, tw, fmt.Sprintf("people like audience %d", id), expanded); err != nil {
		return "", err
	}
	if len(i.Clusters) > 0 { // as the synthetic fans have, by what they like beside
		largest := i.Clusters[0]
		made, err := c.MakeFromCluster(ctx, id, largest.ID, client.Making{})
		if err != nil {
			return "", fmt.Errorf("make audience of cluster %d of audience %d: %w", largest.ID, id, err)
		}
		if err := showMade(ctx, c, tw, fmt.Sprintf("a group in audience %d", id), made); err != nil {
			return "", err
		}
	}
	link, err := c.PublicLink(ctx, id)
	if err != nil {
		return "", fmt.Errorf("make link to the report on audience %d: %w", id, err)
	}
	return link.URL, nil
}

// expansionFactor is how many people Show finds who are like an audience, in
// sizes of that.
const expansionFactor = 2

// showInsight waits for the report on an audience, and orders it where the
// request did not.
func showInsight(ctx context.Context, c *client.Client, id int64) (*client.Insight, error) {
	if _, err := c.RequestInsight(ctx, id, ""); err != nil {
		return nil, fmt.Errorf("order report on audience %d: %w", id, err)
	}
	i, err := c.WaitInsight(ctx, id, client.InsightQuery{Limit: 1}, interval)
	if err != nil {
		return nil, fmt.Errorf("read report on audience %d: %w", id, err)
	}
	if i.Status != "done" {
		return nil, fmt.Errorf("the report on audience %d is %s: %s", id, i.Status, i.Error)
	}
	return i, nil
}

// showMade waits for an audience and prints what came of it.
func showMade(ctx context.Context, c *client.Client, tw io.Writer, name string, id int64) error {
	a, err := c.Wait(ctx, id, interval)
	if err != nil {
		return fmt.Errorf("make %s: %w", name, err)
	}
	printAudience(tw, name, a)
	return nil
}

func build(ctx context.Context, c *client.Client, body []byte) (*client.Audience, error) {
	id, err := c.CreateAudience(ctx, body)
	if err != nil {
		return nil, err
	}
	return c.Wait(ctx, id, interval)
}

func printAudience(w io.Writer, name string, a *client.Audience) {
	size := "–"
	if a.Size != nil {
		size = fmt.Sprint(*a.Size)
	}
	files := make([]string, len(a.Outputs))
	for i, o := range a.Outputs {
		files[i] = fmt.Sprintf("%s %d", o.Type, o.Rows)
	}
	fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\n", name, a.ID, a.Status, size, strings.Join(files, ", "))
}

// uploadSome uploads the keys of a few members of an audience, as an operator
// would upload a list of customers.
func uploadSome(ctx context.Context, c *client.Client, a *client.Audience) (string, error) {
	if a == nil {
		return "", errors.New("upload people: no audience before has members")
	}
	some, err := SomeMembers(ctx, c, a)
	if err != nil {
		return "", err
	}
	u, err := c.Upload(ctx, "ss_id", "some members of audience "+fmt.Sprint(a.ID), bytes.NewReader(some))
	if err != nil {
		return "", fmt.Errorf("upload people: %w", err)
	}
	return u.Key, nil
}

// SomeMembers gives the keys of a few members of an audience, one a line.
func SomeMembers(ctx context.Context, c *client.Client, a *client.Audience) ([]byte, error) {
	file, err := c.Output(ctx, a.ID, "ss_id", "text")
	if err != nil {
		return nil, fmt.Errorf("download people: %w", err)
	}
	defer file.Close()
	var some bytes.Buffer
	lines := bufio.NewScanner(file)
	for n := 0; n < 500 && lines.Scan(); n++ {
		some.Write(lines.Bytes())
		some.WriteByte('\n')
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("download people: %w", err)
	}
	return some.Bytes(), nil
}

// Example is a request to try by hand: who follows at least two of three
// accounts and is a woman.
func Example() []byte {
	body, err := json.Marshal(map[string]any{"parameters": []any{
		map[string]any{"operation": "OR", "youtube_channels": map[string]any{
			"accounts": []any{map[string]any{"id": "ID1"}, map[string]any{"id": "ID2"}, map[string]any{"id": "ID3"}}, "cutoff": 2,
		}},
		map[string]any{"operation": "AND", "gender": map[string]any{"genders": []string{"female"}}},
	}})
	if err != nil {
		panic(err) // the value above is plain
	}
	return body
}
