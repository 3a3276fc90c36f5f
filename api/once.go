package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"

	"throng"
	"throng/internal/keylock"
	"throng/service"
)

// maxKey is the longest idempotency key.
const maxKey = 255

// Repeats carries out requests with an idempotency key once: the same key and
// body gives the first answer again. A second request that arrives while the
// first is under way waits for it: within the process here, between processes
// by the transaction in which the service keeps the answer. The zero value is
// ready.
type Repeats struct{ keys keylock.Lock }

// Answer is what a request is answered.
type Answer struct {
	Status int
	Body   []byte
}

// Do carries out run once for the request's idempotency key, or plainly where
// it has none. body is nil where it is not read yet; run then sets BodyHash.
// word gives the answer to what run made.
func (p *Repeats) Do(r *http.Request, svc *service.Service, c *throng.Caller, body []byte,
	word func(made any) (int, []byte, error), run func(once *service.Once) (made any, err error),
) (Answer, error) {
	key := r.Header.Get("Idempotency-Key")
	if key == "" {
		return worded(word, run, nil)
	}
	if len(key) > maxKey || !printable(key) {
		return Answer{}, throng.Errorf(throng.Invalid, "an Idempotency-Key has 1 to %d visible characters of ASCII", maxKey)
	}
	once := &service.Once{Method: r.Method, Path: r.URL.Path, Key: key, Answer: word}
	unlock, err := p.keys.Lock(r.Context(), fmt.Sprintf("%d %s %s %s", c.ID, r.Method, r.URL.Path, key))
	if err != nil {
		return Answer{}, err
	}
	defer unlock()
	if body != nil {
		once.BodyHash = hashOf(body)
		if kept, err := svc.Answered(r.Context(), c, *once); err != nil || kept != nil {
			return answerOf(kept), err
		}
	}
	said, err := worded(word, run, once)
	if !errors.Is(err, service.ErrAnswered) {
		return said, err
	}
	kept, err := svc.Answered(context.WithoutCancel(r.Context()), c, *once)
	if err == nil && kept == nil { // its time ran out in this very moment
		err = throng.Errorf(throng.Conflict, "a request with the same idempotency key was just carried out; send it again")
	}
	return answerOf(kept), err
}

// worded runs and words what was made.
func worded(word func(any) (int, []byte, error), run func(*service.Once) (any, error), once *service.Once) (Answer, error) {
	made, err := run(once)
	if err != nil {
		return Answer{}, err
	}
	status, body, err := word(made)
	return Answer{status, body}, err
}

func answerOf(k *service.Kept) Answer {
	if k == nil {
		return Answer{}
	}
	return Answer{k.Status, k.Body}
}

func hashOf(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

func printable(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
