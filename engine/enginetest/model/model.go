package model

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// person is everything known of one person.
type person struct {
	key                    string
	age, gender, ethnicity string            // "" is unknown
	places                 map[string]string // kind → id
	lastTweeted            time.Time         // zero: never
	ids                    []owned
	follows                map[string]map[string]bool // network → accounts
	affinities             map[string]bool            // with all categories above
	titles, employers      map[string]bool
	scores                 map[string]float64 // the highest of each term
	bios                   map[string][][]word
	tweets                 [][]word
	bioTexts, tweetTexts   []string // for generators of phrases
}

// account is a row of accounts.
type account struct{ network, id, screenName, name string }

// node is a node of the taxonomy.
type node struct{ id, name, parent string }

// TableCount accounts for the rows of one table.
type TableCount struct {
	Table                           string
	Rows, Loaded, Rejected, Skipped int
}

// Model is a dataset, held in maps. It is not safe for concurrent use.
type Model struct {
	AsOf      time.Time
	Threshold float64
	Name      string

	people   []*person
	byKey    map[string]*person
	underage map[string]bool
	places   *placeTable
	nodes    map[string]node
	accounts []account
	report   []TableCount
	ownersOf map[string]map[string]map[string]bool // type → folded → keys; made when asked for
	known    map[string][]string                   // what people have, for generators; made when asked for
}

var errReject = errors.New("rejected")

// errSkip marks a row left out on purpose.
var errSkip = errors.New("skipped")

// Load reads a dataset folder. now stands for the time of the load.
func Load(dir string, now time.Time) (*Model, error) {
	m := &Model{
		AsOf: now.UTC(), Threshold: 0.75, byKey: map[string]*person{}, underage: map[string]bool{},
		nodes: map[string]node{},
	}
	if err := m.readSettings(filepath.Join(dir, "dataset.json")); err != nil {
		return nil, err
	}
	if err := m.loadPlaces(dir); err != nil {
		return nil, err
	}
	if err := m.load(dir, "people", []string{"person"}, m.addPerson); err != nil {
		return nil, err
	}
	if len(m.report) == 0 || m.report[len(m.report)-1].Table != "people" {
		return nil, errors.New("table people is missing")
	}
	mapped := map[[2]string][]string{} // network, account → affinities
	for _, t := range []struct {
		name     string
		required []string
		add      func(map[string]string) error
	}{
		{"identifiers", []string{"person", "type", "value"}, m.addIdentifier},
		{"follows", []string{"person", "network", "account"}, m.addFollow},
		{"accounts", []string{"network", "account"}, m.addAccount},
		{"affinities", []string{"affinity", "name"}, nil},
		{"affinity_accounts", []string{"affinity", "network", "account"}, func(c map[string]string) error {
			if _, ok := m.nodes[c["affinity"]]; !ok || !slices.Contains(networks, c["network"]) {
				return errReject
			}
			at := [2]string{c["network"], c["account"]}
			mapped[at] = append(mapped[at], c["affinity"])
			return nil
		}},
		{"interests", []string{"person", "affinity"}, m.addInterest},
		{"jobs", []string{"person"}, m.addJob},
		{"personality", []string{"person", "term", "score"}, m.addScore},
		{"bios", []string{"person", "network", "text"}, m.addBio},
		{"tweets", []string{"person", "posted_at", "text"}, m.addTweet},
	} {
		var err error
		if t.name == "affinities" {
			err = m.loadTaxonomy(dir)
		} else {
			err = m.load(dir, t.name, t.required, t.add)
		}
		if err != nil {
			return nil, err
		}
	}
	m.giveMapped(mapped)
	return m, nil
}

// giveMapped gives people the affinities that go with the accounts they follow:
// those of a network and an account.
func (m *Model) giveMapped(affinities map[[2]string][]string) {
	for _, p := range m.people {
		for network, accounts := range p.follows {
			for a := range accounts {
				for _, affinity := range affinities[[2]string{network, a}] {
					m.giveAffinity(p, affinity)
				}
			}
		}
	}
}

