package app_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"

	"github.com/gaplesslogs/gapless/internal/app"
	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/emulator"
	"github.com/gaplesslogs/gapless/internal/emulator/tenant"
	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/source"
	"github.com/gaplesslogs/gapless/internal/store"
)

// export writes what a tenant holds to two files: an array, and lines packed with
// gzip.
func (s *site) export(t *testing.T, dir string) []string {
	t.Helper()
	events := s.tenant.Events()
	half := len(events) / 2
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	for _, raw := range events[half:] {
		if _, err := fmt.Fprintf(w, "%s\r\n", raw); err != nil {
			t.Fatal(err)
		}
	}
	array := append(append([]byte("["), bytes.Join(events[:half], []byte(",\n"))...), ']')
	paths := []string{filepath.Join(dir, "first.json"), filepath.Join(dir, "second.json.gz")}
	if err := errors.Join(w.Close(), os.WriteFile(paths[0], array, 0o600), os.WriteFile(paths[1], packed.Bytes(), 0o600)); err != nil {
		t.Fatal(err)
	}
	return paths
}

// runImport imports files into the destination of a site. It returns what became of
// them, and how it ended.
func (w *world) runImport(ctx context.Context, t *testing.T, s *site, paths ...string) (app.Imported, error) {
	t.Helper()
	var err error
	if w.imports, err = app.NewImport(ctx, s.name, paths); err != nil {
		t.Fatal(err)
	}
	defer func() { w.imports = nil }()
	w.start(ctx, t)
	select {
	case <-w.app.Done():
	case <-time.After(time.Hour):
		t.Fatal("an import does not come to an end")
	}
	err = w.app.Err()
	n, ierr := w.app.Imported(ctx)
	if ierr != nil {
		t.Fatal(ierr)
	}
	w.stop(ctx, t, w.cfg.ShutdownTimeout)
	return n, err
}

// cursors returns where the sources of a tenant stand, but for that of files.
func (w *world) cursors(t *testing.T) map[string][]store.CursorStatus {
	t.Helper()
	r, err := store.OpenReadOnly(t.Context(), w.cfg.DataDir)
	if err != nil {
		t.Fatal(err)
	}
	figures, err := r.Status(t.Context())
	if err := errors.Join(err, r.Close()); err != nil {
		t.Fatal(err)
	}
	all := make(map[string][]store.CursorStatus)
	for _, f := range figures {
		for _, c := range f.Cursors {
			if c.Source != source.FileName {
				all[f.Tenant] = append(all[f.Tenant], c)
			}
		}
	}
	return all
}

// TestImportBringsEachEventOnce has an export of a tenant, and a poll that reads a
// part of the same events before and all of them after: each arrives once, however
// often it is imported, and the poll stands where it stood.
func TestImportBringsEachEventOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, t.TempDir(), tenant.Enterprise, "dev", "other")
		defer w.close(t.Context(), t)
		s := w.sites[0]
		generate := func() {
			if err := s.tenant.Generate(300, time.Now().Add(-10*time.Hour), time.Now().Add(-time.Minute)); err != nil {
				t.Fatal(err)
			}
		}
		generate()
		if err := w.runOnce(t.Context(), t); err != nil {
			t.Fatal(err)
		}
		<-time.After(11 * time.Hour) // of the bubble
		generate()
		before, paths := w.cursors(t), s.export(t, t.TempDir())
		n, err := w.runImport(t.Context(), t, s, paths...)
		if err != nil || n.Stored != 300 || n.Delivered != 300 || n.Waiting != 0 {
			t.Errorf("the first import: %+v, %v; want 300 stored and delivered", n, err)
		}
		s.compare(t)
		if n, err = w.runImport(t.Context(), t, s, paths...); err != nil || n != (app.Imported{}) {
			t.Errorf("the second import: %+v, %v; want nothing", n, err)
		}
		if diff := cmp.Diff(before, w.cursors(t)); diff != "" {
			t.Errorf("the poll was moved (-before +after):\n%s", diff)
		}
		if err := w.runOnce(t.Context(), t); err != nil {
			t.Fatal(err)
		}
		s.compare(t)
	})
}

