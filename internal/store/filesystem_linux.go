package store

import (
	"fmt"
	"syscall"
)

// fileSystem names the kind of the file system that a directory is on; empty when
// that cannot be told. The numbers are those of statfs(2).
func fileSystem(dir string) string {
	var st syscall.Statfs_t
	if syscall.Statfs(dir, &st) != nil {
		return ""
	}
	kind := uint32(st.Type) //nolint:gosec // its type differs by system; the numbers have 32 bits
	names := map[uint32]string{
		0x6969: "nfs", 0x517b: "smb", 0xff534d42: "cifs", 0xfe534d42: "smb", 0x01021997: "9p", 0x00c36400: "ceph", 0x0bd00bd0: "lustre",
		0x5346414f: "afs", 0x6b414653: "afs", 0x786f4256: "vboxsf", 0x65735546: "fuse", 0x01021994: "tmpfs", 0x858458f6: "ramfs",
		0x794c7630: "overlay", 0xef53: "ext4", 0x58465342: "xfs", 0x9123683e: "btrfs", 0x2fc12fc1: "zfs", 0xf2f52010: "f2fs",
	}
	if name, ok := names[kind]; ok {
		return name
	}
	return fmt.Sprintf("of the kind 0x%x", kind)
}
