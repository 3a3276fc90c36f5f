package enginetest

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"throng/engine/enginetest/model"
	"throng/query"
)

// MaxRandomParameters is how many parameters a random list has at most.
const MaxRandomParameters = 12

// definer makes definitions from what a dataset holds.
type definer struct {
	rng    *rand.Rand
	m      *model.Model
	ext    model.External
	people []string
	terms  map[string][]string
}

func newDefiner(rng *rand.Rand, m *model.Model, ext model.External) *definer {
	return &definer{rng, m, ext, m.People(), m.Known()}
}

// object is a JSON object.
type object map[string]any

// RandomDefinition makes a definition that is valid for a caller with every
// grant, with values that the dataset knows and some that it does not.
func RandomDefinition(rng *rand.Rand, m *model.Model) json.RawMessage {
	return RandomDefinitionWith(rng, m, model.External{})
}

// RandomDefinitionWith is RandomDefinition that may use ext's uploads and
// audiences, too.
func RandomDefinitionWith(rng *rand.Rand, m *model.Model, ext model.External) json.RawMessage {
	d := newDefiner(rng, m, ext)
	raw, err := json.Marshal(object{"parameters": d.parameters(1+rng.IntN(MaxRandomParameters), 0)})
	if err != nil {
		panic(err) // strings and numbers alone
	}
	return raw
}

func (d *definer) parameters(n, depth int) []object {
	var list []object
	for i := range n {
		for {
			kind := d.kind(depth)
			criterion := d.criterion(kind, depth)
			if criterion == nil {
				continue // the dataset has none
			}
			op := pick(d.rng, "OR", "OR", "AND", "NOT")
			if i == 0 {
				op = "OR"
			}
			if !allowed(kind, criterion, op, i == 0) {
				continue
			}
			list = append(list, object{"operation": op, kind: criterion})
			break
		}
	}
	return list
}

// allowed tells whether the rules on the first parameter and on OR hold for a
// caller with every grant.
func allowed(kind string, criterion object, op string, first bool) bool {
	switch kind {
	case "age", "gender":
		return first || op != "OR"
	case "ethnicity":
		return !first && op != "OR"
	case "location":
		return !first || criterion["countries"] == nil
	default:
		return true
	}
}

func (d *definer) kind(depth int) string {
	kinds := []string{
		"affinities", "b2b", "personality", "age", "gender", "ethnicity", "location", "twitter_followers", "twitch_followers",
		"instagram_engagers", "tiktok_engagers", "youtube_channels", "youtube_channels", "bio_search", "bio_search", "tweet_search",
	}
	if depth < 3 {
		kinds = append(kinds, "group", "group")
	}
	if len(d.ext.Uploads) > 0 {
		kinds = append(kinds, "upload", "upload")
	}
	if len(d.ext.Audiences) > 0 {
		kinds = append(kinds, "audience", "audience")
	}
	return pick(d.rng, kinds...)
}

// some gives 1 to n values, with repetitions.
func (d *definer) some(n int, values ...string) []string {
	var out []string
	for range 1 + d.rng.IntN(n) {
		out = append(out, pick(d.rng, values...))
	}
	return out
}

func (d *definer) idList(values []string) []object {
	var out []object
	for _, v := range values {
		o := object{"id": v}
		if n, err := strconv.Atoi(v); err == nil && strconv.Itoa(n) == v && d.rng.IntN(3) == 0 {
			o["id"] = n
		}
		out = append(out, o)
	}
	return out
}

func (d *definer) criterion(kind string, depth int) object {
	switch kind {
	case "affinities":
		if len(d.terms["affinities"]) == 0 {
			return nil
		}
		return object{"affinities": d.idList(d.some(4, d.terms["affinities"]...))}
	case "b2b":
		return d.b2b()
	case "personality":
		return object{"personalities": d.some(3, model.PersonalityTerms()[:8]...)}
	case "age":
		return object{"ranges": d.some(3, "18-24", "25-34", "35-44", "45-54", "over 54", "unknown")}
	case "gender":
		return object{"genders": d.some(2, "male", "female", "unknown")}
	case "ethnicity":
		return object{"ethnicities": d.some(3, "asian", "black", "hispanic", "native", "white", "unknown")}
	case "location":
		return d.location()
	case "group":
		return object{"parameters": d.parameters(1+d.rng.IntN(4), depth+1)}
	case "bio_search":
		o := object{"phrases": d.phrases()}
		for _, n := range model.Networks() {
			o["search_in_"+n] = d.rng.IntN(2) == 0
		}
		o["search_in_"+pick(d.rng, model.Networks()...)] = true
		return o
	case "tweet_search":
		return object{"phrases": d.phrases()}
	case "upload":
		key := pick(d.rng, slices.Sorted(maps.Keys(d.ext.Uploads))...)
		return object{"keys": []string{key}, "type": d.ext.Uploads[key].Type}
	case "audience":
		var all []int64
		for id := range d.ext.Audiences {
			all = append(all, id)
		}
		slices.Sort(all)
		return object{"ids": []int64{pick(d.rng, all...), pick(d.rng, all...)}}
	default:
		return d.followers(kind)
	}
}

