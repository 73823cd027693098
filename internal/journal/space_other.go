//go:build !(linux || darwin || freebsd)

package journal

import "errors"

// freeSpace says that the room of a file system is not known here.
func freeSpace(string) (free, all int64, err error) { return 0, 0, errors.ErrUnsupported }
