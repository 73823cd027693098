package journal_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/journal"
)

// BenchmarkWrite has outcomes of full batches written; an operation is a batch of 680
// events of 1.5 kB.
func BenchmarkWrite(b *testing.B) {
	j := open(b, journal.Config{Dir: b.TempDir(), Limits: journal.Limits{MaxBytes: 4 << 30}})
	r := rand.New(rand.NewPCG(1, 2))
	var batch []event.Event
	for n := range benchBatch {
		e := newEvent(fmt.Sprintf("900%021d", n), n, "s", fmt.Sprintf("user%05d", r.IntN(20_000)), fmt.Sprintf("10.0.0.%d", n%200))
		e.Raw = append(append(e.Raw[:len(e.Raw)-1], `,"filler":"`+filler(r, 1050)...), `"}`...)
		batch = append(batch, e)
	}
	for b.Loop() {
		settle(j, outcome("dev", batch...))
		for j.Queued() > 8<<20 {
			<-time.After(time.Millisecond)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Milliseconds())/(float64(b.N)*benchBatch/1000), "ms/1000-events")
}
