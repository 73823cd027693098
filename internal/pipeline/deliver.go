package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Deliver is the loop that moves one tenant's batches from the buffer to a
// sink. A tenant with several sinks has as many loops. Its fields are set before
// Run.
type Deliver struct {
	Buffer Buffer
	Sink   Sink
	// Name is that of the sink, see Destination; empty for the main one.
	Name string
	// InFlight is how many batches may be under way at once; at least 1.
	InFlight int
	Logger   *slog.Logger
	Metrics  *Metrics
	// Report hears of trouble when it begins or changes, and nil when it ends;
	// may be nil.
	Report func(ctx context.Context, part string, c *Condition)
	// OnSettled is called after each batch that was settled; may be nil.
	OnSettled func()
	// OnOutcome is called with each batch of which the outcome is known, before it is
	// settled, also where the call failed and all of it goes back. What it returns is
	// called when that is done, with whether the buffer has taken the outcome. It must
	// be quick, and is called at the same time for different batches; may be nil.
	OnOutcome func(Outcome) (done func(settled bool))
	// Observer follows batches; may be nil.
	Observer Observer

	setUp    sync.Once
	trouble  *trouble
	lanes    lanes
	inFlight atomic.Int64
}

// An Observer follows batches on their way to the sink and back. It must be quick, and is
// called at the same time for different batches.
type Observer interface {
	// Delivering hears of a batch before the sink does. The context that it returns goes
	// along with the batch, so that what the sink does can be told to belong to it. done
	// hears what became of the batch, and whether the buffer has taken that.
	Delivering(ctx context.Context, b Batch) (_ context.Context, done func(o Outcome, settled bool))
}

// An Outcome is what became of a batch.
type Outcome struct {
	Batch   Batch
	Receipt Receipt
	// Began is when the sink was asked to deliver it, and Took how long that lasted.
	Began time.Time
	Took  time.Duration
	// Doubted says that the batch was in doubt, so that it was looked up first.
	Doubted bool
	// Err is why nothing of it is known to have been delivered; nil when the sink gave
	// the receipt.
	Err error
}

// DeliveryPart is the name of the delivery loop of the main sink in logs, metrics
// and status.
const DeliveryPart = "delivery"

// DeliveryPartOf is the name of the delivery loop of a sink.
func DeliveryPartOf(sink string) string {
	if sink == "" {
		return DeliveryPart
	}
	return DeliveryPart + ":" + sink
}

// part is the name of this loop.
func (d *Deliver) part() string { return DeliveryPartOf(d.Name) }

// Run delivers until ctx ends; then it takes no more batches, waits for the
// calls under way and returns the cause. It never gives an event up: a batch
// that fails goes back to the buffer, and its destination is held for a while,
// so that it keeps no worker from the others. The end of calls cuts short what is
// under way and leaves the outcome of its batch unknown, so it should come later
// than that of ctx.
func (d *Deliver) Run(ctx, calls context.Context) error {
	d.state()
	var workers sync.WaitGroup
	for range max(d.InFlight, 1) {
		workers.Go(func() { d.work(ctx, calls) })
	}
	workers.Wait()
	return context.Cause(ctx)
}

// Trouble returns the trouble that delivery is in, nil when there is none.
func (d *Deliver) Trouble() *Condition { return d.state().current() }

// state returns the trouble, made on the first call.
func (d *Deliver) state() *trouble {
	d.setUp.Do(func() { d.trouble = &trouble{part: d.part(), logger: d.Logger, report: d.report} })
	return d.trouble
}

// report forwards a change of the trouble.
func (d *Deliver) report(ctx context.Context, c *Condition) {
	if d.Report != nil {
		d.Report(ctx, d.part(), c)
	}
}

// The strands of the trouble, besides the destinations: taking batches and
// settling them, which all workers share.
const (
	strandTake   = "take"
	strandSettle = "settle"
)

