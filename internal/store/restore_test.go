package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/store"
)

// A damage is something that befalls a data directory.
type damage struct {
	do func(dir string) error
	// sound says that nothing needs to be restored.
	sound bool
}

// rewrite changes the content of the database.
func rewrite(change func([]byte) []byte) func(string) error {
	return func(dir string) error {
		path := filepath.Join(dir, "gapless.db")
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(path, change(b), 0o600)
	}
}

// remove deletes files of the directory that may be there.
func remove(names ...string) func(string) error {
	return func(dir string) error {
		for _, name := range names {
			if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
				return err
			}
		}
		return nil
	}
}

// garbage overwrites a part of b with noise.
func garbage(b []byte, from, to int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	for i := max(0, from); i < min(to, len(b)); i++ {
		b[i] = byte(r.Uint32())
	}
	return b
}

// both does one after the other.
func both(a, b func(string) error) func(string) error {
	return func(dir string) error { return errors.Join(a(dir), b(dir)) }
}

// spoilMirror overwrites the mirror.
func spoilMirror(dir string) error {
	return os.WriteFile(filepath.Join(dir, store.MirrorName), []byte(`{"version":1,"tenants":{"dev-tenant":{"poll":{"cursor":"9999"}}}}`), 0o600)
}

// replaceByDir puts a directory in the place of the database.
func replaceByDir(dir string) error {
	path := filepath.Join(dir, "gapless.db")
	return errors.Join(os.RemoveAll(path), os.Mkdir(path, 0o700), os.WriteFile(filepath.Join(path, "x"), nil, 0o600))
}

func damages() map[string]damage {
	zeros := func(from, to int) func([]byte) []byte {
		return func(b []byte) []byte { clear(b[min(from, len(b)):min(to, len(b))]); return b }
	}
	middle := func(b []byte) []byte { return garbage(b, len(b)/3, len(b)/3+5*store.PageSize) }
	header := func(b []byte) []byte { return garbage(b, 0, 100) }
	return map[string]damage{
		"zeros in the header":         {do: rewrite(zeros(0, 100))},
		"garbage in the header":       {do: rewrite(header)},
		"zeros in the first page":     {do: rewrite(zeros(0, store.PageSize))},
		"zeros behind the header":     {do: rewrite(zeros(100, 2*store.PageSize))},
		"the header of no program":    {do: rewrite(zeros(56, 100))},
		"zeros in middle pages":       {do: rewrite(func(b []byte) []byte { clear(b[len(b)/2 : min(len(b), len(b)/2+4*store.PageSize)]); return b })},
		"garbage in middle pages":     {do: rewrite(middle)},
		"garbage in the last pages":   {do: rewrite(func(b []byte) []byte { return garbage(b, len(b)-3*store.PageSize, len(b)) })},
		"cut to nothing":              {do: rewrite(func([]byte) []byte { return nil })},
		"cut in half":                 {do: rewrite(func(b []byte) []byte { return b[:len(b)/2] })},
		"cut within a page":           {do: rewrite(func(b []byte) []byte { return b[:min(len(b), store.PageSize)-17] })},
		"another file in its place":   {do: rewrite(func([]byte) []byte { return bytes.Repeat([]byte("<html>"), 5000) })},
		"a directory in its place":    {do: replaceByDir},
		"another program's database":  {do: both(remove("gapless.db", "gapless.db-wal", "gapless.db-shm"), store.MakeForeign)},
		"deleted":                     {do: remove("gapless.db")},
		"deleted with its WAL":        {do: remove("gapless.db", "gapless.db-wal", "gapless.db-shm")},
		"garbage and no mirror":       {do: both(rewrite(middle), remove(store.MirrorName))},
		"deleted, the mirror spoiled": {do: both(remove("gapless.db"), spoilMirror)},
		"header and mirror spoiled":   {do: both(rewrite(header), spoilMirror)},
		"the mirror spoiled":          {do: spoilMirror, sound: true},
		"the mirror deleted":          {do: remove(store.MirrorName), sound: true},
		"nothing":                     {do: func(string) error { return nil }, sound: true},
	}
}

