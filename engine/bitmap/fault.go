package bitmap

import (
	"fmt"
	"runtime/debug"

	"throng/engine"
)

// guard runs f, and makes it an error that wraps engine.ErrCorrupt when a
// mapped file cannot be read: the disk failed, or somebody cut the file short
// after it was opened. Without it that would end the process. What f worked on
// is in no known state then. It does not reach into goroutines that f starts.
func (g *core) guard(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		if _, fault := p.(interface{ Addr() uintptr }); !fault {
			panic(p)
		}
		err = fmt.Errorf("%w: %s: a file cannot be read any more", engine.ErrCorrupt, g.files.Dir)
	}()
	return f()
}
