package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"throng"
	"throng/delivery"
	"throng/engine"
	"throng/identifier"
	"throng/job"
	"throng/service/devicelist"
	"throng/service/page"
	"throng/service/record"
	"throng/sqldb"
)

// DeliveryOrder is a request to deliver an audience as an API read it. Problems
// and Warnings are what the API found in it.
type DeliveryOrder struct {
	To       string // the kind of destination
	Name     string // of the audience there
	Endpoint string // of the receiver; "" is the kind's own, or that of the credentials
	Platform string // android, ios or mix; "" is what the ids are of
	PlainAs  string // idfa or gaid: what mobile advertising ids of no known kind are; "" leaves them out
	Update   string // what the receiver calls the audience that is given the ids; "" makes one
	Wait     bool   // for the time from which the receiver takes an update

	Credentials DeliveryCredentials
	Problems    []throng.Detail
	Warnings    []string
}

// DeliveryCredentials are what the receiver knows its client by. With a name
// and a secret they are kept under the name, with a name alone those kept are
// used, and without a name they end with the delivery.
type DeliveryCredentials struct {
	Name   string
	Secret delivery.Secret
}

// Delivery is how a delivery stands.
type Delivery struct {
	ID, AudienceID int64
	To, Name       string
	Endpoint       string
	Platform       string // "" until it is known
	PlainAs        string
	Update         string
	Wait           bool
	Status         throng.Status
	Step           string
	Progress       float64 // 0..1, of the device ids
	Lists          []DeliveryList
	Sent           []delivery.Sent
	RemoteID       string
	Warnings       []string
	// Failure is why the delivery failed; while it runs, why its last attempt
	// did.
	Failure       *throng.Failure
	Failures      int       // attempts in a row that failed
	NextAttemptAt time.Time // zero while one is under way
	CreatedAt     time.Time
	UpdatedAt     time.Time
	FinishedAt    time.Time
}

// DeliveryList is how many device ids of one type are delivered.
type DeliveryList struct {
	Type identifier.Type
	Rows int64
}

// deliverySettings are what a delivery was ordered with.
type deliverySettings struct {
	Endpoint string          `json:"endpoint,omitempty"`
	Platform throng.Platform `json:"platform,omitempty"`
	PlainAs  identifier.Type `json:"ma_id_as,omitempty"`
	Update   string          `json:"update,omitempty"`
	Wait     bool            `json:"wait,omitempty"`
}

// deliveryReport is what there is to tell of a delivery.
type deliveryReport struct {
	Platform throng.Platform   `json:"platform,omitempty"`
	Lists    []devicelist.List `json:"lists,omitempty"`
	Sent     []delivery.Sent   `json:"sent,omitempty"`
	RemoteID string            `json:"remote_id,omitempty"`
}

// deliveryAttempts is how often a delivery is taken up at most. Waiting for a
// receiver's time is one, too; what fails in a row ends it much sooner.
const deliveryAttempts = 100

// StartDelivery orders that the device ids of an audience's members are sent to
// where they are used. When it returns, the order and its job are durable.
// Forbidden without ma_id among the types that the caller may download, Conflict
// where the audience is not built or has nobody in it.
func (s *Service) StartDelivery(ctx context.Context, c *throng.Caller, audienceID int64, o DeliveryOrder, once *Once) (*Delivery, error) {
	row, err := s.deliverable(ctx, c, audienceID)
	if err != nil {
		return nil, err
	}
	set, secret, err := s.checkOrder(ctx, c, row, &o)
	if err != nil {
		return nil, err
	}
	settings, err := json.Marshal(set)
	if err != nil {
		return nil, fmt.Errorf("store settings: %w", err)
	}
	now := s.now()
	d := sqldb.Delivery{
		AudienceID: row.ID, CallerID: c.ID, Destination: o.To, Name: o.Name, Status: sqldb.StatusRunning, Step: stepQueued,
		Settings: settings, Warnings: o.Warnings, CreatedAt: now, UpdatedAt: now,
	}
	var made *Delivery
	err = s.db.Tx(ctx, func(tx *sqldb.Tx) error {
		if _, err := s.audienceRow(ctx, tx, c, row.ID); err != nil {
			return err // deleted meanwhile
		}
		if err := s.mayWait(ctx, tx, c, JobDelivery); err != nil {
			return err
		}
		if d.ID, err = tx.InsertDelivery(ctx, d); err != nil {
			return err
		}
		if err := s.keepSecret(ctx, tx, c, &d, set, o.Credentials, secret); err != nil {
			return err
		}
		if err := s.enqueueDelivery(ctx, tx, d); err != nil {
			return err
		}
		if made, err = fromDelivery(d); err != nil {
			return err
		}
		return s.keep(ctx, tx, c, once, made)
	})
	return made, err
}

