package setup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// ErrExists says that there is a file already, which is not overwritten.
var ErrExists = errors.New("the file is there already")

// fileMode lets nobody else read the file. It holds no secrets, but says where they
// are.
const fileMode = 0o600

// CheckPath reports an error if Write would not write to a path; so that nobody
// answers questions in vain.
func CheckPath(path string, force bool) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if _, err = os.Stat(filepath.Dir(path)); err != nil {
			return fmt.Errorf("find directory: %w", err)
		}
		return nil
	case err != nil:
		return fmt.Errorf("look for file: %w", err)
	case !info.Mode().IsRegular():
		return fmt.Errorf("write %s: it is no regular file", path)
	case !force:
		return fmt.Errorf("write %s: %w", path, ErrExists)
	default:
		return nil
	}
}

// Write makes a file whole or not at all, readable for its owner alone. One that is
// there is replaced only with force, also when it has appeared meanwhile.
func Write(path string, content []byte, force bool) (err error) {
	if err := CheckPath(path, force); err != nil {
		return err
	}
	if resolved, err := filepath.EvalSymlinks(path); err == nil {
		path = resolved // a link stays, and its file is replaced
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".gapless-init-*") // has fileMode
	if err != nil {
		return fmt.Errorf("make file: %w", err)
	}
	defer func() {
		if rm := os.Remove(tmp.Name()); rm != nil && !errors.Is(rm, fs.ErrNotExist) {
			err = errors.Join(err, fmt.Errorf("remove temporary file: %w", rm))
		}
	}()
	_, err = tmp.Write(content)
	if err := errors.Join(err, tmp.Chmod(fileMode), tmp.Sync(), tmp.Close()); err != nil {
		return fmt.Errorf("write file: %w", err)
	}
	if force {
		if err := os.Rename(tmp.Name(), path); err != nil {
			return fmt.Errorf("put file in place: %w", err)
		}
		return nil
	}
	// A link, unlike a rename, does not replace what has appeared meanwhile.
	switch err := os.Link(tmp.Name(), path); {
	case errors.Is(err, fs.ErrExist):
		return fmt.Errorf("write %s: %w", path, ErrExists)
	case err != nil: // a file system without links
		return writeNew(path, content)
	default:
		return nil
	}
}

// writeNew makes a file that is not there, and removes it if it cannot be written
// whole.
func writeNew(path string, content []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode) //nolint:gosec // the path is the operator's own
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("write %s: %w", path, ErrExists)
	}
	if err != nil {
		return fmt.Errorf("make file: %w", err)
	}
	_, err = f.Write(content)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write file: %w", errors.Join(err, os.Remove(path)))
	}
	return nil
}
