package file

import (
	"io/fs"
	"os"
	"time"
)

// reader is an open blob. Files are replaced by renaming, never written in
// place, so the size that was read at opening stays true.
type reader struct {
	*os.File
	info fs.FileInfo
}

func (r reader) Size() int64        { return r.info.Size() }
func (r reader) ModTime() time.Time { return r.info.ModTime().UTC() }
