package source_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidwall/gjson"

	"github.com/gaplesslogs/gapless/internal/auth0"
	"github.com/gaplesslogs/gapless/internal/emulator"
	"github.com/gaplesslogs/gapless/internal/emulator/tenant"
	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/pipeline/pipelinetest"
	"github.com/gaplesslogs/gapless/internal/source"
)

// emulated makes an emulated tenant with a history and a poll on it that speaks
// HTTP through the real client.
func emulated(t *testing.T, opts tenant.Options, events int, ago time.Duration) (*tenant.Server, *source.Poll) {
	t.Helper()
	s, err := tenant.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	if events > 0 {
		if err := s.Generate(events, time.Now().Add(-ago), time.Now().Add(-time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	return s, source.NewPoll(source.DefaultPollConfig(), clientOf(t, s), source.Deps{})
}

// clientOf makes a client of an emulated tenant.
func clientOf(t *testing.T, s *tenant.Server) *auth0.Client {
	t.Helper()
	id, secret := s.Credentials()
	c, err := auth0.New(auth0.Config{Domain: "dev-tenant.us.auth0.com", ClientID: id, ClientSecret: secret},
		auth0.Deps{HTTPClient: &http.Client{Transport: emulator.Transport(s)}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// listed returns the log_ids that an emulated tenant holds.
func listed(s *tenant.Server) []string {
	var ids []string
	for _, raw := range s.Events() {
		ids = append(ids, gjson.GetBytes(raw, "log_id").Str)
	}
	return ids
}

// ingest runs a poll as pipeline.Ingest does: it starts again from the stored
// cursor after each error, when the wait of its class is over.
func ingest(ctx context.Context, p *source.Poll, disk *pipelinetest.Pages) {
	var b pipeline.Backoff
	for ctx.Err() == nil {
		err := p.Run(ctx, disk.Cursor(), disk.Emit)
		if pipeline.Wait(ctx, b.Next(pipeline.Classify(err))) != nil {
			return
		}
	}
}

// TestEmulatedTenant reads tenants of each plan to their end, with new events
// coming in.
func TestEmulatedTenant(t *testing.T) {
	t.Parallel()
	for _, plan := range tenant.Plans() {
		t.Run(string(plan), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, p := emulated(t, tenant.Options{Plan: plan, Seed: 1}, 1500, 10*time.Hour)
				ctx, cancel := context.WithTimeoutCause(t.Context(), 10*time.Minute, errEnd)
				defer cancel()
				go func() {
					if err := s.Run(ctx, 1); err != nil && !errors.Is(err, errEnd) && ctx.Err() == nil {
						t.Error(err)
					}
				}()
				disk := new(pipelinetest.Pages)
				go ingest(ctx, p, disk)
				<-time.After(9 * time.Minute)
				ids := listed(s)
				if missing := disk.Missing(ids[:len(ids)-120]); len(missing) > 0 {
					t.Errorf("%d of %d events are missing", len(missing), len(ids))
				}
				if n := duplicates(disk); n > 0 {
					t.Errorf("%d events came twice", n)
				}
			})
		})
	}
}

// TestEmulatedFaults lets everything go wrong that the emulator knows.
func TestEmulatedFaults(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, p := emulated(t, tenant.Options{Seed: 2}, 3000, 10*time.Hour)
		for i, kind := range emulator.Kinds() {
			s.Faults().Add(emulator.Fault{Match: "GET /api/v2/logs", After: 2 + 3*i, Times: 2, Kind: kind, Delay: time.Second})
		}
		s.Faults().Add(emulator.Fault{Match: "GET /api/v2/logs", After: 30, Status: 401, Body: `{"statusCode":401,"error":"Unauthorized","message":"Invalid token"}`})
		s.Faults().Add(emulator.Fault{Match: "POST /oauth/token", Kind: emulator.FaultCut})
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Hour, errEnd)
		defer cancel()
		disk := new(pipelinetest.Pages)
		go ingest(ctx, p, disk)
		<-time.After(30 * time.Minute)
		if missing := disk.Missing(listed(s)); len(missing) > 0 {
			t.Errorf("%d events are missing, the cursor is %s", len(missing), disk.Cursor())
		}
		for _, f := range s.Faults().List() {
			if !f.Spent {
				t.Errorf("fault %+v did not strike", f.Fault)
			}
		}
	})
}

// TestEmulatedRetention stops for longer than the free plan keeps events.
func TestEmulatedRetention(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, p := emulated(t, tenant.Options{Retention: 24 * time.Hour, Seed: 3}, 500, 20*time.Hour)
		disk := new(pipelinetest.Pages)
		end := startOn(t, p, "", disk)
		<-time.After(time.Minute)
		if err := end(); !errors.Is(err, errEnd) {
			t.Fatal(err)
		}
		stood := disk.Cursor()
		<-time.After(50 * time.Hour)
		if err := s.Generate(300, time.Now().Add(-10*time.Hour), time.Now().Add(-time.Minute)); err != nil {
			t.Fatal(err)
		}
		later := source.NewPoll(source.DefaultPollConfig(), clientOf(t, s), source.Deps{})
		end = startOn(t, later, stood, disk)
		<-time.After(time.Minute)
		if err := end(); !errors.Is(err, errEnd) {
			t.Fatal(err)
		}
		got := gaps(disk)
		if len(got) != 1 || event.Cursor(got[0].FromID) != stood || got[0].FromTime.IsZero() || !got[0].ToTime.After(got[0].FromTime) {
			t.Errorf("gaps %+v, want one from %s", got, stood)
		}
		if missing := disk.Missing(listed(s)); len(missing) > 0 {
			t.Errorf("%d events are missing", len(missing))
		}
	})
}

// TestEmulatedLateEvents lists events whose ids are lower than ones that were
// read already.
func TestEmulatedLateEvents(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, p := emulated(t, tenant.Options{Plan: tenant.Free, Seed: 4}, 100, time.Hour)
		ctx, cancel := context.WithTimeoutCause(t.Context(), 10*time.Minute, errEnd)
		defer cancel()
		disk := new(pipelinetest.Pages)
		go ingest(ctx, p, disk)
		for range 20 {
			<-time.After(10 * time.Second)
			if err := s.Generate(1, time.Now().Add(-time.Second), time.Now()); err != nil {
				t.Error(err)
			}
			<-time.After(5 * time.Second)
			if _, err := s.AppendLate(20 * time.Second); err != nil {
				t.Error(err)
			}
		}
		<-time.After(time.Minute)
		if missing := disk.Missing(listed(s)); len(missing) > 0 {
			t.Errorf("%d events are missing: %q", len(missing), missing)
		}
	})
}
