package replica

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"throng/engine"
	"throng/sqldb"
)

const (
	// prefix begins the keys of all files of generations; the id follows.
	prefix = "generations/"
	// uploads is how many files are copied to the store at once.
	uploads = 4
	// idDigits is how long the id of a generation is at least.
	idDigits = 8
	// cleanTime is how long tidying up may take after its cause is gone.
	cleanTime = 30 * time.Second
)

func fileKey(id, name string) string { return prefix + id + "/" + name }

// errLost says that another load began, since this one gave no sign for too long.
var errLost = fmt.Errorf("%w: this one gave no sign of life for so long that another began", engine.ErrBusy)

// Load implements engine.Engine: of all loads of the database one runs at a time.
// The generation is copied to the store before it becomes the current one.
func (e *Engine) Load(ctx context.Context, dir string, opt engine.LoadOptions) (*engine.Report, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	started := time.Now()
	p := &publication{e: e, tell: opt.Progress, lost: cancel}
	opt.Number, opt.Publish = p.begin, p.publish
	report, err := e.local.Load(ctx, dir, opt)
	if cause := context.Cause(ctx); err != nil && errors.Is(cause, errLost) {
		err = errors.Join(cause, err)
	}
	err = errors.Join(err, p.end(ctx, err))
	if err == nil {
		report.Elapsed = time.Since(started)
	}
	return report, err
}

// publication is one load, as the others see it.
type publication struct {
	e      *Engine
	tell   func(engine.Progress)
	lost   context.CancelCauseFunc
	number int64
	beat   sync.WaitGroup
	stop   context.CancelFunc // of the signs of life

	mu   sync.Mutex
	done int64 // guarded by mu; bytes copied
}

// begin takes the number of the generation. From then on, until end, the load
// gives signs of life.
func (p *publication) begin(ctx context.Context, last uint64) (uint64, error) {
	now := p.e.cfg.Now()
	n, err := p.e.cfg.DB.BeginGeneration(ctx, p.e.cfg.Node, int64(last), now, now.Add(-p.e.cfg.Lease), func(n int64) string {
		return fmt.Sprintf("%0*d", idDigits, n)
	})
	if errors.Is(err, sqldb.ErrConflict) {
		return 0, fmt.Errorf("%w on another server; try again when it has ended", engine.ErrBusy)
	}
	if err != nil {
		return 0, err
	}
	p.number = n
	beat, stop := context.WithCancel(ctx)
	p.stop = stop
	p.beat.Go(func() { p.live(beat) })
	return uint64(n), nil
}

// live shows that the load goes on, and ends it where another has begun.
func (p *publication) live(ctx context.Context) {
	for sleep(ctx, jitter(p.e.cfg.Lease/6)) == nil {
		err := p.e.cfg.DB.KeepGeneration(ctx, p.e.cfg.Node, p.number, p.e.cfg.Now())
		if errors.Is(err, sqldb.ErrNotFound) {
			p.lost(errLost)
			return
		}
		if err != nil && ctx.Err() == nil {
			p.e.cfg.Logger.WarnContext(ctx, "show that the load lives", "err", err)
		}
	}
}

// publish copies the files to the store, the last when all others are there, and
// makes the generation the current one of all servers.
func (p *publication) publish(ctx context.Context, id string) error {
	files, err := p.e.local.Files(ctx, id)
	if err != nil {
		return err
	}
	p.progress(files.Bytes, 0)
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(uploads)
	for _, name := range files.Names {
		group.Go(func() error { return p.upload(gctx, files, id, name) })
	}
	if err := group.Wait(); err != nil {
		return fmt.Errorf("copy generation to the store: %w", err)
	}
	if err := p.upload(ctx, files, id, files.Last); err != nil {
		return fmt.Errorf("copy generation to the store: %w", err)
	}
	info, err := json.Marshal(files.Info)
	if err != nil {
		return err
	}
	p.stopBeating() // else the last sign could come after the row is published
	err = p.e.cfg.DB.PublishGeneration(ctx, p.e.cfg.Node, p.number, files.Stamp, info, p.e.cfg.Now())
	if errors.Is(err, sqldb.ErrNotFound) {
		return errLost
	}
	if err != nil {
		return err
	}
	p.e.mu.Lock()
	p.e.sound[id] = files.Stamp
	p.e.mu.Unlock()
	return nil
}

