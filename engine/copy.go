package engine

import (
	"context"
	"io"
)

// Copier is what an engine can do beside [Engine] whose generations are files:
// give them away and take them in, so that several machines have the same ones.
// All methods are safe for concurrent use, also by several processes.
type Copier interface {
	// Files lists what a generation consists of. ErrNoGeneration where it is not
	// there, ErrCorrupt where what lists its files is damaged.
	Files(ctx context.Context, id string) (*Files, error)
	// OpenFile reads one of these files. At its end, where the bytes are not those
	// that were loaded, it returns an error that wraps ErrCorrupt.
	OpenFile(ctx context.Context, id, name string) (io.ReadCloser, error)
	// Import takes a generation in, in place of one of the same id where there is
	// one, which its holders keep. get gives the files by name, several at once;
	// stamp is what Files said of them. When it returns nil the generation is
	// whole, verified and durable; on an error nothing changed. It is not made the
	// current one. ErrBusy where another call or process is taking one in.
	Import(ctx context.Context, id, stamp string, get func(ctx context.Context, name string) (io.ReadCloser, error)) error
	// Use makes a generation that is there the current one, durably; every process
	// that has the engine open uses it within 2 s. ErrNoGeneration where it is not
	// there.
	Use(ctx context.Context, id string) error
}

// Files are the files of a generation.
type Files struct {
	// Stamp tells the generation from every other one, whatever its id: the SHA-256
	// of Last, in hexadecimal.
	Stamp string
	// Names are the files that Last vouches for, and Last is the one without which
	// they are no generation.
	Names []string
	Last  string
	Bytes int64 // of all
	Info  Info
}
