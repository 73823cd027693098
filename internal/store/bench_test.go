package store_test

import (
	"crypto/sha256"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/ledger"
	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/store"
)

// benchSize is the size of a benchmark's events, about that of Auth0's.
const benchSize = 1500

// openBench opens a buffer for a benchmark.
func openBench(b *testing.B) *store.Buffer {
	b.Helper()
	s, err := store.Open(b.Context(), store.Config{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	buffer, err := s.Buffer(b.Context(), "bench")
	if err != nil {
		b.Fatal(err)
	}
	return buffer
}

// benchIntakes makes pages of 100 events, made before the clock runs.
func benchIntakes(n int) []pipeline.Intake {
	raw := newEvent(0, benchSize).Raw
	list := make([]pipeline.Intake, n)
	for i := range list {
		list[i] = pipeline.Intake{Entries: make([]pipeline.Entry, 100), Cursor: event.Cursor(strconv.Itoa(i))}
		for j := range list[i].Entries {
			n := i*100 + j
			list[i].Entries[j] = pipeline.Entry{Destination: destination, Event: event.Event{
				LogID: fmt.Sprintf("90020261101%012d%033d", n, 7), Date: start.Add(time.Duration(n) * time.Millisecond), Type: "s", Raw: raw,
			}}
		}
	}
	return list
}

func BenchmarkAppend(b *testing.B) {
	buffer := openBench(b)
	pages := benchIntakes(b.N)
	b.ReportAllocs()
	before := cpuTime()
	b.ResetTimer()
	for _, in := range pages {
		if _, err := buffer.Append(b.Context(), "poll", in); err != nil {
			b.Fatal(err)
		}
	}
	report(b, before)
}

func BenchmarkAppendNextSettle(b *testing.B) {
	buffer := openBench(b)
	pages := benchIntakes(b.N)
	settled := make(chan error, 1)
	b.ReportAllocs()
	before := cpuTime()
	b.ResetTimer()
	go func() { settled <- settleEvents(b, buffer, 100*b.N) }()
	for _, in := range pages {
		if _, err := buffer.Append(b.Context(), "poll", in); err != nil {
			b.Fatal(err)
		}
	}
	if err := <-settled; err != nil {
		b.Fatal(err)
	}
	report(b, before)
}

// settleEvents takes and settles until n events are through.
func settleEvents(b *testing.B, buffer *store.Buffer, n int) error {
	b.Helper()
	return settleEach(b, buffer, n, func(pipeline.Batch) pipeline.Receipt { return pipeline.Receipt{} })
}

// settleEach is settleEvents with a receipt for each batch.
func settleEach(b *testing.B, buffer *store.Buffer, n int, receipt func(pipeline.Batch) pipeline.Receipt) error {
	b.Helper()
	for n > 0 {
		batch, err := buffer.Next(b.Context(), limits())
		if err != nil {
			return err
		}
		if err := buffer.Settle(b.Context(), batch, receipt(batch)); err != nil {
			return err
		}
		n -= len(batch.Events)
	}
	return nil
}

// report tells the figures by event; a page has 100.
func report(b *testing.B, before time.Duration) {
	b.Helper()
	n := float64(b.N) * 100
	b.ReportMetric(n/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64((cpuTime()-before).Nanoseconds())/1000/n, "cpu-µs/event")
}

// BenchmarkAppendNextSettleLedger is BenchmarkAppendNextSettle with all that the ledger
// costs: the hashes of the messages, the leaves in the transaction, and the sealing.
func BenchmarkAppendNextSettleLedger(b *testing.B) {
	buffer := openBench(b)
	book, err := buffer.KeepLedger(b.Context(), "")
	if err != nil {
		b.Fatal(err)
	}
	pages := benchIntakes(b.N)
	settled := make(chan error, 1)
	b.ReportAllocs()
	before := cpuTime()
	b.ResetTimer()
	go func() {
		settled <- settleEach(b, buffer, 100*b.N, func(batch pipeline.Batch) (r pipeline.Receipt) {
			r.Prints = make([]pipeline.Print, 0, len(batch.Events))
			for _, e := range batch.Events {
				r.Prints = append(r.Prints, pipeline.Print{At: e.Date.UnixMilli(), Hash: sha256.Sum256(e.Raw)})
			}
			return r
		})
	}()
	for _, in := range pages {
		if _, err := buffer.Append(b.Context(), "poll", in); err != nil {
			b.Fatal(err)
		}
	}
	if err := <-settled; err != nil {
		b.Fatal(err)
	}
	k := ledger.NewKeeper(ledger.Config{Tenant: "bench", Destination: "cloudwatch", Book: book, Dir: b.TempDir()})
	if err := k.Pass(b.Context(), start.Add(1000*time.Hour)); err != nil {
		b.Fatal(err)
	}
	report(b, before)
}
