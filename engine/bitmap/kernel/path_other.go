//go:build !amd64

package kernel

// implementations returns those that this machine can run, the best last.
func implementations() []*kernels { return []*kernels{&portable} }

func prefetch(*uint16, int) {}
