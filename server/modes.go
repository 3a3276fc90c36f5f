package server

import (
	"context"
	"fmt"
	"io/fs"
	"os"
)

// warnOfModes tells of what others may read, though we make nothing so: the
// folder was there before, or files were copied.
func (s *Server) warnOfModes(ctx context.Context) {
	for _, of := range []struct {
		path string
		mode fs.FileMode
	}{{s.cfg.Data, 0o700}, {s.path("secret.key"), 0o600}, {s.path("throng.db"), 0o600}} {
		info, err := os.Stat(of.path)
		if err != nil || info.Mode().Perm()&^of.mode&0o077 == 0 {
			continue // not there, or as it should be
		}
		s.cfg.Logger.WarnContext(ctx, "can be read by others", "path", of.path, "mode", info.Mode().Perm(), "run", fmt.Sprintf("chmod %o %s", of.mode, of.path))
	}
}
