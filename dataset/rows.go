package dataset

import (
	"bytes"
	"time"

	"throng/identifier"
	"throng/internal/hexkey"
	"throng/query"
	"throng/reference"
)

// The rows of tables. Each Decode overwrites what the last one left; the slices
// that it sets are memory of the batch or of the row and end with either. A row
// is used by one goroutine at a time, and for one table. Where the outcome is not OK, only Key is
// set, if it could be read.

// IdentifierRow is a row of identifiers.
type IdentifierRow struct {
	Key     []byte
	Type    identifier.Type
	Norm    []byte // the form that is compared
	Printed []byte // the form that is printed; may be the memory of Norm

	printed []byte
	person  lastKey
	types   map[string]identifier.Type
	known   memo[identifier.Type] // by their tokens
	scratch [32]byte
}

// emptySum begins the MD5 sum of nothing, which is no identifier.
const emptySum = 0xd41d8cd98f00b204

// Decode reads a row.
func (r *IdentifierRow) Decode(b *Batch, row int) Outcome {
	var reason string
	if r.Key, reason = r.person.key(b, row, 0); reason != "" {
		return reject(reason)
	}
	if reason = r.readType(b, row); reason != "" {
		return reject(reason)
	}
	if b.Malformed(row, 2) {
		return reject("malformed value")
	}
	value := b.Cell(row, 2)
	if r.Type.IsMD5() && len(value) == hexkey.SumLen {
		if k, ok := hexkey.Parse(value); ok && k.Hi != emptySum {
			r.Norm = k.Append(r.Norm[:0])
			r.Printed = r.Norm
			return Outcome{}
		}
	}
	var why identifier.Reason
	if r.Norm, why = r.Type.Normalize(r.Norm[:0], value); why != "" {
		return reject(valueReason(why))
	}
	if r.Type != identifier.TwitterUser && r.Type != identifier.EmailRaw {
		r.Printed = r.Norm // as of every type whose case is not kept
		return Outcome{}
	}
	if r.printed, why = r.Type.Printed(r.printed[:0], value); why != "" {
		return reject(valueReason(why))
	}
	r.Printed = r.printed
	return Outcome{}
}

// readType reads the type, or says why there is none.
func (r *IdentifierRow) readType(b *Batch, row int) (reason string) {
	token, known := b.Token(row, 1), false
	if r.Type, known = r.known.get(token); known {
		return ""
	}
	cell := b.Cell(row, 1)
	if len(cell) == 0 && !b.Malformed(row, 1) {
		return "type is empty"
	}
	if r.types == nil {
		r.types = map[string]identifier.Type{}
		for _, t := range identifier.Types() {
			r.types[string(t)] = t
		}
	}
	if len(cell) <= len(r.scratch) {
		r.Type, known = r.types[string(lower(r.scratch[:], cell))]
	}
	if !known || r.Type == identifier.SSID {
		return "unknown type" // a person's ss_id is its key
	}
	r.known.put(token, r.Type)
	return ""
}

// valueReason words why a value is no identifier.
func valueReason(r identifier.Reason) string {
	switch r {
	case identifier.Empty:
		return "value is empty"
	case identifier.TooLong:
		return "value is too long"
	case identifier.NotUTF8:
		return NotUTF8
	case identifier.ControlCharacter:
		return "control character in value"
	case identifier.Invalid:
		return "malformed value"
	default: // the zero id, the MD5 of the empty string
		return string(r)
	}
}

// FollowRow is a row of follows.
type FollowRow struct {
	Key     []byte
	Network query.Field // Twitter, Twitch, YouTube, Instagram or TikTok
	Account []byte

	person   lastKey
	networks memo[query.Field]
	scratch  [16]byte
}

// Decode reads a row.
func (r *FollowRow) Decode(b *Batch, row int) Outcome {
	var reason string
	if r.Key, reason = r.person.key(b, row, 0); reason != "" {
		return reject(reason)
	}
	token, known := b.Token(row, 1), false
	if r.Network, known = r.networks.get(token); !known {
		if r.Network, reason = network(r.scratch[:], b, row, 1); reason != "" {
			return reject(reason)
		}
		r.networks.put(token, r.Network)
	}
	if r.Account, reason = name(b, row, 2, "account"); reason != "" {
		return reject(reason)
	}
	return Outcome{}
}

// AccountRow is a row of accounts.
type AccountRow struct {
	Network    query.Field // Twitter, Twitch, YouTube, Instagram or TikTok
	ID         []byte
	ScreenName []byte // without a leading @; empty where absent
	Name       []byte // empty where absent
	Drops

	scratch [16]byte
}

