package demo

// topic is a community: people who like it follow its accounts and speak of
// its things. The leanings are our assumptions, in the exponent of the odds:
// age from -1 (young) to 1 (old), female from -1 (men) to 1 (women).
type topic struct {
	name, group, tag string
	age, female      float64
	things           [4]string
}

// Groups of topics with ids that requests are known to use.
const (
	groupComputers = "Computers & Technology"
	groupSports    = "Sports"
	groupTravel    = "Travel & Places"
	topicGo        = "Go programming"
	topicSoccer    = "Soccer"
)

// topics are the communities, the most popular first.
func topics() []topic {
	return []topic{
		{"Pop music", "Music", "popmusic", -0.4, 0.4, [4]string{"pop hooks", "new singles", "arena tours", "key changes"}},
		{topicSoccer, groupSports, "soccer", -0.3, -0.5, [4]string{"soccer", "late equalisers", "away days", "clean sheets"}},
		{"Home cooking", "Food & Drink", "cooking", 0.3, 0.4, [4]string{"sourdough", "one-pot dinners", "slow roasts", "pantry meals"}},
		{"Video games", "Games", "gaming", -0.8, -0.6, [4]string{"speedruns", "co-op nights", "boss fights", "pixel art games"}},
		{"Travel", groupTravel, "travel", 0.1, 0.2, [4]string{"night trains", "window seats", "city walks", "mountain huts"}},
		{"American football", groupSports, "football", 0, -0.6, [4]string{"fourth downs", "tailgates", "two-minute drills", "draft boards"}},
		{"Films", "Film & Television", "film", 0, 0, [4]string{"long takes", "matinees", "heist films", "director's cuts"}},
		{"Fitness", "Health & Fitness", "fitness", -0.3, 0.1, [4]string{"deadlifts", "interval runs", "rest days", "meal prep"}},
		{"Basketball", groupSports, "hoops", -0.4, -0.5, [4]string{"buzzer beaters", "pick and rolls", "street courts", "triple doubles"}},
		{"Hip hop", "Music", "hiphop", -0.7, -0.2, [4]string{"mixtapes", "sampled beats", "freestyles", "cyphers"}},
		{"Series", "Film & Television", "series", -0.1, 0.4, [4]string{"season finales", "slow-burn dramas", "bottle episodes", "rewatches"}},
		{"Gardening", "Home & Family", "gardening", 0.9, 0.5, [4]string{"tomato seedlings", "compost", "raised beds", "roses"}},
		{"Politics", "News & Society", "politics", 0.6, -0.1, [4]string{"town halls", "local elections", "committee hearings", "polls"}},
		{"Fashion", "Style & Beauty", "fashion", -0.4, 0.9, [4]string{"vintage denim", "capsule wardrobes", "thrift finds", "runway shows"}},
		{"Rock", "Music", "rock", 0.4, -0.3, [4]string{"guitar solos", "vinyl", "garage bands", "encores"}},
		{"Parenting", "Home & Family", "parenting", 0.1, 0.7, [4]string{"school runs", "bedtime stories", "lunch boxes", "nap time"}},
		{"Baseball", groupSports, "baseball", 0.6, -0.6, [4]string{"double plays", "box scores", "spring training", "walk-offs"}},
		{"Make-up", "Style & Beauty", "makeup", -0.6, 1.4, [4]string{"winged liner", "skin care", "palettes", "brow days"}},
		{"Books", "Arts & Books", "books", 0.4, 0.6, [4]string{"paperbacks", "library days", "short stories", "reading lists"}},
		{"Dogs", "Home & Family", "dogs", 0.2, 0.4, [4]string{"rescue dogs", "long walks", "puppy training", "muddy paws"}},
		{"Personal finance", "Business & Money", "money", 0.3, -0.2, [4]string{"index funds", "budgets", "emergency funds", "tax forms"}},
		{"Cars", "Motors", "cars", 0.1, -0.8, [4]string{"manual gearboxes", "track days", "barn finds", "road trips"}},
		{"Restaurants", "Food & Drink", "foodie", 0, 0.2, [4]string{"tasting menus", "noodle bars", "brunch", "street food"}},
		{"Start-ups", "Business & Money", "startups", -0.3, -0.4, [4]string{"pitch decks", "runway", "first customers", "side projects"}},
		{"Comedy", "Film & Television", "comedy", -0.2, -0.1, [4]string{"open mics", "sketches", "crowd work", "one-liners"}},
		{"Country music", "Music", "country", 0.5, 0.1, [4]string{"pedal steel", "honky-tonks", "line dances", "road songs"}},
		{"Running", "Health & Fitness", "running", 0, 0.1, [4]string{"10k races", "trail runs", "marathon plans", "tempo runs"}},
		{"Web development", groupComputers, "webdev", -0.6, -0.7, [4]string{"golang", "css grids", "javascript", "build tools"}},
		{"Space", "Science & Nature", "space", 0, -0.4, [4]string{"rocket launches", "nebulae", "moon maps", "telescopes"}},
		{"Dance music", "Music", "edm", -0.7, 0, [4]string{"warehouse sets", "synths", "drops", "festival season"}},
		{"Yoga", "Health & Fitness", "yoga", 0.2, 1.2, [4]string{"sun salutations", "breath work", "morning practice", "balance"}},
		{"Photography", "Arts & Books", "photography", 0.2, 0, [4]string{"golden hour", "film cameras", "street shots", "darkrooms"}},
		{"Golf", groupSports, "golf", 0.8, -0.8, [4]string{"short games", "back nines", "links courses", "putting"}},
		{"Machine learning", groupComputers, "machinelearning", -0.5, -0.7, [4]string{"python", "gradients", "datasets", "model cards"}},
		{"Do it yourself", "Home & Family", "diy", 0.5, -0.2, [4]string{"table saws", "tile work", "paint swatches", "shelf brackets"}},
		{"Wine", "Food & Drink", "wine", 0.7, 0.2, [4]string{"natural wine", "vineyards", "cellars", "tasting notes"}},
		{"Tennis", groupSports, "tennis", 0.3, 0.1, [4]string{"tie-breaks", "clay season", "drop shots", "doubles"}},
		{"Anime", "Film & Television", "anime", -1, 0, [4]string{"manga", "opening themes", "mecha", "conventions"}},
		{"Climate", "News & Society", "climate", -0.1, 0.2, [4]string{"heat pumps", "wind farms", "bike lanes", "rewilding"}},
		{"Jazz", "Music", "jazz", 0.7, -0.1, [4]string{"trio dates", "brushes", "standards", "late sets"}},
		{"Esports", "Games", "esports", -1.1, -0.8, [4]string{"ranked ladders", "drafts", "clutch rounds", "patch notes"}},
		{"Coffee", "Food & Drink", "coffee", -0.2, 0, [4]string{"pour-overs", "espresso", "light roasts", "latte art"}},
		{"Motor racing", groupSports, "racing", 0.1, -0.7, [4]string{"pit stops", "qualifying laps", "wet tyres", "grid walks"}},
		{"Painting", "Arts & Books", "painting", 0.4, 0.4, [4]string{"oil paints", "sketchbooks", "murals", "life drawing"}},
		{"Board games", "Games", "boardgames", -0.2, -0.2, [4]string{"worker placement", "dice", "game nights", "deck builders"}},
		{"Birds", "Science & Nature", "birding", 0.9, 0.1, [4]string{"warblers", "hides", "field guides", "dawn chorus"}},
		{"Security", groupComputers, "infosec", -0.3, -0.8, [4]string{"threat models", "capture the flag", "passkeys", "patch days"}},
		{topicGo, groupComputers, "golang", -0.4, -0.8, [4]string{"golang", "goroutines", "small interfaces", "fast builds"}},
		{"Classical music", "Music", "classical", 0.9, 0.2, [4]string{"string quartets", "choirs", "slow movements", "opera"}},
		{"Open source", groupComputers, "opensource", -0.3, -0.8, [4]string{"pull requests", "maintainers", "golang", "release notes"}},
		{"Teaching", "News & Society", "teaching", 0.3, 0.7, [4]string{"lesson plans", "reading corners", "field trips", "chalk"}},
		{"Marketing", "Business & Money", "marketing", -0.1, 0.3, [4]string{"brand voice", "funnels", "newsletters", "copy"}},
	}
}

