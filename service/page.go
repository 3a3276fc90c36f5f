package service

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	"throng"
)

// Lengths of pages.
const (
	defaultPage = 50
	maxPage     = 500
)

// readPage tells how long a page is, and puts where it begins into at, which
// cursor made. What is wrong is in problems.
func readPage(p throng.Page, at any) (limit int, problems []throng.Detail) {
	if limit = p.Limit; limit == 0 {
		limit = defaultPage
	}
	if limit < 1 || limit > maxPage {
		problems = append(problems, throng.Detail{Path: "limit", Message: fmt.Sprintf("must be a number from 1 to %d", maxPage)})
	}
	if readCursor(p.Next, at) != nil {
		problems = append(problems, badCursor())
	}
	return limit, problems
}

// idCursor is where a page of a list by id begins.
type idCursor struct {
	Before int64 `json:"b"`
}

// listPage reads the page of a list by id, newest first.
func listPage(p throng.Page) (limit int, before int64, problems []throng.Detail) {
	var at idCursor
	limit, problems = readPage(p, &at)
	if at.Before < 0 {
		problems = append(problems, badCursor())
	}
	return limit, at.Before, problems
}

func badCursor() throng.Detail {
	return throng.Detail{Path: "next", Message: "is not a cursor that was given out"}
}

// cursor makes an opaque text of where a page begins.
func cursor(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // numbers always marshal
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

var errMore = errors.New("more than a cursor")

// readCursor reads what cursor made of the same type; "" leaves v as it is.
func readCursor(text string, v any) error {
	if text == "" {
		return nil
	}
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields() // a cursor of another list
	if err := dec.Decode(v); err != nil {
		return err
	}
	if dec.More() {
		return errMore
	}
	return nil
}
