package tenant_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/gaplesslogs/gapless/internal/emulator"
	"github.com/gaplesslogs/gapless/internal/emulator/tenant"
	"github.com/gaplesslogs/gapless/internal/event"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestGenerateSpreadsHistory(t *testing.T) {
	t.Parallel()
	s := start(t, tenant.Options{Retention: -1})
	day := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	for range 2 { // the second one comes between the events of the first
		if err := s.Generate(1000, day, day.Add(24*time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	ids := idsOf(t, s)
	if len(ids) != 2000 || !isSorted(ids) || len(slices.Compact(slices.Clone(ids))) != 2000 {
		t.Fatal("the ids are not 2,000, ascending and unique")
	}
	byHour := make(map[int]int)
	for _, id := range ids {
		at, _ := event.TimeInID(id)
		if at.Before(day) || !at.Before(day.Add(24*time.Hour)) {
			t.Errorf("%s lies outside", at)
		}
		byHour[at.Hour()]++
	}
	for hour := range 24 {
		if byHour[hour] < 75 || byHour[hour] > 92 {
			t.Errorf("%d events in hour %d", byHour[hour], hour)
		}
	}
	if err := s.Generate(1, day, day.Add(-time.Second)); err == nil {
		t.Error("a span that runs backwards was taken")
	}
}

// However thin a history is, what happens in one moment is stored in one: ids
// share their time, and dates come out of order.
func TestThinHistoryIsUntidyToo(t *testing.T) {
	t.Parallel()
	s := start(t, tenant.Options{Retention: -1, Seed: 8})
	began := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	const n = 3000
	if err := s.Generate(n, began, began.Add(30*24*time.Hour)); err != nil {
		t.Fatal(err)
	}
	var before event.Event
	var shared, inverted int
	for _, raw := range s.Events() {
		ev, err := event.Parse(raw, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if before.LogID != "" && ev.LogID[:23] == before.LogID[:23] {
			shared++
		}
		if ev.Date.Before(before.Date) {
			inverted++
		}
		before = ev
	}
	if shared < n/50 || shared > n/4 || inverted < n/100 || inverted > n/4 {
		t.Errorf("of %d neighbours %d share the time in their ids and %d are inverted", n, shared, inverted)
	}
}

func TestRunKeepsTheRate(t *testing.T) {
	t.Parallel()
	for rate, minutes := range map[float64]int{0.1: 10, 5: 10, 300: 1} {
		t.Run(fmt.Sprint(rate), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := start(t, tenant.Options{})
				ctx, stop := context.WithCancel(t.Context())
				ended := make(chan error)
				go func() { ended <- s.Run(ctx, rate) }()
				<-time.After(time.Duration(minutes)*time.Minute + time.Millisecond)
				stop()
				if err := <-ended; err != nil {
					t.Error(err)
				}
				if want := int(float64(60*minutes) * rate); s.Len() < want-1 || s.Len() > want {
					t.Errorf("%d events in %d minutes, want %d", s.Len(), minutes, want)
				}
				if !isSorted(idsOf(t, s)) {
					t.Error("the ids do not ascend")
				}
			})
		})
	}
}

func TestCloseEndsRuns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, err := tenant.New(tenant.Options{})
		if err != nil {
			t.Fatal(err)
		}
		var runs sync.WaitGroup
		for _, rate := range []float64{0, 10} {
			runs.Go(func() {
				if err := s.Run(context.Background(), rate); err != nil {
					t.Error(err)
				}
			})
		}
		<-time.After(time.Minute)
		for range 2 {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
		runs.Wait()
		if err := s.Run(t.Context(), 1); !errors.Is(err, tenant.ErrClosed) {
			t.Errorf("Run after Close: %v", err)
		}
		if err := s.Append([]byte(`{"log_id":"x"}`)); !errors.Is(err, tenant.ErrClosed) {
			t.Errorf("Append after Close: %v", err)
		}
	})
}

