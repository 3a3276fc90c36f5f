package enginetest

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"throng/engine/enginetest/model"
)

// Options are the settings of a random dataset.
type Options struct {
	// People is how many rows people has; 0 means 10 to 3,000.
	People int
	// Clean leaves out rows that a load rejects.
	Clean bool
}

// pick gives one of the values.
func pick[T any](rng *rand.Rand, values ...T) T { return values[rng.IntN(len(values))] }

// generator makes one dataset.
type generator struct {
	rng    *rand.Rand
	opt    Options
	asOf   time.Time
	keys   []string
	sheets []*sheet
	own    bool // has a table of locations of its own
	times  int  // which sorts of times people have
}

// RandomDataset writes a small dataset into dir, which must be there: few
// accounts, affinities, titles and words, so that conditions meet, with rows
// of every odd sort, each wrong in one way. The same rng writes the same.
func RandomDataset(rng *rand.Rand, dir string, opt Options) error {
	if opt.People == 0 {
		opt.People = pick(rng, 10+rng.IntN(40), 10+rng.IntN(400), 10+rng.IntN(2991))
	}
	g := &generator{rng: rng, opt: opt, own: rng.IntN(2) == 0, times: rng.IntN(3)}
	g.asOf = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(rng.IntN(86400)) * time.Second)
	g.people()
	g.identifiers()
	g.social()
	g.affinities()
	g.jobs()
	g.texts()
	g.locations()
	settings := fmt.Sprintf(`{"name":"random","as_of":%q,"personality_threshold":%g}`,
		g.asOf.Format(time.RFC3339), pick(rng, 0.5, 0.75, 0.9))
	if err := os.WriteFile(filepath.Join(dir, "dataset.json"), []byte(settings), 0o600); err != nil {
		return err
	}
	for _, s := range g.sheets {
		if s.name != "people" && rng.IntN(12) == 0 {
			continue // only people is required
		}
		rng.Shuffle(len(s.rows), func(i, j int) { s.rows[i], s.rows[j] = s.rows[j], s.rows[i] })
		if err := s.write(rng, dir); err != nil {
			return fmt.Errorf("write %s: %w", s.name, err)
		}
	}
	return nil
}

func (g *generator) sheet(name string, columns ...string) *sheet {
	s := &sheet{name: name, columns: columns}
	g.sheets = append(g.sheets, s)
	return s
}

func (s *sheet) add(cells ...string) { s.rows = append(s.rows, cells) }

// odd adds a row that a load rejects, unless the dataset is to be clean.
func (g *generator) odd(s *sheet, cells ...string) {
	if !g.opt.Clean {
		s.add(cells...)
	}
}

// oddities adds to a table of people's facts: good is a row that is right,
// and empty the column, from 1, of a required cell.
func (g *generator) oddities(s *sheet, empty int, good ...string) {
	for range g.opt.People/40 + 1 {
		with := func(i int, v string) []string {
			row := append([]string(nil), good...)
			row[i] = v
			return row
		}
		g.odd(s, with(0, pick(g.rng, "nobody", "P00001", "p00001 "))...)
		g.odd(s, with(0, "")...)
		g.odd(s, with(empty, "")...)
		g.odd(s, with(0, "\xff")...)
		g.odd(s, good[:len(good)-1]...)
		g.odd(s, append(append([]string(nil), good...), "more")...)
		s.add(good...)
		s.add(good...)
	}
}

func (g *generator) someone() string { return g.keys[g.rng.IntN(len(g.keys))] }

// adult is somebody whose row is surely loaded.
func (g *generator) adult() string { return g.keys[0] }

