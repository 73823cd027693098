package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/gaplesslogs/gapless/internal/app"
	"github.com/gaplesslogs/gapless/internal/config"
)

// childEnv holds the spec of the exporter, in its process.
const childEnv = "GAPLESS_SOAK_CHILD"

// errNoChild says that this process is not the exporter.
var errNoChild = errors.New("not a child")

// spec is what the exporter exports, and where to.
type spec struct{ Dir, Auth0, AWS, ClientID, ClientSecret string }

// child is the exporter, if this is its process: it works until its standard
// input ends, and says on its standard output where it listens.
func child(ctx context.Context) error {
	text := os.Getenv(childEnv)
	if text == "" {
		return errNoChild
	}
	var c spec
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		return fmt.Errorf("read spec: %w", err)
	}
	cfg, err := c.config()
	if err != nil {
		return err
	}
	a, err := app.New(ctx, app.Options{
		Config: cfg, Logger: slog.New(slog.DiscardHandler),
		AWSCredentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "example-secret", ""),
	})
	if err != nil {
		return fmt.Errorf("make exporter: %w", err)
	}
	err = a.Start(ctx)
	if err == nil {
		fmt.Println(a.Addr())
		_, err = io.Copy(io.Discard, os.Stdin)
	}
	return errors.Join(err, a.Stop(context.WithoutCancel(ctx)))
}

// config is what a person would write down, but for a dedup_window that ends
// within the run: the store grows until it has passed.
func (c spec) config() (*config.Config, error) {
	cfg := config.Default()
	cfg.DataDir, cfg.Listen, cfg.AWS.Region, cfg.AWS.Endpoint = c.Dir, "127.0.0.1:0", "us-east-1", c.AWS
	cfg.DedupWindow = 15 * time.Second
	t := config.NewTenant()
	t.Name, t.Domain, t.ClientID, t.PollInterval, t.RequestTimeout = "dev", c.Auth0, c.ClientID, 200*time.Millisecond, 2*time.Second
	t.CloudWatch.LogStream, t.CloudWatch.InDoubtWait, t.CloudWatch.RequestTimeout = "logs", 0, 2*time.Second
	var err error
	t.ClientSecret, err = config.ParseSecret(c.ClientSecret)
	cfg.Tenants = []config.Tenant{t}
	return cfg, err
}

// A process is the exporter, seen from outside.
type process struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	url   string
	ended chan struct{} // closed when err says how
	err   error
}

// startChild starts the exporter.
func startChild(ctx context.Context, s *stage) (*process, error) {
	c := spec{Dir: s.dir, Auth0: s.auth0S.URL, AWS: s.awsS.URL}
	c.ClientID, c.ClientSecret = s.tenant.Credentials()
	text, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &process{cmd: exec.CommandContext(ctx, exe), ended: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), childEnv+"="+string(text))
	p.cmd.Stderr = os.Stderr
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start exporter: %w", err)
	}
	addr, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the exporter did not start: %w", err), p.in.Close(), p.cmd.Wait())
	}
	p.url = "http://" + strings.TrimSpace(addr) + "/metrics"
	go func() {
		defer close(p.ended)
		p.err = p.cmd.Wait()
	}()
	return p, nil
}

// end asks the exporter to end, waits, and returns how it did.
func (p *process) end() error {
	_ = p.in.Close() // it may have ended
	<-p.ended
	if p.err != nil {
		return fmt.Errorf("the exporter ended: %w", p.err)
	}
	return nil
}

// sample asks the exporter for its figures.
func (p *process) sample(ctx context.Context) (sample, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url, http.NoBody)
	if err != nil {
		return sample{}, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return sample{}, fmt.Errorf("read metrics: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	sums, err := readMetrics(resp.Body)
	if err != nil {
		return sample{}, fmt.Errorf("read metrics: %w", err)
	}
	const mib = 1 << 20
	get := func(name string) float64 { return sums[name] }
	return sample{
		rss: get("process_resident_memory_bytes") / mib, store: get("gapless_store_file_bytes") / mib,
		files: get("process_open_fds"), goroutines: get("go_goroutines"),
		delivered: get("gapless_delivered_events_total"), buffered: get("gapless_store_buffer_events"), inFlight: get("gapless_batches_in_flight"),
	}, nil
}

// readMetrics reads the text format of Prometheus as far as counters and gauges
// go, and adds up the series of each.
func readMetrics(r io.Reader) (map[string]float64, error) {
	sums := make(map[string]float64)
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		series, value, ok := strings.Cut(strings.TrimSpace(lines.Text()), " ")
		if !ok || strings.HasPrefix(series, "#") {
			continue
		}
		if v, err := strconv.ParseFloat(value, 64); err == nil {
			name, _, _ := strings.Cut(series, "{")
			sums[name] += v
		}
	}
	return sums, lines.Err()
}
