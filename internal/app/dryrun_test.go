package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gaplesslogs/gapless/internal/app"
	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/emulator/tenant"
	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// noAWS is a client of AWS that may not be called.
type noAWS struct{ t *testing.T }

// Do fails the test.
func (n noAWS) Do(r *http.Request) (*http.Response, error) {
	n.t.Errorf("AWS was called: %s", r.URL)
	return nil, errors.New("this test has no AWS")
}

// A rehearsal is a dry run of a world that came to its end.
type rehearsal struct {
	shown  []app.DryEvent
	report []app.DryTenant
	dir    string // that it worked in
}

// ids lists the log_ids of the events that would be sent, as they were shown.
func (r *rehearsal) ids() (ids []string) {
	for _, e := range r.shown {
		if e.Rejected == "" {
			ids = append(ids, e.Event.LogID)
		}
	}
	return ids
}

// rehearse makes a dry run with Once, without an AWS that could be called.
func (w *world) rehearse(ctx context.Context, t *testing.T) *rehearsal {
	t.Helper()
	r := new(rehearsal)
	var log bytes.Buffer
	dry := app.NewDryRun(func(e app.DryEvent) { r.shown = append(r.shown, e) })
	a, err := app.New(ctx, app.Options{
		Config: w.cfg, Logger: slog.New(slog.NewJSONHandler(&log, nil)), Once: true, DryRun: dry, Auth0HTTP: w, AWSHTTP: noAWS{t},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Start(ctx); err != nil {
		t.Fatal(err)
	}
	select {
	case <-a.Done():
	case <-time.After(time.Hour):
		t.Fatal("a dry run with Once does not come to an end")
	}
	if err := errors.Join(a.Err(), a.Stop(ctx)); err != nil {
		t.Fatal(err)
	}
	r.report = dry.Report()
	for line := range bytes.Lines(log.Bytes()) {
		var told struct {
			Msg string `json:"msg"`
			Dir string `json:"data_dir"`
		}
		if err := json.Unmarshal(line, &told); err != nil {
			t.Fatal(err)
		}
		if told.Msg == "started" {
			r.dir = told.Dir
		}
	}
	return r
}

// filesIn returns what is in a directory, by name.
func filesIn(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		out[path] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestDryRunShowsWhatTheNextRunSends holds that a dry run shows exactly what the run
// behind it then sends, each event as it is sent and where to, and that it leaves
// nothing behind: no byte of the data directory is changed, AWS is not called, and
// the directory that it worked in is gone.
func TestDryRunShowsWhatTheNextRunSends(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, t.TempDir(), tenant.Unlimited, "acme")
		defer w.close(t.Context(), t)
		s, c := w.sites[0], &w.cfg.Tenants[0]
		c.Filter.Types = config.Selection{Deny: []string{"s*"}}
		c.CloudWatch.Fields, c.CloudWatch.LogStream = map[string]string{"severity": "severity"}, "{severity}"
		c.Redact.Presets = []string{"auth0-pii"}
		if err := s.tenant.Generate(200, time.Now().Add(-10*time.Hour), time.Now().Add(-5*time.Hour)); err != nil {
			t.Fatal(err)
		}
		fresh := w.rehearse(t.Context(), t) // without a store
		if left := filesIn(t, w.cfg.DataDir); len(left) > 0 {
			t.Errorf("a dry run without a store makes files: %v", left)
		}
		if err := w.runOnce(t.Context(), t); err != nil {
			t.Fatal(err)
		}
		s.checkRehearsed(t, fresh, 0)

		<-time.After(5 * time.Hour) // the token, which tells of itself in the log, is good for longer
		if err := s.tenant.Generate(200, time.Now().Add(-4*time.Hour), time.Now().Add(-3*time.Hour)); err != nil {
			t.Fatal(err)
		}
		before, sent := filesIn(t, w.cfg.DataDir), len(s.storedIn(t))
		behind := w.rehearse(t.Context(), t)
		if d := cmp.Diff(before, filesIn(t, w.cfg.DataDir)); d != "" {
			t.Error("a dry run has changed the data directory")
		}
		if behind.report[0].Cursor == "" {
			t.Error("it did not begin where the store stands")
		}
		if err := w.runOnce(t.Context(), t); err != nil {
			t.Fatal(err)
		}
		s.checkRehearsed(t, behind, sent)
	})
}

// storedIn returns the messages of all streams, as stream and message.
func (s *site) storedIn(t *testing.T) (all []string) {
	t.Helper()
	for _, stream := range s.allStreams(t, "/auth0/"+s.name) {
		for _, e := range s.cloudwatch.Events("/auth0/"+s.name, stream) {
			all = append(all, stream+" "+e.Message)
		}
	}
	return all
}

