package cli_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/gaplesslogs/gapless/internal/app"
	"github.com/gaplesslogs/gapless/internal/auth0"
	"github.com/gaplesslogs/gapless/internal/cloudwatch"
	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/notify"
	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/source"
	"github.com/gaplesslogs/gapless/internal/store"
)

// TestMetricsAreDocumented holds that the table of docs/operations.md names every
// metric that there is, and no other, with its kind and its labels. A demo with a
// dead letter and in trouble exposes most; those that begin with the first event of their kind are
// taken from the parts that register them.
func TestMetricsAreDocumented(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), walkTimeout)
	defer cancel()
	documented := documentedMetrics(t)
	exposed := exposedMetrics(ctx, t)
	maps.Copy(exposed, webhookMetrics(ctx, t))
	for name, labels := range describedMetrics(ctx, t) {
		if _, found := exposed[name]; !found {
			exposed[name] = metric{kind: documented[name].kind, labels: labels} // a description knows no kind
		}
	}
	if d := cmp.Diff(exposed, documented, cmp.AllowUnexported(metric{})); d != "" {
		t.Errorf("docs/operations.md and /metrics differ (-exposed +documented):\n%s", d)
	}
}

// A metric is what the table says of one: its kind and its labels but tenant.
type metric struct{ kind, labels string }

// documentedMetrics reads the table.
func documentedMetrics(t *testing.T) map[string]metric {
	t.Helper()
	out := make(map[string]metric)
	for line := range strings.Lines(string(readPage(t, "operations.md"))) {
		cells := strings.Split(line, " | ")
		if !strings.HasPrefix(line, "| `gapless_") || len(cells) < 3 {
			continue
		}
		for _, m := range regexp.MustCompile("`(gapless_[a-z0-9_]+)(?:{([a-z_,]+)})?`").FindAllStringSubmatch(cells[0], -1) {
			out[m[1]] = metric{kind: cells[1], labels: joinLabels(strings.Split(m[2], ","))}
		}
	}
	return out
}

// exposedMetrics reads /metrics of a demo whose tenant answers no more.
func exposedMetrics(ctx context.Context, t *testing.T) map[string]metric {
	t.Helper()
	said, stop := startDemo(ctx, t, "--events", "50", "--rate", "0")
	defer stop()
	addresses := regexp.MustCompile(`http://127\.0\.0\.1:\d+`).FindAllString(said, 3) // tenant, CloudWatch, page
	fault := `{"match":"GET /api/v2/logs","times":-1,"status":503}`
	post := func(what, body string) {
		resp, err := http.Post(addresses[0]+"/_emulator/"+what, "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
	}
	post("events", "{\"log_id\":\"broken\",\"type\":\"s\",\"name\":\"\xff\"}") // becomes a dead letter
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		text := scrape(ctx, t, addresses[2]+"/metrics")
		if strings.Contains(text, "gapless_trouble{") {
			return parseMetrics(text)
		}
		if strings.Contains(text, "gapless_dead_letters{") && fault != "" {
			post("faults", fault)
			fault = ""
		}
		select {
		case <-ctx.Done():
			t.Fatal("the demo has not come into trouble")
		case <-tick.C:
		}
	}
}

// webhookMetrics reads what /metrics tells of a webhook with TLS, of a tenant that
// is pushed to alone and one that is polled as well.
func webhookMetrics(ctx context.Context, t *testing.T) map[string]metric {
	t.Helper()
	model := httptest.NewTLSServer(http.NotFoundHandler()) // has a certificate
	pair := model.TLS.Certificates[0]
	model.Close()
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	cfg := config.Default()
	cfg.DataDir, cfg.Listen, cfg.AWS.Region, cfg.Webhook.Listen = t.TempDir(), "127.0.0.1:0", "us-east-1", "127.0.0.1:0"
	cfg.Ledger.Directory = t.TempDir()
	cfg.Tracing.Endpoint = "http://127.0.0.1:1"
	cfg.AWS.Endpoint = "http://127.0.0.1:1" // where nobody is
	cfg.Webhook.TLS = config.TLS{CertFile: file("cert.pem", "CERTIFICATE", pair.Certificate[0]), KeyFile: file("key.pem", "PRIVATE KEY", key)}
	cfg.Dashboard.TLS = cfg.Webhook.TLS
	hooked := config.NewTenant()
	hooked.Name = "dev"
	if hooked.Webhook.Token, err = config.ParseSecret("a token"); err != nil {
		t.Fatal(err)
	}
	both := hooked
	both.Name, both.Domain, both.ClientID, both.ClientSecret = "both", "http://127.0.0.1:1", "a", both.Webhook.Token
	both.Destinations = []config.Destination{config.NewDestination("audit")}
	both.Destinations[0].CloudWatch.LogGroup, both.Destinations[0].CloudWatch.Region = "/audit", "us-east-1"
	cfg.Tenants = []config.Tenant{hooked, both}
	countPush(ctx, t, cfg.DataDir, both.Name)
	a, err := app.New(ctx, app.Options{
		Config: cfg, Logger: slog.New(slog.DiscardHandler),
		AWSCredentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "example-secret", ""),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := a.Stop(ctx); err != nil {
			t.Error(err)
		}
	}()
	if err := a.Start(ctx); err != nil {
		t.Fatal(err)
	}
	all := parseMetrics(scrape(ctx, t, "https://"+a.Addr()+"/metrics"))
	ours := regexp.MustCompile("^gapless_(webhook|dashboard|healed|push|destination|ledger|trace)_")
	maps.DeleteFunc(all, func(name string, _ metric) bool { return !ours.MatchString(name) })
	return all
}

