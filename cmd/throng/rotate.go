package main

import (
	"encoding/json"
	"fmt"
	"time"

	"throng/server"
)

type callerRotateCmd struct {
	Name          string         `arg:"" help:"Its name."`
	Token         bool           `help:"Replace the bearer token. Sessions on the page end."`
	APIKey        bool           `name:"api-key" help:"Replace the API key of the Mintegral API. The access key stays."`
	WebhookSecret bool           `help:"Replace the secret that callbacks are signed with. Until the overlap ends they are signed with both."`
	Overlap       *time.Duration `help:"For how long the old ones go on, as in 24h. Default: 24h for the webhook secret, 0 for the others." placeholder:"DURATION"`
	JSON          bool           `name:"json" help:"Print one object with the new secrets and when the old ones end."`
}

func (c *callerRotateCmd) Run(e *env) error {
	s, err := e.open()
	if err != nil {
		return err
	}
	defer s.Close()
	made, err := s.RotateCaller(e.ctx, c.Name, server.RotationSpec{Token: c.Token, APIKey: c.APIKey, WebhookSecret: c.WebhookSecret, Overlap: c.Overlap})
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(e.out).Encode(made)
	}
	secrets := []struct{ name, value string }{{"token", made.Token}, {"api_key", made.APIKey}, {"webhook_secret", made.WebhookSecret}}
	given := 0
	for _, x := range secrets {
		if x.value != "" {
			given++
		}
	}
	for _, x := range secrets {
		switch {
		case x.value == "":
		case given == 1: // alone, so that it can be taken as it is
			fmt.Fprintln(e.out, x.value)
		default:
			fmt.Fprintf(e.out, "%s %s\n", x.name, x.value)
		}
		if ends, ok := made.OldEndsAt[x.name]; ok && x.value != "" && ends.After(time.Now()) {
			fmt.Fprintf(e.err, "the old %s goes on until %s\n", x.name, ends.UTC().Format(time.RFC3339))
		}
	}
	return nil
}
