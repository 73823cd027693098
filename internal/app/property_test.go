package app_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	logs "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"pgregory.net/rapid"

	"github.com/gaplesslogs/gapless/internal/app"
	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/emulator"
	"github.com/gaplesslogs/gapless/internal/emulator/cloudwatch"
	"github.com/gaplesslogs/gapless/internal/emulator/tenant"
	"github.com/gaplesslogs/gapless/internal/store"
)

// TestNothingLostNothingTwice is the promise of the product: whatever traffic,
// faults on both sides, stops and restarts, in the end each event that the
// tenant held is in the stream once, or in the dead letters with a reason.
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
			w := newWorld(rt, dir, tenant.Unlimited, "dev")
			defer w.close(t.Context(), rt)
			w.lives(t.Context(), rt)
			w.audit(t.Context(), rt)
		})
	})
}

// lives draws a life of the tenant and of the App, and leaves the App stopped,
// after a time without faults that is enough to deliver everything.
func (w *world) lives(ctx context.Context, rt *rapid.T) {
	s, c := w.sites[0], &w.cfg.Tenants[0]
	c.CloudWatch.TooOld = rapid.SampledFrom([]config.Policy{config.Restamp, config.DeadLetter}).Draw(rt, "too_old")
	c.CloudWatch.InFlight = rapid.IntRange(1, 4).Draw(rt, "in_flight")
	c.CloudWatch.LogStream = rapid.SampledFrom([]string{"logs", "{category}/{date}"}).Draw(rt, "log_stream")
	w.cfg.MaxBufferBytes = rapid.SampledFrom([]config.Size{10 << 30, 32 << 10}).Draw(rt, "max_buffer_bytes")
	if err := s.tenant.Generate(rapid.IntRange(0, 150).Draw(rt, "history"), time.Now().Add(-20*24*time.Hour), time.Now()); err != nil {
		rt.Fatal(err)
	}
	s.live(ctx, rt, rapid.Float64Range(0, 0.5).Draw(rt, "rate"))
	for range rapid.IntRange(1, 4).Draw(rt, "lives") {
		s.auth0.Clear()
		s.aws.Clear()
		s.auth0.Add(rapid.SliceOfN(fault(emulator.Kinds(), "GET /api/v2/logs", "POST /oauth/token", ""), 0, 3).Draw(rt, "faults of Auth0")...)
		s.aws.Add(rapid.SliceOfN(fault(emulator.Kinds(), "PutLogEvents", "PutLogEvents", "Create*", "Describe*", read), 0, 4).Draw(rt, "faults of AWS")...)
		w.start(ctx, rt)
		<-time.After(time.Duration(rapid.IntRange(0, 200_000).Draw(rt, "life in ms")) * time.Millisecond)
		w.stop(ctx, rt, time.Duration(rapid.IntRange(1, 20).Draw(rt, "seconds to stop"))*time.Second)
	}
	s.quit()
	s.auth0.Clear()
	s.aws.Clear()
	w.start(ctx, rt)
	<-time.After(5 * time.Minute)
	w.stop(ctx, rt, w.cfg.ShutdownTimeout)
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
		f.After = rapid.IntRange(0, 5).Draw(rt, "after")
		f.Times = rapid.IntRange(1, 6).Draw(rt, "times")
		return f
	})
}

// audit compares what the tenant holds with what is delivered and what lies in
// the dead letters, and the figures with both.
func (w *world) audit(ctx context.Context, rt *rapid.T) {
	s := w.sites[0]
	s.note()
	s.streams = w.list(ctx, rt)
	got, letters := s.delivered(), w.letters(ctx, rt)
	w.auditFigures(ctx, rt, len(got), len(letters))
	for raw := range s.held {
		if got[raw]+letters[raw] != 1 {
			rt.Errorf("an event is delivered %d times and %d times in the dead letters: %.120s", got[raw], letters[raw], raw)
		}
		delete(got, raw)
		delete(letters, raw)
	}
	if len(got)+len(letters) > 0 {
		rt.Errorf("%d events are in the stream and %d in the dead letters that the tenant did not hold", len(got), len(letters))
	}
	for _, e := range s.stored() {
		if date := dateOf(e.Message); e.Timestamp != date.UnixMilli() && !w.restamped(e, date) {
			rt.Errorf("an event of %s stands at %s", date, time.UnixMilli(e.Timestamp).UTC())
		}
	}
	if n := s.disorder.Load(); n > 0 {
		rt.Errorf("%d calls had events out of order", n)
	}
}

// list returns the names of the streams, empty when there is no group.
func (w *world) list(ctx context.Context, rt *rapid.T) (names []string) {
	pages := logs.NewDescribeLogStreamsPaginator(w.sites[0].admin(w), &logs.DescribeLogStreamsInput{LogGroupName: aws.String("/auth0/dev")})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			rt.Fatal(err) // App looks for its destination at the start, and makes it
		}
		for _, x := range page.LogStreams {
			names = append(names, aws.ToString(x.LogStreamName))
		}
	}
	return names
}

// restamped reports whether an event older than CloudWatch Logs takes stands
// where docs/config.md says: at the oldest timestamp that is accepted.
func (w *world) restamped(e cloudwatch.StoredEvent, date time.Time) bool {
	const margin = 11 * time.Minute // kept from the edge, and a slow call
	edge := time.UnixMilli(e.Ingested).Add(-14 * 24 * time.Hour)
	at := time.UnixMilli(e.Timestamp)
	return w.cfg.Tenants[0].CloudWatch.TooOld == config.Restamp && date.Before(at) && !at.Before(edge) && at.Before(edge.Add(margin))
}

// letters counts what lies in the dead letters, by its bytes.
func (w *world) letters(ctx context.Context, rt *rapid.T) map[string]int {
	r, err := store.OpenReadOnly(ctx, w.cfg.DataDir)
	if err != nil {
		rt.Fatal(err)
	}
	list, err := r.DeadLetters(ctx, "dev", 10_000)
	if err := errors.Join(err, r.Close()); err != nil {
		rt.Fatal(err)
	}
	out := make(map[string]int)
	for _, l := range list {
		if l.Reason != "too_old" || w.cfg.Tenants[0].CloudWatch.TooOld != config.DeadLetter {
			rt.Errorf("a dead letter for reason %s: %s", l.Reason, l.Detail)
		}
		out[string(l.Event.Raw)]++
	}
	return out
}

// auditFigures holds what status tells against what is there.
func (w *world) auditFigures(ctx context.Context, rt *rapid.T, delivered, letters int) {
	o, err := app.ReadOverview(ctx, w.cfg, "test")
	if err != nil {
		rt.Fatal(err)
	}
	f := o.Tenants[0]
	type figures struct{ Stored, Delivered, Rejected, Letters, Buffered, Gaps int64 }
	got := figures{f.Stored, f.Delivered, f.Rejected["too_old"], f.DeadLetters, f.Buffered, int64(len(f.Gaps))}
	n := int64(letters)
	if want := (figures{int64(len(w.sites[0].held)), int64(delivered), n, n, 0, 0}); got != want {
		rt.Errorf("status tells %+v, but there is %+v", got, want)
	}
}