// countPush has a tenant's push bring an event and miss another.
func countPush(ctx context.Context, t *testing.T, dir, tenant string) {
	t.Helper()
	s, err := store.Open(ctx, store.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	b, err := s.Buffer(ctx, tenant)
	if err == nil {
		err = b.CountPush(ctx, 1, 1)
	}
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
}

// scrape gets a page.
func scrape(ctx context.Context, t *testing.T, address string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: status %d, %v", address, resp.StatusCode, err)
	}
	return string(body)
}

// parseMetrics reads the names, kinds and labels of ours out of the text format.
func parseMetrics(text string) map[string]metric {
	out := make(map[string]metric)
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (gapless_\w+) (\w+)$`).FindAllStringSubmatch(text, -1) {
		labels := make(map[string]bool)
		for _, sample := range regexp.MustCompile(`(?m)^`+m[1]+`(?:_bucket|_sum|_count)?{(.*)}`).FindAllStringSubmatch(text, -1) {
			for _, l := range regexp.MustCompile(`(\w+)="`).FindAllStringSubmatch(sample[1], -1) {
				labels[l[1]] = true
			}
		}
		out[m[1]] = metric{kind: m[2], labels: joinLabels(slices.Collect(maps.Keys(labels)))}
	}
	return out
}

// joinLabels lists labels but those that go without saying.
func joinLabels(labels []string) string {
	labels = slices.DeleteFunc(labels, func(l string) bool { return l == "" || l == "tenant" || l == "destination" || l == "le" })
	slices.Sort(labels)
	return strings.Join(labels, ",")
}

// describedMetrics returns the labels of what the parts of a tenant register.
func describedMetrics(ctx context.Context, t *testing.T) map[string]string {
	t.Helper()
	reg := prometheus.NewRegistry()
	pipeline.NewMetrics(reg, "a")
	pipeline.NewSinkMetrics(reg, "a", "b")
	client, err := auth0.New(auth0.Config{Domain: "a.example.com", ClientID: "a", ClientSecret: "a"}, auth0.Deps{Registerer: reg, TenantName: "a"}) //nolint:contextcheck // it opens no connection
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	if _, err := cloudwatch.New(ctx, cloudwatch.Config{Region: "us-east-1"}, cloudwatch.Deps{Registerer: reg, Tenant: "a"}); err != nil {
		t.Fatal(err)
	}
	if _, err := cloudwatch.New(ctx, cloudwatch.Config{Region: "us-east-1"}, cloudwatch.Deps{Registerer: reg, Tenant: "a", Destination: "b"}); err != nil {
		t.Fatal(err)
	}
	(&source.Queue{}).Join(source.SQSConfig{}, nil, source.SQSDeps{Registerer: reg, Tenant: "a"})
	s, err := store.Open(ctx, store.Config{Dir: t.TempDir(), Registerer: reg})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	notify.New(notify.Options{Registerer: reg, Logger: slog.New(slog.DiscardHandler)}, notify.Settings{}) //nolint:contextcheck // it is not run
	reg.MustRegister(app.DescribedMetrics())
	descriptions := make(chan *prometheus.Desc)
	go func() { defer close(descriptions); reg.Describe(descriptions) }()
	out := make(map[string]string)
	for d := range descriptions {
		m := regexp.MustCompile(`fqName: "(\w+)".*variableLabels: {([^}]*)}`).FindStringSubmatch(d.String())
		if m == nil {
			t.Fatalf("a description that this test does not understand: %v", d)
		}
		out[m[1]] = joinLabels(strings.Split(m[2], ","))
	}
	return out
}