// TestImportGoesOnWhereItWasStopped stops an import again and again, with calls to
// CloudWatch Logs under way, and lets the last one come to its end.
func TestImportGoesOnWhereItWasStopped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, t.TempDir(), tenant.Enterprise, "dev")
		defer w.close(t.Context(), t)
		s := w.sites[0]
		if err := s.tenant.Generate(6000, time.Now().Add(-10*time.Hour), time.Now().Add(-time.Minute)); err != nil {
			t.Fatal(err)
		}
		paths := s.export(t, t.TempDir())
		w.cfg.MaxBufferBytes = 256 << 10 // less than a page: each waits for the delivery of the one before
		s.aws.Add(emulator.Fault{Match: "PutLogEvents", Times: -1, Kind: emulator.FaultDelay, Delay: 5 * time.Second})
		for i := range 3 {
			var err error
			if w.imports, err = app.NewImport(t.Context(), s.name, paths); err != nil {
				t.Fatal(err)
			}
			w.start(t.Context(), t)
			<-time.After(time.Duration(i) * 4 * time.Second)
			w.stop(t.Context(), t, time.Second)
		}
		n, err := w.runImport(t.Context(), t, s, paths...)
		if n.Stored == 0 || n.Stored == 6000 {
			t.Errorf("the last import stored %d of 6000: the others were not stopped on their way", n.Stored)
		}
		if err != nil || n.Waiting != 0 {
			t.Errorf("the last import: %+v, %v", n, err)
		}
		s.compare(t)
	})
}

// TestImportOfOldEvents has events that CloudWatch Logs does not take as they are:
// the policies decide, and the outcome counts them.
func TestImportOfOldEvents(t *testing.T) {
	t.Parallel()
	old := time.Date(1999, 3, 1, 10, 0, 0, 0, time.UTC) // in a bubble it is the year 2000
	lines := fmt.Sprintf("{\"log_id\":\"a\",\"date\":%q}\nno event\n{\"log_id\":\"b\",\"date\":%q}\n", old.Format(time.RFC3339), old.Format(time.RFC3339))
	for policy, want := range map[string]app.Imported{
		"restamp":     {Stored: 2, Delivered: 2, Restamped: 2},
		"dead_letter": {Stored: 2, Rejected: 2},
	} {
		t.Run(policy, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, t.TempDir(), tenant.Enterprise, "dev")
				defer w.close(t.Context(), t)
				path := filepath.Join(t.TempDir(), "old.jsonl")
				if err := os.WriteFile(path, []byte(lines), 0o600); err != nil {
					t.Fatal(err)
				}
				w.cfg.Tenants[0].CloudWatch.TooOld = config.Policy(policy)
				got, err := w.runImport(t.Context(), t, w.sites[0], path)
				if diff := cmp.Diff(want, got); err != nil || diff != "" {
					t.Errorf("%v; -want +got:\n%s", err, diff)
				}
				letters, err := app.ListDeadLetters(t.Context(), w.cfg, app.LetterFilter{Kind: store.KindUnreadable}, 10)
				if err != nil || len(letters) != 1 || letters[0].Detail != path+":2: not valid JSON" {
					t.Errorf("the unreadable ones: %+v, %v; want line 2", letters, err)
				}
			})
		})
	}
}

// TestImportThatNeedsAPerson is refused by AWS: it ends, says so, and the events
// wait for the next run.
func TestImportThatNeedsAPerson(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, t.TempDir(), tenant.Enterprise, "dev")
		defer w.close(t.Context(), t)
		s := w.sites[0]
		if err := s.tenant.Generate(50, time.Now().Add(-10*time.Hour), time.Now().Add(-time.Minute)); err != nil {
			t.Fatal(err)
		}
		s.aws.Add(emulator.Fault{Match: "PutLogEvents", Kind: "answer", Times: -1, Status: 400, Body: `{"__type":"AccessDeniedException","message":"no"}`})
		paths := s.export(t, t.TempDir())
		n, err := w.runImport(t.Context(), t, s, paths...)
		if err == nil || pipeline.Classify(err).Class != pipeline.Unauthorized || !strings.Contains(err.Error(), "tenant dev: ") || n.Delivered != 0 {
			t.Errorf("it ended with %v and %+v, want what is wrong", err, n)
		}
		s.aws.Clear()
		if _, err = w.runImport(t.Context(), t, s, paths...); err != nil {
			t.Error(err)
		}
		s.compare(t)
		if left := w.troubles(t.Context(), t); len(left) != 0 {
			t.Errorf("the troubles are %+v after the run, want none", left)
		}
	})
}
