//go:build !amd64

package kernel

// listersHere returns those that this machine can run, the best last.
func listersHere() []*listers { return []*listers{&portableListers} }