// Decode reads a row.
func (r *AccountRow) Decode(b *Batch, row int) Outcome {
	r.Dropped = r.Dropped[:0]
	var reason string
	if r.Network, reason = network(r.scratch[:], b, row, 0); reason != "" {
		return reject(reason)
	}
	if r.ID, reason = name(b, row, 1, "account"); reason != "" {
		return reject(reason)
	}
	r.ScreenName = bytes.TrimPrefix(r.optional(b, row, 2, "screen_name"), []byte{'@'})
	r.Name = r.optional(b, row, 3, "name")
	return Outcome{}
}

// AffinityRow is a row of affinities.
type AffinityRow struct {
	ID, Name []byte
	Parent   []byte // empty where absent
}

// Decode reads a row. A malformed parent is as good as an unknown one, so it
// rejects the row.
func (r *AffinityRow) Decode(b *Batch, row int) Outcome {
	var reason string
	if r.ID, reason = name(b, row, 0, "affinity"); reason != "" {
		return reject(reason)
	}
	if r.Name, reason = name(b, row, 1, "name"); reason != "" {
		return reject(reason)
	}
	r.Parent = nil
	if b.Malformed(row, 2) || len(b.Cell(row, 2)) > 0 {
		if r.Parent, reason = name(b, row, 2, "parent"); reason != "" {
			return reject(reason)
		}
	}
	return Outcome{}
}

// AffinityAccountRow is a row of affinity_accounts.
type AffinityAccountRow struct {
	Affinity []byte
	Network  query.Field // Twitter, Twitch, YouTube, Instagram or TikTok
	Account  []byte

	scratch [16]byte
}

// Decode reads a row.
func (r *AffinityAccountRow) Decode(b *Batch, row int) Outcome {
	var reason string
	if r.Affinity, reason = name(b, row, 0, "affinity"); reason != "" {
		return reject(reason)
	}
	if r.Network, reason = network(r.scratch[:], b, row, 1); reason != "" {
		return reject(reason)
	}
	if r.Account, reason = name(b, row, 2, "account"); reason != "" {
		return reject(reason)
	}
	return Outcome{}
}

// InterestRow is a row of interests.
type InterestRow struct {
	Key, Affinity []byte

	person lastKey
}

// Decode reads a row.
func (r *InterestRow) Decode(b *Batch, row int) Outcome {
	var reason string
	if r.Key, reason = r.person.key(b, row, 0); reason != "" {
		return reject(reason)
	}
	if r.Affinity, reason = name(b, row, 1, "affinity"); reason != "" {
		return reject(reason)
	}
	return Outcome{}
}

// JobRow is a row of jobs.
type JobRow struct {
	Key             []byte
	Title, Employer []byte // trimmed; at least one is not empty
	Drops
}

// Decode reads a row.
func (r *JobRow) Decode(b *Batch, row int) Outcome {
	r.Dropped = r.Dropped[:0]
	var reason string
	if r.Key, reason = key(b, row, 0); reason != "" {
		return reject(reason)
	}
	r.Title = r.optional(b, row, 1, "title")
	r.Employer = r.optional(b, row, 2, "employer")
	if len(r.Title) == 0 && len(r.Employer) == 0 {
		r.Dropped = r.Dropped[:0] // the row is counted already
		return reject("neither title nor employer")
	}
	return Outcome{}
}

// ScoreRow is a row of personality.
type ScoreRow struct {
	Key   []byte
	Term  int     // its index in reference.Personalities
	Score float64 // in 0..1

	person  lastKey
	terms   map[string]int
	known   memo[int]     // indexes by the tokens of terms
	scores  memo[float64] // by their tokens
	scratch [32]byte
}

// Decode reads a row.
func (r *ScoreRow) Decode(b *Batch, row int) Outcome {
	var reason string
	if r.Key, reason = r.person.key(b, row, 0); reason != "" {
		return reject(reason)
	}
	if reason = r.term(b, row); reason != "" {
		return reject(reason)
	}
	token, known := b.Token(row, 2), false
	if r.Score, known = r.scores.get(token); known {
		return Outcome{}
	}
	cell := bytes.TrimSpace(b.Cell(row, 2))
	if len(cell) == 0 && !b.Malformed(row, 2) {
		return reject("score is empty")
	}
	var ok bool
	if r.Score, ok = parseNumber(cell); !ok || r.Score < 0 || r.Score > 1 {
		return reject("malformed score")
	}
	r.scores.put(token, r.Score)
	return Outcome{}
}