// deliverable finds an audience that can be delivered.
func (s *Service) deliverable(ctx context.Context, c *throng.Caller, id int64) (sqldb.Audience, error) {
	row, err := s.audienceRow(ctx, s.db, c, id)
	switch {
	case err != nil:
		return row, err
	case row.Kind != string(throng.Built):
		return row, throng.Errorf(throng.Conflict, "audience %d is a list of devices, not one that was built", id)
	case !c.MayDownload(identifier.MAID):
		return row, throng.Errorf(throng.Forbidden, "%s is not among the types that you can download (can_download), which delivering needs", identifier.MAID)
	case row.Status == sqldb.StatusRunning:
		return row, throng.Errorf(throng.Conflict, "audience %d is still being built", id)
	case row.Status != sqldb.StatusDone || row.Size == nil:
		return row, throng.Errorf(throng.Conflict, "audience %d has no members: its status is %s", id, row.Status)
	case s.shown(uint64(*row.Size)) == nil:
		return row, throng.Errorf(throng.Conflict, "audience %d is not delivered: it has %s", id, s.hiddenReason())
	case *row.Size == 0:
		return row, throng.Errorf(throng.Conflict, "audience %d has no members: there is nothing to deliver", id)
	}
	return row, nil
}

// maxDeliveryName is the longest name in characters.
const maxDeliveryName = 255

// checkOrder finds everything that is wrong with an order.
func (s *Service) checkOrder(ctx context.Context, c *throng.Caller, row sqldb.Audience, o *DeliveryOrder) (set deliverySettings, secret delivery.Secret, err error) {
	problems := slices.Clone(o.Problems)
	bad := func(path, format string, args ...any) {
		problems = append(problems, throng.Detail{Path: path, Message: fmt.Sprintf(format, args...)})
	}
	set = deliverySettings{Endpoint: o.Endpoint, PlainAs: identifier.Type(o.PlainAs), Update: o.Update, Wait: o.Wait}
	kind := s.kind(o.To)
	if kind == nil {
		bad("to", "must be %s", s.kindNames())
	}
	if o.Name == "" {
		bad("name", "must be given: what the audience is called where it is sent to")
	} else if problem := checkText(o.Name, maxDeliveryName); problem != "" {
		bad("name", "%s", problem)
	}
	var ok bool
	if set.Platform, ok = delivery.ParsePlatform(o.Platform); !ok && o.Platform != "" {
		bad("platform", "must be android, ios or mix")
	}
	if set.PlainAs != "" && set.PlainAs != identifier.IDFA && set.PlainAs != identifier.GAID {
		bad("ma_id_as", "must be idfa or gaid")
	} else if runs, ok := delivery.Runs(set.PlainAs); ok && set.Platform != 0 && set.Platform != throng.Mixed && set.Platform != runs {
		bad("ma_id_as", "must not be %s for devices of the platform %s", set.PlainAs, o.Platform)
	}
	if o.Wait && o.Update == "" {
		bad("wait", "must be left out where no audience is updated")
	}
	secret, found, err := s.findSecret(ctx, c, o, &set, bad)
	if err != nil {
		return set, secret, err
	}
	if kind != nil && found {
		problems = append(problems, kind.Check(s.order(sqldb.Delivery{AudienceID: row.ID, CallerID: c.ID, Name: o.Name}, set), secret)...)
	}
	return set, secret, refuse(problems, nil)
}

// checkText says what is wrong with a text that people gave, "" if nothing is.
func checkText(s string, longest int) string {
	switch n := len([]rune(s)); {
	case n > longest:
		return fmt.Sprintf("must be at most %d characters long", longest)
	case strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return "must not hold control characters"
	case strings.TrimSpace(s) == "":
		return "must not be blank"
	}
	return ""
}

// kind finds a kind of destinations by its name; nil where there is none.
func (s *Service) kind(name string) delivery.Kind {
	for _, k := range s.cfg.Destinations {
		if k.Name() == name {
			return k
		}
	}
	return nil
}

