package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"throng"
	"throng/blob"
	"throng/insight"
	"throng/job"
	"throng/query"
	"throng/service/record"
	"throng/sqldb"
	"throng/webhook"
)

// InsightRequest asks for the report on an audience, as an API read it.
type InsightRequest struct {
	// CallbackURL is told when the report has ended; "" tells nobody.
	CallbackURL string
	Problems    []throng.Detail
}

// InsightQuery says how a report is read. What is zero is the default:
// insight.Global, insight.ByIndex, insight.DefaultLimit. Problems are what the
// API found in it.
type InsightQuery struct {
	// Baseline is the name of one, or audience:ID.
	Baseline string
	Order    insight.Order
	Limit    int
	Problems []throng.Detail
}

// Insight is the report on an audience, as far as it is.
type Insight struct {
	AudienceID   int64
	AudienceName string
	Status       throng.Status // Running, Done or Failed
	Failure      *throng.Failure
	CreatedAt    time.Time
	FinishedAt   time.Time // zero while running
	// Report is nil until done, and where SizeHidden says why it is withheld.
	Report     *insight.Report
	SizeHidden string
}

// insightDetails are what the row of a report holds for this package alone.
type insightDetails struct {
	// Files is the prefix of the files of the members that were counted. A list
	// of devices gets others when it is updated.
	Files string `json:"files,omitempty"`
}

// RequestInsight has the report on an audience made, or says how one stands
// that was asked for before: a finished report is made again only where the
// members are others by now, which those of lists of devices can be, or it
// cannot be read. It spends a credit of insights where a report is to be made.
// A report on an audience that is being built waits for it. When it returns,
// the order is durable. Conflict where the audience has no members to count.
func (s *Service) RequestInsight(ctx context.Context, c *throng.Caller, id int64, r InsightRequest, once *Once) (*Insight, error) {
	kept, err := s.keptInsight(ctx, c, id)
	if err != nil {
		return nil, err
	}
	problems := r.Problems
	if r.CallbackURL != "" {
		if problem, _ := webhook.CheckURL(r.CallbackURL); problem != "" {
			problems = append(problems, throng.Detail{Path: "insight_callback_url", Message: problem})
		}
	}
	if err := refuse(problems, nil); err != nil {
		return nil, err
	}
	var made *Insight
	err = s.db.Tx(ctx, func(tx *sqldb.Tx) error {
		row, err := s.audienceRow(ctx, tx, c, id)
		if err != nil {
			return err
		}
		stands, err := s.orderInsight(ctx, tx, row, r, kept)
		if err != nil {
			return err
		}
		if made, err = fromInsight(row, stands); err != nil {
			return err
		}
		return s.keep(ctx, tx, c, once, made)
	})
	if err != nil {
		return nil, err
	}
	return made, nil
}

