package dataset

import (
	"bytes"
)

// ndjsonFile is the format of NDJSON files.
type ndjsonFile struct{ *fileReader }

// begin implements textFormat: there is no header.
func (*ndjsonFile) begin([]byte) (int, error) { return 0, nil }

// cut implements textFormat.
func (*ndjsonFile) cut(b []byte) (end, open int) { return bytes.LastIndexByte(b, '\n') + 1, -1 }

func (f *ndjsonFile) parse(b *Batch, line int) {}
