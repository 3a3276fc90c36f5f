//go:build !amd64

package kernel

// printersHere returns those that this machine can run, the best last.
func printersHere() []*printers { return []*printers{&portablePrinters} }
