package bench_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/gaplesslogs/gapless/internal/config"
)

// pushToken is the token of the benchmark's webhook.
const pushToken = "bench-token-0123456789"

// BenchmarkWebhook pushes 200,000 events of 1.5 kB, in the distribution of real
// ones, in bodies of 100 over 8 connections at the webhook, each answered 2xx only
// when it is flushed to disk, until an endpoint of CloudWatch Logs has them all. An
// operation is the whole of it. The driver and the endpoint are a process of their
// own; the endpoint does nothing but unzip what comes and tick off each event, and
// an event that is missing or comes twice fails the benchmark.
func BenchmarkWebhook(b *testing.B) {
	var took, cpu time.Duration
	var puts, floor, peak, wire float64
	for b.Loop() {
		b.StopTimer()
		s := startStand(b)
		cfg := pushConfig(b, s.endpoint)
		resetPeak(b)
		b.StartTimer()
		began, used := time.Now(), cpuTime(b)
		r := push(b, cfg, s)
		took, cpu = took+time.Since(began), cpu+cpuTime(b)-used
		b.StopTimer()
		peak = max(peak, peakMemory(b))
		puts, floor, wire = puts+r.Puts, floor+r.Fewest, wire+r.Wire
		b.StartTimer()
	}
	n := float64(b.N)
	b.ReportMetric(pushEvents*n/took.Seconds(), "events/s")
	b.ReportMetric(float64(cpu.Microseconds())/(pushEvents*n), "cpu-ms/1000-events")
	b.ReportMetric(peak/(1<<20), "peak-MiB")
	b.ReportMetric(puts/n, "Puts")
	b.ReportMetric(puts/floor, "Puts/fewest")
	b.ReportMetric(wire/(pushEvents*n), "sent-B/event")
}

// pushConfig is what a person would write for the benchmark.
func pushConfig(b *testing.B, endpoint string) *config.Config {
	b.Helper()
	token, err := config.ParseSecret(pushToken)
	if err != nil {
		b.Fatal(err)
	}
	cfg := config.Default()
	cfg.DataDir, cfg.Listen = b.TempDir(), ""
	cfg.AWS.Region, cfg.AWS.Endpoint = "us-east-1", endpoint
	cfg.Webhook.Listen = "127.0.0.1:0"
	t := config.NewTenant()
	t.Name, t.Webhook.Token = "bench", token
	cfg.Tenants = []config.Tenant{t}
	return cfg
}

// A stand is the process of driver and endpoint.
type stand struct {
	endpoint string
	in       io.Writer
	out      *bufio.Reader
}

// A result is what the stand has seen.
type result struct {
	Puts   float64 `json:"puts"`
	Fewest float64 `json:"fewest"` // calls for so many bytes, at the limit of each
	Wire   float64 `json:"wire"`   // bytes of the calls
	Fault  string  `json:"fault"`
}

// startStand starts the driver and the endpoint.
func startStand(b *testing.B) *stand {
	b.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), standVariable+"=1")
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = stdin.Close(); _ = cmd.Wait() })
	s := &stand{in: stdin, out: bufio.NewReader(stdout)}
	if err := s.read(&s.endpoint); err != nil {
		b.Fatal(err)
	}
	return s
}

// read reads one line of the stand.
func (s *stand) read(to any) error {
	line, err := s.out.ReadBytes('\n')
	return errors.Join(err, json.Unmarshal(line, to))
}

// push runs the exporter from its start until the endpoint has every event.
func push(b *testing.B, cfg *config.Config, s *stand) (r result) {
	b.Helper()
	a := startApp(b, cfg, false)
	if _, err := fmt.Fprintf(s.in, "http://%s/v1/tenants/bench/logs\n", a.WebhookAddr()); err != nil {
		b.Fatal(err)
	}
	if err := s.read(&r); err != nil {
		b.Fatal(err)
	}
	if r.Fault != "" {
		b.Fatal(r.Fault)
	}
	if err := a.Stop(b.Context()); err != nil {
		b.Fatal(err)
	}
	return r
}

// errBusy says that the webhook wants the body again in a moment, as it does until
// its tenant has started.
var errBusy = errors.New("the webhook is busy")

// deliver sends one body until it is taken, for a minute.
func deliver(c *http.Client, url string, body []byte) error {
	for tries := 0; ; tries++ {
		err := post(c, url, body)
		if !errors.Is(err, errBusy) || tries == 3000 {
			return err
		}
		<-time.After(20 * time.Millisecond)
	}
}

// post sends one body to the webhook.
func post(c *http.Client, url string, body []byte) error {
	req, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", pushToken)
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.Do(req)
	if err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	if resp.StatusCode == http.StatusServiceUnavailable {
		return errBusy
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the webhook answers %s", resp.Status)
	}
	return nil
}
