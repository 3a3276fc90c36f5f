// Package logs puts what a context belongs to, a request or a job, into every
// line that is logged in it.
package logs

import (
	"context"
	"log/slog"
	"slices"
)

type attrs struct{}

// With gives a context whose lines carry an attribute more. What a line says
// of the same name itself is stronger, and so is what is added later.
func With(ctx context.Context, added ...slog.Attr) context.Context {
	have := Of(ctx)
	all := make([]slog.Attr, 0, len(have)+len(added))
	for _, a := range have {
		if !named(added, a.Key) {
			all = append(all, a)
		}
	}
	return context.WithValue(ctx, attrs{}, append(all, added...))
}

// Of gives what a context's lines carry. Shared; read only.
func Of(ctx context.Context) []slog.Attr {
	list, _ := ctx.Value(attrs{}).([]slog.Attr)
	return list
}

func named(list []slog.Attr, key string) bool {
	return slices.ContainsFunc(list, func(a slog.Attr) bool { return a.Key == key })
}

// Handler gives a handler that adds to each line what its context carries.
func Handler(next slog.Handler) slog.Handler {
	if h, ok := next.(handler); ok {
		return h
	}
	return handler{next}
}

type handler struct{ slog.Handler }

// Handle implements slog.Handler.
func (h handler) Handle(ctx context.Context, r slog.Record) error {
	carried := Of(ctx)
	if len(carried) == 0 {
		return h.Handler.Handle(ctx, r)
	}
	said := make([]slog.Attr, 0, r.NumAttrs())
	r.Attrs(func(a slog.Attr) bool {
		said = append(said, a)
		return true
	})
	r = r.Clone()
	for _, a := range carried {
		if !named(said, a.Key) {
			r.AddAttrs(a)
		}
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h handler) WithAttrs(list []slog.Attr) slog.Handler { return handler{h.Handler.WithAttrs(list)} }

// WithGroup implements slog.Handler.
func (h handler) WithGroup(name string) slog.Handler { return handler{h.Handler.WithGroup(name)} }
