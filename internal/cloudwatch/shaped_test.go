package cloudwatch_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidwall/gjson"

	"github.com/gaplesslogs/gapless/internal/cloudwatch"
	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/pipeline/pipelinetest"
	"github.com/gaplesslogs/gapless/internal/transform"
)

// shaped puts a shape in front of a sink.
func shaped(t *testing.T, s *cloudwatch.Sink, fields map[string]string) *pipeline.Outbound {
	t.Helper()
	shape, growth, err := transform.NewShape("acme", fields, nil)
	if err != nil {
		t.Fatal(err)
	}
	return &pipeline.Outbound{Sink: s, Shape: shape, Growth: growth}
}

// stage is a field whose value is the same for all events, staged what it makes of
// the beginning of a message.
var stage = map[string]string{"stage": "text:prod"}

const staged = `{"stage":"prod",`

// TestShapedSinkKeepsTheContract holds the sink with a shape in front to the
// contract: but for what was added, and counts in the limits, everything is as
// without.
func TestShapedSinkKeepsTheContract(t *testing.T) {
	t.Parallel()
	pipelinetest.TestSink(t, func(t *testing.T) (pipeline.Sink, func() []pipelinetest.Stored) {
		t.Helper()
		c := newCloud()
		s, _ := open(t, c, config())
		return shaped(t, s, stage), func() []pipelinetest.Stored {
			all := c.stored()
			for i := range all {
				if message, ok := strings.CutPrefix(all[i].Message, staged); ok {
					all[i].Message = "{" + message
				}
			}
			return all
		}
	})
}

// TestShapedBatchesFitIntoOneCall fills a batch to the last byte that the limits
// allow: with all that is added it goes in one call.
func TestShapedBatchesFitIntoOneCall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCloud()
		s, _ := open(t, c, config())
		o := shaped(t, s, stage)
		l := o.Limits()
		var events []event.Event
		for left := l.MaxBytes; left > 0; {
			size := min(left-l.EventOverhead, 60_000)
			if rest := left - size - l.EventOverhead; rest > 0 && rest < 2000 {
				size -= 2000
			}
			events = append(events, heavy(fmt.Sprintf("id-%d", len(events)), size))
			left -= size + l.EventOverhead
		}
		deliverBy(t, o, batch(events...))
		calls := c.seen("PutLogEvents")
		same(t, "events in the last call", len(events), calls[len(calls)-1].events)
		same(t, "stored", len(events), len(c.stored()))
		bytes := 0
		for _, m := range c.stored() {
			bytes += len(m.Message) + cloudwatch.EventOverhead
		}
		same(t, "bytes", cloudwatch.MaxBatchBytes, bytes)
	})
}

// heavy makes an event of a size.
func heavy(id string, size int) event.Event {
	start, end := `{"log_id":"`+id+`","details":{"body":"`, `"}}`
	return event.Event{LogID: id, Date: time.Now(), Raw: []byte(start + strings.Repeat("x", size-len(start)-len(end)) + end)}
}

// deliverBy delivers by any sink.
func deliverBy(t *testing.T, s pipeline.Sink, b pipeline.Batch) pipeline.Receipt {
	t.Helper()
	r, err := s.Deliver(t.Context(), b)
	if err != nil {
		t.Fatalf("Deliver: %v", err)
	}
	return withoutPrints(t, len(b.Events), r)
}

// TestGrownOverTheLimit has an event that fits until members are added to it: it is
// trimmed or set aside as any other that is too large, and its neighbours go.
func TestGrownOverTheLimit(t *testing.T) {
	t.Parallel()
	for policy, want := range map[string]pipeline.Receipt{
		cloudwatch.Trim:       {Altered: []pipeline.Rejection{{Index: 2, Reason: "too_large"}}},
		cloudwatch.DeadLetter: {Rejected: []pipeline.Rejection{{Index: 2, Reason: "too_large"}}},
	} {
		t.Run(policy, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := newCloud()
				s, _ := open(t, c, config(func(c *cloudwatch.Config) { c.TooLarge = policy }))
				o := shaped(t, s, stage)
				added := len(staged) - 1
				fits, grows := heavy("fits", cloudwatch.MaxMessageBytes-added), heavy("grows", cloudwatch.MaxMessageBytes-added+1)
				r := deliverBy(t, o, batch(ev("before", time.Now()), fits, grows, ev("after", time.Now())))
				same(t, "rejected", reasons(want.Rejected), reasons(r.Rejected))
				same(t, "altered", reasons(want.Altered), reasons(r.Altered))
				same(t, "stored", 4-len(want.Rejected), len(c.stored()))
				for _, m := range c.stored() {
					if !gjson.Valid(m.Message) || !strings.HasPrefix(m.Message, staged) {
						t.Errorf("stored %.100s", m.Message)
					}
				}
			})
		})
	}
}

// TestAnotherShapeIsFoundAgain sends a batch whose answer is lost and tries it again
// with other fields, or without any, as after a change of the configuration.
func TestAnotherShapeIsFoundAgain(t *testing.T) {
	t.Parallel()
	for name, fields := range map[string]map[string]string{"the same": stage, "another": {"where": "tenant", "stage": "text:test"}, "none": nil} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := newCloud()
				c.add(dest.LogGroup, dest.LogStream)
				c.with("PutLogEvents", 1, answer{lost: true, status: http.StatusInternalServerError, code: "InternalFailure"})
				s, reg := open(t, c, config(func(c *cloudwatch.Config) { c.Compression = cloudwatch.CompressNone }))
				events := []event.Event{ev("a", time.Now()), ev("b", time.Now()), {LogID: event.SyntheticPrefix + "0", Date: time.Now(), Raw: []byte(`{"type":"s"}`)}}
				b := batch(events...)
				began := time.Now()
				_, err := shaped(t, s, stage).Deliver(t.Context(), b)
				if !pipeline.Classify(err).OutcomeUnknown {
					t.Fatalf("error %v", err)
				}
				b.Doubt = pipeline.Doubt{From: began, Until: time.Now()}
				same(t, "receipt", pipeline.Receipt{}, deliverBy(t, shaped(t, s, fields), b))
				same(t, "stored", 3, len(c.stored()))
				same(t, "found", 3.0, value(t, reg, "gapless_cloudwatch_in_doubt_events_total", "outcome=found"))
			})
		})
	}
}
