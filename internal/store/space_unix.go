//go:build linux || darwin || freebsd

package store

import "syscall"

// spaceOf asks for the room of the file system that a directory is on, as far as
// a user who is not root may take it.
func spaceOf(dir string) (space, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return space{}, err
	}
	block := int64(st.Bsize)                                                           //nolint:unconvert // its type differs by system
	return space{free: int64(st.Bavail) * block, total: int64(st.Blocks) * block}, nil //nolint:gosec // far below the limit
}
