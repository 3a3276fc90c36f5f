package logs

import (
	"context"
	"log/slog"
	"strings"
	"testing"
)

func TestHandler(t *testing.T) {
	var out strings.Builder
	plain := slog.NewTextHandler(&out, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey || a.Key == slog.LevelKey {
			return slog.Attr{}
		}
		return a
	}})
	log := slog.New(Handler(Handler(plain)))
	request := With(t.Context(), slog.String("request", "r1"))
	job := With(With(request, slog.Int("job", 1)), slog.Int("job", 2), slog.String("kind", "build"))
	for _, test := range []struct {
		ctx  context.Context
		log  *slog.Logger
		args []any
		want string
	}{
		{t.Context(), log, nil, "msg=m\n"},
		{request, log, nil, "msg=m request=r1\n"},
		{request, log, []any{"request", "own"}, "msg=m request=own\n"},
		{job, log, []any{"err", "e"}, "msg=m err=e request=r1 job=2 kind=build\n"},
		{job, log.With("node", "n"), nil, "msg=m node=n request=r1 job=2 kind=build\n"},
		{request, log.WithGroup("g"), []any{"a", 1}, "msg=m g.a=1 g.request=r1\n"},
	} {
		out.Reset()
		test.log.InfoContext(test.ctx, "m", test.args...)
		if out.String() != test.want {
			t.Errorf("logged %q, want %q", out.String(), test.want)
		}
	}
	if got := len(Of(request)); got != 1 {
		t.Errorf("a context changed: it carries %d attributes, want 1", got)
	}
}
