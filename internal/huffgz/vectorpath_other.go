//go:build !amd64

package huffgz

// hasVector tells whether narrow codes are written by vector instructions.
var hasVector = false

func (c *coder) encodeNarrow([]byte) (ok bool, done int) { return true, 0 }
