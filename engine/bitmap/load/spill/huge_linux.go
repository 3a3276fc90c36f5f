package spill

import "golang.org/x/sys/unix"

// adviseHuge asks for large pages.
func adviseHuge(b []byte) { unix.Madvise(b, unix.MADV_HUGEPAGE) } //nolint:errcheck // only advice