// home is a country with communities of its own. Shares of people are our
// choice, so that every baseline of an insight has people.
type home struct {
	iso   string
	share float64
	mix   ethnicMix // rough assumptions outside the United States
}

func homes() []home {
	european := ethnicMix{86, 1, 5, 8, 0.1}
	return []home{
		{"US", 0.62, usMix},
		{"GB", 0.07, european},
		{"CA", 0.05, ethnicMix{70, 2, 4, 19, 5}},
		{"IN", 0.04, ethnicMix{0.5, 0.1, 0.1, 99, 0.3}},
		{"DE", 0.03, european},
		{"FR", 0.03, european},
		{"BR", 0.03, ethnicMix{25, 65, 8, 1, 1}},
		{"MX", 0.02, ethnicMix{5, 85, 1, 1, 8}},
		{"ES", 0.02, ethnicMix{80, 12, 3, 4, 0.1}},
		{"IT", 0.02, european},
		{"AU", 0.015, ethnicMix{75, 1, 1, 19, 4}},
		{"JP", 0.01, ethnicMix{0.5, 0.2, 0.1, 99, 0.2}},
		{"NL", 0.01, european},
	}
}

// elsewhere is the mix of all other countries.
func elsewhere() ethnicMix { return ethnicMix{25, 15, 25, 34, 1} }

// market is a market area and its main cities, each behind the ISO 3166-2 code
// of its state.
type market struct {
	id, name string
	cities   []string
}

// markets are those of the published examples that the built-in reference has
// no cities for, and two more whose ethnic mix is known.
func markets() []market {
	return []market{
		{"521", "", []string{"US-RI Providence", "US-RI Warwick", "US-RI Cranston", "US-RI Pawtucket", "US-MA New Bedford", "US-MA Fall River"}},
		{"533", "", []string{"US-CT Hartford", "US-CT New Haven", "US-CT Waterbury", "US-CT New Britain", "US-CT Meriden"}},
		{"544", "", []string{"US-VA Norfolk", "US-VA Portsmouth", "US-VA Newport News", "US-VA Virginia Beach", "US-VA Chesapeake", "US-VA Hampton"}},
		{"545", "", []string{"US-NC Greenville", "US-NC New Bern", "US-NC Washington", "US-NC Jacksonville", "US-NC Kinston"}},
		{"602", "Chicago", []string{"US-IL Chicago", "US-IL Aurora", "US-IL Joliet", "US-IL Naperville", "US-IL Elgin", "US-IN Gary"}},
		{"622", "", []string{"US-LA New Orleans", "US-LA Metairie", "US-LA Kenner", "US-LA Slidell"}},
		{"803", "Los Angeles", []string{"US-CA Los Angeles", "US-CA Long Beach", "US-CA Anaheim", "US-CA Santa Ana", "US-CA Riverside", "US-CA Glendale"}},
	}
}
