package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/gaplesslogs/gapless/internal/checkup"
	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// A Checkup looks at a data directory, for `gapless doctor`, beside a process that
// works in it or before there is one. It leaves nothing behind: a file that it writes
// to measure the disk is gone afterwards, and the directory is not made.
type Checkup struct {
	// Dir is the data directory.
	Dir string
	// MaxBytes is what the buffers of all tenants and destinations together may hold.
	MaxBytes int64

	kind  func(dir string) string // of the file system; nil means fileSystem
	space func(dir string) (space, error)
	place string // Dir, or the nearest directory above it that is there
}

// Checks returns the checks in their order.
func (k *Checkup) Checks() []checkup.Check {
	return []checkup.Check{
		{Name: "data_dir", Run: k.Directory},
		{Name: "data_dir_in_use", Needs: []string{"data_dir"}, Run: k.InUse},
		{Name: "data_dir_rights", Needs: []string{"data_dir"}, Run: k.Rights},
		{Name: "store", Needs: []string{"data_dir"}, Run: k.Store},
		{Name: "disk_space", Needs: []string{"data_dir"}, Run: k.Space},
		{Name: "disk_sync", Needs: []string{"data_dir", "disk_space"}, Run: k.Sync},
		{Name: "file_system", Needs: []string{"data_dir"}, Run: k.FileSystem},
	}
}

// probeName is the pattern of the file that is written and taken away again.
const probeName = ".gapless-doctor-*"

// Directory finds out whether the directory can be used, or made.
func (k *Checkup) Directory(context.Context) []checkup.Finding {
	if k.Dir == "" {
		return checkup.One(checkup.Failed(checkup.Configuration, "Set data_dir.", "no data directory is set"))
	}
	place, missing, err := existing(k.Dir)
	if err != nil {
		return checkup.One(checkup.Failed(checkup.Configuration, "Set another data_dir, or mend the path.", "%s cannot be used: %s", k.Dir, cause(err)))
	}
	k.place = place
	f, err := os.CreateTemp(place, probeName)
	if err == nil {
		err = errors.Join(f.Close(), os.Remove(f.Name()))
	}
	switch {
	case err != nil && missing:
		return checkup.One(checkup.Failed(checkup.Configuration, fmt.Sprintf("sudo install -d -m 0700 -o \"$(id -un)\" %s, as the user that gapless runs as; or set another data_dir", shellQuoted(k.Dir)),
			"%s is not there, and cannot be made: %s", k.Dir, cause(err)))
	case errors.Is(err, fs.ErrPermission):
		return checkup.One(checkup.Failed(checkup.Configuration, "sudo chown -R \"$(id -un)\" "+shellQuoted(k.Dir)+", as the user that gapless runs as (doctor should run as that user too)",
			"%s cannot be written by this user", k.Dir))
	case err != nil:
		return checkup.One(checkup.Failed("", "Make room on the disk, mount it writable, or set another data_dir.", "%s cannot be written: %s", k.Dir, cause(err)))
	case missing:
		return checkup.One(checkup.Passed("%s is not there yet; the first run makes it", k.Dir))
	default:
		return checkup.One(checkup.Passed("%s can be written", k.Dir))
	}
}

// existing returns dir, or the nearest directory above that is there.
func existing(dir string) (place string, missing bool, err error) {
	if dir, err = filepath.Abs(dir); err != nil {
		return "", false, fmt.Errorf("find data directory: %w", err)
	}
	for place = dir; ; place = filepath.Dir(place) {
		info, err := os.Stat(place)
		switch {
		case err == nil && !info.IsDir():
			return "", false, fmt.Errorf("%s is no directory", place)
		case err == nil:
			return place, place != dir, nil
		case !errors.Is(err, fs.ErrNotExist) || place == filepath.Dir(place):
			return "", false, err
		}
	}
}

// InUse says whether a gapless runs there, which is as it should be.
func (k *Checkup) InUse(context.Context) []checkup.Finding {
	used, err := InUse(k.Dir)
	switch {
	case err != nil:
		hint := ""
		if e, ok := errors.AsType[*pipeline.Error](err); ok {
			hint = e.Hint
		}
		return checkup.One(checkup.Failed(checkup.Configuration, hint, "the lock of the data directory cannot be looked at: %s", cause(err)))
	case used:
		return checkup.One(checkup.Passed("in use by %s; doctor leaves it alone", readHolder(filepath.Join(k.Dir, lockName))))
	default:
		return checkup.One(checkup.Passed("no gapless works in it at the moment"))
	}
}

// Rights says who else can read the events.
func (k *Checkup) Rights(context.Context) []checkup.Finding {
	if runtime.GOOS == "windows" {
		return nil // its modes do not tell
	}
	open, mend := rights(k.Dir)
	if open != nil {
		return checkup.One(checkup.Warned(strings.Join(mend, " && "), "other users of this machine may reach events, which are kept in clear: %s", strings.Join(open, ", ")))
	}
	return checkup.One(checkup.Passed("nobody else can read it"))
}

// Store reads the file, without a change.
func (k *Checkup) Store(ctx context.Context) []checkup.Finding {
	r, err := OpenUntouched(ctx, k.Dir)
	if errors.Is(err, ErrNoData) {
		return checkup.One(checkup.Passed("there is no data yet; the first run makes the file"))
	}
	if err == nil {
		_, err = r.Status(ctx)
		err = errors.Join(err, r.Close())
	}
	if err == nil {
		return checkup.One(checkup.Passed("the file can be read"))
	}
	hint := "Start gapless: it restores what can be read, and says what it did."
	if e, ok := errors.AsType[*pipeline.Error](err); ok && e.Hint != "" {
		hint = e.Hint
	}
	if errors.Is(err, ErrNewerSchema) {
		return checkup.One(checkup.Failed(checkup.Configuration, hint, "the file is of a newer release of gapless"))
	}
	return checkup.One(checkup.Failed("", hint, "the file cannot be read: %s", cause(err)))
}