// work takes batches one after the other. ctx ends the taking, calls ends what
// is under way.
func (d *Deliver) work(ctx, calls context.Context) {
	var backoff Backoff
	for ctx.Err() == nil {
		b, err := d.take(ctx)
		if err != nil {
			if d.retry(ctx, strandTake, &backoff, fmt.Errorf("take batch: %w", err)) != nil {
				return
			}
			continue
		}
		backoff.Reset()
		d.trouble.recovered(ctx, strandTake)
		if d.one(ctx, calls, b) != nil {
			return
		}
	}
}

// take takes a batch of a destination that is not held.
func (d *Deliver) take(ctx context.Context) (Batch, error) {
	for {
		waiting, done := d.lanes.wait(ctx)
		l := d.Sink.Limits()
		l.Sink, l.Held = d.Name, d.lanes.held
		b, err := d.Buffer.Next(waiting, l)
		done()
		if err == nil || ctx.Err() != nil || !errors.Is(err, errLaneFree) {
			return b, err
		}
	}
}

// one tries to deliver a batch and settles it: as the receipt says, or back into
// the buffer. The error says that the program stops and that the batch could not
// be settled.
func (d *Deliver) one(ctx, calls context.Context, b Batch) error {
	d.Metrics.inFlight.Set(float64(d.inFlight.Add(1)))
	defer func() { d.Metrics.inFlight.Set(float64(d.inFlight.Add(-1))) }()
	observed := func(Outcome, bool) {}
	if d.Observer != nil {
		calls, observed = d.Observer.Delivering(calls, b)
	}
	began := time.Now()
	doubted := !b.Doubt.IsZero()
	receipt, failure := d.try(calls, &b)
	took := time.Since(began)
	if failure != nil {
		d.failed(ctx, b.Destination, failure)
		receipt = RetryAll(b, b.Doubt)
	}
	out := Outcome{Batch: b, Receipt: receipt, Began: began, Took: took, Doubted: doubted, Err: failure}
	done := func(bool) {}
	if d.OnOutcome != nil {
		done = d.OnOutcome(out)
	}
	err := d.settle(calls, b, receipt)
	done(err == nil)
	observed(out, err == nil)
	if err != nil || failure != nil {
		return err
	}
	d.Metrics.settled(b, receipt, time.Now())
	d.lanes.free(b.Destination)
	d.trouble.recovered(ctx, b.Destination.strand())
	if d.OnSettled != nil {
		d.OnSettled()
	}
	return nil
}

// try sends a batch once. An outcome that stays unknown puts the batch in doubt.
func (d *Deliver) try(ctx context.Context, b *Batch) (Receipt, error) {
	began := time.Now()
	receipt, err := d.Sink.Deliver(ctx, *b)
	if err != nil && Classify(err).OutcomeUnknown {
		b.Doubt = b.Doubt.Join(Doubt{From: began, Until: time.Now()})
	}
	return receipt, err
}

// failed holds a destination and tells of it, unless the program stops.
func (d *Deliver) failed(ctx context.Context, to Destination, err error) {
	if ctx.Err() != nil {
		return
	}
	e := Classify(fmt.Errorf("deliver batch: %w", err))
	d.Metrics.retries.WithLabelValues(d.part(), e.Class.String()).Inc()
	d.trouble.failed(ctx, to.strand(), e, d.lanes.hold(to, e))
}

// settle makes the outcome of a batch durable, however often that takes:
// delivered and not settled, it would be looked up or doubled.
func (d *Deliver) settle(calls context.Context, b Batch, r Receipt) error {
	var backoff Backoff
	for {
		err := d.Buffer.Settle(calls, b, r)
		if err == nil {
			d.trouble.recovered(calls, strandSettle)
			return nil
		}
		if stop := d.retry(calls, strandSettle, &backoff, fmt.Errorf("settle batch: %w", err)); stop != nil {
			return stop
		}
	}
}

// retry notes a failure and waits; an error says that ctx has ended.
func (d *Deliver) retry(ctx context.Context, strand string, backoff *Backoff, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	e := Classify(err)
	d.Metrics.retries.WithLabelValues(d.part(), e.Class.String()).Inc()
	wait := backoff.Next(e)
	d.trouble.failed(ctx, strand, e, wait)
	return Wait(ctx, wait)
}
