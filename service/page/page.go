// Package page reads which part of a list a caller asks for, and says where the
// next one begins, as an opaque text.
package page

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
	Default = 50
	Max     = 500
)

// Read tells how long a page is, and puts where it begins into at, which Cursor
// made. What is wrong is in problems.
func Read(p throng.Page, at any) (limit int, problems []throng.Detail) {
	if limit = p.Limit; limit == 0 {
		limit = Default
	}
	if limit < 1 || limit > Max {
		problems = append(problems, throng.Detail{Path: "limit", Message: fmt.Sprintf("must be a number from 1 to %d", Max)})
	}
	if readCursor(p.Next, at) != nil {
		problems = append(problems, BadCursor())
	}
	return limit, problems
}

// idCursor is where a page of a list by id begins.
type idCursor struct {
	Before int64 `json:"b"`
}

// ReadByID reads the page of a list by id, newest first.
func ReadByID(p throng.Page) (limit int, before int64, problems []throng.Detail) {
	var at idCursor
	limit, problems = Read(p, &at)
	if at.Before < 0 {
		problems = append(problems, BadCursor())
	}
	return limit, at.Before, problems
}

// BadCursor is the problem of a text that Cursor did not make.
func BadCursor() throng.Detail {
	return throng.Detail{Path: "next", Message: "is not a cursor that was given out"}
}

// AfterID is the cursor of a list by id whose page ends with an id.
func AfterID(id int64) string { return Cursor(idCursor{Before: id}) }

// Cursor makes an opaque text of where a page begins.
func Cursor(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // numbers always marshal
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

var errMore = errors.New("more than a cursor")

// readCursor reads what Cursor made of the same type; "" leaves v as it is.
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
