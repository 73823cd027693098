package app_test

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	logs "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"

	"github.com/gaplesslogs/gapless/internal/emulator"
	"github.com/gaplesslogs/gapless/internal/emulator/cloudwatch"
	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/store"
)

// kills makes TestKilledAgainAndAgain a long run.
var kills = flag.Int("kills", 0, "how often TestKilledAgainAndAgain kills a child, if more than it does anyway")

// anyMoment draws a moment: by the clock, or at some point of a request's way.
func anyMoment() moment {
	m := moment{end: time.Duration(1+rand.IntN(600)) * time.Millisecond}
	if rand.IntN(2) == 0 {
		return m
	}
	pick := func(list ...string) string { return list[rand.IntN(len(list))] }
	m.operation = pick("POST /oauth/token", "GET /api/v2/logs", "PutLogEvents", "PutLogEvents", "PutLogEvents", read, "DescribeLogStreams", "CreateLogStream")
	m.point, m.n, m.end = pick(asked, worked, answered), rand.IntN(9)+1, 1500*time.Millisecond
	return m
}

// disturb lets answers be lost on both sides for one child: after the work was
// done, in the middle, or before it; and refuses some calls outright.
func (c *crash) disturb() {
	draw := func(match string, kinds ...emulator.FaultKind) emulator.Fault {
		f := emulator.Fault{Match: match, Kind: kinds[rand.IntN(len(kinds))], After: rand.IntN(5), Times: 1 + rand.IntN(3)}
		if f.Kind == emulator.FaultAnswer {
			f.Status = []int{500, 503, 502}[rand.IntN(3)]
		}
		return f
	}
	c.aws.Add(
		draw("PutLogEvents", emulator.FaultLost),
		draw("PutLogEvents", emulator.FaultLost, emulator.FaultTruncate, emulator.FaultCut, emulator.FaultAnswer),
		draw(read, emulator.FaultLost, emulator.FaultTruncate, emulator.FaultCut, emulator.FaultAnswer),
		draw("Create*", emulator.FaultLost, emulator.FaultCut),
	)
	c.auth0.Add(draw("GET /api/v2/logs", emulator.FaultLost, emulator.FaultTruncate, emulator.FaultCut, emulator.FaultAnswer))
}

// calm ends the faults and returns how many calls may have been carried out
// without an answer.
func (c *crash) calm() (lost int) {
	for name, faults := range map[string]*emulator.Faults{"Auth0": c.auth0, "AWS": c.aws} {
		for _, f := range faults.List() {
			c.hits[fmt.Sprintf("%s: %s", name, f.Fault.Kind)] += f.Hits
			if f.Fault.Match == "PutLogEvents" {
				lost += f.Hits
			}
		}
		faults.Clear()
	}
	return lost
}

// examine compares what a dead child has left in its buffer with the stream, which
// holds nothing twice. What is in both was delivered and not settled: by the calls
// under way, one for each worker, in this life or in one before, or by calls whose
// answers were lost. In a long run the buffer is looked at now and then.
func (c *crash) examine(t *testing.T, round, lost int) {
	t.Helper()
	if c.long && round%10 > 0 {
		return
	}
	buffered := c.buffered(t)
	copies, last := c.copies(t)
	calls := make(map[int64]bool)
	for raw, n := range copies {
		if n > 1 {
			t.Errorf("an event is there %d times, buffered %t: %.100s", n, buffered[raw], raw)
		}
		if buffered[raw] && !c.doubts[raw] {
			c.doubts[raw] = true
			calls[last[raw]] = true
		}
	}
	if len(calls) > c.spec.InFlight+lost && !c.long {
		t.Errorf("%d calls were delivered and not settled, with %d workers and %d lost answers", len(calls), c.spec.InFlight, lost)
	}
	if round%50 == 0 {
		t.Logf("after %d kills: %d events in the streams, %d in the buffer", round+1, len(copies), len(buffered))
	}
}

