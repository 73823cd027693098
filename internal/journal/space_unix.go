//go:build linux || darwin || freebsd

package journal

import "syscall"

// freeSpace asks for the room of the file system that a directory is on, as far as a
// user who is not root may take it.
func freeSpace(dir string) (free, all int64, err error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return 0, 0, err
	}
	block := int64(st.Bsize)                                       //nolint:unconvert // its type differs by system
	return int64(st.Bavail) * block, int64(st.Blocks) * block, nil //nolint:gosec // far below the limit
}
