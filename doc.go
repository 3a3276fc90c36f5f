// Package throng is the vocabulary of an audience builder: what an audience,
// a parameter, a criterion, a caller and an output are, which rules hold
// between them, and which errors there are. It does no I/O.
//
// The packages around it, from the inside out:
//
//	query        the set algebra an audience comes down to
//	identifier   normal forms of identifiers
//	device       lists of device ids, and sets of devices
//	reference    built-in places and personality terms
//	dataset      an operator's tables, read
//	engine       what an index must do; engine/bitmap is the one that ships
//	insight      what sets some people apart
//	cluster      groups of people who share tastes
//	lookalike    who resembles some people
//	blob         opaque files by key
//	backup       a folder, kept elsewhere and brought back
//	sqldb        what must survive: callers, audiences, jobs, callbacks
//	replica      generations that several servers share
//	job          background work, at least once
//	webhook      signed callbacks
//	delivery     lists of device ids on their way to where they are used
//	service      what the product does, one method a verb
//	api          the HTTP APIs: api/silhouette and api/mintegral speak a vendor's each
//	web          the page
//	observe      metrics, traces and lines about jobs
//	server       wires everything
//	client       Go clients of the APIs
//	demo         the synthetic population and the demo made with it
//	bench        the engine, measured
//	cmd/throng   the command
//
// Stable between versions are the HTTP shapes, the command line, the settings,
// the bodies of callbacks and the files on disk; Go packages are not.
package throng