// An account plays the tenant's log and the destination: events by number, each of
// which must arrive once.
type account struct {
	tb   rapid.TB
	held int            // events of the log so far
	sent map[string]int // by sink and log_id
	also bool           // events go by a second sink too
	hung bool           // a batch is not settled, and its process sends no more
}

// read appends what the log holds behind the cursor, as a source does, in pages of
// a size, up to a number of events.
func (l *account) read(ctx context.Context, b *store.Buffer, page, most int) {
	l.tb.Helper()
	c, err := b.Cursor(ctx, "poll")
	if err != nil {
		l.tb.Fatal(err)
	}
	from := 0
	if c != "" {
		last, err := strconv.Atoi(string(c))
		if err != nil {
			l.tb.Fatal(err)
		}
		from = last + 1
	}
	for to := min(from+most, l.held); from < to; from += page {
		if _, err := b.Append(ctx, "poll", l.intake(from, min(from+page, to))); err != nil {
			l.tb.Fatal(err)
		}
	}
}

// intake makes an intake of the log.
func (l *account) intake(from, to int) pipeline.Intake {
	if l.also {
		return newIntakeOfBoth(from, to, 300)
	}
	return newIntake(from, to, 300)
}

// sinks lists those that events go by.
func (l *account) sinks() []string {
	if l.also {
		return []string{"audit", ""}
	}
	return []string{""}
}

// deliver sends up to so many batches by each sink. What may have arrived is looked up, as the
// sink does; the outcome of the last may stay unsettled, as after a crash.
func (l *account) deliver(ctx context.Context, b *store.Buffer, batches, size int, settle bool) {
	l.tb.Helper()
	hung := l.hung
	for _, sink := range l.sinks() {
		l.hung = hung
		l.deliverBy(ctx, b, sink, batches, size, settle)
	}
}

// deliverBy is deliver for one sink.
func (l *account) deliverBy(ctx context.Context, b *store.Buffer, sink string, batches, size int, settle bool) {
	l.tb.Helper()
	lim := limitsOf(sink)
	lim.MaxEvents, lim.Linger = size, 0
	for n := 0; n < batches && b.PendingOf(sink) > 0 && !l.hung; n++ {
		batch, err := b.Next(ctx, lim)
		if err != nil {
			l.tb.Fatal(err)
		}
		for _, e := range batch.Events {
			if l.sent[sink+e.LogID] == 0 || batch.Doubt.IsZero() {
				l.sent[sink+e.LogID]++
			}
		}
		if n == batches-1 && !settle {
			l.hung = true
			return
		}
		if err := b.Settle(ctx, batch, pipeline.Receipt{}); err != nil {
			l.tb.Fatal(err)
		}
	}
}

// check reads and delivers the rest and compares.
func (l *account) check(ctx context.Context, b *store.Buffer) {
	l.tb.Helper()
	l.hung = false
	l.read(ctx, b, 50, l.held)
	for b.Pending() > 0 {
		l.deliver(ctx, b, 1000, 1000, true)
	}
	for _, sink := range l.sinks() {
		for n := range l.held {
			if got := l.sent[sink+newEvent(n, 0).LogID]; got != 1 {
				l.tb.Fatalf("event %d of %d arrived %d times by sink %q", n, l.held, got, sink)
			}
		}
	}
}

// wantRestored checks that a restoration is told: by the condition, and by the file
// that ends it.
func wantRestored(t *testing.T, s *store.Store, dir string) {
	t.Helper()
	b := openBuffer(t, s, "dev-tenant")
	if err := b.ClearConditions(t.Context()); err != nil { // as every start does
		t.Fatal(err)
	}
	st := statusOf(t, s.Reader)
	i := slices.IndexFunc(st.Conditions, func(c store.ConditionStatus) bool { return c.Part == store.RestoredPart })
	if i < 0 || st.Conditions[i].Class != store.RestoredClass || st.Conditions[i].Hint == "" {
		t.Fatalf("the conditions %+v do not tell of the restoration", st.Conditions)
	}
	text, err := os.ReadFile(filepath.Join(dir, store.ReportName))
	if err != nil || !strings.Contains(string(text), "Delete this file") {
		t.Fatalf("the report is %q with error %v", text, err)
	}
}

