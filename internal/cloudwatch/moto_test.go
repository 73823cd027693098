package cloudwatch_test

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	logs "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/gaplesslogs/gapless/internal/cloudwatch"
	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// TestMoto delivers to moto, an emulator of others that fails on compressed
// bodies with a 500.
func TestMoto(t *testing.T) {
	t.Parallel()
	endpoint := startMoto(t)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	reg := prometheus.NewPedanticRegistry()
	s, err := cloudwatch.New(t.Context(), config(func(c *cloudwatch.Config) { c.Endpoint, c.RetentionDays = endpoint, 30 }), cloudwatch.Deps{
		Logger: slog.New(slog.DiscardHandler), Registerer: reg, Tenant: "example", Credentials: keys,
		HTTPClient: &http.Client{Transport: transport},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Check(t.Context(), dest); err != nil {
		t.Fatalf("Check: %v", err)
	}
	b := some()
	for _, dest := range []pipeline.Destination{dest, {LogGroup: "/auth0/made-by-delivery", LogStream: "logs"}} {
		b.Destination = dest
		same(t, "receipt", pipeline.Receipt{}, deliver(t, s, b))
		client := logs.New(logs.Options{Region: "eu-central-1", BaseEndpoint: aws.String(endpoint), Credentials: keys, HTTPClient: &http.Client{Transport: transport}})
		out, err := client.GetLogEvents(t.Context(), &logs.GetLogEventsInput{LogGroupName: &dest.LogGroup, LogStreamName: &dest.LogStream, StartFromHead: aws.Bool(true)})
		if err != nil {
			t.Fatal(err)
		}
		var want, got []string
		for _, e := range b.Events {
			want = append(want, string(e.Raw))
		}
		for _, e := range out.Events {
			got = append(got, aws.ToString(e.Message))
		}
		slices.Sort(want)
		slices.Sort(got)
		same(t, "events in moto", want, got)
	}
	same(t, "calls that failed for the compression: one and the probe of it, and never again", 2.0, value(t, reg, "gapless_cloudwatch_put_calls_total", "result=transient"))
}

// startMoto runs moto_server on a free port until the test ends.
func startMoto(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("moto_server")
	if err != nil {
		t.Skip("NOT RUN: moto_server is missing; install moto: pip install 'moto[server]'")
	}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Skipf("NOT RUN: cannot listen on loopback: %v", err)
	}
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	_, port, _ := strings.Cut(addr, ":")
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	cmd := exec.CommandContext(ctx, path, "-H", "127.0.0.1", "-p", port)
	cmd.Env = append(os.Environ(), "PYTHONWARNINGS=ignore")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Start(); err != nil {
		cancel()
		t.Skipf("NOT RUN: moto_server does not start (%v); install moto: pip install 'moto[server]'", err)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait() // ended by a signal
	})
	var dialer net.Dialer
	for range 600 {
		conn, err := dialer.DialContext(t.Context(), "tcp", addr)
		if err == nil {
			_ = conn.Close()
			return "http://" + addr
		}
		if err := pipeline.Wait(t.Context(), 100*time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
	t.Skipf("NOT RUN: moto_server does not listen on %s; install moto: pip install 'moto[server]'", addr)
	return ""
}
