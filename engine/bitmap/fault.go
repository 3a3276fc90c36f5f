package bitmap

import (
	"errors"
	"runtime"
	"runtime/debug"

	"throng/engine"
	"throng/engine/bitmap/storage"
)

// guard runs f, and makes it an error that wraps engine.ErrCorrupt and names
// the file when a mapped file cannot be read, or leads astray: the disk failed, or
// somebody cut the file short or changed it after it was opened. Without it that would end the process.
// What f worked on is in no known state then. It does not reach into
// goroutines that f starts.
func (g *core) guard(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		switch p := p.(type) {
		case interface{ Addr() uintptr }:
			err = g.files.Fault(p.Addr())
		case runtime.Error: // numbers of a piece that was changed after it was verified
			err = g.files.Changed()
		}
		if err == nil {
			panic(p) // no file's doing
		}
	}()
	return f()
}

// settle is called with the outcome of whatever was answered from mapped
// files: nothing of it holds where one of them, or of those that were used, was
// changed meanwhile, since pieces are verified once. The generation is opened
// anew when it is next asked for then, and its Info tells of it for good.
func (g *core) settle(err error, used ...storage.Mapped) error {
	if err != nil && !errors.Is(err, engine.ErrCorrupt) {
		return err
	}
	changed := error(nil)
	if len(used) == 0 {
		changed = g.files.Changed()
	}
	for _, f := range used {
		changed = errors.Join(changed, f.Changed())
	}
	if changed == nil {
		return err
	}
	return errors.Join(changed, g.engine.forget(g, changed))
}

// settleCount is settle for what was counted: of the files that hold people,
// those of identifiers and of counts were not used.
func (g *core) settleCount(err error) error {
	used := make([]storage.Mapped, 0, len(g.files.Parts)+len(g.files.Texts)+1)
	used = append(used, g.files.Dict)
	for _, p := range g.files.Parts {
		used = append(used, p)
	}
	for _, c := range g.files.Texts {
		used = append(used, c)
	}
	return g.settle(err, used...)
}

// read runs f, which reads a mapped file.
func (g *core) read(file storage.Mapped, f func() error) error {
	return g.settle(g.guard(f), file)
}

// forget makes the engine open a generation anew, whose files have changed. Its
// holders keep it.
func (e *Engine) forget(g *core, changed error) error {
	e.mu.Lock()
	e.changed[g.id] = changed
	if e.cores[g.id] == g {
		delete(e.cores, g.id)
	}
	held := e.current == g
	if held {
		e.current = nil
	}
	e.mu.Unlock()
	if !held {
		return nil
	}
	return g.release()
}