func (m *Model) readSettings(name string) error {
	data, err := os.ReadFile(name)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var s struct {
		Name      string   `json:"name"`
		AsOf      string   `json:"as_of"`
		Threshold *float64 `json:"personality_threshold"`
	}
	if err := json.Unmarshal(data, &s); err != nil {
		return fmt.Errorf("read dataset.json: %w", err)
	}
	m.Name = s.Name
	if s.Threshold != nil {
		m.Threshold = *s.Threshold
	}
	if s.AsOf != "" {
		at, ok := ParseTime(s.AsOf)
		if !ok {
			return errors.New("read dataset.json: malformed as_of")
		}
		m.AsOf = at
	}
	return nil
}

// load passes the rows of a table that have all their required cells to add
// and counts what became of them.
func (m *Model) load(dir, table string, required []string, add func(map[string]string) error) error {
	count := TableCount{Table: table}
	present, err := readTable(dir, table, required, func(r record) {
		count.Rows++
		err := func() error {
			if r.bad != "" {
				return errReject
			}
			for _, c := range required {
				if r.cells[c] == "" {
					return errReject
				}
			}
			return add(r.cells)
		}()
		switch {
		case err == nil:
			count.Loaded++
		case errors.Is(err, errSkip):
			count.Skipped++
		default:
			count.Rejected++
		}
	})
	if present {
		m.report = append(m.report, count)
	}
	return err
}

// Report accounts for the tables that are present, in the order of reading.
func (m *Model) Report() []TableCount { return slices.Clone(m.report) }

// People lists the person keys in the order of the index.
func (m *Model) People() []string {
	var keys []string
	for _, p := range m.people {
		keys = append(keys, p.key)
	}
	return keys
}

// ParseTime reads a day or a time as tables hold them.
func ParseTime(s string) (time.Time, bool) {
	if t, err := time.Parse("2006-01-02", s); err == nil {
		return t, true
	}
	t, err := time.Parse(time.RFC3339, s)
	return t.UTC(), err == nil
}

func validKey(s string) bool {
	return len(s) >= 1 && len(s) <= 64 && utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}

func (m *Model) addPerson(c map[string]string) error {
	key := c["person"]
	if !validKey(key) || m.byKey[key] != nil || m.underage[key] {
		return errReject
	}
	age, tooYoung := m.ageOf(c)
	if tooYoung {
		m.underage[key] = true
		return errSkip
	}
	p := &person{key: key, age: age, places: m.places.of(c)}
	if slices.Contains([]string{"male", "female"}, c["gender"]) {
		p.gender = c["gender"]
	}
	if slices.Contains([]string{"asian", "black", "hispanic", "native", "white"}, c["ethnicity"]) {
		p.ethnicity = c["ethnicity"]
	}
	if at, ok := ParseTime(c["last_tweeted"]); ok {
		p.lastTweeted = at
	}
	m.people = append(m.people, p)
	m.byKey[key] = p
	return nil
}

// ageOf gives the range of the first of age, birth_year and age_range that is
// present and well-formed.
func (m *Model) ageOf(c map[string]string) (ageRange string, tooYoung bool) {
	if n, err := strconv.Atoi(c["age"]); err == nil && n >= 0 {
		return rangeOf(n), n < 18
	}
	if n, err := strconv.Atoi(c["birth_year"]); err == nil && n >= 0 {
		n = m.AsOf.Year() - n - 1
		return rangeOf(n), n < 18
	}
	band := c["age_range"]
	if slices.Contains([]string{"18-24", "25-34", "35-44", "45-54", "over 54"}, band) {
		return band, false
	}
	if _, to, ok := strings.Cut(band, "-"); ok {
		if n, err := strconv.Atoi(to); err == nil && n < 18 {
			return "", true
		}
	}
	return "", false
}

func rangeOf(age int) string {
	switch {
	case age < 18:
		return ""
	case age <= 24:
		return "18-24"
	case age <= 34:
		return "25-34"
	case age <= 44:
		return "35-44"
	case age <= 54:
		return "45-54"
	default:
		return "over 54"
	}
}

// person finds whose row it is.
func (m *Model) person(c map[string]string) (*person, error) {
	p := m.byKey[c["person"]]
	switch {
	case m.underage[c["person"]]:
		return nil, errSkip
	case p == nil:
		return nil, errReject
	}
	return p, nil
}

func (m *Model) addIdentifier(c map[string]string) error {
	p, err := m.person(c)
	if err != nil {
		return err
	}
	if !slices.Contains(identifierTypes, c["type"]) {
		return errReject
	}
	printed, folded, ok := parseIdentifier(c["type"], c["value"])
	if !ok {
		return errReject
	}
	p.ids = append(p.ids, owned{c["type"], printed, folded})
	return nil
}

