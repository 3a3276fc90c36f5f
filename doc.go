// Package throng is the vocabulary of an audience builder: what an audience,
// a parameter, a criterion, a caller and an output are, which rules hold
// between them, and which errors there are. It does no I/O.
//
// The packages around it, from the inside out:
//
//	query        the set algebra an audience comes down to
//	identifier   normal forms of identifiers
//	reference    built-in places and personality terms
//	dataset      an operator's tables, read
//	engine       what an index must do; engine/bitmap is the one that ships
//	blob         opaque files by key
//	sqldb        what must survive: callers, audiences, jobs, callbacks
//	replica      generations that several servers share
//	job          background work, at least once
//	webhook      signed callbacks
//	service      what the product does, one method a verb
//	api          the HTTP APIs; api/silhouette speaks Silhouette v0
//	web          the page
//	server       wires everything
//	client       a Go client of the API
//	demo         the synthetic population and the demo made with it
//	cmd/throng   the command
package throng
