package api

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"log/slog"

	"throng"
	"throng/internal/logs"
)

// Trail is what becomes known of a request while it is answered, for the log
// and for metrics. It belongs to the goroutine that answers.
type Trail struct {
	ID     string      // told to the client, and in every line of the log
	Caller int64       // who asks; 0 until that is known
	Code   throng.Code // of the error that is answered; "" for none
}

type trailKey struct{}

// Track gives a request an id, by which its lines in the log are found, and
// somewhere to note what becomes known of it.
func Track(ctx context.Context) (context.Context, *Trail) {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	trail := &Trail{ID: hex.EncodeToString(b[:])}
	ctx = logs.With(ctx, slog.String("request", trail.ID))
	return context.WithValue(ctx, trailKey{}, trail), trail
}

// TrailOf is the trail of the request that a context belongs to; one that
// nobody looks at where there is none.
func TrailOf(ctx context.Context) *Trail {
	if trail, ok := ctx.Value(trailKey{}).(*Trail); ok {
		return trail
	}
	return new(Trail)
}
