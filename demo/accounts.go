package demo

import (
	"math/rand/v2"
	"strconv"
)

// The networks, in the order in which a person's follows are written.
const (
	twitter = iota
	youtube
	instagram
	tiktok
	twitch
	networks
)

var networkNames = [networks]string{"twitter", "youtube", "instagram", "tiktok", "twitch"}

// networkWeight is a network's part of all follows, and networkAbsent the
// share of people who are not on it: within the 10 to 20 % of the figures,
// which network has which is our assumption.
var (
	networkWeight = [networks]float64{0.34, 0.20, 0.22, 0.14, 0.10}
	networkAbsent = [networks]float64{0.12, 0.10, 0.14, 0.20, 0.20}
	networkSize   = [networks]int{12_000, 8_000, 9_000, 5_000, 4_000} // accounts at 100,000 people
)

type account struct {
	id, screen, name string
	topic            int
}

// catalogue holds the accounts of one network, the most popular first.
type catalogue struct {
	accounts []account
	numbers  []uint32 // by account, one for each id of any network
	all      sampler
	topics   []topicAccounts // by topic
	byID     map[string]uint32
}

type topicAccounts struct {
	members []uint32 // the most popular first
	sampler sampler
}

// exampleRank is where the accounts of the long example begin.
const exampleRank = 50

// seedAccount is an account that a published example names.
type seedAccount struct {
	network    int
	id, screen string
	rank       int // in the catalogue
}

// seedAccounts sit side by side among the popular accounts of one community,
// so that some people follow several of them, as the examples ask.
func seedAccounts() []seedAccount {
	list := []seedAccount{
		{twitter, "11111", "name1", 40},
		{twitter, "22222", "name2", 44},
		{twitch, "11111", "name1", 40},
		{twitch, "22222", "name2", 44},
		{instagram, "111111", "name1", 40},
		{instagram, "222222", "name2", 44},
		{tiktok, "1", "name1", 40},
		{tiktok, "2", "name2", 44},
		{youtube, "UCbrbwT0o3LWVmhyvkvtWuTg", "name1", 40},
		{youtube, "UCHUn2GT4DD2vM9QB0vTUmWg", "anme2", 44},
	}
	for i := range 5 {
		list = append(list,
			seedAccount{youtube, "ID" + strconv.Itoa(i+1), "", exampleRank + i},
			seedAccount{twitter, strconv.Itoa(158487331 + i), "", exampleRank + i},
			seedAccount{instagram, strconv.Itoa(26669533 + i), "", exampleRank + i},
			seedAccount{twitch, strconv.Itoa(163932929 + i), "", exampleRank + i})
	}
	return list
}

// newCatalogues makes the accounts for so many people. A larger population has
// more accounts, as the square root.
func newCatalogues(seed uint64, list []topic, weights []float64, scale float64) (c [networks]catalogue) {
	seedTopic := 0
	for i, t := range list {
		if t.name == "Web development" {
			seedTopic = i
		}
	}
	byTopic := newSampler(weights)
	byID := map[string]uint32{}
	for n := range c {
		r := stream(seed, "accounts", uint64(n))
		size := max(int(float64(networkSize[n])*scale), 400)
		accounts := make([]account, size)
		for i := range accounts {
			accounts[i] = makeAccount(r, n, i, byTopic.draw(r), list)
		}
		for _, s := range seedAccounts() {
			if s.network != n {
				continue
			}
			a := &accounts[s.rank]
			a.id, a.topic = s.id, seedTopic
			if s.screen != "" {
				a.screen = s.screen
			}
		}
		c[n] = newCatalogue(accounts, len(list))
		for _, a := range accounts {
			number, ok := byID[a.id]
			if !ok {
				number = uint32(len(byID))
				byID[a.id] = number
			}
			c[n].numbers = append(c[n].numbers, number)
		}
	}
	return c
}

func makeAccount(r *rand.Rand, network, index, topic int, list []topic) account {
	name := coin(r)
	a := account{topic: topic, screen: screenName(name, index), name: name + " " + list[topic].name}
	if network == youtube {
		const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
		id := []byte("UCsyn")
		for range 19 {
			id = append(id, letters[r.IntN(len(letters))])
		}
		a.id = string(id)
		return a
	}
	a.id = strconv.FormatUint(beyondInt64(r.Uint64()), 10)
	return a
}

// beyondInt64 maps a word to a number of 19 digits above the largest signed
// 64-bit integer: the networks number what is theirs below it, so that it can
// be nobody's id there.
func beyondInt64(x uint64) uint64 { return 9_300_000_000_000_000_000 + x%600_000_000_000_000_000 }

func newCatalogue(accounts []account, topicCount int) catalogue {
	weights := mandelbrot(len(accounts), popularity, popularityShift)
	c := catalogue{
		accounts: accounts, all: newSampler(weights),
		topics: make([]topicAccounts, topicCount), byID: make(map[string]uint32, len(accounts)),
	}
	inTopic := make([][]float64, topicCount)
	for i, a := range accounts {
		t := &c.topics[a.topic]
		t.members = append(t.members, uint32(i))
		inTopic[a.topic] = append(inTopic[a.topic], weights[i])
		c.byID[a.id] = uint32(i)
	}
	for i, w := range inTopic {
		if len(w) > 0 {
			c.topics[i].sampler = newSampler(w)
		}
	}
	return c
}
