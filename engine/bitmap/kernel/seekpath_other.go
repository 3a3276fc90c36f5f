//go:build !amd64

package kernel

// seekersHere returns those that this machine can run, the best last.
func seekersHere() []*seekers { return []*seekers{&portableSeekers} }