func TestRestart(t *testing.T) {
	t.Parallel()
	opts := tenant.Options{DataDir: filepath.Join(t.TempDir(), "data"), Seed: 3}
	s, err := tenant.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	history(t, s, 300)
	for _, raw := range []string{"{\"log_id\": \"odd\",\n \"n\":1.0, \"s\":\"a\\tb <&> \u2028\"}", `{ "log_id" : "plain" }`} {
		if err := s.Append([]byte(raw)); err != nil {
			t.Fatal(err)
		}
	}
	c := login(t, s)
	if a := c.post("/api/v2/users", newUser); a.status != http.StatusCreated {
		t.Fatal(a.text())
	}
	want := texts(s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	again := start(t, opts)
	if diff := cmp.Diff(want, texts(again)); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	c2 := newClient(t, again)
	c2.token = c.token
	if a := c2.post("/api/v2/users", newUser); a.status != http.StatusConflict {
		t.Errorf("the same user again, with the token from before: %s", a.text())
	}
	history(t, again, 50)
	login(t, again)
	usual := slices.DeleteFunc(idsOf(t, again), func(id string) bool { return len(id) != 56 })
	if len(usual) != 300+2+50+1 || !isSorted(usual) {
		t.Errorf("%d events after the restart, want 353 in order", len(usual))
	}
}

func TestDataDirectoryHasOneUser(t *testing.T) {
	t.Parallel()
	opts := tenant.Options{DataDir: t.TempDir()}
	s, err := tenant.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tenant.New(opts); !errors.Is(err, tenant.ErrInUse) {
		t.Errorf("the second server: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	start(t, opts)
}

// A crash may leave half a line at the end of the file.
func TestRestartAfterCrash(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "tenant.jsonl")
	if err := os.WriteFile(file, []byte("{\"at\":1795000000000,\"event\":{\"log_id\":\"whole\"}}\n{\"at\":17950"), 0o600); err != nil {
		t.Fatal(err)
	}
	opts := tenant.Options{DataDir: dir, Retention: -1}
	for i := range 2 {
		s, err := tenant.New(opts)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Append(fmt.Appendf(nil, `{"log_id":"run %d"}`, i)); err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	if diff := cmp.Diff([]string{"whole", "run 0", "run 1"}, idsOf(t, start(t, opts))); diff != "" {
		t.Errorf("ids (-want +got):\n%s", diff)
	}
}

func TestBrokenJournalIsRefused(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"no JSON":    "nonsense\n",
		"no event":   "{\"event\":[]}\n",
		"no user":    "{\"user\":[]}\n",
		"same twice": "{\"event\":{\"log_id\":\"a\"}}\n{\"event\":{\"log_id\":\"a\"}}\n",
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "tenant.jsonl"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := tenant.New(tenant.Options{DataDir: dir, Retention: -1}); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := tenant.New(tenant.Options{DataDir: file}); err == nil {
		t.Error("a file was taken as the data directory")
	}
}

func TestAdministration(t *testing.T) {
	t.Parallel()
	s := start(t, tenant.Options{})
	c := newClient(t, s)
	for _, body := range []string{
		`[{"log_id":"a"}, {"log_id":"b","n":1}]`, `{"log_id":"c"}`, `{"generate":20}`, `[]`,
		`{"generate":5,"from":"2026-11-01T00:00:00Z","to":"2026-11-01T01:00:00Z"}`,
	} {
		if a := c.post("/_emulator/events", body); a.status != http.StatusOK {
			t.Errorf("%s: %s", body, a.text())
		}
	}
	for _, body := range []string{``, `[{"log_id":"d"},{"log_id":"a"}]`, `[`, `[1]`, `{"type":"s"}`, `{"generate":-1,"x":1}`} {
		if a := c.post("/_emulator/events", body); a.status != http.StatusBadRequest {
			t.Errorf("%s: %s", body, a.text())
		}
	}
	got := texts(s)
	for _, want := range []string{`{"log_id":"a"}`, `{"log_id":"b","n":1}`, `{"log_id":"c"}`} {
		if !slices.Contains(got, want) {
			t.Errorf("%s is not in the log", want)
		}
	}
	login(t, s)
	want := `OK {"requests":{"POST /oauth/token":1},"tokens":1,"events":29,"users":0}`
	if diff := cmp.Diff(want, c.get("/_emulator/stats").text()); diff != "" {
		t.Errorf("stats (-want +got):\n%s", diff)
	}
}

func TestFaultsStrikeByOperation(t *testing.T) {
	t.Parallel()
	s := start(t, tenant.Options{Faults: emulator.NewFaults(emulator.Fault{Match: "GET /api/v2/logs", Status: 503, Body: "down"})})
	c := login(t, s)
	a := c.post(emulator.FaultsPath, `{"match":"GET /api/v2/logs/{id}","status":502}`)
	if a.status != http.StatusOK || len(s.Faults().List()) != 2 {
		t.Fatalf("administration: %s", a.text())
	}
	got := []int{c.get("/api/v2/logs/123").status, c.get("/api/v2/logs").status, c.get("/api/v2/logs").status}
	if diff := cmp.Diff([]int{502, 503, 200}, got); diff != "" {
		t.Errorf("statuses (-want +got):\n%s", diff)
	}
}

// A lost answer is one after the work: the user is there.
func TestLostAnswer(t *testing.T) {
	t.Parallel()
	s := start(t, tenant.Options{Faults: emulator.NewFaults(emulator.Fault{Match: "POST /api/v2/users", Kind: emulator.FaultLost})})
	c := login(t, s)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+"/api/v2/users", strings.NewReader(newUser))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	if resp, err := c.http.Do(req); err == nil {
		_ = resp.Body.Close()
		t.Error("the answer came")
	}
	if a := c.post("/api/v2/users", newUser); a.status != http.StatusConflict {
		t.Errorf("second try: %s", a.text())
	}
}

// The log of requests is for people; it never holds a secret.
func TestRequestLog(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	s := start(t, tenant.Options{ClientSecret: "hush-hush", Logger: slog.New(slog.NewTextHandler(&out, nil))})
	c := login(t, s)
	c.get("/api/v2/logs?take=7&from=" + early())
	c.get("/api/v2/logs?sort=date:1&q=colour:red") // refused: the line tells what for
	c.post("/api/v2/users", newUser)
	got := out.String()
	for _, want := range []string{`msg="POST /oauth/token"`, `msg="GET /api/v2/logs"`, "take=7", "events=1", "status=200", "q=colour:red sort=date:1 status=400", "status=201"} {
		if !strings.Contains(got, want) {
			t.Errorf("%s is missing in\n%s", want, got)
		}
	}
	for _, secret := range []string{"hush-hush", c.token, "horse"} {
		if strings.Contains(got, secret) {
			t.Errorf("the log holds %s", secret)
		}
	}
}

func TestSelfSigned(t *testing.T) {
	t.Parallel()
	certificate, authority, err := tenant.SelfSigned("127.0.0.1", "tenant.example.com")
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, tenant.Options{})
	history(t, s, 10)
	server := httptest.NewUnstartedServer(s)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	server.StartTLS()
	defer server.Close()
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(authority) {
		t.Fatal("the authority is no PEM")
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}
	defer transport.CloseIdleConnections()
	c := login(t, s)
	c.http = &http.Client{Transport: transport}
	a := c.get(server.URL + "/api/v2/logs?take=5&from=" + early())
	if next := c.next(a); !strings.HasPrefix(next, server.URL+"/api/v2/logs?from=900") {
		t.Errorf("next %s", next)
	}
	leaf, err := x509.ParseCertificate(certificate.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := leaf.VerifyHostname("tenant.example.com"); err != nil {
		t.Error(err)
	}
	if certificate, _, err = tenant.SelfSigned(); err != nil || len(certificate.Certificate) != 2 {
		t.Errorf("without hosts: %v", err)
	}
}

// Readers page while the log grows from every side; nobody misses an event that
// was there when it began.
func TestConcurrency(t *testing.T) {
	t.Parallel()
	s := start(t, tenant.Options{DataDir: t.TempDir(), Logger: slog.New(slog.DiscardHandler)})
	history(t, s, 500)
	want := texts(s)
	var group sync.WaitGroup
	for i := range 4 {
		group.Go(func() {
			c := login(t, s)
			got := c.walk(from(early()))
			if n := common(want, got); n != len(want) {
				t.Errorf("%d of %d events were read", n, len(want))
			}
			c.get("/api/v2/logs?q=type:s&include_totals=true")
			c.post("/api/v2/users", fmt.Sprintf(`{"connection":"email","email":"u%d@example.com"}`, i))
			s.Stats()
		})
		group.Go(func() {
			for j := range 20 {
				if err := s.Append(fmt.Appendf(nil, `{"log_id":"x-%d-%d"}`, i, j)); err != nil {
					t.Error(err)
				}
				if _, err := s.AppendLate(time.Minute); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	if got := len(slices.Compact(slices.Sorted(slices.Values(texts(s))))); got != 500+4*(2+40) {
		t.Errorf("%d different events", got)
	}
}

// common counts the members of a that are in b.
func common(a, b []string) int {
	in := make(map[string]bool, len(b))
	for _, s := range b {
		in[s] = true
	}
	n := 0
	for _, s := range a {
		if in[s] {
			n++
		}
	}
	return n
}
