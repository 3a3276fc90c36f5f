package throng

import (
	"throng/identifier"
	"throng/query"
)

// CriterionKind is the wire name of a criterion.
type CriterionKind string

// The criteria of the vendor, then ours.
const (
	KindAffinities CriterionKind = "affinities"
	KindB2B        CriterionKind = "b2b"
	KindPersona    CriterionKind = "personality"
	KindAge        CriterionKind = "age"
	KindGender     CriterionKind = "gender"
	KindEthnicity  CriterionKind = "ethnicity"
	KindLocation   CriterionKind = "location"
	KindUpload     CriterionKind = "upload"
	KindTwitter    CriterionKind = "twitter_followers"
	KindTwitch     CriterionKind = "twitch_followers"
	KindInstagram  CriterionKind = "instagram_engagers"
	KindTikTok     CriterionKind = "tiktok_engagers"
	KindYouTube    CriterionKind = "youtube_channels"
	KindBio        CriterionKind = "bio_search"
	KindTweet      CriterionKind = "tweet_search"
	KindGroup      CriterionKind = "group"
	KindAudience   CriterionKind = "audience"
)

// Criterion is the condition of a parameter. The set is closed.
//
//sumtype:decl
type Criterion interface {
	Kind() CriterionKind
	criterion()
}

// Affinities matches people with any of the affinities; a category means
// itself and all below it.
type Affinities struct{ IDs []string }

// B2B matches people who hold any of the titles, or any of the employers;
// exactly one of the lists is filled.
type B2B struct {
	JobTitles, Employers []string
	Filter               *CountFilter // nil: all that are listed
}

// CountFilter keeps the listed ids held by a number of people that satisfies
// Direction Count.
type CountFilter struct {
	Direction string // "<" ">" "<=" ">="
	Count     uint64
}

// Keeps tells whether a number of people satisfies the filter.
func (f CountFilter) Keeps(people uint64) bool {
	switch f.Direction {
	case "<":
		return people < f.Count
	case ">":
		return people > f.Count
	case "<=":
		return people <= f.Count
	default:
		return people >= f.Count
	}
}

// Personality matches people who score high on any of the terms.
type Personality struct{ Terms []string }

// Age matches people in any of the ranges.
type Age struct{ Ranges []string }

// Gender matches people of any of the genders.
type Gender struct{ Genders []string }

// Ethnicity matches people of any of the ethnicities.
type Ethnicity struct{ Ethnicities []string }

// Location matches people who live in any of the places.
type Location struct{ Cities, Regions, DMAs, Countries []string }

// UploadRef matches people who own any identifier in any of the files.
type UploadRef struct {
	Keys []string
	Type identifier.Type
}

// Followers matches people who follow at least Cutoff of the accounts, and,
// with LastTweeted above 0, tweeted within that many days of as_of.
type Followers struct {
	Network     query.Field
	Accounts    []AccountRef
	Cutoff      int
	LastTweeted int // days; 0: no limit
}

// AccountRef names an account: by ID, or else by ScreenName (as written, less
// a leading @).
type AccountRef struct{ ID, ScreenName string }

// BioSearch matches people whose bio on any of the networks holds any phrase.
type BioSearch struct {
	Fields  []query.Field
	Phrases []string
}

// TweetSearch matches people who wrote a tweet that holds any phrase.
type TweetSearch struct{ Phrases []string }

// Group matches the people of a nested definition.
type Group struct{ Parameters []Parameter }

// AudienceRef matches the members of finished audiences of the same caller.
type AudienceRef struct{ IDs []int64 }

// Kind gives the wire name.
func (Affinities) Kind() CriterionKind  { return KindAffinities }
func (B2B) Kind() CriterionKind         { return KindB2B }       // Kind gives the wire name.
func (Personality) Kind() CriterionKind { return KindPersona }   // Kind gives the wire name.
func (Age) Kind() CriterionKind         { return KindAge }       // Kind gives the wire name.
func (Gender) Kind() CriterionKind      { return KindGender }    // Kind gives the wire name.
func (Ethnicity) Kind() CriterionKind   { return KindEthnicity } // Kind gives the wire name.
func (Location) Kind() CriterionKind    { return KindLocation }  // Kind gives the wire name.
func (UploadRef) Kind() CriterionKind   { return KindUpload }    // Kind gives the wire name.
func (BioSearch) Kind() CriterionKind   { return KindBio }       // Kind gives the wire name.
func (TweetSearch) Kind() CriterionKind { return KindTweet }     // Kind gives the wire name.
func (Group) Kind() CriterionKind       { return KindGroup }     // Kind gives the wire name.
func (AudienceRef) Kind() CriterionKind { return KindAudience }  // Kind gives the wire name.

// Kind gives the wire name, which is the network's.
func (f Followers) Kind() CriterionKind {
	switch f.Network {
	case query.Twitch:
		return KindTwitch
	case query.Instagram:
		return KindInstagram
	case query.TikTok:
		return KindTikTok
	case query.YouTube:
		return KindYouTube
	default:
		return KindTwitter
	}
}

func (Affinities) criterion()  {}
func (B2B) criterion()         {}
func (Personality) criterion() {}
func (Age) criterion()         {}
func (Gender) criterion()      {}
func (Ethnicity) criterion()   {}
func (Location) criterion()    {}
func (UploadRef) criterion()   {}
func (Followers) criterion()   {}
func (BioSearch) criterion()   {}
func (TweetSearch) criterion() {}
func (Group) criterion()       {}
func (AudienceRef) criterion() {}
