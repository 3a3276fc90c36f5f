package model

import (
	"slices"

	"throng/query"
)

var roots = []string{".b2b.", ".brands.", ".influencers.", ".interests.", ".media.", ".personas.", ".private."}

var networks = []string{"twitter", "twitch", "youtube", "instagram", "tiktok"}

var identifierTypes = []string{
	"twitter_id", "twitter_user", "md5", "email_raw", "cint_id", "ramp_id", "ma_id",
	"imei", "imei_md5", "idfa", "idfa_md5", "gaid", "gaid_md5", "oaid", "oaid_md5", "idfv", "idfv_md5",
}

// personalityTerms are the 52, in the vendor's order.
var personalityTerms = []string{
	"challenge", "closeness", "curiosity", "excitement", "harmony", "ideal", "liberty", "love",
	"practicality", "self-expression", "stability", "structure", "agreeableness", "altruism", "cooperation",
	"modesty", "morality", "sympathy", "trust", "conscientiousness", "achievement striving", "cautiousness",
	"dutifulness", "orderliness", "self-discipline", "self-efficacy", "extraversion", "activity level",
	"assertiveness", "cheerfulness", "excitement-seeking", "friendliness", "gregariousness", "neuroticism",
	"anger", "anxiety", "depression", "immoderation", "self-consciousness", "vulnerability", "openness",
	"adventurousness", "artistic interests", "emotionality", "imagination", "intellect", "liberalism",
	"conservation", "hedonism", "openness to change", "self-enhancement", "self-transcendence",
}

// What follows is for whoever makes questions of a dataset: what it may hold,
// and what it does.

// Networks are the networks that accounts and bios are of. The caller owns the
// slice, as that of the others.
func Networks() []string { return slices.Clone(networks) }

// IdentifierTypes are the types that a dataset may hold.
func IdentifierTypes() []string { return slices.Clone(identifierTypes) }

// PersonalityTerms are the 52, in the vendor's order.
func PersonalityTerms() []string { return slices.Clone(personalityTerms) }

// Roots are the seven above all affinities.
func Roots() []string { return slices.Clone(roots) }

// Formats are the endings of table files.
func Formats() []string { return slices.Clone(formats[:]) }

// Affinity is a node of the taxonomy.
type Affinity struct{ Name, Parent string }

// Affinities are those that were loaded, by id.
func (m *Model) Affinities() map[string]Affinity {
	out := map[string]Affinity{}
	for id, n := range m.nodes {
		out[id] = Affinity{n.name, n.parent}
	}
	return out
}

// ScreenNames are those of a network's accounts as they are written, but for
// those that come to nothing, in the order of loading.
func (m *Model) ScreenNames(network string) []string {
	var out []string
	for _, a := range m.accounts {
		if a.network == network && FoldName(a.screenName) != "" {
			out = append(out, a.screenName)
		}
	}
	return out
}

// Identifiers are what a person has of a type, as it is printed, in the order
// of loading.
func (m *Model) Identifiers(person, typ string) []string {
	var out []string
	for _, id := range m.byKey[person].identifiersOf(typ) {
		out = append(out, id.printed)
	}
	return out
}

// Terms are a person's terms of a field.
func (m *Model) Terms(person string, f query.Field) []string { return m.terms(m.byKey[person], f) }

// Known lists what people have, sorted, by sort of value: job_titles,
// employer_names, affinities, texts, the networks' accounts, and the kinds of
// places. It is shared: whoever gets it must not change it.
func (m *Model) Known() map[string][]string {
	if m.known == nil {
		m.known = m.gatherTerms()
	}
	return m.known
}

func (m *Model) gatherTerms() map[string][]string {
	sets := map[string]map[string]bool{}
	put := func(sort, v string) {
		if sets[sort] == nil {
			sets[sort] = map[string]bool{}
		}
		sets[sort][v] = true
	}
	for _, p := range m.people {
		for t := range p.titles {
			put("job_titles", t)
		}
		for e := range p.employers {
			put("employer_names", e)
		}
		for network, accounts := range p.follows {
			for a := range accounts {
				put(network, a)
			}
		}
		for _, text := range slices.Concat(p.bioTexts, p.tweetTexts) {
			put("texts", text)
		}
		for kind, id := range p.places {
			put(kind, id)
		}
	}
	for id := range m.nodes {
		put("affinities", id)
	}
	out := map[string][]string{}
	for sort, set := range sets {
		out[sort] = sortedKeys(set)
	}
	return out
}
