package bitmap

import "runtime/debug"

// guard runs f, and makes it an error that wraps engine.ErrCorrupt and names
// the file when a mapped file cannot be read: the disk failed, or somebody cut
// the file short after it was opened. Without it that would end the process.
// What f worked on is in no known state then. It does not reach into
// goroutines that f starts.
func (g *core) guard(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		fault, ok := p.(interface{ Addr() uintptr })
		if !ok {
			panic(p)
		}
		if err = g.files.Fault(fault.Addr()); err == nil {
			panic(p) // no file's doing
		}
	}()
	return f()
}
