package app_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/gaplesslogs/gapless/internal/app"
	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/emulator"
	"github.com/gaplesslogs/gapless/internal/emulator/cloudwatch"
	"github.com/gaplesslogs/gapless/internal/emulator/tenant"
	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/verify"
)

// TestVerifyLeavesTheExporterItsShare compares a day of a tenant on the smallest plan,
// two calls a second, while the exporter is at work: it does not fall behind.
func TestVerifyLeavesTheExporterItsShare(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, dir, tenant.Free, "dev")
		defer w.close(t.Context(), t)
		s := w.sites[0]
		w.cfg.Tenants[0].PollInterval = time.Second
		if err := s.tenant.Generate(2000, time.Now().Add(-20*time.Hour), time.Now()); err != nil {
			t.Fatal(err)
		}
		s.live(t.Context(), t, 1)
		w.start(t.Context(), t)
		<-time.After(90 * time.Second)
		done := make(chan struct{})
		var sum verify.Summary
		go func() {
			defer close(done)
			sum, _ = w.verify(t.Context(), t, 22*time.Hour)
		}()
		most := time.Duration(0)
		for waiting := true; waiting; {
			select {
			case <-done:
				waiting = false
			case <-time.After(500 * time.Millisecond):
				most = max(most, s.behind())
			}
		}
		if !sum.Clean || sum.Held < 2000 {
			t.Errorf("summary: %+v", sum)
		}
		if most > 5*time.Second {
			t.Errorf("the exporter fell %v behind", most)
		}
		s.quit()
		w.stop(t.Context(), t, 20*time.Second)
	})
}

// TestVerifyOtherStreams renames the stream of a tenant whose second destination lies
// in the same log group: what is in the old stream is told as such, and what only the
// other destination has is missing.
func TestVerifyOtherStreams(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, dir, tenant.Unlimited, "dev")
		defer w.close(t.Context(), t)
		s := w.sites[0]
		c := &w.cfg.Tenants[0]
		audit := config.NewDestination("audit")
		audit.CloudWatch.Endpoint, audit.CloudWatch.LogGroup, audit.CloudWatch.LogStream = c.CloudWatch.Endpoint, "/auth0/{tenant}", "audit-{severity}"
		audit.CloudWatch.Compression = "none"
		c.Destinations = append(c.Destinations, audit)
		if err := s.tenant.Generate(50, time.Now().Add(-20*time.Hour), time.Now().Add(-time.Hour)); err != nil {
			t.Fatal(err)
		}
		w.once = true
		w.start(t.Context(), t)
		<-w.app.Done()
		w.stop(t.Context(), t, 20*time.Second)
		stopped := time.Now()
		var lost string
		s.rewrite(t.Context(), t, w, c.CloudWatch.Endpoint, func(list []cloudwatch.StoredEvent) []cloudwatch.StoredEvent {
			lost = idOf([]byte(list[20].Message))
			return slices.Delete(list, 20, 21)
		})
		_, got := w.verify(t.Context(), t, 22*time.Hour)
		wantFindings(t, "before", map[string][]string{
			"missing": {lost}, "not_yet": after(got["not_yet"], stopped), "not_yet:audit": after(got["not_yet:audit"], stopped),
		}, got)
		c.CloudWatch.LogStream = "renamed/{date}"
		_, got = w.verify(t.Context(), t, 22*time.Hour)
		if len(got["elsewhere"]) < 49 || len(got["missing:audit"]) > 0 {
			t.Errorf("%d are elsewhere; %v", len(got["elsewhere"]), got)
		}
		wantFindings(t, "renamed", map[string][]string{
			"missing": {lost}, "elsewhere": got["elsewhere"], "not_yet": after(got["not_yet"], stopped), "not_yet:audit": after(got["not_yet:audit"], stopped),
		}, got)
	})
}

// TestVerifyExplains compares what the store can explain: events from before the
// beginning of the export, dead letters, what waits, and what was not read.
func TestVerifyExplains(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, dir, tenant.Unlimited, "dev")
		defer w.close(t.Context(), t)
		s := w.sites[0]
		c := &w.cfg.Tenants[0]
		c.StartFrom, c.CloudWatch.TooLarge = "latest", "dead_letter"
		if err := s.tenant.Generate(20, time.Now().Add(-20*time.Hour), time.Now().Add(-time.Hour)); err != nil {
			t.Fatal(err)
		}
		want := map[string][]string{}
		for _, raw := range s.tenant.Events() {
			want["before_start"] = append(want["before_start"], idOf(raw))
		}
		happens := func(kind string, n int, pad string) {
			for i := range n {
				now := time.Now().UTC()
				id := event.IDAt(now)
				id = id[:50] + fmt.Sprintf("%06d", i)
				raw := fmt.Sprintf(`{"date":%q,"type":"s","log_id":%q,"pad":%q}`, now.Format("2006-01-02T15:04:05.000Z"), id, pad)
				if err := s.tenant.Append([]byte(raw)); err != nil {
					t.Fatal(err)
				}
				if kind != "" {
					want[kind] = append(want[kind], id)
				}
			}
			<-time.After(30 * time.Second)
		}
		w.start(t.Context(), t)
		<-time.After(30 * time.Second)
		happens("", 5, "")
		happens("dead_letter", 2, strings.Repeat("x", 1<<20))
		s.aws.Add(emulator.Fault{Match: "PutLogEvents", Times: -1, Kind: emulator.FaultAnswer, Status: http.StatusServiceUnavailable})
		happens("waiting", 4, "")
		w.stop(t.Context(), t, 20*time.Second)
		stopped := time.Now()
		happens("not_yet", 3, "")
		sum, got := w.verify(t.Context(), t, 22*time.Hour)
		want["not_yet"] = append(want["not_yet"], after(got["not_yet"], stopped.Add(20*time.Second))...) // the token of verify
		want["before_start"] = got["before_start"][:max(20, len(got["before_start"]))]
		for _, id := range want["before_start"] {
			if at, _ := event.TimeInID(id); at.After(stopped.Add(-2 * time.Minute)) {
				t.Errorf("%s is from after the beginning", id)
			}
		}
		wantFindings(t, "explained", want, got)
		if sum.Clean || sum.Destinations[0].InBoth < 5 {
			t.Errorf("summary: %+v", sum)
		}
	})
}