func (g *generator) people() {
	rng := g.rng
	s := g.sheet("people", "person", "age", "birth_year", "age_range", "gender", "ethnicity", "city", "region", "dma", "country", "last_tweeted")
	for i := range g.opt.People {
		key := fmt.Sprintf("p%05d", i)
		if rng.IntN(10) == 0 {
			key = pick(rng, "ключ ", "名前", "a,b \"q\" ", "🙂", " lead", strings.Repeat("k", 55)) + strconv.Itoa(i)
		}
		g.keys = append(g.keys, key)
		row := make([]string, len(s.columns))
		row[0] = key
		switch rng.IntN(8) {
		case 0, 1:
			row[1] = strconv.Itoa(18 + rng.IntN(60))
		case 2:
			row[2] = strconv.Itoa(1940 + rng.IntN(67))
		case 3, 4:
			row[3] = pick(rng, "18-24", "25-34", "35-44", "45-54", "over 54")
		case 5:
			row[1], row[2], row[3] = pick(rng, "25", "", "old"), pick(rng, "1980", ""), pick(rng, "over 54", "")
		case 6:
			if i > 0 && rng.IntN(3) == 0 {
				row[1+rng.IntN(3)] = "x"
				row[1], row[2], row[3] = pick(rng, "17", "3"), "", ""
				if rng.IntN(2) == 0 {
					row[1], row[3] = "", "13-17"
				}
			}
		}
		row[4] = pick(rng, "male", "female", "female", "", "robot")
		row[5] = pick(rng, "asian", "black", "hispanic", "native", "white", "", "")
		row[6], row[7], row[8], row[9] = g.placeCells()
		row[10] = g.tweetedAt()
		s.add(row...)
	}
	for i := range g.opt.People/30 + 1 { // a second row does not count
		row := make([]string, len(s.columns))
		row[0], row[1] = g.keys[i%len(g.keys)], "33"
		if !g.opt.Clean {
			s.add(row...)
		}
		g.odd(s, append([]string{pick(rng, "", strings.Repeat("x", 65), "a\nb", "\xff\xfe")}, row[1:]...)...)
		g.odd(s, "short", "44")
	}
}

func (g *generator) placeCells() (city, region, dma, country string) {
	r := g.rng
	if g.own {
		return pick(r, "", "1", "2", "3", "9", "1"), pick(r, "", "", "1", "2"), pick(r, "", "", "1", "zz"), pick(r, "", "", "1", "3", "Freedonia")
	}
	return pick(r, "", "", "81905", "82396", "0"), pick(r, "", "", "US-NY", "US-CA"), pick(r, "", "", "501", "622"),
		pick(r, "", "", "231", "230", "US", "DE", "Germany", "Atlantis")
}

func (g *generator) tweetedAt() string {
	days := pick(g.rng, 1, 7, 30, 60, 90, 180, 365)
	edge := g.asOf.Add(-time.Duration(days) * 24 * time.Hour)
	switch g.times {
	case 0: // days alone, as a column of days holds them
		return pick(g.rng, "", edge.Format("2006-01-02"), edge.AddDate(0, 0, 1).Format("2006-01-02"))
	case 1: // well-formed times alone
		return pick(g.rng, edge, edge.Add(-time.Millisecond), edge.Add(time.Hour)).Format("2006-01-02T15:04:05.000Z07:00")
	}
	switch g.rng.IntN(7) {
	case 0:
		return ""
	case 1:
		return edge.Format(time.RFC3339)
	case 2:
		return edge.Add(-time.Second).Format(time.RFC3339)
	case 3:
		return edge.In(time.FixedZone("", 5*3600+1800)).Format(time.RFC3339)
	case 4:
		return edge.Add(time.Duration(g.rng.IntN(864000)) * time.Second).Format("2006-01-02")
	case 5:
		return edge.Add(-time.Millisecond).Format("2006-01-02T15:04:05.000Z07:00")
	default:
		return pick(g.rng, "never", edge.Add(-time.Hour).Format(time.RFC3339))
	}
}

func (g *generator) identifiers() {
	rng := g.rng
	s := g.sheet("identifiers", "person", "type", "value")
	n := g.opt.People
	for range 4 * n {
		k := rng.IntN(n*3/4 + 1) // fewer values than people: some are shared
		typ := pick(rng, model.IdentifierTypes()...)
		s.add(g.someone(), typ, randomIdentifier(rng, typ, k))
	}
	g.oddities(s, 2, g.adult(), "twitter_id", "77")
	for range n/40 + 1 {
		g.odd(s, g.adult(), "shoe_size", "43")
		g.odd(s, g.adult(), "twitter_id", pick(rng, "12x", "-1", "１２"))
		g.odd(s, g.adult(), "md5", pick(rng, "", model.EmptyMD5, strings.ToUpper(model.EmptyMD5), "abc", strings.Repeat("g", 32)))
		g.odd(s, g.adult(), pick(rng, "ma_id", "idfa", "gaid", "idfv"), pick(rng, model.ZeroUUID, strings.Repeat("0", 32), "12345678"))
		g.odd(s, g.adult(), "email_raw", pick(rng, "nobody.example.com", " "))
		g.odd(s, g.adult(), "twitter_user", pick(rng, "@", " @ "))
	}
}

