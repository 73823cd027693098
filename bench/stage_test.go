package bench_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/gaplesslogs/gapless/internal/emulator/cloudwatch"
	"github.com/gaplesslogs/gapless/internal/emulator/tenant"
)

// stageVariable makes the test binary run the emulators instead of the
// benchmarks, so that their CPU and memory are not counted as the exporter's.
const stageVariable = "GAPLESS_BENCH_EVENTS"

// Facts about the events: 1.5 kB on average, in the distribution of real ones.
const (
	benchEvents   = 50_000
	benchMeanSize = 1500
	clientID      = "bench"
	clientSecret  = "bench-secret"
)

func TestMain(m *testing.M) {
	if n := os.Getenv(stageVariable); n != "" {
		if err := serveStage(n); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if os.Getenv(standVariable) != "" {
		if err := serveStand(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// addresses are what the child tells its parent.
type addresses struct {
	Tenant     string `json:"tenant"`
	CloudWatch string `json:"cloudwatch"`
}

// serveStage runs the emulators until standard input ends.
func serveStage(count string) error {
	var n int
	if _, err := fmt.Sscan(count, &n); err != nil {
		return err
	}
	t, err := tenant.New(tenant.Options{ClientID: clientID, ClientSecret: clientSecret, MeanSize: benchMeanSize, Seed: 1})
	if err != nil {
		return err
	}
	if err := t.Generate(n, time.Now().Add(-6*time.Hour), time.Now().Add(-time.Minute)); err != nil {
		return err
	}
	c, err := cloudwatch.New(cloudwatch.Options{})
	if err != nil {
		return err
	}
	var a addresses
	for url, h := range map[*string]http.Handler{&a.Tenant: t, &a.CloudWatch: c} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		*url = "http://" + l.Addr().String()
		go func() { _ = http.Serve(l, h) }()
	}
	if err := json.NewEncoder(os.Stdout).Encode(a); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// startStage runs the emulators in a process of their own.
func startStage(b *testing.B, events int) addresses {
	b.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d", stageVariable, events))
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
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	if err != nil {
		b.Fatal(err)
	}
	var a addresses
	if err := json.Unmarshal(line, &a); err != nil {
		b.Fatal(err)
	}
	return a
}

// calls reads how often an operation was asked for.
func calls(b *testing.B, url, op string) float64 {
	b.Helper()
	resp, err := http.Get(url + "/_emulator/stats")
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var stats struct {
		Calls    map[string]float64 `json:"calls"`
		Requests map[string]float64 `json:"requests"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&stats); err != nil {
		b.Fatal(err)
	}
	return stats.Calls[op] + stats.Requests[op]
}
