//go:build !linux

package store

// fileSystem says that the kind of a file system is not known here.
func fileSystem(string) string { return "" }
