package app_test

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	logs "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"pgregory.net/rapid"

	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/emulator"
	"github.com/gaplesslogs/gapless/internal/emulator/tenant"
)

// TestNothingLostNothingTwice is the promise of the product: whatever traffic,
// faults on both sides, stops and restarts, in the end each event that a tenant
// held is in its stream once, or in the dead letters with a reason. Events that
// turn up late, that are too large, that CloudWatch Logs refuses, and records
// that are no events take nothing from their neighbours.
func TestNothingLostNothingTwice(t *testing.T) {
	t.Parallel()
	dirs := t.TempDir()
	n := 0
	synctest.Test(t, func(t *testing.T) {
		// Wrapped, for rapid would ask a *testing.T for its deadline, which no
		// bubble allows.
		rapid.Check(struct{ rapid.TB }{t}, func(rt *rapid.T) {
			n++
			dir := filepath.Join(dirs, strconv.Itoa(n))
			if err := os.Mkdir(dir, 0o700); err != nil {
				rt.Fatal(err)
			}
			names := []string{"dev", "other"}[:rapid.IntRange(1, 2).Draw(rt, "tenants")]
			w := newWorld(rt, dir, tenant.Unlimited, names...)
			defer w.close(t.Context(), rt)
			odd := w.lives(t.Context(), rt)
			for i, s := range w.sites {
				(&audit{w, s, &w.cfg.Tenants[i], odd[i]}).check(t.Context(), rt)
			}
		})
	})
}

// lives draws a life of each tenant and of the App, and leaves the App stopped,
// after a time without faults that is enough to deliver everything.
func (w *world) lives(ctx context.Context, rt *rapid.T) (odd []*oddities) {
	small := rapid.Bool().Draw(rt, "small buffer")
	if small {
		w.cfg.MaxBufferBytes = 32 << 10
	}
	for i, s := range w.sites {
		w.settings(rt, &w.cfg.Tenants[i])
		odd = append(odd, w.odd(s))
		if err := s.tenant.Generate(rapid.IntRange(0, 150).Draw(rt, "history"), time.Now().Add(-20*24*time.Hour), time.Now()); err != nil {
			rt.Fatal(err)
		}
		s.live(ctx, rt, rapid.Float64Range(0, 0.5).Draw(rt, "rate"))
	}
	for range rapid.IntRange(1, 4).Draw(rt, "lives") {
		for _, s := range w.sites {
			s.faulty(rt)
		}
		w.start(ctx, rt)
		for _, o := range odd {
			<-time.After(time.Duration(rapid.IntRange(0, 100_000).Draw(rt, "life in ms")) * time.Millisecond)
			o.add(rt, !small)
		}
		<-time.After(time.Duration(rapid.IntRange(0, 100_000).Draw(rt, "life in ms")) * time.Millisecond)
		w.stop(ctx, rt, time.Duration(rapid.IntRange(1, 20).Draw(rt, "seconds to stop"))*time.Second)
		for _, o := range odd {
			o.site.calm()
			if rapid.IntRange(0, 5).Draw(rt, "delete the group") == 0 {
				w.deleteGroups(ctx, rt, o)
			}
		}
	}
	for _, s := range w.sites {
		s.quit()
	}
	w.start(ctx, rt)
	<-time.After(5 * time.Minute)
	w.stop(ctx, rt, w.cfg.ShutdownTimeout)
	return odd
}

// settings draws the settings of a tenant.
func (w *world) settings(rt *rapid.T, c *config.Tenant) {
	policy := rapid.SampledFrom([]config.Policy{config.Restamp, config.DeadLetter})
	c.CloudWatch.TooOld = policy.Draw(rt, "too_old")
	c.CloudWatch.TooLarge = rapid.SampledFrom([]config.Policy{config.Trim, config.DeadLetter}).Draw(rt, "too_large")
	c.CloudWatch.InFlight = rapid.IntRange(1, 4).Draw(rt, "in_flight")
	c.CloudWatch.LogGroup = rapid.SampledFrom([]string{"/auth0/{tenant}", "/auth0/{tenant}/{date}"}).Draw(rt, "log_group")
	c.CloudWatch.LogStream = rapid.SampledFrom([]string{"logs", "{category}/{date}"}).Draw(rt, "log_stream")
	c.Overlap.Window, c.Overlap.Every = time.Hour, 5 // every late event is found
}

// faulty draws the faults of one life.
func (s *site) faulty(rt *rapid.T) {
	s.auth0.Add(rapid.SliceOfN(fault(emulator.Kinds(), "GET /api/v2/logs", "POST /oauth/token", ""), 0, 3).Draw(rt, "faults of Auth0")...)
	s.aws.Add(rapid.SliceOfN(fault(emulator.Kinds(), "PutLogEvents", "PutLogEvents", "Create*", "Describe*", read), 0, 4).Draw(rt, "faults of AWS")...)
}

// calm ends all faults.
func (s *site) calm() {
	s.auth0.Clear()
	s.aws.Clear()
}

// deleteGroups deletes all log groups of a tenant with what is in them.
func (w *world) deleteGroups(ctx context.Context, rt *rapid.T, o *oddities) {
	for _, e := range w.everything(ctx, rt, o.site) {
		o.gone[idOf([]byte(e.Message))]++
	}
	for _, group := range w.groups(ctx, rt, o.site) {
		if _, err := o.site.admin(w).DeleteLogGroup(ctx, &logs.DeleteLogGroupInput{LogGroupName: aws.String(group)}); err != nil {
			rt.Fatal(err)
		}
	}
}

// read is the operation that looks up what may have arrived.
const read = "GetLogEvents"

// fault draws a fault of some kinds for some operations.
func fault(kinds []emulator.FaultKind, operations ...string) *rapid.Generator[emulator.Fault] {
	answers := []emulator.Fault{
		{Status: 500},
		{Status: 502, Body: "<html>"},
		{Status: 503, Header: map[string]string{"Retry-After": "7"}},
		{Status: 429},
		{Status: 401, Body: `{"statusCode":401,"error":"Unauthorized","message":"Invalid token"}`},
		{Status: 403},
		awsError(400, "ThrottlingException"), awsError(400, "AccessDeniedException"), awsError(400, "OperationAbortedException"),
	}
	return rapid.Custom(func(rt *rapid.T) emulator.Fault {
		f := emulator.Fault{Kind: rapid.SampledFrom(kinds).Draw(rt, "kind")}
		if f.Kind == emulator.FaultAnswer {
			f = rapid.SampledFrom(answers).Draw(rt, "answer")
		}
		if f.Kind == emulator.FaultDelay {
			f.Delay = time.Duration(rapid.IntRange(1, 60).Draw(rt, "delay")) * time.Second
		}
		f.Match = rapid.SampledFrom(operations).Draw(rt, "operation")
		if f.Match == read && f.Status >= 400 && f.Status < 500 { // it would say that nothing can be looked up
			f = awsError(400, "ThrottlingException")
			f.Match = read
		}
		f.Header = maps.Clone(f.Header)
		f.After = rapid.IntRange(0, 5).Draw(rt, "after")
		f.Times = rapid.IntRange(1, 6).Draw(rt, "times")
		return f
	})
}
