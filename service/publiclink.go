package service

import (
	"context"
	"errors"
	"strings"
	"time"

	"throng"
	"throng/insight"
	"throng/service/address"
	"throng/sqldb"
)

// PublicLink is the address of a page with a report, for whoever has it.
type PublicLink struct {
	AudienceID int64
	// Hash names the report: SHA-1 of members and generation, in hex. It is no
	// secret, and opens nothing.
	Hash     string
	Baseline string
	// Token opens the page.
	Token     string
	ExpiresAt time.Time // zero is never
}

// PublicLinkRequest asks for a link, as an API read it.
type PublicLinkRequest struct {
	Baseline string // defaults to insight.Global
	// ExpireAt is the last day, in UTC, on which the link works, as YYYY-MM-DD;
	// "" is for ever.
	ExpireAt string
	Problems []throng.Detail
}

// PublicLink gives the link of a report, and makes one that never expires where
// there is none. NotFound until a report is asked for, Conflict until it is done.
func (s *Service) PublicLink(ctx context.Context, c *throng.Caller, id int64) (*PublicLink, error) {
	var made *PublicLink
	err := s.db.Tx(ctx, func(tx *sqldb.Tx) error {
		_, report, err := s.finishedInsight(ctx, tx, c, id)
		if err != nil {
			return err
		}
		link, err := tx.PublicLink(ctx, id)
		if errors.Is(err, sqldb.ErrNotFound) {
			link, err = tx.PutPublicLink(ctx, sqldb.PublicLink{AudienceID: id, Baseline: insight.Global, CreatedAt: s.now()})
		}
		made = s.fromLink(link, report)
		return err
	})
	if err != nil {
		return nil, err
	}
	return made, nil
}

// ReplacePublicLink makes a link of a report; the one before stops at once.
func (s *Service) ReplacePublicLink(ctx context.Context, c *throng.Caller, id int64, r PublicLinkRequest, once *Once) (*PublicLink, error) {
	row, report, err := s.finishedInsight(ctx, s.db, c, id)
	if err != nil {
		return nil, err
	}
	problems := r.Problems
	expires, problem := s.lastMoment(r.ExpireAt)
	if problem != "" {
		problems = append(problems, throng.Detail{Path: "expire_at", Message: problem})
	}
	if r.Baseline == "" {
		r.Baseline = insight.Global
	}
	// A baseline that cannot be shown is told now, not on the page.
	counts, err := s.reports.Counts(ctx, report.BlobKey)
	if err != nil {
		return nil, err
	}
	_, err = s.report(ctx, c.ID, counts, InsightQuery{Baseline: r.Baseline})
	if bad, ok := errors.AsType[*throng.Error](err); ok && bad.Code == throng.Invalid {
		problems = append(problems, bad.Details...)
	} else if err != nil {
		return nil, err
	}
	if err := refuse(problems, nil); err != nil {
		return nil, err
	}
	var made *PublicLink
	err = s.db.Tx(ctx, func(tx *sqldb.Tx) error {
		if _, report, err = s.finishedInsight(ctx, tx, c, row.ID); err != nil {
			return err
		}
		link, err := tx.PutPublicLink(ctx, sqldb.PublicLink{AudienceID: id, Baseline: r.Baseline, ExpiresAt: expires, CreatedAt: s.now()})
		if err != nil {
			return err
		}
		made = s.fromLink(link, report)
		return s.keep(ctx, tx, c, once, made)
	})
	if err != nil {
		return nil, err
	}
	return made, nil
}

// finishedInsight finds a report that is done.
func (s *Service) finishedInsight(ctx context.Context, q queries, c *throng.Caller, id int64) (sqldb.Audience, sqldb.Insight, error) {
	row, err := s.audienceRow(ctx, q, c, id)
	if err != nil {
		return row, sqldb.Insight{}, err
	}
	report, err := q.Insight(ctx, id)
	if err != nil {
		return row, report, known(err, "no insight has been asked for audience %d", id)
	}
	if report.Status != sqldb.StatusDone {
		return row, report, throng.Errorf(throng.Conflict, "the insight of audience %d is not done: its status is %s", id, report.Status)
	}
	return row, report, nil
}

// lastMoment is the end of a day in UTC, zero for none given.
func (s *Service) lastMoment(day string) (end time.Time, problem string) {
	if day == "" {
		return time.Time{}, ""
	}
	t, err := time.Parse(time.DateOnly, day)
	if err != nil {
		return t, "must be a date, as in 2027-01-31"
	}
	if end = t.AddDate(0, 0, 1); !s.now().Before(end) {
		return end, "is in the past (days are those of UTC)"
	}
	return end, ""
}

func (s *Service) fromLink(l sqldb.PublicLink, report sqldb.Insight) *PublicLink {
	return &PublicLink{
		AudienceID: l.AudienceID, Hash: report.Hash, Baseline: l.Baseline, ExpiresAt: l.ExpiresAt,
		Token: address.Link(s.cfg.Secrets, l.AudienceID, l.Counter),
	}
}

// PublicReport gives the report that a link's token opens, with the baseline of
// the link and every term that its order lists, up to limit in each dimension (0:
// insight.DefaultLimit). NotFound for a token that opens nothing, be it
// unknown, expired, replaced, or of a report that is not done: which of them is
// not told.
func (s *Service) PublicReport(ctx context.Context, token string, q InsightQuery) (*Insight, error) {
	nothing := throng.Errorf(throng.NotFound, "this link does not work, or not any more")
	id, proof, ok := address.ReadLink(token)
	if !ok {
		return nil, nothing
	}
	link, err := s.db.PublicLink(ctx, id)
	if err != nil && !isNotFound(err) {
		return nil, err
	}
	// One that is not there is compared with the MAC of a counter that none has.
	same := address.IsLink(s.cfg.Secrets, id, link.Counter, proof)
	expired := !link.ExpiresAt.IsZero() && !s.now().Before(link.ExpiresAt)
	if !same || err != nil || expired {
		return nil, nothing
	}
	row, err := s.db.Audience(ctx, 0, id)
	if isNotFound(err) {
		return nil, nothing
	}
	if err != nil {
		return nil, err
	}
	i, err := s.db.Insight(ctx, row.ID)
	if isNotFound(err) || err == nil && i.Status != sqldb.StatusDone {
		return nil, nothing
	}
	if err != nil {
		return nil, err
	}
	out, err := fromInsight(row, i)
	if err != nil {
		return nil, err
	}
	counts, err := s.reports.Counts(ctx, i.BlobKey)
	if err != nil {
		return nil, err
	}
	q.Baseline = link.Baseline
	err = s.answer(ctx, out, row.CallerID, counts, q)
	if code := throng.CodeOf(err); code == throng.Invalid && strings.HasPrefix(link.Baseline, audienceBaseline) {
		return nil, nothing // the baseline was deleted since
	}
	if err != nil {
		return nil, err
	}
	if out.Report == nil {
		return nil, nothing
	}
	return out, nil
}
