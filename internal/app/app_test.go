package app_test

import (
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/gaplesslogs/gapless/internal/app"
	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/emulator"
	"github.com/gaplesslogs/gapless/internal/emulator/cloudwatch"
	"github.com/gaplesslogs/gapless/internal/emulator/tenant"
	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/store"
)

const history = 450

// bench is a tenant with a history, a CloudWatch Logs endpoint, and the
// configuration that joins them.
type bench struct {
	tenant     *tenant.Server
	cloudwatch *cloudwatch.Server
	cfg        *config.Config
	awsFaults  *emulator.Faults
}

// newBench starts the emulators on loopback.
func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{awsFaults: emulator.NewFaults()}
	var err error
	if b.tenant, err = tenant.New(tenant.Options{ClientID: "abc", ClientSecret: "s3cret"}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.tenant.Close() })
	if err := b.tenant.Generate(history, time.Now().Add(-6*time.Hour), time.Now().Add(-time.Minute)); err != nil {
		t.Fatal(err)
	}
	if b.cloudwatch, err = cloudwatch.New(cloudwatch.Options{Faults: b.awsFaults}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.cloudwatch.Close() })
	serve := func(h http.Handler) string {
		s := httptest.NewServer(h)
		t.Cleanup(s.Close)
		return s.URL
	}
	secret, err := config.ParseSecret("s3cret")
	if err != nil {
		t.Fatal(err)
	}
	b.cfg = config.Default()
	b.cfg.DataDir, b.cfg.Listen = t.TempDir(), "127.0.0.1:0"
	b.cfg.AWS.Region, b.cfg.AWS.Endpoint = "us-east-1", serve(b.cloudwatch)
	tc := config.NewTenant()
	tc.Name, tc.Domain, tc.ClientID, tc.ClientSecret = "dev", serve(b.tenant), "abc", secret
	b.cfg.Tenants = []config.Tenant{tc}
	return b
}

// open makes an App that the test stops.
func (b *bench) open(t *testing.T, once bool) (*app.App, error) {
	t.Helper()
	a, err := app.New(t.Context(), app.Options{
		Config: b.cfg, Logger: slog.New(slog.DiscardHandler), Once: once,
		AWSCredentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	})
	if err == nil {
		t.Cleanup(func() { stop(t, a) })
	}
	return a, err
}

// stop ends an App; a second time does nothing.
func stop(t *testing.T, a *app.App) {
	t.Helper()
	if err := a.Stop(t.Context()); err != nil && t.Context().Err() == nil {
		t.Errorf("stop: %v", err)
	}
}

// once runs an App until everything is delivered.
func (b *bench) once(t *testing.T) {
	t.Helper()
	a, err := b.open(t, true)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-a.Done()
	if err := a.Err(); err != nil {
		t.Fatal(err)
	}
	stop(t, a)
}

// compare checks that the stream holds what the tenant does, each event once,
// byte for byte and under its own date.
func (b *bench) compare(t *testing.T) {
	t.Helper()
	want := make(map[string]bool)
	for _, raw := range b.tenant.Events() {
		want[string(raw)] = true
	}
	for _, e := range b.cloudwatch.Events("/auth0/dev", "logs") {
		if !want[e.Message] {
			t.Fatalf("the stream holds an event twice, or one that the tenant does not hold: %.100s", e.Message)
		}
		delete(want, e.Message)
	}
	if len(want) > 0 {
		t.Errorf("%d events are missing", len(want))
	}
}

func TestHistoryArrivesOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.once(t)
	b.compare(t)
	b.once(t) // and again: nothing new, nothing twice, and the token is reused
	b.compare(t)
	if n := b.tenant.Stats().Tokens; n != 1 {
		t.Errorf("%d tokens were asked for, want one for both runs", n)
	}
}

func TestFaultsAreOvercome(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.awsFaults.Add(
		emulator.Fault{Match: "PutLogEvents", Kind: "answer", Status: 400, Body: `{"__type":"ThrottlingException","message":"Rate exceeded"}`},
		emulator.Fault{Match: "PutLogEvents", Kind: "cut"},
	)
	b.tenant.Faults().Add(
		emulator.Fault{Match: "GET /api/v2/logs", Kind: "answer", Status: 502, Body: "<html>"},
		emulator.Fault{Match: "GET /api/v2/logs", Kind: "truncate"},
	)
	b.once(t)
	b.compare(t)
}

func TestOnceEndsWhenAPersonMustAct(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.awsFaults.Add(emulator.Fault{Match: "PutLogEvents", Kind: "answer", Status: 400, Times: -1, Body: `{"__type":"AccessDeniedException","message":"not authorized"}`})
	a, err := b.open(t, true)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-a.Done()
	if e := pipeline.Classify(a.Err()); e.Class != pipeline.Unauthorized || e.Hint == "" {
		t.Errorf("got %v of class %v and hint %q, want an unauthorized one with a hint", a.Err(), e.Class, e.Hint)
	}
	resp, err := http.Get("http://" + a.Addr() + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("readyz answered %d, want 503", resp.StatusCode)
	}
	stop(t, a)
	b.awsFaults.Clear()
	b.once(t)
	b.compare(t)
}

func TestStartFromIsGuarded(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.once(t)
	b.cfg.Tenants[0].StartFrom = "latest"
	_, err := b.open(t, false)
	if e := pipeline.Classify(err); e.Class != pipeline.Misconfigured || !strings.Contains(e.Hint, "gapless cursor reset --tenant dev") {
		t.Fatalf("got %v with hint %q, want a refusal that names the command", err, e.Hint)
	}
	if err := app.ResetCursor(t.Context(), b.cfg, "dev"); err != nil {
		t.Fatal(err)
	}
	b.cfg.Tenants[0].StartFrom = "earliest"
	b.once(t) // reads everything again, and drops it
	b.compare(t)
}

func TestOneProcessPerDirectory(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	if _, err := b.open(t, false); err != nil {
		t.Fatal(err)
	}
	if _, err := b.open(t, false); !errors.Is(err, store.ErrLocked) {
		t.Errorf("got %v, want that the directory is in use", err)
	}
	o, err := app.ReadOverview(t.Context(), b.cfg, "test")
	if err != nil || !o.Running || len(o.Tenants) != 1 {
		t.Errorf("read beside it: %+v, %v; want one tenant of a running process", o, err)
	}
}
