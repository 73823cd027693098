package journal_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/journal"
)

// benchEvents is how many events the benchmarks search.
const benchEvents = 1_000_000

// benchBatch is how many events of 1.5 kB a full call to CloudWatch Logs carries.
const benchBatch = 680

// filler makes an event about as long as real ones are, without making it compress well.
func filler(r *rand.Rand, n int) string {
	var b strings.Builder
	for b.Len() < n {
		fmt.Fprintf(&b, "%x-Mozilla/5.0 (X11; Linux x86_64) ", r.Uint32())
	}
	return b.String()[:n]
}

// benchJournal makes a journal of a million events of seven days, in batches as they
// are delivered.
func benchJournal(b *testing.B) *journal.Journal {
	b.Helper()
	j := open(b, journal.Config{Dir: b.TempDir(), Limits: journal.Limits{MaxBytes: 4 << 30}})
	r := rand.New(rand.NewPCG(1, 2))
	types := []string{"s", "seacft", "fp", "f", "ss", "gd_auth_succeed", "slo"}
	step := 7 * 24 * time.Hour / benchEvents
	began := time.Now()
	for n := 0; n < benchEvents; {
		var batch []event.Event
		for range benchBatch {
			user := fmt.Sprintf("user%05d", r.IntN(20_000))
			ip := fmt.Sprintf("10.%d.%d.%d", r.IntN(4), r.IntN(256), r.IntN(256))
			if n == benchEvents/3 || n == benchEvents/2 {
				user, ip = "the-one", "192.0.2.77"
			}
			e := newEvent(fmt.Sprintf("900%021d", n), 0, types[r.IntN(len(types))], user, ip)
			e.Date = start.Add(time.Duration(n) * step)
			e.Raw = append(append(e.Raw[:len(e.Raw)-1], `,"filler":"`+filler(r, 1050)...), `"}`...)
			batch = append(batch, e)
			n++
		}
		for j.Queued() > 32<<20 {
			<-time.After(10 * time.Millisecond)
		}
		settle(j, outcome("dev", batch...))
	}
	for j.Queued() > 0 {
		<-time.After(10 * time.Millisecond)
	}
	b.Logf("%d events written in %v", benchEvents, time.Since(began).Round(time.Millisecond))
	for {
		raw, err := j.Number("SELECT count(*) FROM blocks WHERE level = -1")
		if err != nil {
			b.Fatal(err)
		}
		if raw == 0 {
			break
		}
		<-time.After(time.Second)
	}
	held, err := j.Number("SELECT sum(events) FROM blocks")
	if want := int64((benchEvents + benchBatch - 1) / benchBatch * benchBatch); err != nil || held != want {
		b.Fatalf("the file holds %d events of %d, %v", held, want, err)
	}
	size, err := j.Number("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size")
	if err != nil {
		b.Fatal(err)
	}
	b.Logf("indexed after %v, %d bytes an event in the file", time.Since(began).Round(time.Millisecond), size/benchEvents)
	return j
}

// BenchmarkMillion asks a journal of a million events. An operation is a question.
func BenchmarkMillion(b *testing.B) {
	j := benchJournal(b)
	ask := func(name string, want int, q journal.Query) {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				q.From, q.Limit = "", 50
				found := 0
				for {
					p := search(b, j.Reader, q)
					found += len(p.Records)
					if q.From = p.More; q.From == "" || want == 50 {
						break
					}
				}
				if found != want {
					b.Fatalf("found %d, want %d", found, want)
				}
			}
		})
	}
	ask("newest", 50, journal.Query{})
	ask("rare-user", 2, journal.Query{User: "the-one"})
	ask("rare-address", 2, journal.Query{IP: "192.0.2.77"})
	ask("rare-prefix", 2, journal.Query{IP: "192.0.2.0/24"})
	ask("common-user", 50, journal.Query{User: "user0001"})
	ask("failed", 50, journal.Query{Failed: true})
	ask("rare-text", 2, journal.Query{Text: "auth0|the-one"})
	b.Run("event", func(b *testing.B) {
		for b.Loop() {
			if _, err := j.Event(context.Background(), "dev", fmt.Sprintf("900%021d", benchEvents/2)); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("activity-7d", func(b *testing.B) {
		for b.Loop() {
			a, err := j.Activity(context.Background(), journal.ActivityQuery{Since: start, Until: start.Add(7 * 24 * time.Hour), Top: 10})
			if err != nil || a.Partial || a.Total < benchEvents*9/10 {
				b.Fatalf("partial %t, total %d, %v", a.Partial, a.Total, err)
			}
		}
	})
}

// BenchmarkFacts reads the facts of an event of 1.5 kB.
func BenchmarkFacts(b *testing.B) {
	e := newEvent("1", 0, "s", "anna", "10.0.0.1")
	e.Raw = append(append(e.Raw[:len(e.Raw)-1], `,"filler":"`+filler(rand.New(rand.NewPCG(1, 2)), 1050)...), `"}`...)
	for b.Loop() {
		if journal.FactsOf(e.Raw).UserID == "" {
			b.Fatal("no user")
		}
	}
}