// TestVerifySharedStream compares one of two tenants that share a log stream: the
// events of the other are no findings.
func TestVerifySharedStream(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, dir, tenant.Unlimited, "dev", "other")
		defer w.close(t.Context(), t)
		for i, s := range w.sites {
			c := &w.cfg.Tenants[i].CloudWatch
			c.Endpoint, c.LogGroup = w.cfg.Tenants[0].CloudWatch.Endpoint, "/auth0/all"
			if err := s.tenant.Generate(40, time.Now().Add(-20*time.Hour), time.Now().Add(-time.Hour)); err != nil {
				t.Fatal(err)
			}
		}
		w.once = true
		all := w.cfg.Tenants
		for i := range all { // at different times, for emulated tenants make the same log_ids
			w.cfg.Tenants = all[i : i+1]
			w.start(t.Context(), t)
			<-w.app.Done()
			w.stop(t.Context(), t, 20*time.Second)
			<-time.After(3 * time.Second)
		}
		w.cfg.Tenants = all
		sum, got := w.verify(t.Context(), t, 22*time.Hour)
		wantFindings(t, "shared", map[string][]string{"not_yet": got["not_yet"]}, got)
		if d := sum.Destinations[0]; !sum.Clean || d.InBoth < 40 || d.Foreign < 40 || len(got["not_yet"]) > 1 {
			t.Errorf("summary: %+v", sum)
		}
	})
}

// TestVerifyInfrequentAccess compares a group that Logs Insights alone can read.
func TestVerifyInfrequentAccess(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, dir, tenant.Unlimited, "dev")
		defer w.close(t.Context(), t)
		s := w.sites[0]
		c := &w.cfg.Tenants[0]
		c.CloudWatch.LogGroupClass = "INFREQUENT_ACCESS"
		if err := s.tenant.Generate(120, time.Now().Add(-20*time.Hour), time.Now().Add(-time.Hour)); err != nil {
			t.Fatal(err)
		}
		w.once = true
		w.start(t.Context(), t)
		<-w.app.Done()
		w.stop(t.Context(), t, 20*time.Second)
		stopped := time.Now()
		want := map[string][]string{}
		s.rewrite(t.Context(), t, w, c.CloudWatch.Endpoint, func(list []cloudwatch.StoredEvent) []cloudwatch.StoredEvent {
			want["missing"] = []string{idOf([]byte(list[50].Message))}
			want["twice"] = []string{idOf([]byte(list[60].Message))}
			want["wrong_timestamp"] = []string{idOf([]byte(list[70].Message))}
			list[50] = list[60]
			list[70].Timestamp++
			return list
		})
		_, got := w.verify(t.Context(), t, 22*time.Hour)
		want["not_yet"] = after(got["not_yet"], stopped)
		wantFindings(t, "by Logs Insights", want, got)
	})
}

// TestVerifyPermissionsAreThoseOfTheDocs compares under nothing but the policy of
// docs/security.md for it, a group of each class.
func TestVerifyPermissionsAreThoseOfTheDocs(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "security.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, after, found := strings.Cut(string(page), "For [`gapless verify`]")
	_, policy, _ := strings.Cut(after, "```json\n")
	policy, _, _ = strings.Cut(policy, "```")
	if !found || !json.Valid([]byte(policy)) {
		t.Fatal("docs/security.md has no policy for verify")
	}
	dir := t.TempDir()
	for _, class := range []string{"STANDARD", "INFREQUENT_ACCESS"} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, filepath.Join(dir, class), tenant.Unlimited, "dev-tenant")
			defer w.close(t.Context(), t)
			s := w.sites[0]
			w.cfg.AWS.Region = "ap-northeast-1"
			w.cfg.Tenants[0].CloudWatch.LogGroupClass = class
			if err := s.tenant.Generate(20, time.Now().Add(-time.Hour), time.Now()); err != nil {
				t.Fatal(err)
			}
			keys := []cloudwatch.AccessKey{{ID: "AKIDEXPORTER", Secret: "example-secret"}, {ID: "AKIDEXAMPLE", Secret: "example-secret", Policy: policy}}
			if s.cloudwatch, err = cloudwatch.New(cloudwatch.Options{AccessKeys: keys}); err != nil {
				t.Fatal(err)
			}
			w.hosts["logs-dev-tenant.example.com"] = emulator.Transport(s.cloudwatch)
			opts := w.options()
			opts.Once, opts.AWSCredentials = true, credentials.NewStaticCredentialsProvider(keys[0].ID, keys[0].Secret, "")
			a, err := app.New(t.Context(), opts)
			if err != nil {
				t.Fatal(err)
			}
			if err := a.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			<-a.Done()
			if err := a.Stop(t.Context()); err != nil {
				t.Fatal(err)
			}
			if sum, got := w.verify(t.Context(), t, 2*time.Hour); !sum.Clean || sum.Destinations[0].InBoth < 20 {
				t.Errorf("%s: %+v, %v", class, sum, got)
			}
		})
	}
}