// Space compares the room of the disk with what the buffers may take.
func (k *Checkup) Space(context.Context) []checkup.Finding {
	look := k.space
	if look == nil {
		look = spaceOf
	}
	sp, err := look(k.place)
	if err != nil {
		return checkup.One(checkup.Skipped("the room of the disk is not known here"))
	}
	held := int64(0)
	if info, err := os.Stat(filepath.Join(k.Dir, fileName)); err == nil {
		held = info.Size()
	}
	switch {
	case sp.free < 4*reserveMost:
		return checkup.One(checkup.Failed("", "Make room on the disk of "+k.place+", or set another data_dir.", "the disk is full: %s are free", size(sp.free)))
	case sp.free+held < k.MaxBytes:
		return checkup.One(checkup.Warned(fmt.Sprintf("Make room for %s, or set a smaller max_buffer_bytes. On a full disk gapless stops to take events, and loses none while Auth0 keeps them.", size(k.MaxBytes)),
			"%s are free, and the buffers may take %s", size(sp.free+held), size(k.MaxBytes)))
	default:
		return checkup.One(checkup.Passed("%s are free; the buffers may take %s", size(sp.free), size(k.MaxBytes)))
	}
}

// Times of flushing a page to the disk.
const (
	syncTries = 9
	// slowSync is what makes commits slow: each page waits for one.
	slowSync = 50 * time.Millisecond
)

// Sync measures how long the disk takes to flush a page, which each commit does.
func (k *Checkup) Sync(ctx context.Context) []checkup.Finding {
	took, err := k.measure(ctx)
	if err != nil {
		return checkup.One(checkup.Failed("", "Look at the disk: dmesg | tail; or set another data_dir.", "the disk cannot be flushed: %s", cause(err)))
	}
	slices.Sort(took)
	median, most := took[len(took)/2], took[len(took)-1]
	words := fmt.Sprintf("a page of 4 KiB is flushed in %s (median of %d; the slowest %s)", median.Round(10*time.Microsecond), len(took), most.Round(10*time.Microsecond))
	if median > slowSync {
		return checkup.One(checkup.Warned("Put data_dir on a faster local disk (SSD): every page of events waits for a flush.", "%s, which is slow", words))
	}
	return checkup.One(checkup.Passed("%s", words))
}

// measure writes and flushes a page a few times, into a file of its own.
func (k *Checkup) measure(ctx context.Context) (took []time.Duration, err error) {
	f, err := os.CreateTemp(k.place, probeName)
	if err != nil {
		return nil, fmt.Errorf("make file: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	page := make([]byte, pageSize)
	for range syncTries {
		began := time.Now()
		if _, err := f.WriteAt(page, 0); err != nil {
			return nil, fmt.Errorf("write file: %w", err)
		}
		if err := f.Sync(); err != nil {
			return nil, fmt.Errorf("flush file: %w", err)
		}
		if took = append(took, time.Since(began)); ctx.Err() != nil {
			break
		}
	}
	return took, nil
}

// FileSystem warns of those on which a store is not safe.
func (k *Checkup) FileSystem(context.Context) []checkup.Finding {
	look := k.kind
	if look == nil {
		look = fileSystem
	}
	const local = "Set data_dir to a directory on a local disk (ext4, xfs, EBS)"
	switch kind := look(k.place); kind {
	case "":
		return checkup.One(checkup.Skipped("the kind of the file system is not known here"))
	case "nfs", "smb", "cifs", "9p", "ceph", "lustre", "afs", "vboxsf":
		return checkup.One(checkup.Warned(local+": SQLite's locks and flushes cannot be relied upon across a network, and a store may be damaged.", "the data directory is on a network file system (%s)", kind))
	case "fuse":
		return checkup.One(checkup.Warned(local+", unless you know that this one flushes and locks as a disk does.", "the data directory is on a file system of the kind FUSE (s3fs, sshfs and gcsfuse are such)"))
	case "tmpfs", "ramfs":
		return checkup.One(checkup.Warned(local+": what is in memory is lost with a restart, cursor and buffer with it.", "the data directory is in memory (%s)", kind))
	case "overlay":
		return checkup.One(checkup.Warned("Mount a volume at data_dir (docker run -v gapless:/var/lib/gapless, a PersistentVolumeClaim): what is in the container goes with it, cursor and buffer too.", "the data directory is within the container (overlay)"))
	default:
		return checkup.One(checkup.Passed("the file system is %s", kind))
	}
}

// cause is the innermost error, in one line.
func cause(err error) string {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err.Error()
	}
	return checkup.Clean(err.Error())
}

// size writes bytes for a person.
func size(n int64) string {
	const kib, units = 1 << 10, "KMGTPE"
	if n < kib {
		return fmt.Sprintf("%d B", n)
	}
	f, i := float64(n)/kib, 0
	for f >= kib && i < len(units)-1 {
		f, i = f/kib, i+1
	}
	return fmt.Sprintf("%.3g %ciB", f, units[i])
}

// shellQuoted makes a path safe to paste into a shell.
func shellQuoted(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
