package app_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/gaplesslogs/gapless/internal/app"
	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/emulator/cloudwatch"
	"github.com/gaplesslogs/gapless/internal/emulator/tenant"
	"github.com/gaplesslogs/gapless/internal/ledger"
)

// audit checks the ledger of the first tenant against the destination.
func (w *world) audit(ctx context.Context, tb rapid.TB, change ...func(*app.LedgerAudit)) (app.LedgerReport, []ledger.Result) {
	tb.Helper()
	v := app.LedgerAudit{Tenant: w.sites[0].name, From: app.LedgerFromStore, Patience: time.Minute}
	for _, c := range change {
		c(&v)
	}
	var results []ledger.Result
	opts := w.options()
	opts.Secrets = w.secrets
	reports, err := app.AuditLedger(ctx, opts, v, func(_ string, r ledger.Result) error { results = append(results, r); return nil })
	if err != nil {
		tb.Fatal(err)
	}
	if len(reports) != 1 {
		tb.Fatalf("%d reports", len(reports))
	}
	return reports[0], results
}

// TestLedgerFromEndToEnd exports some hours with a ledger that is signed and published,
// while the program restarts. Then somebody who has the rights changes
// what lies in CloudWatch Logs: each hour is named, from any copy of the ledger, without
// Auth0 and, from a file, without the store.
func TestLedgerFromEndToEnd(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		w := newWorld(t, filepath.Join(dir, "data"), tenant.Professional, "acme")
		defer w.close(ctx, t)
		key, text, err := ledger.Generate()
		if err != nil {
			t.Fatal(err)
		}
		w.cfg.Ledger.SigningKey, err = config.ParseSecret("file:key")
		if err != nil {
			t.Fatal(err)
		}
		w.secrets.ReadFile = func(string) ([]byte, error) { return text, nil }
		w.cfg.Ledger.Directory, w.cfg.Ledger.CloudWatch = filepath.Join(dir, "ledger"), true
		file := filepath.Join(w.cfg.Ledger.Directory, "acme", "cloudwatch.jsonl")
		s := w.sites[0]
		w.start(ctx, t)
		s.live(ctx, t, 0.01)
		<-time.After(3 * time.Hour)
		w.stop(ctx, t, w.cfg.ShutdownTimeout)
		w.start(ctx, t)
		<-time.After(5 * time.Hour)
		s.quit()
		<-time.After(3 * time.Hour)
		w.stop(ctx, t, w.cfg.ShutdownTimeout)
		keys := []ledger.PublicKey{key.Public()}
		sources := map[string]func(*app.LedgerAudit){
			"store":      func(*app.LedgerAudit) {},
			"cloudwatch": func(v *app.LedgerAudit) { v.From, v.Keys = app.LedgerFromCloudWatch, keys },
			"file":       func(v *app.LedgerAudit) { v.From, v.Keys = file, keys },
		}
		var first app.LedgerReport
		for name, from := range sources {
			r, results := w.audit(ctx, t, from)
			if !r.Clean() || len(results) > 0 || r.Summary.Events != int64(len(s.stored())) || r.Summary.Hours < 8 || !r.KeysGiven || r.Record.Signed != int64(len(r.Record.Entries)) {
				t.Errorf("from %s: %+v, %+v, %+v; %d events are there", name, r.Summary, r.Record.Problems, results, len(s.stored()))
			}
			first = r
		}
		all := s.stored()
		hours := make(map[time.Time]int)
		var order []time.Time
		for _, e := range all {
			at := time.UnixMilli(e.Timestamp).UTC().Truncate(time.Hour)
			if hours[at]++; hours[at] == 1 {
				order = append(order, at)
			}
		}
		altered, removed, added, doubled := order[1], order[2], order[3], order[4]
		s.rewrite(ctx, t, w, "http://logs-acme.example.com", func(list []cloudwatch.StoredEvent) []cloudwatch.StoredEvent {
			done := make(map[time.Time]bool)
			var out []cloudwatch.StoredEvent
			for _, e := range list {
				at := time.UnixMilli(e.Timestamp).UTC().Truncate(time.Hour)
				if !done[at] {
					done[at] = true
					switch at {
					case altered:
						e.Message = strings.Replace(e.Message, `"date"`, `"Date"`, 1)
					case removed:
						continue
					case added:
						more := e
						more.Message = `{"log_id":"90020261120000000000000000000000000000000000000000000000","type":"s"}`
						out = append(out, more)
					case doubled:
						out = append(out, e)
					}
				}
				out = append(out, e)
			}
			return out
		})
		want := map[time.Time]ledger.Verdict{altered: ledger.Changed, removed: ledger.Fewer, added: ledger.More, doubled: ledger.Repeated}
		for name, from := range sources {
			r, results := w.audit(ctx, t, from)
			got := make(map[time.Time]ledger.Verdict)
			for _, x := range results {
				got[x.From] = x.Verdict
			}
			if diff := cmp.Diff(want, got); diff != "" || r.Summary.First == nil || !r.Summary.First.From.Equal(altered) {
				t.Errorf("from %s: first %+v (-want +got):\n%s", name, r.Summary.First, diff)
			}
		}
		// The span leaves out what lies outside of it.
		if r, results := w.audit(ctx, t, func(v *app.LedgerAudit) { v.Since, v.Until = removed, removed.Add(time.Hour) }); len(results) != 1 || r.Summary.Hours != 1 {
			t.Errorf("one hour: %+v, %+v", r.Summary, results)
		}
		// Somebody cuts the last entry off, and the head was noted down.
		lines, err := os.ReadFile(filepath.Clean(file))
		if err != nil {
			t.Fatal(err)
		}
		cut := filepath.Join(dir, "cut")
		list := strings.SplitAfter(strings.TrimSuffix(string(lines), "\n"), "\n")
		if err := os.WriteFile(cut, []byte(strings.Join(list[:len(list)-1], "")), 0o600); err != nil {
			t.Fatal(err)
		}
		r, _ := w.audit(ctx, t, func(v *app.LedgerAudit) { v.From, v.Head = cut, first.Record.Head.Hash })
		if !slices.ContainsFunc(r.Record.Problems, func(p ledger.Problem) bool { return p.Fault == ledger.NoHead }) {
			t.Errorf("the end was cut off: %+v", r.Record.Problems)
		}
	})
}

