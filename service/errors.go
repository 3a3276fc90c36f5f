package service

import (
	"errors"
	"slices"

	"throng"
	"throng/engine"
	"throng/sqldb"
)

// errUnavailable is what is answered while nothing has been loaded.
func errUnavailable() error {
	e := throng.Errorf(throng.Unavailable, "no dataset is loaded yet")
	e.RetryAfter = retryUnloaded
	return e
}

// known turns the absence of a row into an answer: what is another caller's is
// not there.
func known(err error, format string, args ...any) error {
	if errors.Is(err, sqldb.ErrNotFound) {
		return throng.Errorf(throng.NotFound, format, args...)
	}
	return err
}

// refuse makes one error of all problems of a request: 400 where anything is
// invalid, 403 where all that is wrong is a missing grant, nil without any.
func refuse(invalid, forbidden []throng.Detail) error {
	all := slices.Concat(invalid, forbidden)
	if len(all) == 0 {
		return nil
	}
	code := throng.Invalid
	if len(invalid) == 0 {
		code = throng.Forbidden
	}
	return throng.Refuse(code, all)
}

// at says of what an invalid request was told which field it is about.
func at(path string, err error) error {
	if throng.CodeOf(err) != throng.Invalid {
		return err
	}
	return refuse([]throng.Detail{{Path: path, Message: throng.MessageOf(err)}}, nil)
}

// loaded turns the absence of a generation into an answer.
func loaded(err error) error {
	if errors.Is(err, engine.ErrNoGeneration) {
		return errUnavailable()
	}
	return err
}

// isNotFound tells that there is no such row.
func isNotFound(err error) bool { return errors.Is(err, sqldb.ErrNotFound) }
