package demo

import (
	"bufio"
	"bytes"
	"context"
	"embed"
	"encoding/json"
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

// Show makes an audience of every kind through the API, as any client would,
// waits for them and prints what came of each. It returns the first one with
// members, to be looked at.
func Show(ctx context.Context, c *client.Client, w io.Writer) (*client.Audience, error) {
	names, err := fs.Glob(requests, "requests/*.json")
	if err != nil {
		return nil, fmt.Errorf("list requests: %w", err)
	}
	var first *client.Audience
	var key string
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
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
	return first, tw.Flush()
}

func build(ctx context.Context, c *client.Client, body []byte) (*client.Audience, error) {
	id, err := c.CreateAudience(ctx, body)
	if err != nil {
		return nil, err
	}
	return c.Wait(ctx, id, 20*time.Millisecond)
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
		return "", fmt.Errorf("upload people: no audience before has members")
	}
	file, err := c.Output(ctx, a.ID, "ss_id", "text")
	if err != nil {
		return "", fmt.Errorf("download people: %w", err)
	}
	defer file.Close()
	var some bytes.Buffer
	lines := bufio.NewScanner(file)
	for n := 0; n < 500 && lines.Scan(); n++ {
		some.Write(lines.Bytes())
		some.WriteByte('\n')
	}
	if err := lines.Err(); err != nil {
		return "", fmt.Errorf("download people: %w", err)
	}
	u, err := c.Upload(ctx, "ss_id", "some members of audience "+fmt.Sprint(a.ID), &some)
	if err != nil {
		return "", fmt.Errorf("upload people: %w", err)
	}
	return u.Key, nil
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
