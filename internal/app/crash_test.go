package app_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/gaplesslogs/gapless/internal/app"
	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/emulator"
	"github.com/gaplesslogs/gapless/internal/emulator/cloudwatch"
	"github.com/gaplesslogs/gapless/internal/emulator/tenant"
)

// childEnv holds the childSpec of a child process.
const childEnv = "GAPLESS_APP_CHILD"

// A childSpec is what a child process exports, and where to.
type childSpec struct {
	Dir, Auth0, AWS, ClientID, ClientSecret string
	LogStream                               string
	InFlight                                int
	Webhook, Token                          string // of a child that is pushed to alone
	StartFrom                               string // empty for the default
	Backfill                                string // all that it does, if it is set
}

// config is what a person would write down for it.
func (c childSpec) config() (*config.Config, error) {
	cfg := config.Default()
	cfg.DataDir, cfg.Listen, cfg.AWS.Region, cfg.AWS.Endpoint = c.Dir, "", "us-east-1", c.AWS
	t := config.NewTenant()
	t.Name, t.Domain, t.ClientID, t.PollInterval = "dev", c.Auth0, c.ClientID, 100*time.Millisecond
	t.CloudWatch.InFlight, t.CloudWatch.Linger = c.InFlight, 10*time.Millisecond
	t.CloudWatch.LogStream = c.LogStream
	t.CloudWatch.InDoubtWait = 0 // the emulator shows at once what it has taken
	if c.StartFrom != "" {
		t.StartFrom = c.StartFrom
	}
	cfg.Tenants = []config.Tenant{t}
	var err error
	if c.Webhook != "" {
		cfg.Webhook.Listen = c.Webhook
		cfg.Tenants[0].Webhook.Token, err = config.ParseSecret(c.Token)
		return cfg, err
	}
	cfg.Tenants[0].ClientSecret, err = config.ParseSecret(c.ClientSecret)
	return cfg, err
}

// open makes the App of it.
func (c childSpec) open(ctx context.Context, once bool) (*app.App, error) {
	cfg, err := c.config()
	if err != nil {
		return nil, err
	}
	return app.New(ctx, app.Options{
		Config: cfg, Logger: slog.New(slog.DiscardHandler), Once: once, Backfill: c.Backfill,
		AWSCredentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "example-secret", ""),
	})
}

// childMain plays the part of a child process, if this is one, and does not
// return then: it exports until it is killed, or its parent has ended.
func childMain() {
	text := os.Getenv(childEnv)
	if text == "" {
		return
	}
	ctx := context.Background()
	var spec childSpec
	err := json.Unmarshal([]byte(text), &spec)
	var a *app.App
	if err == nil {
		a, err = spec.open(ctx, false)
	}
	if err == nil {
		if err = a.Start(ctx); err == nil {
			_, err = io.Copy(io.Discard, os.Stdin)
		}
		err = errors.Join(err, a.Stop(ctx))
	}
	fmt.Fprintln(os.Stderr, "the child ended:", err)
	os.Exit(1)
}

// A moment is when to kill a child: at the n-th time that a request is at a point
// of its way. A moment without a point is any. One with an end comes then at the
// latest; any other must come.
type moment struct {
	operation, point string
	n                int
	end              time.Duration
}

// The points of a request's way.
const (
	asked    = "asked"    // it has arrived, and nothing was done
	worked   = "worked"   // what it asks for is done, and the child does not know
	answered = "answered" // the child has the answer
)

// A gate stands before both services and watches for the moment.
type gate struct {
	mu      sync.Mutex
	moment  moment
	reached chan struct{} // closed at the moment
	killed  chan struct{} // closed by the parent after the kill
}

// newGate waits for a moment.
func newGate(m moment) *gate {
	return &gate{moment: m, reached: make(chan struct{}), killed: make(chan struct{})}
}

// pass lets a request go on, unless it is the one to wait for: that one stays
// until the child is dead, and is dropped.
func (g *gate) pass(operation, point string) {
	g.mu.Lock()
	hit := false
	if g.moment.operation == operation && g.moment.point == point {
		g.moment.n--
		hit = g.moment.n == 0
	}
	g.mu.Unlock()
	if hit {
		close(g.reached)
		<-g.killed
		panic(http.ErrAbortHandler)
	}
}

// wrap puts the gate before a service.
func (g *gate) wrap(operation func(*http.Request) string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		op := operation(r)
		g.pass(op, asked)
		rec := httptest.NewRecorder()
		next.ServeHTTP(rec, r)
		g.pass(op, worked)
		maps.Copy(w.Header(), rec.Header())
		w.WriteHeader(rec.Code)
		_, _ = w.Write(rec.Body.Bytes()) // the child may be dead
		_ = http.NewResponseController(w).Flush()
		g.pass(op, answered)
	})
}

