package main

import (
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"throng/server"
)

// The secrets are read from the environment alone: flags are seen by everybody
// on the machine, and end up in histories.
const (
	accessKeyVariable = "THRONG_DELIVER_ACCESS_KEY"
	apiKeyVariable    = "THRONG_DELIVER_API_KEY"
)

type deliverCmd struct {
	Audience    int64  `arg:"" help:"The audience's id."`
	To          string `help:"Where to: mintegral (its API or one like it) or drop (files in the folder of --drop)." required:"" placeholder:"KIND"`
	Name        string `help:"What the audience is called there." required:"" placeholder:"NAME"`
	Endpoint    string `help:"The receiver's address. Default: the vendor's." placeholder:"URL"`
	MAIDAs      string `name:"ma-id-as" help:"Send plain ma_id as idfa or gaid. Default: leave them out." placeholder:"TYPE"`
	Platform    string `help:"Send devices of android, ios or mix. Default: all, called what they are." placeholder:"PLATFORM"`
	Update      string `help:"Give the devices to this audience of the receiver (ta_id). Default: make one." placeholder:"ID"`
	Wait        bool   `help:"With --update: wait where the receiver takes no update yet. Default: fail."`
	Credentials string `help:"Use the credentials kept under this name; where THRONG_DELIVER_ACCESS_KEY and THRONG_DELIVER_API_KEY are set, keep those under it." placeholder:"NAME"`
	JSON        bool   `name:"json" help:"Print the delivery as the API answers it."`
}

func (c *deliverCmd) Run(e *env) error {
	accessKey, apiKey := os.Getenv(accessKeyVariable), os.Getenv(apiKeyVariable)
	if c.To == "mintegral" && c.Credentials == "" && (accessKey == "" || apiKey == "") {
		return &server.UsageError{Setting: "credentials", Message: fmt.Sprintf(
			"set %s and %s in the environment, or name credentials that are kept", accessKeyVariable, apiKeyVariable,
		)}
	}
	s, err := e.open()
	if err != nil {
		return err
	}
	defer s.Close()
	show := &deliveryShow{w: e.err, progress: newProgress(e.err)}
	d, err := s.Deliver(e.ctx, server.DeliverySpec{
		Audience: c.Audience, To: c.To, Name: c.Name, Endpoint: c.Endpoint, Platform: c.Platform, MAIDAs: c.MAIDAs,
		Update: c.Update, Wait: c.Wait, Credentials: c.Credentials,
		AccessKey: accessKey, APIKey: apiKey, Follow: show.update,
	})
	show.progress.end()
	if d == nil {
		return tellFlags(e.err, err, "to", "name", "endpoint", "ma-id-as", "platform", "update", "wait", "credentials")
	}
	if c.JSON {
		if _, writeErr := e.out.Write(d.Answer); writeErr != nil {
			return writeErr
		}
		return err
	}
	for _, warning := range d.Warnings {
		fmt.Fprintln(e.err, "warning:", warning)
	}
	if err != nil {
		return err
	}
	return printDelivery(e.out, d)
}

// deliveryShow tells how a delivery goes on, each thing once.
type deliveryShow struct {
	w        io.Writer
	progress *progress
	next     time.Time
}

func (s *deliveryShow) update(d server.Delivery) {
	if !d.Next.IsZero() && !d.Next.Equal(s.next) {
		s.progress.end()
		s.next = d.Next
		if d.Trouble != "" {
			fmt.Fprintf(s.w, "delivery %d: %s; trying again at %s\n", d.ID, d.Trouble, d.Next.UTC().Format(time.RFC3339))
		} else {
			fmt.Fprintf(s.w, "delivery %d: %s, %s\n", d.ID, d.Step, d.Next.UTC().Format(time.RFC3339))
		}
	}
	if d.Step != "" && d.Next.IsZero() {
		s.progress.update(server.Progress{Step: d.Step, Done: int64(d.Progress * 1000), Total: 1000})
	}
}

// printDelivery tells what was sent.
func printDelivery(w io.Writer, d *server.Delivery) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "TYPE\tDEVICES\tBYTES\tFILE")
	var rows int64
	for _, f := range d.Sent {
		rows += f.Rows
		fmt.Fprintf(tw, "%s\t%d\t%d\t%s\n", f.Type, f.Rows, f.Bytes, f.Path)
	}
	if err := tw.Flush(); err != nil {
		return fmt.Errorf("print delivery: %w", err)
	}
	_, err := fmt.Fprintf(w, "delivery %d: %d devices; the receiver calls the audience %s\n", d.ID, rows, d.RemoteID)
	return err
}
