package cloudwatch_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gaplesslogs/gapless/internal/cloudwatch"
	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/pipeline/pipelinetest"
)

// quotas are those of an account in a Region, see limits.go.
func quotas() map[string]int {
	return map[string]int{"CreateLogGroup": 10, "CreateLogStream": 50, "PutRetentionPolicy": 5}
}

// TestManyNewDestinations delivers to 500 streams and 40 groups that are all new,
// as at midnight, under the quotas of an account, or under what others leave of
// them: everything arrives, and where the account is ours alone no call is refused.
func TestManyNewDestinations(t *testing.T) {
	t.Parallel()
	for name, rates := range map[string]map[string]int{
		"alone":       quotas(),
		"with others": {"CreateLogGroup": 2, "CreateLogStream": 8, "PutRetentionPolicy": 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := newCloud()
				c.rates = rates
				s, reg := open(t, c, config(func(c *cloudwatch.Config) { c.RetentionDays = 30 }))
				destinations := make([]pipeline.Destination, 0, 540)
				for i := range 500 {
					destinations = append(destinations, pipeline.Destination{LogGroup: "/auth0/one", LogStream: fmt.Sprintf("s%d", i)})
				}
				for i := range 40 {
					destinations = append(destinations, pipeline.Destination{LogGroup: fmt.Sprintf("/auth0/%d", i), LogStream: "logs"})
				}
				began := time.Now()
				troubles := deliverToAll(t, s, destinations)
				same(t, "stored", len(destinations), len(c.stored()))
				same(t, "made", float64(len(destinations)+41), value(t, reg, "gapless_cloudwatch_provisioned_total"))
				if took := time.Since(began); took > 5*time.Minute {
					t.Errorf("it took %v", took)
				}
				if name == "alone" {
					same(t, "troubles", 0, troubles)
				}
				for i := range 41 {
					group := fmt.Sprintf("/auth0/%d", i)
					if i == 40 {
						group = "/auth0/one"
					}
					if g := c.group(group); g == nil || g.retentionDays != 30 {
						t.Errorf("group %s is %+v", group, g)
					}
				}
			})
		})
	}
}

// deliverToAll runs the delivery loop over an event for each destination until
// nothing is left, and returns how many troubles there were.
func deliverToAll(t *testing.T, s pipeline.Sink, destinations []pipeline.Destination) (troubles int) {
	t.Helper()
	buffer := pipelinetest.NewMemory(0, 0)
	var in pipeline.Intake
	for i := range destinations {
		e := ev(fmt.Sprintf("id-%d", i), time.Now())
		in.Entries = append(in.Entries, pipeline.Entry{Event: e, Destination: destinations[i]})
	}
	in.CaughtUp = true
	if _, err := buffer.Append(t.Context(), "poll", in); err != nil {
		t.Fatal(err)
	}
	runLoop(t, &pipeline.Deliver{Buffer: buffer, Sink: s, InFlight: 16}, buffer, func() { troubles++ })
	return troubles
}

// runLoop runs a delivery until the buffer is empty, an hour at most; tell hears of
// each trouble.
func runLoop(t *testing.T, d *pipeline.Deliver, buffer *pipelinetest.Memory, tell func()) {
	t.Helper()
	d.Logger, d.Metrics = slog.New(slog.DiscardHandler), pipeline.NewMetrics(prometheus.NewRegistry(), "example")
	d.Report = func(_ context.Context, _ string, c *pipeline.Condition) {
		if c != nil {
			tell()
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	d.OnSettled = func() {
		if buffer.Len() == 0 {
			cancel()
		}
	}
	_ = d.Run(ctx, t.Context()) // always the cause of ctx
	same(t, "left in the buffer", 0, buffer.Len())
}

// TestManyStreamsOfOneLoop delivers a trickle for 200 streams: each gets its own
// small batches, and none waits for the others longer than it takes to go round.
func TestManyStreamsOfOneLoop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCloud()
		c.rates = quotas()
		s, _ := open(t, c, config())
		buffer := pipelinetest.NewMemory(0, 0)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() {
			for n := range 4 {
				in := pipeline.Intake{CaughtUp: true}
				for i := range 200 {
					in.Entries = append(in.Entries, pipeline.Entry{
						Event: ev(fmt.Sprintf("id-%d-%d", n, i), time.Now()), Destination: pipeline.Destination{LogGroup: "/auth0/one", LogStream: fmt.Sprintf("s%d", i)},
					})
				}
				_, _ = buffer.Append(ctx, "poll", in)
				_ = pipeline.Wait(ctx, 10*time.Second)
			}
		}()
		most := time.Duration(0)
		slow := &watched{Sink: s, saw: func(b pipeline.Batch) {
			if time.Since(b.Events[0].Date) > most {
				most = time.Since(b.Events[0].Date)
			}
		}}
		d := &pipeline.Deliver{Buffer: buffer, Sink: slow, InFlight: 1}
		d.Logger, d.Metrics = slog.New(slog.DiscardHandler), pipeline.NewMetrics(prometheus.NewRegistry(), "example")
		ended := make(chan struct{})
		go func() { defer close(ended); _ = d.Run(ctx, t.Context()) }()
		<-time.After(5 * time.Minute)
		cancel()
		<-ended
		same(t, "stored", 800, len(c.stored()))
		if most > 10*time.Second { // 200 new streams at 25 a second
			t.Errorf("an event waited for %v", most)
		}
	})
}

// watched is a Sink that tells of each batch that it has delivered.
type watched struct {
	pipeline.Sink
	saw func(pipeline.Batch)
}

func (w *watched) Deliver(ctx context.Context, b pipeline.Batch) (pipeline.Receipt, error) {
	r, err := w.Sink.Deliver(ctx, b)
	if err == nil {
		w.saw(b)
	}
	return r, err
}