func (m *Model) addFollow(c map[string]string) error {
	p, err := m.person(c)
	if err != nil {
		return err
	}
	if !slices.Contains(networks, c["network"]) {
		return errReject
	}
	if p.follows == nil {
		p.follows = map[string]map[string]bool{}
	}
	if p.follows[c["network"]] == nil {
		p.follows[c["network"]] = map[string]bool{}
	}
	p.follows[c["network"]][c["account"]] = true
	return nil
}

func (m *Model) addAccount(c map[string]string) error {
	if !slices.Contains(networks, c["network"]) {
		return errReject
	}
	m.accounts = append(m.accounts, account{c["network"], c["account"], c["screen_name"], c["name"]})
	return nil
}

// loadTaxonomy keeps the nodes that hang under a root.
func (m *Model) loadTaxonomy(dir string) error {
	first := map[string]node{}
	var rows []node
	err := m.load(dir, "affinities", []string{"affinity", "name"}, func(c map[string]string) error {
		n := node{c["affinity"], c["name"], c["parent"]}
		if _, again := first[n.id]; again || slices.Contains(roots, n.id) {
			return errReject
		}
		first[n.id] = n
		rows = append(rows, n)
		return nil
	})
	if err != nil {
		return err
	}
	for _, n := range rows {
		at := n.parent
		for range len(rows) + 1 { // a longer way up goes in circles
			if slices.Contains(roots, at) {
				m.nodes[n.id] = n
				break
			}
			at = first[at].parent
		}
		if _, ok := m.nodes[n.id]; !ok {
			r := &m.report[len(m.report)-1]
			r.Loaded--
			r.Rejected++
		}
	}
	return nil
}

// giveAffinity gives p the affinity and all categories above it.
func (m *Model) giveAffinity(p *person, id string) {
	if p.affinities == nil {
		p.affinities = map[string]bool{}
	}
	for {
		n, ok := m.nodes[id]
		if !ok {
			return // a root
		}
		p.affinities[id] = true
		id = n.parent
	}
}

func (m *Model) addInterest(c map[string]string) error {
	p, err := m.person(c)
	if err != nil {
		return err
	}
	if _, ok := m.nodes[c["affinity"]]; !ok {
		return errReject
	}
	m.giveAffinity(p, c["affinity"])
	return nil
}

func (m *Model) addJob(c map[string]string) error {
	p, err := m.person(c)
	if err != nil {
		return err
	}
	if c["title"] == "" && c["employer"] == "" {
		return errReject // says nothing
	}
	if p.titles == nil {
		p.titles, p.employers = map[string]bool{}, map[string]bool{}
	}
	if c["title"] != "" {
		p.titles[c["title"]] = true
	}
	if c["employer"] != "" {
		p.employers[c["employer"]] = true
	}
	return nil
}

func (m *Model) addScore(c map[string]string) error {
	p, err := m.person(c)
	if err != nil {
		return err
	}
	score, err := strconv.ParseFloat(c["score"], 64)
	if err != nil || math.IsNaN(score) || score < 0 || score > 1 || !slices.Contains(personalityTerms, c["term"]) {
		return errReject
	}
	if p.scores == nil {
		p.scores = map[string]float64{}
	}
	if old, ok := p.scores[c["term"]]; !ok || score > old {
		p.scores[c["term"]] = score
	}
	return nil
}

func (m *Model) addBio(c map[string]string) error {
	p, err := m.person(c)
	if err != nil {
		return err
	}
	if !slices.Contains(networks, c["network"]) {
		return errReject
	}
	if p.bios == nil {
		p.bios = map[string][][]word{}
	}
	p.bios[c["network"]] = append(p.bios[c["network"]], cutWords(c["text"]))
	p.bioTexts = append(p.bioTexts, c["text"])
	return nil
}

func (m *Model) addTweet(c map[string]string) error {
	p, err := m.person(c)
	if err != nil {
		return err
	}
	at, ok := ParseTime(c["posted_at"])
	if !ok {
		return errReject
	}
	if !at.After(m.AsOf.AddDate(0, 0, -7)) || at.After(m.AsOf) {
		return errSkip
	}
	p.tweets = append(p.tweets, cutWords(c["text"]))
	p.tweetTexts = append(p.tweetTexts, c["text"])
	return nil
}

func sortedKeys[V any](m map[string]V) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}
