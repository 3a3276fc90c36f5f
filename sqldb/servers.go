package sqldb

import (
	"context"
	"time"
)

// Server is one process that serves on the database.
type Server struct {
	Node      string // name of its data folder, on which no other serves
	Role      string
	StartedAt time.Time
	SeenAt    time.Time
}

// SeeServer notes that a server lives, and forgets those that were not seen since
// forget.
func (q Queries) SeeServer(ctx context.Context, s Server, forget time.Time) error {
	return wrap("see server", q.h.write(ctx, func(x conn) error {
		if _, err := x.exec(ctx, `DELETE FROM servers WHERE seen_at < ?`, micros(forget)); err != nil {
			return err
		}
		_, err := x.exec(ctx, `INSERT INTO servers (node, role, started_at, seen_at) VALUES (?, ?, ?, ?)
			ON CONFLICT (node) DO UPDATE SET role = excluded.role, started_at = excluded.started_at, seen_at = excluded.seen_at`,
			s.Node, s.Role, micros(s.StartedAt), micros(s.SeenAt))
		return err
	}))
}

// ForgetServer notes that a server has ended; it is no error when it is not known.
func (q Queries) ForgetServer(ctx context.Context, node string) error {
	return wrap("forget server", q.h.write(ctx, func(x conn) error {
		_, err := x.exec(ctx, `DELETE FROM servers WHERE node = ?`, node)
		return err
	}))
}

// Servers lists those that were seen since, by node.
func (q Queries) Servers(ctx context.Context, since time.Time) ([]Server, error) {
	return readRows(ctx, q, "list servers", scanServer,
		`SELECT node, role, started_at, seen_at FROM servers WHERE seen_at >= ? ORDER BY node`, micros(since))
}

func scanServer(row scanner) (s Server, err error) {
	err = row.Scan(&s.Node, &s.Role, instant{&s.StartedAt}, instant{&s.SeenAt})
	return s, err
}
