package client_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"throng/client"
)

// An audience is made, set apart from everyone, and expanded.
func Example() {
	if err := example(context.Background()); err != nil {
		fmt.Println(err)
	}
	// Output:
	// 40 people
	// channel t0-0 is followed 3.0 times as often as by everyone
	// 120 people like them
}

func example(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "throng-example-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	c, _, end, err := serve(ctx, dir) // a server of 900 people; client.New(url, token) is the client of any
	if err != nil {
		return err
	}
	return errors.Join(show(ctx, c), end())
}

func show(ctx context.Context, c *client.Client) error {
	id, err := c.CreateAudience(ctx, []byte(`{"audience": {"name": "Fans"}, "generate_insights_automatically": true,
		"parameters": [{"operation": "OR", "affinities": {"affinities": [{"id": "fan"}]}}]}`))
	if err != nil {
		return err
	}
	a, err := c.Wait(ctx, id, 10*time.Millisecond)
	if err != nil {
		return err
	}
	fmt.Println(*a.Size, "people")

	report, err := c.WaitInsight(ctx, id, client.InsightQuery{Baseline: "global", Limit: 1}, 10*time.Millisecond)
	if err != nil {
		return err
	}
	for _, term := range report.Dimensions["youtube"] {
		fmt.Printf("channel %s is followed %.1f times as often as by everyone\n", term.ID, *term.Index/100)
	}

	more, err := c.Expand(ctx, id, client.Expanding{Factor: 3})
	if err != nil {
		return err
	}
	if a, err = c.Wait(ctx, more, 10*time.Millisecond); err != nil {
		return err
	}
	fmt.Println(*a.Size, "people like them")
	return nil
}
