package bench_test

import (
	"log/slog"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/gaplesslogs/gapless/internal/app"
	"github.com/gaplesslogs/gapless/internal/config"
)

// BenchmarkExport carries 50,000 events of 1.5 kB from an emulated tenant over
// loopback to an emulated CloudWatch Logs endpoint: poll, disk, delivery. An
// operation is the whole export; the emulators run in a process of their own.
//
// The floor is 500 GET, one for each 100 events and one more to see the end, and
// 75 PutLogEvents, one for each MiB.
func BenchmarkExport(b *testing.B) { benchmarkExport(b, func(*config.Config) {}) }

// BenchmarkExportWithoutHistory is BenchmarkExport with nothing kept to look at.
func BenchmarkExportWithoutHistory(b *testing.B) {
	benchmarkExport(b, func(c *config.Config) { c.History.Keep = 0 })
}

// BenchmarkExportWithoutLedger is BenchmarkExport with no ledger.
func BenchmarkExportWithoutLedger(b *testing.B) {
	benchmarkExport(b, func(c *config.Config) { c.Ledger.Enabled = false })
}

// benchmarkExport measures exports with a configuration that is changed first.
func benchmarkExport(b *testing.B, change func(*config.Config)) {
	b.Helper()
	var took, cpu time.Duration
	var gets, puts, peak float64
	for b.Loop() {
		b.StopTimer()
		a := startStage(b, benchEvents)
		cfg := exportConfig(b, a)
		change(cfg)
		resetPeak(b)
		b.StartTimer()
		began, used := time.Now(), cpuTime(b)
		export(b, cfg)
		took, cpu = took+time.Since(began), cpu+cpuTime(b)-used
		b.StopTimer()
		peak = max(peak, peakMemory(b))
		gets += calls(b, a.Tenant, "GET /api/v2/logs")
		puts += calls(b, a.CloudWatch, "PutLogEvents")
		b.StartTimer()
	}
	n := float64(b.N)
	b.ReportMetric(benchEvents*n/took.Seconds(), "events/s")
	b.ReportMetric(float64(cpu.Milliseconds())/(benchEvents*n/1000), "cpu-ms/1000-events")
	b.ReportMetric(peak/(1<<20), "peak-MiB")
	b.ReportMetric(gets/n, "GETs")
	b.ReportMetric(puts/n, "Puts")
}

// exportConfig is what a person would write for the stage.
func exportConfig(b *testing.B, a addresses) *config.Config {
	b.Helper()
	secret, err := config.ParseSecret(clientSecret)
	if err != nil {
		b.Fatal(err)
	}
	cfg := config.Default()
	cfg.DataDir, cfg.Listen = b.TempDir(), ""
	cfg.AWS.Region, cfg.AWS.Endpoint = "us-east-1", a.CloudWatch
	t := config.NewTenant()
	t.Name, t.Domain, t.ClientID, t.ClientSecret = "bench", a.Tenant, clientID, secret
	cfg.Tenants = []config.Tenant{t}
	return cfg
}

// export runs the whole exporter until everything is delivered.
func export(b *testing.B, cfg *config.Config) {
	b.Helper()
	a := startApp(b, cfg, true)
	<-a.Done()
	if err := a.Err(); err != nil {
		b.Fatal(err)
	}
	o, err := a.Overview(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	if got := o.Tenants[0].Delivered; got < benchEvents {
		b.Fatalf("delivered %d events, want all %d", got, benchEvents)
	}
	if err := a.Stop(b.Context()); err != nil {
		b.Fatal(err)
	}
}

// startApp starts the exporter.
func startApp(b *testing.B, cfg *config.Config, once bool) *app.App {
	b.Helper()
	a, err := app.New(b.Context(), app.Options{
		Config: cfg, Logger: slog.New(slog.DiscardHandler), Version: "bench", Once: once,
		AWSCredentials: credentials.NewStaticCredentialsProvider("bench", "bench", ""),
	})
	if err != nil {
		b.Fatal(err)
	}
	if err := a.Start(b.Context()); err != nil {
		b.Fatal(err)
	}
	return a
}

// resetPeak makes the peak of the memory count from now on, where the system
// can do that (Linux).
func resetPeak(b *testing.B) {
	b.Helper()
	runtime.GC()
	debug.FreeOSMemory()
	if f, err := os.OpenFile("/proc/self/clear_refs", os.O_WRONLY, 0); err == nil {
		_, _ = f.WriteString("5")
		_ = f.Close()
	}
}

// peakMemory returns the peak of the resident memory in bytes, 0 where the
// system does not tell.
func peakMemory(b *testing.B) float64 {
	b.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			if err != nil {
				b.Fatal(err)
			}
			return kb * 1024
		}
	}
	return 0
}