func (p *publication) upload(ctx context.Context, files *engine.Files, id, name string) error {
	from, err := p.e.local.OpenFile(ctx, id, name)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := p.e.cfg.Blobs.Create(ctx, fileKey(id, name))
	if err != nil {
		return err
	}
	defer to.Abort() //nolint:errcheck // of no effect after Commit
	if _, err := io.CopyBuffer(to, tallied{from, func(n int) { p.progress(files.Bytes, n) }}, make([]byte, 1<<20)); err != nil {
		return err
	}
	return to.Commit()
}

// progress tells of n more bytes that were copied.
func (p *publication) progress(total int64, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done += int64(n)
	if p.tell != nil {
		p.tell(engine.Progress{Step: "copy to the store", Done: p.done, Total: total})
	}
}

// tallied tells how much was read.
type tallied struct {
	io.Reader
	read func(n int)
}

// Read implements io.Reader.
func (t tallied) Read(b []byte) (int, error) {
	n, err := t.Reader.Read(b)
	t.read(n)
	return n, err
}

func (p *publication) stopBeating() {
	if p.stop != nil {
		p.stop()
		p.beat.Wait()
	}
}

// end lets others load. Of a load that failed nothing is left in the store, unless
// it cannot be told whether it was published: then it is what it was said to be.
func (p *publication) end(ctx context.Context, failed error) error {
	p.stopBeating()
	if p.number == 0 || failed == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanTime)
	defer cancel()
	err := p.e.cfg.DB.AbandonGeneration(ctx, p.e.cfg.Node, p.number)
	switch {
	case err == nil, errors.Is(err, sqldb.ErrNotFound) && errors.Is(failed, errLost):
		return p.e.deleteFiles(ctx, fmt.Sprintf("%0*d", idDigits, p.number))
	case errors.Is(err, sqldb.ErrNotFound):
		return nil
	}
	return err
}

// deleteFiles removes the files of a generation that is not published any more
// from the store. What is not reached is left to Sweep.
func (e *Engine) deleteFiles(ctx context.Context, id string) error {
	var keys []string
	for info, err := range e.cfg.Blobs.List(ctx, prefix+id+"/") {
		if err != nil {
			return fmt.Errorf("remove generation %s: %w", id, err)
		}
		keys = append(keys, info.Key)
	}
	for _, key := range keys {
		if err := e.cfg.Blobs.Delete(ctx, key); err != nil {
			return fmt.Errorf("remove generation %s: %w", id, err)
		}
	}
	return nil
}

// Sweep removes from the store what belongs to no generation and was written
// before the instant: what loads that died have left.
func (e *Engine) Sweep(ctx context.Context, before time.Time) error {
	var orphans []string
	known := map[string]bool{}
	rows, err := e.cfg.DB.Generations(ctx)
	if err != nil {
		return err
	}
	for _, row := range rows {
		known[row.ID] = true
	}
	for info, err := range e.cfg.Blobs.List(ctx, prefix) {
		if err != nil {
			return fmt.Errorf("sweep generations: %w", err)
		}
		id, _, _ := strings.Cut(strings.TrimPrefix(info.Key, prefix), "/")
		if !known[id] && info.ModTime.Before(before) {
			orphans = append(orphans, info.Key)
		}
	}
	for _, key := range orphans {
		if err := e.cfg.Blobs.Delete(ctx, key); err != nil {
			return fmt.Errorf("sweep generations: %w", err)
		}
	}
	return nil
}