// randomIdentifier writes the k-th identifier of a type in one of its forms.
func randomIdentifier(rng *rand.Rand, typ string, k int) string {
	form := func(s string) string {
		return pick(rng, s, s, strings.ToUpper(s), " "+s, s+"\t")
	}
	hash := model.MD5(strconv.Itoa(k))
	switch typ {
	case "ss_id":
		return fmt.Sprintf("p%05d", k)
	case "twitter_id":
		return pick(rng, "", " ") + pick(rng, "", "0") + strconv.Itoa(k)
	case "twitter_user":
		return pick(rng, "", "@") + form(fmt.Sprintf("user%d", k)+pick(rng, "", "", "é", "ж"))
	case "email_raw":
		return form(fmt.Sprintf("user%d@example.com", k))
	case "md5": // of addresses, so that both ways of having it meet
		return form(model.MD5(fmt.Sprintf("user%d@example.com", k)))
	case "ma_id", "idfa", "gaid", "idfv":
		s := hash[:8] + "-" + hash[8:12] + "-" + hash[12:16] + "-" + hash[16:20] + "-" + hash[20:]
		return form(pick(rng, s, hash))
	case "imei":
		return fmt.Sprintf("%014d", k+1)
	case "oaid", "cint_id", "ramp_id":
		return pick(rng, "x", "X", " x") + strconv.Itoa(k)
	default:
		return form(hash)
	}
}

func (g *generator) social() {
	rng := g.rng
	s := g.sheet("follows", "person", "network", "account")
	accounts := pick(rng, 6, 12, 300)
	for range g.opt.People * 5 {
		s.add(g.someone(), pick(rng, model.Networks()...), accountID(rng.IntN(accounts)))
	}
	for i := range accounts { // somebody follows many
		s.add(g.someone(), "twitter", accountID(i))
		s.add(g.adult(), "youtube", accountID(i))
	}
	g.oddities(s, 2, g.adult(), "twitter", "a1")
	g.odd(s, g.adult(), "myspace", "a1")
	t := g.sheet("accounts", "network", "account", "screen_name", "name")
	for i := range accounts + 3 {
		for _, network := range model.Networks() {
			if rng.IntN(4) > 0 {
				name := fmt.Sprintf("Name%d", i)
				if rng.IntN(5) == 0 {
					name = "NAME" + strconv.Itoa(i/2) // some share one
				}
				t.add(network, accountID(i), pick(rng, name, "@"+name, strings.ToLower(name), ""), pick(rng, "", "The "+name))
			}
		}
	}
	g.odd(t, "myspace", "a1", "n", "")
	g.odd(t, "twitter", "", "n", "")
	g.odd(t, "twitter", "a1", "n")
}

func accountID(i int) string {
	if i%3 == 0 {
		return strconv.Itoa(i)
	}
	return "a" + strconv.Itoa(i)
}

func (g *generator) affinities() {
	rng := g.rng
	s := g.sheet("affinities", "affinity", "name", "parent")
	n := 3 + rng.IntN(25)
	id := func(i int) string { return "n" + strconv.Itoa(i) }
	for i := range n {
		parent := pick(rng, model.Roots()...)
		if i > 0 && rng.IntN(3) > 0 {
			parent = id(rng.IntN(i))
		}
		s.add(id(i), fmt.Sprintf("Affinity %d", i), parent)
	}
	g.odd(s, "lost", "Lost", "nowhere")
	g.odd(s, "below", "Below the lost", "lost")
	g.odd(s, "loop1", "Loop", "loop2")
	g.odd(s, "loop2", "Loop", "loop1")
	g.odd(s, "self", "Self", "self")
	g.odd(s, "none", "None", "")
	g.odd(s, "unnamed", "", ".media.")
	t := g.sheet("interests", "person", "affinity")
	for range g.opt.People * 3 {
		t.add(g.someone(), id(rng.IntN(n)))
	}
	g.oddities(t, 1, g.adult(), id(0))
	g.odd(t, g.adult(), "lost")
	g.odd(t, g.adult(), "below")
	g.odd(t, g.adult(), "loop1")
	g.odd(t, g.adult(), "unheard")
	u := g.sheet("affinity_accounts", "affinity", "network", "account")
	for range 8 {
		u.add(id(rng.IntN(n)), pick(rng, model.Networks()...), accountID(rng.IntN(12)))
	}
	g.odd(u, "unheard", "twitter", "a1")
	g.odd(u, id(0), "myspace", "a1")
	g.odd(u, id(0), "twitter")
}

