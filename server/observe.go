package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"throng/observe"
)

// flushTimeout is how long the end may wait for the last traces to be sent.
const flushTimeout = 5 * time.Second

// openObserver makes what watches all the others; they are opened after it.
func (s *Server) openObserver(ctx context.Context) error {
	node, err := s.node()
	if err != nil {
		return err
	}
	s.observe, err = observe.New(ctx, observe.Config{
		Version: s.cfg.Version, Node: node, OTLPEndpoint: s.cfg.OTLPEndpoint, Logger: s.cfg.Logger,
	})
	return err
}

// watchStores adds what is asked when metrics are gathered.
func (s *Server) watchStores() {
	s.stopWatch = s.observe.Watch(observe.Sources{
		Jobs: s.jobs, Engine: s.engine, Blobs: s.blobs, Now: s.cfg.Now,
		Free: func() (uint64, error) { return freeBytes(s.cfg.Data) },
	})
}

// closeObserver ends the watching: first of what is about to be closed.
func (s *Server) closeObserver() error {
	if s.stopWatch != nil {
		s.stopWatch()
	}
	if s.observe == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), flushTimeout)
	defer cancel()
	if err := s.observe.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	s.cfg.Logger.Warn("the last traces were not sent: nobody took them in time", "waited", fmt.Sprint(flushTimeout))
	return nil
}