// life makes a data directory in which events were delivered, with the mirror
// behind, and others wait.
func life(t *testing.T) (dir string, l *account) {
	t.Helper()
	dir, l = t.TempDir(), &account{tb: t, held: 400, also: true, sent: make(map[string]int)}
	s := openStore(t, store.Config{Dir: dir})
	b := openBuffer(t, s, "dev-tenant")
	l.read(t.Context(), b, 10, 200)
	l.deliver(t.Context(), b, 3, 25, true)
	store.WriteMirror(t.Context(), s)
	if err := store.Exec(s, "PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
		t.Fatal(err)
	}
	l.read(t.Context(), b, 10, 100)
	l.deliver(t.Context(), b, 4, 25, true)
	l.deliver(t.Context(), b, 1, 25, false)
	return copyDir(t, dir), l
}

// copyDir copies a data directory as a crash would leave it.
func copyDir(tb rapid.TB, dir string) string {
	tb.Helper()
	to, err := os.MkdirTemp(filepath.Dir(dir), "copy")
	if err != nil {
		tb.Fatal(err)
	}
	copyFiles(tb, dir, to)
	return to
}

// copyFiles copies the files that outlive a crash of the machine.
func copyFiles(tb rapid.TB, from, to string) {
	tb.Helper()
	for _, name := range []string{"gapless.db", "gapless.db-wal", store.MirrorName, store.ReportName} {
		b, err := os.ReadFile(filepath.Join(from, name))
		if errors.Is(err, fs.ErrNotExist) {
			err = os.RemoveAll(filepath.Join(to, name))
		} else if err == nil {
			err = os.WriteFile(filepath.Join(to, name), b, 0o600)
		}
		if err != nil {
			tb.Fatal(err)
		}
	}
}

// TestDamagedStoreIsRestored damages the data directory in many ways, with events
// delivered that the mirror does not know of, others on their way and others
// waiting. Every event arrives once, the old file is kept, and it is told.
func TestDamagedStoreIsRestored(t *testing.T) {
	t.Parallel()
	for name, d := range damages() {
		for _, folded := range []bool{false, true} { // the WAL into the file
			t.Run(fmt.Sprintf("%s, folded %t", name, folded), func(t *testing.T) {
				t.Parallel()
				dir, l := life(t)
				if folded {
					s, err := store.Open(t.Context(), store.Config{Dir: dir})
					if err == nil {
						err = s.Close()
					}
					if err != nil {
						t.Fatal(err)
					}
				}
				if err := d.do(dir); err != nil {
					t.Fatal(err)
				}
				after := content(t, filepath.Join(dir, "gapless.db"))
				s := openStore(t, store.Config{Dir: dir})
				b := openBuffer(t, s, "dev-tenant")
				l.check(t.Context(), b)
				kept, err := filepath.Glob(filepath.Join(dir, "gapless.db.damaged-*Z"))
				if err != nil {
					t.Fatal(err)
				}
				if d.sound {
					if _, err := os.Stat(filepath.Join(dir, store.ReportName)); err == nil || len(kept) > 0 {
						t.Errorf("a sound file was restored, %v is kept", kept)
					}
					return
				}
				if _, err := os.Stat(filepath.Join(dir, store.ReportName)); err != nil && !folded {
					return // the WAL holds the pages that were damaged
				}
				wantRestored(t, s, dir)
				if after != nil && (len(kept) != 1 || !bytes.Equal(content(t, kept[0]), after)) {
					t.Errorf("kept is %v, not the damaged file", kept)
				}
			})
		}
	}
}

// content reads a file; nil when there is none.
func content(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	return b
}