func (g *generator) jobs() {
	rng := g.rng
	s := g.sheet("jobs", "person", "title", "employer")
	titles := []string{"Cook", "cook", "Chief, Cook", `"Quoted" Baker`, "Bäcker", "Line  Cook", "Pilot", ""}
	employers := []string{"Acme", "ACME", "Acme, Inc.", "Ünïcode & Söhne", "Solo", ""}
	for range g.opt.People {
		title := titles[min(rng.IntN(len(titles)), rng.IntN(len(titles)))]
		employer := employers[min(rng.IntN(len(employers)), rng.IntN(len(employers)))]
		if title+employer != "" {
			s.add(g.someone(), title, employer)
		}
	}
	g.odd(s, "nobody", "Cook", "")
	g.odd(s, "", "Cook", "")
	g.odd(s, g.adult(), "Cook")
	t := g.sheet("personality", "person", "term", "score")
	for range g.opt.People * 2 {
		term := pick(rng, model.PersonalityTerms()[:6]...)
		score := pick(rng, "0", "1", "0.5", "0.75", "0.9", "0.7499999999", "9e-1", strconv.FormatFloat(rng.Float64(), 'f', 4, 64))
		t.add(g.someone(), term, score)
	}
	g.oddities(t, 1, g.adult(), "love", "0.25")
	g.odd(t, g.adult(), "bravery", "0.5")
	g.odd(t, g.adult(), "love", pick(rng, "1.01", "-0.1", "high"))
}

func vocabulary() []string {
	return []string{
		"go", "Go", "golang", "#golang", "@golang", "$GO", "rust", "Rust!", "C++", "data", "science", "data,", "don't", "don’t",
		"Straße", "STRASSE", "café", "cafe\u0301", "ＧＯ", "ﬁne", "🍕", "❤️", "👩‍💻", "🇩🇪🇫🇷", "日本語", "3.14", "#", "--", "a_b", "x",
		"the", "und", "##go", "привет", "Привет", "line\nbreak", "e.g.", "ann@example.com", "สวัสดี", "…",
	}
}

func randomText(rng *rand.Rand) string {
	var b strings.Builder
	for range 1 + rng.IntN(10) {
		b.WriteString(pick(rng, vocabulary()...))
		b.WriteString(pick(rng, " ", " ", " ", " ", ", ", "-", "/", "\n", " \t "))
	}
	return b.String()
}

func (g *generator) texts() {
	rng := g.rng
	s := g.sheet("bios", "person", "network", "text")
	for range g.opt.People {
		s.add(g.someone(), pick(rng, model.Networks()...), randomText(rng))
	}
	g.oddities(s, 2, g.adult(), "twitter", "go rust")
	g.odd(s, g.adult(), "myspace", "go")
	t := g.sheet("tweets", "person", "posted_at", "text")
	old := g.asOf.Add(-7 * 24 * time.Hour)
	for range g.opt.People {
		at := g.asOf.Add(-time.Duration(rng.IntN(6*86400)) * time.Second)
		t.add(g.someone(), at.Format(time.RFC3339), randomText(rng))
	}
	for range g.opt.People / 4 {
		at := pick(rng, g.asOf, g.asOf.Add(time.Second), old, old.Add(time.Second), old.Add(-time.Hour), g.asOf.Add(time.Hour))
		t.add(g.adult(), at.Format(time.RFC3339), randomText(rng))
	}
	g.oddities(t, 2, g.adult(), g.asOf.Format(time.RFC3339), "go rust")
	g.odd(t, g.adult(), "soon", "go")
}

func (g *generator) locations() {
	if !g.own {
		return
	}
	s := g.sheet("locations", "kind", "id", "name", "region", "country", "dma")
	s.add("country", "1", "Freedonia", "", "", "")
	s.add("country", "2", "Sylvania", "", "", "")
	s.add("country", "3", "Nowhere", "", "", "")
	s.add("region", "1", "North", "", "1", "")
	s.add("region", "2", "South", "", "2", "")
	s.add("dma", "1", "Big Market", "", "", "")
	s.add("city", "1", "Springs", "1", "1", "1")
	s.add("city", "2", "Falls", "2", "", "")
	s.add("city", "3", "Island", "", "3", "")
	g.odd(s, "planet", "1", "Earth", "", "", "")
	g.odd(s, "city", "", "Nameless", "", "", "")
	g.odd(s, "city", "4", "", "", "", "")
	g.odd(s, "city", "4")
}
