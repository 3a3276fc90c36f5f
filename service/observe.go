package service

import (
	"context"

	"throng"
)

// Observer is told what the service does, so that it can be counted, timed and
// traced by who knows how. What is nil is not told. The functions must be quick,
// safe for concurrent use, and must not panic.
type Observer struct {
	// Step is told that a step of a job of a kind begins ("build", "files");
	// ended is called at its end, also where the job fails in it.
	Step func(ctx context.Context, kind, step string) (ended func())
	// CallbackEnded is told that a callback will not be tried any more:
	// delivered, failed or refused.
	CallbackEnded func(status string)
	// UploadRead is told of every upload that is stored.
	UploadRead func(u *throng.Upload)
}

func (o Observer) withDefaults() Observer {
	if o.Step == nil {
		o.Step = func(context.Context, string, string) func() { return func() {} }
	}
	if o.CallbackEnded == nil {
		o.CallbackEnded = func(string) {}
	}
	if o.UploadRead == nil {
		o.UploadRead = func(*throng.Upload) {}
	}
	return o
}
