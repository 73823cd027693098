package store

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// tellRights warns when other users of the machine may reach what a data
// directory holds, which is events in clear. Open makes the directory and its
// files for their owner alone; one that was made before, or copied, may be open
// to a group on purpose, so that nothing is changed.
func tellRights(ctx context.Context, dir string, logger *slog.Logger) {
	if runtime.GOOS == "windows" {
		return // its modes do not tell
	}
	open, mend := rights(dir)
	if open != nil {
		logger.LogAttrs(ctx, slog.LevelWarn, "other users of this machine may reach the data directory, where events are kept in clear",
			slog.String("open", strings.Join(open, ", ")), slog.String("hint", strings.Join(mend, " && ")))
	}
}

// rights returns what of a data directory others may reach, and the commands that
// mend it.
func rights(dir string) (open, mend []string) {
	for _, f := range []struct {
		path string
		want fs.FileMode
	}{{dir, 0o700}, {filepath.Join(dir, fileName), 0o600}} {
		info, err := os.Stat(f.path) // of what a link leads to
		if err != nil {
			continue // it is not there yet, or opening it will say why not
		}
		if mode := info.Mode().Perm(); mode&0o077 != 0 {
			open = append(open, fmt.Sprintf("%s (mode %04o)", f.path, mode))
			mend = append(mend, fmt.Sprintf("chmod %04o '%s'", f.want, strings.ReplaceAll(f.path, "'", `'\''`)))
		}
	}
	return open, mend
}