// streams returns everything that was delivered.
func (c *crash) streams(t *testing.T) (all []cloudwatch.StoredEvent) {
	t.Helper()
	client := logs.New(logs.Options{
		Region: "us-east-1", BaseEndpoint: aws.String("http://logs.example.com"), Retryer: aws.NopRetryer{},
		Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "example-secret", ""),
		HTTPClient:  &http.Client{Transport: emulator.Transport(c.cloudwatch)},
	})
	pages := logs.NewDescribeLogStreamsPaginator(client, &logs.DescribeLogStreamsInput{LogGroupName: aws.String("/auth0/dev")})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			return nil // killed before the group was made
		}
		for _, s := range page.LogStreams {
			all = append(all, c.cloudwatch.Events("/auth0/dev", aws.ToString(s.LogStreamName))...)
		}
	}
	return all
}

// copies counts how often each event was delivered, and tells when the last copy
// came.
func (c *crash) copies(t *testing.T) (n map[string]int, last map[string]int64) {
	t.Helper()
	n, last = make(map[string]int), make(map[string]int64)
	for _, e := range c.streams(t) {
		n[e.Message]++
		last[e.Message] = max(last[e.Message], e.Ingested)
	}
	return n, last
}

// buffered reads what waits for delivery, from a copy of the store: the next
// child is to find it as the one before has left it.
func (c *crash) buffered(t *testing.T) map[string]bool {
	t.Helper()
	dir := t.TempDir() + "/copy"
	if err := os.CopyFS(dir, os.DirFS(c.spec.Dir)); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), store.Config{Dir: dir})
	if err != nil {
		t.Fatalf("open the store after the kill: %v", err)
	}
	defer func() {
		if err := errors.Join(s.Close(), os.RemoveAll(dir)); err != nil {
			t.Error(err)
		}
	}()
	b, err := s.Buffer(t.Context(), "dev")
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]bool)
	for left := b.Pending(); left > 0; {
		batch, err := b.Next(t.Context(), pipeline.Limits{MaxEvents: 10_000, MaxBytes: 1 << 30, MaxSpan: 24 * time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		left -= int64(len(batch.Events))
		for _, e := range batch.Events {
			all[string(e.Raw)] = true
		}
	}
	return all
}

// finish lets an App come to its end undisturbed, and compares event by event.
func (c *crash) finish(t *testing.T, killed int) {
	t.Helper()
	c.compare(t, killed)
	if len(c.doubts) == 0 {
		t.Error("no event was delivered and not settled at a kill: the test shows nothing")
	}
}

// compare lets everything be delivered and compares.
func (c *crash) compare(t *testing.T, killed int) {
	t.Helper()
	c.stop()
	end := c.serve(newGate(moment{}))
	defer end()
	a, err := c.spec.open(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-a.Done()
	if err := errors.Join(a.Err(), a.Stop(t.Context())); err != nil {
		t.Fatal(err)
	}
	got, _ := c.copies(t)
	held := c.tenant.Events()
	lost, twice := 0, 0
	for _, raw := range held {
		switch n := got[string(raw)]; {
		case n == 0:
			lost++
			t.Errorf("an event is missing: %.100s", raw)
		case n > 1:
			twice += n - 1
			t.Errorf("an event is there %d times: %.100s", n, raw)
		}
		delete(got, string(raw))
	}
	if len(got) > 0 {
		t.Errorf("the streams hold %d events that the tenant does not", len(got))
	}
	for _, e := range c.streams(t) {
		if want := dateOf(e.Message).UnixMilli(); e.Timestamp != want {
			t.Errorf("an event of %d stands at %d", want, e.Timestamp)
		}
	}
	t.Logf("%d kills, %d events: %d lost, %d twice; %d had been delivered and not settled at a kill", killed, len(held), lost, twice, len(c.doubts))
	for _, name := range slices.Sorted(maps.Keys(c.hits)) {
		t.Logf("  %-16s %d", name, c.hits[name])
	}
}