// TestLedgerOfARunWithOnce seals in runs that end by themselves.
func TestLedgerOfARunWithOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		w := newWorld(t, dir, tenant.Professional, "acme")
		defer w.close(ctx, t)
		w.once = true
		s := w.sites[0]
		s.live(ctx, t, 0.01)
		for range 4 {
			<-time.After(time.Hour)
			w.start(ctx, t)
			<-w.app.Done()
			w.stop(ctx, t, w.cfg.ShutdownTimeout)
		}
		s.quit()
		r, results := w.audit(ctx, t)
		if !r.Clean() || len(results) > 0 || r.Summary.Events == 0 || time.Since(r.Record.SealedUntil) > 2*time.Hour {
			t.Errorf("%+v, sealed until %s at %s", r.Summary, r.Record.SealedUntil, time.Now().UTC())
		}
	})
}

// TestLedgerNeverHoldsDeliveryUp has a log group that takes events and no ledger: the
// events arrive, the trouble is told, and its end.
func TestLedgerNeverHoldsDeliveryUp(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		w := newWorld(t, filepath.Join(dir, "data"), tenant.Professional, "acme")
		defer w.close(ctx, t)
		blocked := filepath.Join(dir, "blocked")
		if err := os.WriteFile(blocked, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		w.cfg.Ledger.Directory = blocked // no directory
		s := w.sites[0]
		w.start(ctx, t)
		s.live(ctx, t, 0.01)
		<-time.After(3 * time.Hour)
		troubled := func() bool {
			for _, x := range w.overview(ctx, t, "acme").Troubles {
				if x.Part == app.LedgerPart && x.Hint != "" {
					return true
				}
			}
			return false
		}
		if !troubled() || s.behind() > time.Minute {
			t.Errorf("told: %t, delivery is behind by %s", troubled(), s.behind())
		}
		if err := os.Remove(blocked); err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Hour)
		s.quit()
		if _, err := os.Stat(filepath.Join(blocked, "acme", "cloudwatch.jsonl")); err != nil || troubled() {
			t.Errorf("published: %v, still told: %t", err, troubled())
		}
	})
}
