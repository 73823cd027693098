package verify_test

import (
	"context"
	"fmt"
	"iter"
	"runtime/metrics"
	"testing"
	"time"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/verify"
)

// A river makes the events of both sides as they are asked for, so that a benchmark
// holds none of them. Every thousandth is missing, every thousandth there twice.
type river struct {
	place

	n     int
	since time.Time
}

func (r *river) event(i int) event.Event {
	return happen(r.since.Add(time.Duration(i)*time.Millisecond), i)
}

// Read of the Holder.
func (r *river) held() verify.Holder { return riverHolder{r} }

type riverHolder struct{ r *river }

func (h riverHolder) Read(_ context.Context, _ verify.Span, each func([]event.Event) error) (time.Time, error) {
	page := make([]event.Event, 0, 100)
	for i := range h.r.n {
		if page = append(page, h.r.event(i)); len(page) == cap(page) || i == h.r.n-1 {
			if err := each(page); err != nil {
				return time.Time{}, err
			}
			page = page[:0]
		}
	}
	return h.r.since, nil
}

func (riverHolder) Find(_ context.Context, ids iter.Seq[string], _ func(event.Event) error) error {
	for range ids {
	}
	return nil
}

// Read implements verify.Destination, in disorder.
func (r *river) Read(_ context.Context, s verify.Span, _ bool, each func(verify.Stored) error) error {
	put := func(e event.Event, copies int) error {
		for c := range copies {
			stored := verify.Stored{
				LogGroup: "/auth0/t", LogStream: "logs", EventID: fmt.Sprintf("%056d", c), Timestamp: e.Date, Ingested: e.Date.Add(time.Second), Message: e.Raw,
			}
			if err := each(stored); err != nil {
				return err
			}
		}
		return nil
	}
	for i := range r.n {
		i ^= 0x2a // another order
		if i >= r.n {
			continue
		}
		at := r.since.Add(time.Duration(i) * time.Millisecond)
		if at.Before(s.Since) || at.After(s.Until) {
			continue
		}
		copies := 1
		switch i % 1000 {
		case 500:
			copies = 0
		case 600:
			copies = 2
		}
		if err := put(r.event(i), copies); err != nil {
			return err
		}
	}
	return nil
}

// BenchmarkRun compares a million events, and tells the most memory that it took.
func BenchmarkRun(b *testing.B) {
	const n = 1_000_000
	r := &river{n: n, since: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)}
	for b.Loop() {
		stop, most := make(chan struct{}), make(chan uint64)
		go func() { most <- peak(stop) }()
		found := make(map[verify.Kind]int)
		_, err := verify.Run(b.Context(), verify.Config{
			Span: verify.Span{Since: r.since, Until: r.since.Add(n * time.Millisecond)}, Dir: b.TempDir(),
		}, r.held(), []verify.Destination{r}, nil, func(f verify.Finding) error { found[f.Kind]++; return nil })
		close(stop)
		b.ReportMetric(float64(<-most)/(1<<20), "MiB-peak")
		if err != nil || found[verify.Missing] != n/1000 || found[verify.Twice] != n/1000 || len(found) != 2 {
			b.Fatal(err, found)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/n, "µs/event")
}

// peak returns the most memory that the heap takes from the system, live or not, until
// stop.
func peak(stop <-chan struct{}) (most uint64) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/unused:bytes"}}
	for {
		select {
		case <-stop:
			return most
		case <-tick.C:
			metrics.Read(s)
			most = max(most, s[0].Value.Uint64()+s[1].Value.Uint64())
		}
	}
}