// keptInsight reads the counts of a finished report; nil where there is none
// that can be read.
func (s *Service) keptInsight(ctx context.Context, c *throng.Caller, id int64) (*insight.Counts, error) {
	if _, err := s.audienceRow(ctx, s.db, c, id); err != nil {
		return nil, err
	}
	row, err := s.db.Insight(ctx, id)
	if errors.Is(err, sqldb.ErrNotFound) || err == nil && row.Status != sqldb.StatusDone {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	counts, err := s.reports.Read(ctx, row.BlobKey)
	if errors.Is(err, insight.ErrDamaged) || errors.Is(err, insight.ErrVersion) || errors.Is(err, blob.ErrNotFound) {
		s.cfg.Logger.WarnContext(ctx, "read report", "audience", id, "err", err)
		return nil, nil
	}
	return counts, err
}

// orderInsight makes the order of a report, within a transaction, unless one
// stands that will do. kept are the counts of a finished one.
func (s *Service) orderInsight(ctx context.Context, tx *sqldb.Tx, row sqldb.Audience, r InsightRequest, kept *insight.Counts) (sqldb.Insight, error) {
	if err := s.countable(row); err != nil {
		return sqldb.Insight{}, err
	}
	stands, err := tx.Insight(ctx, row.ID)
	switch {
	case errors.Is(err, sqldb.ErrNotFound):
	case err != nil:
		return stands, err
	case stands.Status == sqldb.StatusRunning:
		if r.CallbackURL == "" {
			return stands, nil
		}
		stands.CallbackURL = r.CallbackURL
		return stands, tx.PutInsight(ctx, stands)
	case stands.Status == sqldb.StatusDone && kept != nil && kept.Hash == stands.Hash && current(row, stands):
		if r.CallbackURL == "" {
			return stands, nil
		}
		stands.CallbackURL = r.CallbackURL
		return stands, errors.Join(tx.PutInsight(ctx, stands), s.announceInsight(ctx, tx, row, stands, kept))
	}
	err = tx.SpendCredit(ctx, row.CallerID, sqldb.CreditInsights)
	if errors.Is(err, sqldb.ErrExhausted) {
		return stands, throng.Errorf(throng.CreditsExhausted, "no credits for insights are left")
	}
	if err != nil {
		return stands, err
	}
	return s.putInsight(ctx, tx, row, r.CallbackURL)
}

// current tells whether a finished report is about the members that an
// audience has now.
func current(row sqldb.Audience, i sqldb.Insight) bool {
	if row.Kind != string(throng.Device) {
		return true
	}
	var d insightDetails
	prefix, err := record.InUse(row)
	return err == nil && unmarshalAll(pair{i.Details, &d}) == nil && d.Files == prefix
}

// countable is Conflict where an audience has no members, and never will.
func (s *Service) countable(row sqldb.Audience) error {
	switch {
	case row.Kind == string(throng.Device) && !record.Finished(row):
		return throng.Errorf(throng.Conflict, "audience %d has no devices that were read: its status is %s", row.ID, row.Status)
	case !record.Finished(row) && row.Status != sqldb.StatusRunning:
		return throng.Errorf(throng.Conflict, "audience %d has no members: its status is %s", row.ID, row.Status)
	case record.Finished(row) && row.Size != nil && s.shown(uint64(*row.Size)) == nil:
		return throng.Errorf(throng.Conflict, "no report is made on audience %d, which has %s", row.ID, s.hiddenReason())
	}
	return nil
}

// putInsight stores a report that is to be made, and its job unless it has to
// wait for the audience.
func (s *Service) putInsight(ctx context.Context, tx *sqldb.Tx, row sqldb.Audience, callbackURL string) (sqldb.Insight, error) {
	i := sqldb.Insight{
		AudienceID: row.ID, Status: sqldb.StatusRunning, Generation: row.Generation, CallbackURL: callbackURL, CreatedAt: s.now(),
	}
	if err := tx.PutInsight(ctx, i); err != nil {
		return i, err
	}
	if !record.Finished(row) {
		return i, nil
	}
	return i, s.enqueueInsight(ctx, tx, row)
}

func (s *Service) enqueueInsight(ctx context.Context, tx *sqldb.Tx, row sqldb.Audience) error {
	_, err := s.cfg.Jobs.Enqueue(ctx, tx, job.Job{
		Kind: jobInsight, Key: strconv.FormatInt(row.ID, 10), OwnerRef: row.ID,
		Group: strconv.FormatInt(row.CallerID, 10), MaxAttempts: buildAttempts,
	})
	return err
}

// Insight gives the report on an audience. NotFound until one is asked for;
// one that is not done has no Report. Invalid where the question is, with
// paths of its fields.
func (s *Service) Insight(ctx context.Context, c *throng.Caller, id int64, q InsightQuery) (*Insight, error) {
	row, err := s.audienceRow(ctx, s.db, c, id)
	if err != nil {
		return nil, err
	}
	if err := q.check(); err != nil {
		return nil, err
	}
	i, err := s.db.Insight(ctx, id)
	if errors.Is(err, sqldb.ErrNotFound) && awaitsInsight(row) {
		i, err = sqldb.Insight{Status: sqldb.StatusRunning, CreatedAt: row.CreatedAt}, nil
	}
	if err != nil {
		return nil, known(err, "no insight has been asked for audience %d", id)
	}
	out, err := fromInsight(row, i)
	if err != nil || i.Status != sqldb.StatusDone {
		return out, err
	}
	counts, err := s.reports.Counts(ctx, i.BlobKey)
	switch {
	case errors.Is(err, insight.ErrVersion), errors.Is(err, insight.ErrDamaged):
		s.cfg.Logger.ErrorContext(ctx, "read report", "audience", id, "err", err)
		return nil, throng.Errorf(throng.Conflict, "the insight cannot be read any more; ask for it again with POST")
	case errors.Is(err, blob.ErrNotFound):
		// Made anew, or deleted, since the row was read.
		return nil, throng.Errorf(throng.Conflict, "the insight has just been replaced; ask again")
	case err != nil:
		return nil, err
	}
	return out, s.answer(ctx, out, c.ID, counts, q)
}

// answer fills in the report that a question asks of counts.
func (s *Service) answer(ctx context.Context, out *Insight, callerID int64, counts *insight.Counts, q InsightQuery) (err error) {
	if s.shown(counts.Size) == nil {
		out.SizeHidden = s.hiddenReason()
		return nil
	}
	out.Report, err = s.report(ctx, callerID, counts, q)
	return err
}

// check refuses what is no question.
func (q InsightQuery) check() error {
	problems := slices.Clone(q.Problems)
	if q.Order != "" && !slices.Contains(insight.Orders(), q.Order) {
		problems = append(problems, throng.Detail{Path: "order", Message: "must be index, count or name"})
	}
	if q.Limit < 0 || q.Limit > insight.MaxLimit {
		problems = append(problems, throng.Detail{Path: "limit", Message: fmt.Sprintf("must be a number from 1 to %d", insight.MaxLimit)})
	}
	return refuse(problems, nil)
}

func fromInsight(row sqldb.Audience, i sqldb.Insight) (*Insight, error) {
	out := &Insight{
		AudienceID: row.ID, AudienceName: row.Name, Status: throng.Status(i.Status), CreatedAt: i.CreatedAt, FinishedAt: i.FinishedAt,
	}
	if err := unmarshalAll(pair{i.Error, &out.Failure}); err != nil {
		return nil, fmt.Errorf("read insight of audience %d: %w", row.ID, err)
	}
	return out, nil
}

// announceInsight stores the callback of a report that has ended, with the body
// that a question with the default baseline is answered, and the job to deliver
// it. counts are nil of a report that has failed. Without an address it does
// nothing.
func (s *Service) announceInsight(ctx context.Context, tx *sqldb.Tx, row sqldb.Audience, i sqldb.Insight, counts *insight.Counts) error {
	if i.CallbackURL == "" {
		return nil
	}
	if s.cfg.RenderInsight == nil {
		return errors.New("word callback: RenderInsight is not set")
	}
	out, err := fromInsight(row, i)
	if err != nil {
		return err
	}
	if counts != nil {
		// The default baseline was counted with it: nothing is asked of the engine.
		if err := s.answer(ctx, out, row.CallerID, counts, InsightQuery{}); err != nil {
			return err
		}
	}
	body, err := s.cfg.RenderInsight(out)
	if err != nil {
		return fmt.Errorf("word callback: %w", err)
	}
	now := s.now()
	id, err := tx.InsertCallback(ctx, sqldb.Callback{
		AudienceID: row.ID, CallerID: row.CallerID, Event: eventInsight, URL: i.CallbackURL, Body: body,
		Status: sqldb.CallbackPending, NextAttemptAt: now, CreatedAt: now,
	})
	if err != nil {
		return err
	}
	return s.enqueueCallback(ctx, tx, id, row.CallerID)
}

// eventInsight is the event of callbacks that tell of reports.
const eventInsight = "insight"

// endWaiting ends a report that waited for an audience without members, within
// the transaction that ends the build, and gives its credit back.
func (s *Service) endWaiting(ctx context.Context, tx *sqldb.Tx, row sqldb.Audience, why string) error {
	i, err := tx.Insight(ctx, row.ID)
	if nothingToDo(i.Status, err) {
		return nil
	}
	if err != nil {
		return err
	}
	return s.failInsight(ctx, tx, row, i, throng.Failure{Code: string(throng.Conflict), Message: why})
}

// failInsight ends a report for good.
func (s *Service) failInsight(ctx context.Context, tx *sqldb.Tx, row sqldb.Audience, i sqldb.Insight, f throng.Failure) error {
	raw, err := json.Marshal(f)
	if err != nil {
		return err
	}
	i.Status, i.Error, i.FinishedAt = sqldb.StatusFailed, raw, s.now()
	if err := tx.PutInsight(ctx, i); err != nil {
		return err
	}
	if err := tx.ReturnCredit(ctx, row.CallerID, sqldb.CreditInsights); err != nil {
		return err
	}
	return s.announceInsight(ctx, tx, row, i, nil)
}

// followBuild starts the report that was asked for with an audience, or since,
// in the transaction in which its build ends. What it has to tell is a warning:
// a build does not fail for its report.
func (s *Service) followBuild(ctx context.Context, tx *sqldb.Tx, row sqldb.Audience, size uint64) (warnings []string, err error) {
	waits, err := tx.Insight(ctx, row.ID)
	waiting := err == nil && waits.Status == sqldb.StatusRunning
	if err != nil && !errors.Is(err, sqldb.ErrNotFound) {
		return nil, err
	}
	if !waiting && !row.AutoInsight {
		return nil, nil
	}
	url := row.InsightCallbackURL
	if waiting && waits.CallbackURL != "" {
		url = waits.CallbackURL
	}
	const auto = "generate_insights_automatically: no report is made: "
	if s.shown(size) == nil {
		why := "the audience has " + s.hiddenReason()
		if waiting {
			return nil, s.endWaiting(ctx, tx, row, why)
		}
		return []string{auto + why}, nil
	}
	if !waiting {
		err := tx.SpendCredit(ctx, row.CallerID, sqldb.CreditInsights)
		if errors.Is(err, sqldb.ErrExhausted) {
			return []string{auto + "no credits for insights are left"}, nil
		}
		if err != nil {
			return nil, err
		}
	}
	row.Status = sqldb.StatusDone
	_, err = s.putInsight(ctx, tx, row, url)
	return nil, err
}

// removeInsight removes the report on an audience that is deleted, within the
// transaction, and gives the credit back of one that was being made.
func (s *Service) removeInsight(ctx context.Context, tx *sqldb.Tx, row sqldb.Audience) error {
	i, err := tx.Insight(ctx, row.ID)
	if errors.Is(err, sqldb.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if i.Status == sqldb.StatusRunning {
		if _, err := s.cfg.Jobs.CancelTx(ctx, tx, jobInsight, strconv.FormatInt(row.ID, 10)); err != nil {
			return err
		}
		if err := tx.ReturnCredit(ctx, row.CallerID, sqldb.CreditInsights); err != nil {
			return err
		}
	}
	return tx.DeleteInsight(ctx, row.ID)
}

// awaitsInsight tells of an audience being built whose report was asked for with
// it. Its order is made, and its credit spent, where the build ends ([Service.followBuild]).
func awaitsInsight(row sqldb.Audience) bool {
	return row.AutoInsight && row.Status == sqldb.StatusRunning
}

// insightState is how the report on an audience stands, nil where there is none.
func insightState(ctx context.Context, q queries, row sqldb.Audience) (*throng.InsightState, error) {
	i, err := q.Insight(ctx, row.ID)
	if errors.Is(err, sqldb.ErrNotFound) {
		if awaitsInsight(row) {
			return &throng.InsightState{Status: throng.Running}, nil
		}
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	state := &throng.InsightState{Status: throng.Status(i.Status)}
	if err := unmarshalAll(pair{i.Error, &state.Failure}); err != nil {
		return nil, fmt.Errorf("read insight of audience %d: %w", row.ID, err)
	}
	return state, nil
}

// withInsights answers for the reports of a page of audiences, which were read at
// once.
type withInsights struct {
	queries
	insights map[int64]sqldb.Insight
}

// Insight implements queries.
func (l withInsights) Insight(_ context.Context, audienceID int64) (sqldb.Insight, error) {
	i, ok := l.insights[audienceID]
	if !ok {
		return i, sqldb.ErrNotFound
	}
	return i, nil
}

// CountInsight gives the report on a finished audience of the caller of that
// name, or of any for "", with that caller's audiences, or any, as baselines:
// the one that is kept, or else one that is counted now and not kept. It spends
// nothing, for an operator who asks beside the API.
func (s *Service) CountInsight(ctx context.Context, callerName string, id int64, q InsightQuery) (*Insight, error) {
	c := &throng.Caller{}
	if callerName != "" {
		owner, err := s.callerNamed(ctx, callerName)
		if err != nil {
			return nil, err
		}
		c = fromCaller(owner)
	}
	row, err := s.audienceRow(ctx, s.db, c, id)
	if err != nil {
		return nil, err
	}
	if err := q.check(); err != nil {
		return nil, err
	}
	if err := s.countable(row); err != nil {
		return nil, err
	}
	if !record.Finished(row) {
		return nil, throng.Errorf(throng.Conflict, "audience %d is not finished: its status is %s", id, row.Status)
	}
	counts, err := s.keptInsight(ctx, c, id)
	if err != nil {
		return nil, err
	}
	out := &Insight{AudienceID: row.ID, AudienceName: row.Name, Status: throng.Done, CreatedAt: s.now(), FinishedAt: s.now()}
	if kept, err := s.db.Insight(ctx, id); counts == nil || err != nil || kept.Hash != counts.Hash || !current(row, kept) {
		g, err := s.generationOf(ctx, row)
		if err != nil {
			return nil, loaded(err)
		}
		defer g.Release()
		if counts, _, err = s.countAudience(ctx, g, row); err != nil {
			return nil, err
		}
		if err := s.addClusters(ctx, g, row, counts, func(int, query.RowSet) error { return nil }); err != nil {
			return nil, err
		}
	}
	out.Report, err = s.report(ctx, c.ID, counts, q)
	return out, err
}
