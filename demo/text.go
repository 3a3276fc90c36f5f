package demo

import (
	"math/rand/v2"
	"strconv"
	"strings"
)

// A template holds slots: {thing} that the person likes, {other} likewise,
// {tag} of a topic, {city}, {job}, {employer} and {n}, a small number.
var tweetTemplates = [...]string{
	"thinking about {thing} again",
	"a whole evening of {thing}, no regrets #{tag}",
	"{thing} and {other}, name a better pair",
	"day {n} of {thing} #{tag}",
	"does anyone in {city} care about {thing}?",
	"my take: {thing} beats {other}",
	"good morning {city}",
	"finally got round to {thing} \U0001F389",
	"as a {job} I should not spend this much time on {thing}",
	"{n} things I learnt from {thing} #{tag}",
	"who else is into {thing}? #{tag} #{city}",
	"I was promised {thing}. I got {other}.",
	"hot tip: {thing} before {other}, always",
	"can we talk about {thing} for a minute",
	"back in {city}, back to {thing}",
	"{thing} > everything #{tag}",
	"reading up on {thing}, send links",
	"still not over {thing} \U0001F605",
	"one more {job} meeting, then {thing}",
	"just posted about {thing} and {other} #{tag}",
}

var bioTemplates = [...]string{
	"{job} by day, {thing} by night",
	"{job} at {employer}. {thing}, {other}. Views my own",
	"{city} | {thing} | {other}",
	"Mostly {thing}. #{tag}",
	"{thing} and {other} in {city}",
	"{job}. Talks about {thing} too much #{tag}",
	"here for {thing} \u2615",
	"{employer} \u2022 {city} \u2022 {thing}",
	"I like {thing}, {other} and quiet mornings",
	"#{tag} person. {n} years of {thing}",
}

// bioShare is how many of those on a network have a bio there.
var bioShare = [networks]float64{twitter: 0.45, youtube: 0.1, instagram: 0.35, tiktok: 0.2, twitch: 0.1}

func (w *worker) bios(t *table[bioRow], r *rand.Rand, p *person) {
	for n := range p.on {
		if p.on[n] && chance(r, bioShare[n]) {
			t.add(bioRow{p.key, networkNames[n], w.compose(r, bioTemplates[r.IntN(len(bioTemplates))], p)})
		}
	}
}

func (w *worker) tweets(t *table[tweetRow], r *rand.Rand, p *person) {
	for i, ago := range p.tweets {
		text := ""
		if p.planted && i == len(p.tweets)-1 {
			text = "small steps in golang today #golang"
		} else {
			text = w.compose(r, tweetTemplates[r.IntN(len(tweetTemplates))], p)
		}
		t.add(tweetRow{p.key, w.moment(ago), text})
	}
}

// compose fills the slots of a template.
func (w *worker) compose(r *rand.Rand, template string, p *person) string {
	about, thing := w.aTopic(r, p), ""
	w.text = w.text[:0]
	for {
		before, rest, found := strings.Cut(template, "{")
		w.text = append(w.text, before...)
		if !found {
			return string(w.text)
		}
		var slot string
		slot, template, _ = strings.Cut(rest, "}")
		switch slot {
		case "thing":
			thing = pick(r, about.things[:])
			w.text = append(w.text, thing...)
		case "other":
			other := pick(r, w.aTopic(r, p).things[:])
			if other == thing {
				other = "a nap"
			}
			w.text = append(w.text, other...)
		case "tag":
			w.text = append(w.text, about.tag...)
		case "city":
			w.text = append(w.text, w.town(p)...)
		case "job":
			w.text = append(w.text, occupation(p)...)
		case "employer":
			w.text = append(w.text, company(p)...)
		case "n":
			w.text = strconv.AppendInt(w.text, int64(2+r.IntN(30)), 10)
		}
	}
}

// aTopic is mostly one that the person likes.
func (w *worker) aTopic(r *rand.Rand, p *person) *topic {
	if p.topicCount > 0 && chance(r, 0.85) {
		return &w.topics[p.topics[r.IntN(p.topicCount)]]
	}
	return &w.topics[w.likes[0][0].draw(r)]
}

func (w *worker) town(p *person) string {
	if p.home.ID == "" {
		return p.country.name
	}
	return p.home.Name
}

func occupation(p *person) string {
	if p.jobCount > 0 && p.jobs[0].title != "" {
		return p.jobs[0].title
	}
	return "dreamer"
}

func company(p *person) string {
	if p.jobCount > 0 && p.jobs[0].employer != "" {
		return p.jobs[0].employer
	}
	return "Between things"
}
