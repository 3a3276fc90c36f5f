package service

import (
	"context"
	"fmt"

	"throng"
	"throng/engine"
	"throng/query"
	"throng/sqldb"
)

// clusterDetails say which cluster an audience is made of.
type clusterDetails struct {
	throng.ClusterSource
	// Files is the prefix of the files of its members.
	Files string `json:"files"`
}

// madeOf tells what an audience without a definition was made of.
func madeOf(row sqldb.Audience, a *throng.Audience) error {
	d, err := readDetails(row)
	if err != nil {
		return err
	}
	a.Expansion = d.Expansion
	if d.Cluster != nil {
		a.Cluster = &d.Cluster.ClusterSource
	}
	return nil
}

// definedAudience is Conflict where an audience has no definition to build
// again.
func definedAudience(row sqldb.Audience) error {
	d, err := readDetails(row)
	if err != nil || d.defined() {
		return err
	}
	how := "an expansion of another one: expand that again"
	if d.Cluster != nil {
		how = "a cluster of another one: make a new insight of that"
	}
	return throng.Errorf(throng.Conflict, "audience %d cannot be built again: it is %s", row.ID, how)
}

// likenessMinimum is how many members of an audience have a term, at least, for
// it to be of use.
func (s *Service) likenessMinimum() uint64 { return 10 }

// clusterMembers finds the members of a cluster.
func (s *Service) clusterMembers(ctx context.Context, g engine.Generation, b *built) (query.RowSet, error) {
	return nil, fmt.Errorf("no clusters yet")
}
