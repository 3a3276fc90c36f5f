package throng

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"throng/query"
)

// followers reads the five account criteria, which differ in the cutoffs and
// in last_tweeted alone.
func (r *Reader) followers(o *Object, network query.Field) Criterion {
	c := Followers{Network: network, Cutoff: 1}
	c.Accounts = r.accounts(o)
	c.Cutoff = r.cutoff(o, network)
	if n := distinct(c.Accounts); n > 0 && c.Cutoff > n {
		r.Bad(o.At("cutoff"), "is %d, more than the %d distinct accounts listed", c.Cutoff, n)
	}
	if network != query.Twitter {
		return c
	}
	if raw, ok := o.Take("last_tweeted"); ok {
		n, err := whole(raw)
		if err != nil || !slices.Contains(Windows(), int(n)) {
			r.Bad(o.At("last_tweeted"), "must be one of %s", strings.Trim(fmt.Sprint(Windows()), "[]"))
		} else {
			c.LastTweeted = int(n)
		}
	}
	return c
}

func (r *Reader) accounts(o *Object) []AccountRef {
	path := o.At("accounts")
	raw, ok := o.Take("accounts")
	if !ok {
		r.Bad(path, "is required: a list of accounts")
		return nil
	}
	list, ok := r.List(raw, path)
	if ok && len(list) == 0 {
		r.Bad(path, "must hold at least one account")
	}
	accounts := make([]AccountRef, len(list)) // empty where it cannot be read
	for i, raw := range list {
		e := r.Object(raw, index(path, i))
		if e == nil {
			continue
		}
		var a AccountRef
		good := true
		if raw, ok := e.Take("id"); ok {
			a.ID, good = r.ID(raw, e.At("id"))
		}
		if raw, ok := e.Take("screen_name"); ok {
			name, ok := r.ID(raw, e.At("screen_name"))
			a.ScreenName, good = strings.TrimPrefix(strings.TrimSpace(name), "@"), good && ok
		}
		e.Rest()
		switch {
		case !good:
		case a == AccountRef{}:
			r.Bad(e.path, "must have an id or a screen_name")
		default:
			accounts[i] = a
		}
	}
	return accounts
}

// cutoff reads cutoff and its other spelling. An unusable one counts as 1.
func (r *Reader) cutoff(o *Object, network query.Field) int {
	limit := 1
	if network == query.Twitter || network == query.YouTube {
		limit = MaxCutoff
	}
	var given []int
	for _, key := range []string{"cutoff", "cut_off"} {
		raw, ok := o.Take(key)
		if !ok {
			continue
		}
		n, err := whole(raw)
		switch {
		case err == nil && n >= 1 && n <= int64(limit):
			given = append(given, int(n))
		case limit == 1:
			r.Bad(o.At(key), "must be 1")
		default:
			r.Bad(o.At(key), "must be between 1 and %d", limit)
		}
	}
	switch {
	case len(given) == 0:
		return 1
	case len(given) == 2 && given[0] != given[1]:
		r.Bad(o.At("cut_off"), "is %d where cutoff is %d", given[1], given[0])
	}
	return given[0]
}

// distinct counts accounts as they are written: an id is itself, a name is
// itself whatever its case. Names and ids that turn out to be one account are
// found later, by whoever knows the dataset.
func distinct(accounts []AccountRef) int {
	seen := map[AccountRef]bool{}
	for _, a := range accounts {
		if a != (AccountRef{}) {
			seen[a.Key()] = true
		}
	}
	return len(seen)
}

// Key is the account as it is told apart from others without a dataset: by
// its id, or else by its screen name in lower case.
func (a AccountRef) Key() AccountRef {
	if a.ID != "" {
		return AccountRef{ID: a.ID}
	}
	return AccountRef{ScreenName: strings.ToLower(a.ScreenName)}
}

// MarshalParameters gives the list as it was sent, but for spaces between
// values: its texts are spelled as they were.
func MarshalParameters(params []Parameter) (json.RawMessage, error) {
	raws := make([]json.RawMessage, len(params))
	for i, p := range params {
		raws[i] = p.Raw
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(raws); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte{'\n'}), nil
}
