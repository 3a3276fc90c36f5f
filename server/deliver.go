package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"throng"
	"throng/api/silhouette"
	"throng/delivery"
	"throng/internal/durable"
	"throng/service"
)

// DeliverySpec says what the command delivers, in its words.
type DeliverySpec struct {
	Audience           int64
	To, Name, Endpoint string
	Platform, MAIDAs   string
	Update             string
	Wait               bool
	Credentials        string // the name of those kept, or to keep
	AccessKey, APIKey  string
	// Follow is called several times a second with how the delivery stands.
	Follow func(Delivery)
}

// Delivery is how a delivery stands.
type Delivery struct {
	ID       int64
	Step     string
	Progress float64 // 0..1
	Warnings []string
	// Trouble is why the last attempt, or the delivery, failed; "" where none
	// did.
	Trouble  string
	Next     time.Time // of the next attempt; zero while one is under way
	Done     bool
	Sent     []delivery.Sent
	RemoteID string
	// Answer is what GET /audiences/{id}/deliveries/{n} answers.
	Answer []byte
}

// Deliver orders a delivery in the name of the audience's caller, with that
// caller's permissions, and follows it to its end. A server that runs on the data
// folder does the work; where none does, or it ends meanwhile, this process does,
// as the one server of the folder. Where ctx ends first, the delivery stays
// ordered and goes on with the next server. A delivery that failed is an error
// beside the Delivery.
func (s *Server) Deliver(ctx context.Context, spec DeliverySpec) (_ *Delivery, err error) {
	if err := s.sync(ctx); err != nil {
		return nil, err
	}
	owner, err := s.service.AudienceOwner(ctx, spec.Audience)
	if err != nil {
		return nil, err
	}
	made, err := s.service.StartDelivery(ctx, owner, spec.Audience, spec.order(), nil)
	if err != nil {
		return nil, err
	}
	w := &deliveryWork{s: s}
	defer func() { err = errors.Join(err, w.stop(ctx)) }()
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for {
		if err := w.start(ctx); err != nil {
			return nil, err
		}
		now, err := s.service.Delivery(ctx, owner, spec.Audience, made.ID)
		if err != nil {
			return nil, s.interrupted(ctx, made.ID, err)
		}
		d, err := fromDelivery(now)
		if err != nil {
			return nil, err
		}
		spec.Follow(*d)
		if now.Status != throng.Running {
			return d, deliveryError(now)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, s.interrupted(ctx, made.ID, ctx.Err())
		}
	}
}

// followEvery is how often a delivery is asked for.
const followEvery = 200 * time.Millisecond

// interrupted tells what becomes of a delivery that is not followed any more. It
// does not wrap what ended that, which says less.
func (s *Server) interrupted(ctx context.Context, id int64, err error) error {
	if ctx.Err() == nil {
		return err
	}
	return fmt.Errorf("interrupted: delivery %d stays ordered and goes on while throng serve runs on this data folder", id)
}

func (d DeliverySpec) order() service.DeliveryOrder {
	return service.DeliveryOrder{
		To: d.To, Name: d.Name, Endpoint: d.Endpoint, Platform: d.Platform, PlainAs: d.MAIDAs, Update: d.Update, Wait: d.Wait,
		Credentials: service.DeliveryCredentials{
			Name: d.Credentials, Secret: delivery.Secret{AccessKey: d.AccessKey, APIKey: d.APIKey},
		},
	}
}

func fromDelivery(d *service.Delivery) (*Delivery, error) {
	answer, err := silhouette.RenderDelivery(d)
	out := &Delivery{
		ID: d.ID, Step: d.Step, Progress: d.Progress, Warnings: d.Warnings, Next: d.NextAttemptAt, Done: d.Status == throng.Done,
		Sent: d.Sent, RemoteID: d.RemoteID, Answer: answer,
	}
	if d.Failure != nil {
		out.Trouble = d.Failure.Message
	}
	return out, err
}

// deliveryError is nil for a delivery that is done.
func deliveryError(d *service.Delivery) error {
	switch {
	case d.Status == throng.Done:
		return nil
	case d.Failure != nil:
		return fmt.Errorf("delivery %d failed: %s", d.ID, d.Failure.Message)
	}
	return fmt.Errorf("delivery %d was %s", d.ID, d.Status)
}

// deliveryWork is this process's part in a delivery: nothing while a server
// runs on the data folder, else what that would do for deliveries.
type deliveryWork struct {
	s      *Server
	unlock func() error // nil while another process serves
}

// start begins to work where no server does.
func (w *deliveryWork) start(ctx context.Context) error {
	if w.unlock != nil {
		return nil
	}
	unlock, err := durable.Lock(w.s.path(serveLock))
	if errors.Is(err, durable.ErrLocked) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("lock data folder: %w", err)
	}
	w.unlock = unlock
	w.s.jobs.Only(service.JobDelivery)
	return w.s.jobs.Start(context.WithoutCancel(ctx))
}

// stop hands back what is not done.
func (w *deliveryWork) stop(ctx context.Context) error {
	if w.unlock == nil {
		return nil
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	return errors.Join(w.s.jobs.Stop(stop), w.unlock())
}