// term reads the term, or says why there is none.
func (r *ScoreRow) term(b *Batch, row int) (reason string) {
	token, known := b.Token(row, 1), false
	if r.Term, known = r.known.get(token); known {
		return ""
	}
	if r.terms == nil {
		r.terms = map[string]int{}
		for i, t := range reference.Personalities() {
			r.terms[t] = i
		}
	}
	cell := b.Cell(row, 1)
	if len(cell) == 0 && !b.Malformed(row, 1) {
		return "term is empty"
	}
	if len(cell) <= len(r.scratch) {
		r.Term, known = r.terms[string(lower(r.scratch[:], cell))]
	}
	if !known {
		return "unknown term"
	}
	r.known.put(token, r.Term)
	return ""
}

// BioRow is a row of bios.
type BioRow struct {
	Key   []byte
	Field query.Field // BioTwitter, BioTwitch, BioYouTube, BioInstagram or BioTikTok
	Text  []byte

	scratch [16]byte
}

// Decode reads a row.
func (r *BioRow) Decode(b *Batch, row int) Outcome {
	var reason string
	if r.Key, reason = key(b, row, 0); reason != "" {
		return reject(reason)
	}
	net, reason := network(r.scratch[:], b, row, 1)
	if reason != "" {
		return reject(reason)
	}
	r.Field = bioField(net)
	if r.Text, reason = text(b, row, 2); reason != "" {
		return reject(reason)
	}
	return Outcome{}
}

// bioField returns the field of the bios of a network.
func bioField(network query.Field) query.Field {
	switch network {
	case query.Twitter:
		return query.BioTwitter
	case query.Twitch:
		return query.BioTwitch
	case query.YouTube:
		return query.BioYouTube
	case query.Instagram:
		return query.BioInstagram
	default:
		return query.BioTikTok
	}
}

// text returns a required cell of prose, which may hold any character.
func text(b *Batch, row, col int) (cell []byte, reason string) {
	if b.Malformed(row, col) {
		return nil, "malformed text"
	}
	if cell = b.Cell(row, col); len(cell) == 0 {
		return nil, "text is empty"
	}
	return cell, ""
}

// TweetRow is a row of tweets.
type TweetRow struct {
	Key      []byte
	PostedAt int64 // microseconds since 1970
	Text     []byte
}

// tweetWindow is how far back tweets are kept.
const tweetWindow = 7 * 24 * time.Hour

// Decode reads a row. A tweet outside (asOf − 7 days, asOf] is skipped.
func (r *TweetRow) Decode(b *Batch, row int, asOf time.Time) Outcome {
	var reason string
	if r.Key, reason = key(b, row, 0); reason != "" {
		return reject(reason)
	}
	cell := bytes.TrimSpace(b.Cell(row, 1))
	if len(cell) == 0 && !b.Malformed(row, 1) {
		return reject("posted_at is empty")
	}
	var ok bool
	if r.PostedAt, ok = parseTime(cell); !ok {
		return reject("malformed posted_at")
	}
	if r.Text, reason = text(b, row, 2); reason != "" {
		return reject(reason)
	}
	end := asOf.UnixMicro()
	if r.PostedAt <= end-tweetWindow.Microseconds() || r.PostedAt > end {
		return Outcome{Skip: SkipOld}
	}
	return Outcome{}
}

// LocationRow is a row of locations.
type LocationRow struct {
	Kind                 reference.Kind
	ID, Name             []byte
	Region, Country, DMA []byte // empty where absent
	Drops

	scratch [16]byte
}

// Decode reads a row.
func (r *LocationRow) Decode(b *Batch, row int) Outcome {
	r.Dropped = r.Dropped[:0]
	cell := b.Cell(row, 0)
	if len(cell) == 0 && !b.Malformed(row, 0) {
		return reject("kind is empty")
	}
	if len(cell) > len(r.scratch) {
		return reject("unknown kind")
	}
	switch string(lower(r.scratch[:], cell)) {
	case "city":
		r.Kind = reference.City
	case "region":
		r.Kind = reference.Region
	case "dma":
		r.Kind = reference.DMA
	case "country":
		r.Kind = reference.Country
	default:
		return reject("unknown kind")
	}
	var reason string
	if r.ID, reason = name(b, row, 1, "id"); reason != "" {
		return reject(reason)
	}
	if r.Name, reason = name(b, row, 2, "name"); reason != "" {
		return reject(reason)
	}
	r.Region = r.optional(b, row, 3, "region")
	r.Country = r.optional(b, row, 4, "country")
	r.DMA = r.optional(b, row, 5, "dma")
	return Outcome{}
}
