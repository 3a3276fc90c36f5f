package service

import (
	"context"
	"errors"
	"fmt"

	"throng/engine"
	"throng/job"
)

// repaired is a handler that is run again, as often as its job may be, where it
// failed for a damage that is repaired meanwhile.
func (s *Service) repaired(run job.Handler) job.Handler {
	if !s.cfg.Repairs {
		return run
	}
	return func(ctx context.Context, j job.Job) error {
		err := run(ctx, j)
		if s.mends(err) {
			// Without what else it wraps: that says that trying again is of no use.
			return fmt.Errorf("%w: %s", engine.ErrCorrupt, err.Error())
		}
		return err
	}
}

// mends tells whether a failure is a damage that is repaired meanwhile, so that
// trying again is of use.
func (s *Service) mends(err error) bool { return s.cfg.Repairs && errors.Is(err, engine.ErrCorrupt) }