// checkRehearsed compares what a dry run has shown with what was sent, of which
// before were there before.
func (s *site) checkRehearsed(t *testing.T, r *rehearsal, before int) {
	t.Helper()
	if _, err := os.Stat(r.dir); r.dir == "" || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the temporary directory %q is there: %v", r.dir, err)
	}
	sent := make(map[string]bool)
	for _, m := range s.storedIn(t) {
		sent[m] = true
	}
	var shown int64
	for _, e := range r.shown {
		shown += int64(len(e.Message))
		if line := e.Destination.LogStream + " " + string(e.Message); !sent[line] {
			t.Errorf("it was shown, and not sent: %.200s", line)
		}
	}
	got := r.report[0]
	if n := int64(len(r.shown)); got.Events != n || n == 0 || got.Bytes != shown || !got.CaughtUp || got.Calls < int64(len(got.Destinations)) || len(got.Destinations) < 2 {
		t.Errorf("it was shown %d events of %d bytes, the report says %+v", n, shown, got)
	}
	if n := len(sent) - before; n != len(r.shown) {
		t.Errorf("%d events were shown and %d sent", len(r.shown), n)
	}
	if got.LeftOut["type_denied"] == 0 {
		t.Errorf("the report says that %v were left out, want some for type_denied", got.LeftOut)
	}
}

// TestDryRunBesideARunningExport holds that both do their work when a dry run is made
// beside the export, and that what is pushed and queued is left to it.
func TestDryRunBesideARunningExport(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, t.TempDir(), tenant.Unlimited, "acme", "pushed")
		defer w.close(t.Context(), t)
		s := w.sites[0]
		token, err := config.ParseSecret("env:NOBODY_SETS_IT")
		if err != nil {
			t.Fatal(err)
		}
		if err := s.tenant.Generate(100, time.Now().Add(-10*time.Hour), time.Now().Add(-5*time.Hour)); err != nil {
			t.Fatal(err)
		}
		w.cfg.Tenants[0].CloudWatch.TooOld = "dead_letter"
		w.start(t.Context(), t)
		<-time.After(time.Minute + 300*time.Millisecond) // between two polls, or they would be quicker
		late := `{"log_id":"late","date":"` + time.Now().UTC().Format(time.RFC3339) + `","type":"s"}`
		old := `{"log_id":"old","date":"` + time.Now().UTC().AddDate(0, 0, -20).Format(time.RFC3339) + `","type":"s"}`
		for _, raw := range []string{late, old} {
			if err := s.tenant.Append([]byte(raw)); err != nil {
				t.Fatal(err)
			}
		}
		cfg := *w.cfg // the other one belongs to the process that runs
		cfg.Tenants = slices.Clone(cfg.Tenants)
		w.cfg = &cfg
		pushed := &cfg.Tenants[1]
		pushed.Webhook.Token, pushed.SQS.QueueURL = token, "https://sqs.eu-central-1.amazonaws.com/123456789012/auth0"
		r := w.rehearse(t.Context(), t)
		if d := cmp.Diff([]string{"late"}, r.ids()); d != "" {
			t.Errorf("it would send (-want +got):\n%s", d)
		}
		want := []string{"webhook", "sqs"}
		if got := r.report[1].NotReceived; !slices.Equal(got, want) {
			t.Errorf("of the pushed tenant it says that %v are not received, want %v", got, want)
		}
		if l := r.report[0].Letters; len(l) != 1 || l[0].Reason != "too_old" {
			t.Errorf("the dead letters are %v, want the old one", l)
		}
		<-time.After(time.Minute)
		if got := strings.Join(s.storedIn(t), "\n"); !strings.Contains(got, late) {
			t.Error("the export beside it did not deliver")
		}
	})
}

// TestDryRunOfPushesAlone holds that a dry run that could show nothing is refused.
func TestDryRunOfPushesAlone(t *testing.T) {
	t.Parallel()
	cfg := config.Default()
	c := config.NewTenant()
	c.Name, cfg.DataDir = "acme", t.TempDir()
	cfg.Tenants = []config.Tenant{c}
	_, err := app.New(t.Context(), app.Options{Config: cfg, Logger: slog.New(slog.DiscardHandler), DryRun: app.NewDryRun(func(app.DryEvent) {})})
	if pipeline.Classify(err).Class != pipeline.Misconfigured {
		t.Errorf("it says %v, want an error of the configuration", err)
	}
}
