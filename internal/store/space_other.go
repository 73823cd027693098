//go:build !(linux || darwin || freebsd)

package store

import "errors"

// spaceOf says that the room of a file system is not known here, so that no
// reserve is kept.
func spaceOf(string) (space, error) { return space{}, errors.ErrUnsupported }
