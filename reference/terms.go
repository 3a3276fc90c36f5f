package reference

// Personalities returns the 52 personality terms, in the order in which they
// are listed to users. The caller owns the slice.
func Personalities() []string {
	return []string{
		"challenge", "closeness", "curiosity", "excitement", "harmony", "ideal",
		"liberty", "love", "practicality", "self-expression", "stability",
		"structure",

		"agreeableness", "altruism", "cooperation", "modesty", "morality",
		"sympathy", "trust",

		"conscientiousness", "achievement striving", "cautiousness",
		"dutifulness", "orderliness", "self-discipline", "self-efficacy",

		"extraversion", "activity level", "assertiveness", "cheerfulness",
		"excitement-seeking", "friendliness", "gregariousness",

		"neuroticism", "anger", "anxiety", "depression", "immoderation",
		"self-consciousness", "vulnerability",

		"openness", "adventurousness", "artistic interests", "emotionality",
		"imagination", "intellect", "liberalism",

		"conservation", "hedonism", "openness to change", "self-enhancement",
		"self-transcendence",
	}
}

// Root is a top of the taxonomy of affinities. It holds other nodes and
// cannot be chosen itself.
type Root struct{ ID, Name string }

// AffinityRoots returns the seven roots, in the order in which they are listed
// to users. They exist in every dataset. The caller owns the slice.
func AffinityRoots() []Root {
	return []Root{
		{".b2b.", "B2B"},
		{".brands.", "Brands"},
		{".influencers.", "Influencers"},
		{".interests.", "Interests"},
		{".media.", "Media"},
		{".personas.", "Personas"},
		{".private.", "Private"},
	}
}