// TestKilledAgainAndAgain kills a real process at every step of an event's way
// and at any moment, again and again on the same data directory, with answers
// that are lost from the middle on. In the end every event is there, and each of
// them once. The flag -kills makes it long: see make crashtest.
func TestKilledAgainAndAgain(t *testing.T) {
	t.Parallel()
	const logs, put = "GET /api/v2/logs", "PutLogEvents"
	moments := []moment{
		{"POST /oauth/token", worked, 1, 0},
		{logs, asked, 3, 0},
		{logs, worked, 5, 0},
		{logs, answered, 4, 0}, // around Append
		{put, asked, 1, 0},
		{put, asked, 2, 0}, // after Next; the second time also after Settle
		{put, worked, 1, 0},
		{put, worked, 3, 0}, // after Deliver, before Settle
		{put, answered, 1, 0},
		{put, answered, 2, 0}, // in or after Settle
		{put, worked, 1, 0},
		{put, worked, 1, 0}, // the same batch, now with what came meanwhile
	}
	if testing.Short() {
		moments = moments[3:8]
	}
	undisturbed := len(moments)
	for range max(11, *kills-undisturbed) {
		moments = append(moments, anyMoment())
	}
	c := newCrash(t, *kills > 0)
	for round, m := range moments {
		c.spec.InFlight = 1 + 3*(round%2)
		c.spec.LogStream = []string{"logs", "{category}"}[rand.IntN(2)]
		if round >= undisturbed {
			c.disturb()
		}
		c.killAt(t, m)
		c.examine(t, round, c.calm())
	}
	c.finish(t, len(moments))
}

// crash is the world around the children.
type crash struct {
	tenant     *tenant.Server
	cloudwatch *cloudwatch.Server
	spec       childSpec
	stop       func() // ends the live traffic
	// auth0 and aws are the faults of the services; hits counts what they did.
	auth0, aws *emulator.Faults
	hits       map[string]int
	long       bool
	// doubts are the messages that were in the stream when a child was killed
	// that still had them in its buffer.
	doubts map[string]bool
}

// newCrash makes a tenant with a history in which things go on happening, many
// of them in a long run.
func newCrash(t *testing.T, long bool) *crash {
	t.Helper()
	c := &crash{
		long: long, doubts: make(map[string]bool), hits: make(map[string]int),
		auth0: emulator.NewFaults(), aws: emulator.NewFaults(),
	}
	history, rate := 1500, 100.0
	if long {
		history, rate = 20_000, 300
	}
	var err error
	if c.tenant, err = tenant.New(tenant.Options{Faults: c.auth0}); err != nil {
		t.Fatal(err)
	}
	if err := c.tenant.Generate(history, time.Now().Add(-time.Hour), time.Now().Add(-time.Minute)); err != nil {
		t.Fatal(err)
	}
	if c.cloudwatch, err = cloudwatch.New(cloudwatch.Options{Faults: c.aws}); err != nil {
		t.Fatal(err)
	}
	c.spec.Dir = t.TempDir()
	c.spec.ClientID, c.spec.ClientSecret = c.tenant.Credentials()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var traffic sync.WaitGroup
	traffic.Go(func() {
		if err := c.tenant.Run(ctx, rate); err != nil {
			t.Error(err)
		}
	})
	c.stop = func() { cancel(); traffic.Wait() }
	t.Cleanup(func() {
		c.stop()
		if err := errors.Join(c.tenant.Close(), c.cloudwatch.Close()); err != nil {
			t.Error(err)
		}
	})
	return c
}

// serve opens both services, for one child: when they are closed no request of
// it is left anywhere.
func (c *crash) serve(g *gate) (end func()) {
	operation := func(r *http.Request) string { return r.Method + " " + r.URL.Path }
	auth0 := httptest.NewServer(g.wrap(operation, c.tenant))
	aws := httptest.NewServer(g.wrap(cloudwatch.Operation, c.cloudwatch))
	c.spec.Auth0, c.spec.AWS = auth0.URL, aws.URL
	return func() { auth0.Close(); aws.Close() }
}

// killAt starts a child and kills it at a moment.
func (c *crash) killAt(t *testing.T, m moment) {
	t.Helper()
	g := newGate(m)
	closeAll := c.serve(g)
	defer closeAll()
	defer close(g.killed)
	kill, ended := c.spec.spawn(t)
	defer kill()
	var end <-chan time.Time
	if m.end > 0 {
		end = time.After(m.end)
	}
	select {
	case <-g.reached:
	case <-end:
	case err := <-ended:
		t.Fatalf("the child ended by itself: %v", err)
	case <-time.After(time.Minute):
		t.Errorf("the child did not come to %+v", m)
	}
}

// spawn starts a child process. kill ends it with SIGKILL, and ended tells if it
// does by itself.
func (c childSpec) spawn(t *testing.T) (kill func(), ended <-chan error) {
	t.Helper()
	spec, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Env = append(os.Environ(), childEnv+"="+string(spec))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	result := make(chan error, 1)
	go func() { result <- cmd.Wait(); close(result) }()
	return func() {
		if err := cmd.Process.Kill(); err != nil {
			t.Error(err)
		}
		if err := <-result; err == nil {
			t.Error("the child ended well, although it was killed")
		}
		_ = in.Close()
	}, result
}
