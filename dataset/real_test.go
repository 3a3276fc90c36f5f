package dataset

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"throng/reference"
)

// TestRespondents reads a real dataset without a reject.
func TestRespondents(t *testing.T) {
	root := os.Getenv("THRONG_TEST_DATA")
	if root == "" {
		t.Skip("THRONG_TEST_DATA is not set")
	}
	s, err := Open(filepath.Join(root, "respondents"))
	if err != nil {
		t.Fatal(err)
	}
	if want := time.Date(2022, 12, 31, 0, 0, 0, 0, time.UTC); !s.Meta.AsOf.Equal(want) || s.Meta.Name != "respondents" {
		t.Errorf("Meta = %+v", s.Meta)
	}
	r := NewRejects()
	var list []reference.Place
	read(t, s, r, Locations, func() func(*Batch, int) Outcome {
		var l LocationRow
		return func(b *Batch, i int) Outcome {
			o := l.Decode(b, i)
			list = append(list, reference.Place{
				Kind: l.Kind, ID: string(l.ID), Name: string(l.Name),
				Region: string(l.Region), Country: string(l.Country), DMA: string(l.DMA),
			})
			return o
		}
	})
	places, _ := reference.New(list)
	env := Env{AsOf: s.Meta.AsOf, Places: places}
	read(t, s, r, People, func() func(*Batch, int) Outcome {
		var p PersonRow
		return func(b *Batch, i int) Outcome {
			o := p.Decode(b, i, env)
			r.Drop(People, p.Dropped...)
			return o
		}
	})
	read(t, s, r, Interests, func() func(*Batch, int) Outcome { return new(InterestRow).Decode })
	read(t, s, r, Follows, func() func(*Batch, int) Outcome { return new(FollowRow).Decode })
	read(t, s, r, Accounts, func() func(*Batch, int) Outcome { return new(AccountRow).Decode })
	read(t, s, r, Affinities, func() func(*Batch, int) Outcome { return new(AffinityRow).Decode })
	read(t, s, r, Jobs, func() func(*Batch, int) Outcome { return new(JobRow).Decode })
	read(t, s, r, Personality, func() func(*Batch, int) Outcome { return new(ScoreRow).Decode })
	for name, want := range map[string]uint64{
		Locations: 48_614, People: 305_281, Interests: 2_344_790, Follows: 991_073,
		Accounts: 36_906, Affinities: 411, Jobs: 91_237, Personality: 74_030,
	} {
		c := r.Counts(name)
		if c.Rows != want || c.Loaded != want || len(c.Rejected)+len(c.Skipped)+len(c.Dropped) > 0 {
			t.Errorf("Counts(%s) = %+v, want %d rows, all loaded", name, c, want)
		}
	}
}

// read decodes a table with a decoder for each batch.
func read(t *testing.T, s *Source, r *Rejects, name string, decoder func() func(*Batch, int) Outcome) {
	t.Helper()
	var mu sync.Mutex
	err := s.Tables[name].Read(t.Context(), 2, nil, func(b *Batch) error {
		mu.Lock()
		defer mu.Unlock()
		r.Batch(b)
		decode, loaded := decoder(), uint64(0)
		for i := range b.Rows() {
			switch o := decode(b, i); {
			case o.OK():
				loaded++
			case o.Skip != "":
				r.Skip(name, o.Skip, 1)
			default:
				r.Reject(b, i, o.Reject)
			}
		}
		r.Load(name, loaded)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