func (d *definer) b2b() object {
	list := pick(d.rng, "job_titles", "employer_names")
	o := object{list: d.idList(d.some(5, slices.Concat(d.terms[list], []string{"Nobody holds this"})...))}
	if d.rng.IntN(2) == 0 {
		count := d.rng.IntN(len(d.people)/3 + 3)
		if d.rng.IntN(2) == 0 { // exactly the number of somebody's holders
			id := pick(d.rng, slices.Concat(d.terms[list], []string{"Nobody holds this"})...)
			count = int(d.m.EvalNode(query.Or{Nodes: []query.Node{
				query.In{Field: query.JobTitle, Values: []string{id}}, query.In{Field: query.Employer, Values: []string{id}},
			}}).Len())
		}
		o["filter"] = object{"direction": pick(d.rng, "<", ">", "<=", ">="), "count": count}
	}
	return o
}

func (d *definer) location() object {
	o := object{}
	for _, at := range [][2]string{{"city", "cities"}, {"region", "regions"}, {"dma", "dmas"}, {"country", "countries"}} {
		known := d.terms[at[0]]
		if len(known) > 0 && d.rng.IntN(2) == 0 {
			o[at[1]] = d.idList(d.some(2, known...))
		}
	}
	if len(o) == 0 {
		return nil
	}
	return o
}

func (d *definer) phrases() []string {
	var out []string
	for range 1 + d.rng.IntN(3) {
		text := randomText(d.rng)
		if texts := d.terms["texts"]; len(texts) > 0 && d.rng.IntN(3) > 0 {
			text = pick(d.rng, texts...)
		}
		parts := strings.Fields(text)
		if len(parts) > 0 && d.rng.IntN(4) > 0 {
			from := d.rng.IntN(len(parts))
			to := min(len(parts), from+1+d.rng.IntN(3))
			text = strings.Join(parts[from:to], pick(d.rng, " ", ", "))
		}
		if d.rng.IntN(4) == 0 {
			text = strings.ToUpper(text)
		}
		if !model.HasWords(text) {
			text = pick(d.rng, "go", "#golang", "🍕")
		}
		out = append(out, text)
	}
	return out
}

func networkOfKind(kind string) string {
	network, _, _ := strings.Cut(kind, "_")
	return network
}

func (d *definer) followers(kind string) object {
	rng, network := d.rng, networkOfKind(kind)
	named := d.m.ScreenNames(network)
	written := map[string]bool{}
	var list []object
	for range pick(rng, 1, 2, 5, 12, 100+rng.IntN(300)) {
		id := accountID(rng.IntN(320))
		if known := d.terms[network]; len(known) > 0 && rng.IntN(4) > 0 {
			id = pick(rng, known...)
		}
		name := fmt.Sprintf("unheard%d", rng.IntN(9))
		if len(named) > 0 {
			name = pick(rng, named...)
		}
		name = pick(rng, name, "@"+model.FoldName(name), strings.ToUpper(model.FoldName(name)))
		switch rng.IntN(6) {
		case 0, 1:
			list = append(list, object{"screen_name": name})
			written["name "+model.FoldName(name)] = true
		case 2: // with a name that is nobody's
			list = append(list, object{"id": id, "screen_name": "unheard"})
			written["id "+id] = true
		default:
			list = append(list, d.idList([]string{id})...)
			written["id "+id] = true
		}
	}
	o := object{"accounts": list}
	if kind == "twitter_followers" || kind == "youtube_channels" {
		if rng.IntN(5) > 0 {
			o[pick(rng, "cutoff", "cutoff", "cut_off")] = 1 + rng.IntN(min(10, len(written)))
		}
	} else if rng.IntN(2) == 0 {
		o["cutoff"] = 1
	}
	if kind == "twitter_followers" && rng.IntN(2) == 0 {
		o["last_tweeted"] = pick(rng, 0, 1, 7, 30, 60, 90, 180, 365)
	}
	return o
}

// UploadTypes are the types of which a list can be uploaded.
func UploadTypes() []string {
	return []string{"ss_id", "twitter_id", "twitter_user", "md5", "email_raw", "ramp_id", "cint_id", "ma_id"}
}

// RandomUpload makes a list of identifiers, known and unknown, with odd lines.
func RandomUpload(rng *rand.Rand, m *model.Model) (typ string, content []byte) {
	typ = pick(rng, UploadTypes()...)
	people := m.People()
	end := pick(rng, "\n", "\n", "\r\n")
	var b strings.Builder
	for range rng.IntN(200) {
		line := randomIdentifier(rng, typ, rng.IntN(len(people)*2+1))
		if len(people) > 0 && rng.IntN(2) == 0 {
			if own := m.Identifiers(pick(rng, people...), typ); len(own) > 0 {
				line = pick(rng, own...)
				if rng.IntN(3) == 0 && typ != "ss_id" && typ != "cint_id" && typ != "ramp_id" {
					line = " " + strings.ToUpper(line)
				}
			}
		}
		if rng.IntN(20) == 0 {
			line = pick(rng, "", " ", model.EmptyMD5, model.ZeroUUID, "nobody", "\xff", "a\x00b", strings.Repeat("x", 1025))
		}
		b.WriteString(line)
		b.WriteString(end)
	}
	content = []byte(b.String())
	if rng.IntN(3) == 0 {
		content = bytes.TrimSuffix(content, []byte(end))
	}
	if rng.IntN(4) == 0 {
		var z bytes.Buffer
		w := gzip.NewWriter(&z)
		if _, err := w.Write(content); err == nil && w.Close() == nil {
			content = z.Bytes()
		}
	}
	return typ, content
}