func (s *Service) kindNames() string {
	var names []string
	for _, k := range s.cfg.Destinations {
		names = append(names, k.Name())
	}
	return strings.Join(names, " or ")
}

// order is a delivery in the words of its destination.
func (s *Service) order(d sqldb.Delivery, set deliverySettings) delivery.Order {
	return delivery.Order{
		ID: d.ID, CallerID: d.CallerID, AudienceID: d.AudienceID, Name: d.Name, Endpoint: set.Endpoint, Platform: set.Platform,
		Update: set.Update, CreatedAt: d.CreatedAt,
	}
}

func (s *Service) enqueueDelivery(ctx context.Context, tx *sqldb.Tx, d sqldb.Delivery) error {
	_, err := s.cfg.Jobs.Enqueue(ctx, tx, job.Job{
		Kind: JobDelivery, Key: strconv.FormatInt(d.ID, 10), OwnerRef: d.ID,
		Group: strconv.FormatInt(d.CallerID, 10), MaxAttempts: deliveryAttempts,
	})
	return err
}

// AudienceOwner finds whose an audience is, for an operator who acts in that
// caller's name. NotFound where there is none, or its caller is revoked.
func (s *Service) AudienceOwner(ctx context.Context, audienceID int64) (*throng.Caller, error) {
	row, err := s.db.Audience(ctx, 0, audienceID)
	if err != nil {
		return nil, known(err, "audience %d does not exist", audienceID)
	}
	c, err := s.db.CallerByID(ctx, row.CallerID)
	if err != nil {
		return nil, err
	}
	if !c.RevokedAt.IsZero() {
		return nil, throng.Errorf(throng.NotFound, "the caller of audience %d is revoked", audienceID)
	}
	return fromCaller(c), nil
}

// Deliveries lists the deliveries of a caller's audience, newest first; next is
// "" at the end.
func (s *Service) Deliveries(ctx context.Context, c *throng.Caller, audienceID int64, p throng.Page) (list []Delivery, next string, err error) {
	if _, err := s.audienceRow(ctx, s.db, c, audienceID); err != nil {
		return nil, "", err
	}
	limit, before, problems := page.ReadByID(p)
	if err := refuse(problems, nil); err != nil {
		return nil, "", err
	}
	rows, more, err := s.db.ListDeliveries(ctx, sqldb.DeliveryFilter{AudienceID: audienceID, BeforeID: before, Limit: limit})
	if err != nil {
		return nil, "", err
	}
	for _, row := range rows {
		d, err := fromDelivery(row)
		if err != nil {
			return nil, "", err
		}
		list = append(list, *d)
	}
	if more {
		next = page.AfterID(rows[len(rows)-1].ID)
	}
	return list, next, nil
}

// Delivery tells how a delivery of a caller's audience stands.
func (s *Service) Delivery(ctx context.Context, c *throng.Caller, audienceID, id int64) (*Delivery, error) {
	row, err := s.deliveryRow(ctx, s.db, c, audienceID, id)
	if err != nil {
		return nil, err
	}
	return fromDelivery(row)
}

type deliveryQueries interface {
	queries
	Delivery(ctx context.Context, callerID, id int64) (sqldb.Delivery, error)
}

func (s *Service) deliveryRow(ctx context.Context, q deliveryQueries, c *throng.Caller, audienceID, id int64) (sqldb.Delivery, error) {
	if _, err := s.audienceRow(ctx, q, c, audienceID); err != nil {
		return sqldb.Delivery{}, err
	}
	row, err := q.Delivery(ctx, c.ID, id)
	if err == nil && row.AudienceID != audienceID {
		err = sqldb.ErrNotFound
	}
	return row, known(err, "audience %d has no delivery %d", audienceID, id)
}

