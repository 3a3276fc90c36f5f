package observe

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"throng"
)

// Request is a request that is being answered.
type Request struct {
	o      *Observer
	method string
	start  time.Time
	span   func(route string, status int)
}

// Answered is what became of a request.
type Answered struct {
	Route  string // the pattern, never the path: paths hold ids and secrets
	Status int
	Code   throng.Code // of the error that was answered; "" for none
}

// Begin takes a request that is to be answered, and gives the context to answer
// it in. End must be called.
func (o *Observer) Begin(r *http.Request) (context.Context, *Request) {
	o.inFlight.Inc()
	method := Method(r.Method)
	ctx, span := o.tracing.startRequest(r.Context(), method, r.Header)
	return ctx, &Request{o: o, method: method, start: time.Now(), span: span}
}

// End takes what became of the request, and tells how long that took.
func (r *Request) End(a Answered) time.Duration {
	took := time.Since(r.start)
	r.o.inFlight.Dec()
	r.o.requests.WithLabelValues(r.method, a.Route, strconv.Itoa(a.Status)).Observe(took.Seconds())
	if a.Code != "" {
		r.o.refused.WithLabelValues(string(a.Code)).Inc()
	}
	r.span(a.Route, a.Status)
	return took
}

// OtherMethod is any that nobody has a use for.
const OtherMethod = "other"

// Method keeps a client from making a metric, or a line of the log, of every
// word it can think of.
func Method(m string) string {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodOptions:
		return m
	}
	return OtherMethod
}
