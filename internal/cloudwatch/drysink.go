package cloudwatch

import (
	"context"
	"sync"
	"time"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// A DrySink is a sink that sends nothing. It makes batches ready as a Sink does,
// tells what would be sent, and takes that for delivered. It has no client, and
// needs neither credentials nor a Region.
//
// What only CloudWatch Logs can know it does not: whether the destination is
// there and may be written to, and the retention of a log group that is there. It
// takes that for the configured one.
type DrySink struct {
	config  Config
	windows windows

	mu   sync.Mutex // held while tell runs
	tell func(DryBatch)
}

var _ pipeline.Sink = (*DrySink)(nil)

// DryBatch is what would become of a batch.
type DryBatch struct {
	Destination pipeline.Destination
	// Calls is how many calls of PutLogEvents it would take.
	Calls int
	// Events are those of the batch, in its order.
	Events []DryEvent
}

// A DryEvent is what would become of an event.
type DryEvent struct {
	// Event is as the batch has it.
	Event event.Event
	// Message is what would be sent; nil for an event that would not be.
	Message []byte
	// At is the timestamp that it would be sent with; its date where Restamped is
	// empty.
	At time.Time
	// Rejected, Altered and Restamped are the reasons, as a Sink counts them, for
	// which the event would not be sent, be sent in another form, or with another
	// timestamp than its date; empty otherwise.
	Rejected, Altered, Restamped string
}

// NewDrySink makes one. tell hears of each batch, of one at a time; what it is
// given is its own to keep, and not to write to. Errors are of class Misconfigured.
func NewDrySink(c Config, tell func(DryBatch)) (*DrySink, error) {
	if err := c.Validate(); err != nil {
		return nil, &pipeline.Error{Op: "configure CloudWatch Logs", Class: pipeline.Misconfigured, Err: err}
	}
	return &DrySink{config: c.filled(), tell: tell}, nil
}

// Limits returns what a batch may hold at this moment, see pipeline.Sink.
func (s *DrySink) Limits() pipeline.Limits {
	return batchLimits(s.windows.widest(time.Now()), s.config.Linger)
}

// Deliver tells what would become of a batch, see pipeline.Sink.
func (s *DrySink) Deliver(_ context.Context, b pipeline.Batch) (pipeline.Receipt, error) {
	if len(b.Events) == 0 {
		return pipeline.Receipt{}, nil
	}
	if err := validDestination(b.Destination); err != nil {
		return pipeline.Receipt{}, err
	}
	now := time.Now()
	if s.config.RetentionDays > 0 {
		s.windows.retention(b.Destination.LogGroup, s.config.RetentionDays, now)
	}
	d := prepare(b, s.config, s.windows.at(b.Destination.LogGroup, now))
	out := DryBatch{Destination: b.Destination, Calls: len(split(d.items)), Events: make([]DryEvent, len(b.Events))}
	for i, e := range b.Events {
		out.Events[i] = DryEvent{Event: e, At: e.Date}
	}
	for _, it := range d.items {
		out.Events[it.index].Message, out.Events[it.index].At = it.message, time.UnixMilli(it.at).UTC()
	}
	for _, r := range d.rejected {
		out.Events[r.Index].Rejected = r.Reason
	}
	for _, r := range d.altered {
		out.Events[r.Index].Altered = r.Reason
	}
	for _, r := range d.restamps {
		out.Events[r.index].Restamped = r.reason
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tell(out)
	return pipeline.Receipt{Rejected: d.rejected, Altered: d.altered}, nil
}