// CancelDelivery ends a delivery that runs. What the receiver has it keeps. A
// second time it changes nothing. Conflict where the delivery has ended.
func (s *Service) CancelDelivery(ctx context.Context, c *throng.Caller, audienceID, id int64) error {
	var files string
	err := s.db.Tx(ctx, func(tx *sqldb.Tx) error {
		row, err := s.deliveryRow(ctx, tx, c, audienceID, id)
		switch {
		case err != nil:
			return err
		case row.Status == sqldb.StatusCanceled:
			return nil
		case row.Status != sqldb.StatusRunning:
			return throng.Errorf(throng.Conflict, "delivery %d is not running: its status is %s", id, row.Status)
		}
		if _, err := s.cfg.Jobs.CancelTx(ctx, tx, JobDelivery, strconv.FormatInt(id, 10)); err != nil {
			return err
		}
		files = record.DeliveryPrefix(id)
		return tx.UpdateDelivery(ctx, id, s.deliveryEnd(sqldb.StatusCanceled, nil))
	})
	if err != nil || files == "" {
		return err
	}
	if err := s.deleteFiles(context.WithoutCancel(ctx), files, ""); err != nil {
		s.cfg.Logger.ErrorContext(ctx, "delete files", "delivery", id, "err", err) // the sweep finds them
	}
	return nil
}

// deliveryEnd is what changes when a delivery ends: the secret goes.
func (s *Service) deliveryEnd(status string, failure json.RawMessage) sqldb.DeliveryUpdate {
	now := s.now()
	return sqldb.DeliveryUpdate{
		Status: &status, Step: new(""), SecretSealed: new(""), Error: &failure, NextAttemptAt: new(time.Time{}),
		UpdatedAt: now, FinishedAt: &now,
	}
}

func fromDelivery(row sqldb.Delivery) (*Delivery, error) {
	var set deliverySettings
	var report deliveryReport
	d := &Delivery{
		ID: row.ID, AudienceID: row.AudienceID, To: row.Destination, Name: row.Name, Status: throng.Status(row.Status),
		Step: row.Step, Warnings: row.Warnings, Failures: int(row.Failures), NextAttemptAt: row.NextAttemptAt,
		CreatedAt: row.CreatedAt, UpdatedAt: row.UpdatedAt, FinishedAt: row.FinishedAt,
	}
	if err := unmarshalAll(pair{row.Settings, &set}, pair{row.Report, &report}, pair{row.Error, &d.Failure}); err != nil {
		return nil, fmt.Errorf("read delivery %d: %w", row.ID, err)
	}
	d.Endpoint, d.PlainAs, d.Update, d.Wait = set.Endpoint, string(set.PlainAs), set.Update, set.Wait
	if d.Platform = delivery.PlatformName(report.Platform); d.Platform == "" {
		d.Platform = delivery.PlatformName(set.Platform)
	}
	d.Sent, d.RemoteID = report.Sent, report.RemoteID
	var rows, sent int64
	for _, l := range report.Lists {
		d.Lists = append(d.Lists, DeliveryList(l))
		rows += l.Rows
	}
	for _, f := range report.Sent {
		sent += f.Rows
	}
	switch {
	case d.Status == throng.Done:
		d.Progress = 1
	case rows > 0:
		d.Progress = 0.1 + 0.85*float64(sent)/float64(rows)
	}
	return d, nil
}

// errNoKind is for orders whose kind of destination is gone since.
func errNoKind(name string) error {
	return &delivery.Problem{Message: fmt.Sprintf("there is no destination %q any more", name), Final: true}
}

// problemOf words why a delivery failed. final tells that trying again is of no
// use.
func problemOf(err error) (failure throng.Failure, final bool) {
	if p, ok := errors.AsType[*delivery.Problem](err); ok {
		return throng.Failure{Code: "delivery_failed", Message: p.Message, Retry: !p.Final}, p.Final
	}
	if code := throng.CodeOf(err); code != throng.Internal {
		return throng.Failure{Code: string(code), Message: throng.MessageOf(err)}, true
	}
	if errors.Is(err, engine.ErrNoGeneration) || permanentError(err) {
		return failureOf(err), permanentError(err)
	}
	return throng.Failure{Code: string(throng.Internal), Message: "the delivery ended with an internal error", Retry: true}, false
}

// notDelivered is Conflict while an audience is on its way somewhere.
func notDelivered(ctx context.Context, tx *sqldb.Tx, audienceID int64) error {
	running, _, err := tx.ListDeliveries(ctx, sqldb.DeliveryFilter{AudienceID: audienceID, Status: sqldb.StatusRunning, Limit: 1})
	if err == nil && len(running) > 0 {
		err = throng.Errorf(throng.Conflict, "audience %d is being delivered; cancel delivery %d first", audienceID, running[0].ID)
	}
	return err
}
