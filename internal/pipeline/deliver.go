package pipeline

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Deliver is the loop that moves one tenant's batches from the buffer to the
// sink. Its fields are set before Run.
type Deliver struct {
	Buffer Buffer
	Sink   Sink
	// InFlight is how many batches may be under way at once; at least 1.
	InFlight int
	Logger   *slog.Logger
	Metrics  *Metrics
	// Report hears of trouble when it begins or changes, and nil when it ends;
	// may be nil.
	Report func(ctx context.Context, part string, c *Condition)
	// OnSettled is called after each batch that was settled; may be nil.
	OnSettled func()

	setUp    sync.Once
	trouble  *trouble
	inFlight atomic.Int64
}

// DeliveryPart is the name of the delivery loop in logs, metrics and status.
const DeliveryPart = "delivery"

// Run delivers until ctx ends; then it takes no more batches, waits for the
// calls under way and returns the cause. It never gives a batch up. The end of
// calls cuts short what is under way and leaves the outcome of its batch
// unknown, so it should come later than that of ctx.
func (d *Deliver) Run(ctx, calls context.Context) error {
	d.state()
	var workers sync.WaitGroup
	for i := range max(d.InFlight, 1) {
		workers.Go(func() { d.work(ctx, calls, taking+1+i) })
	}
	workers.Wait()
	return context.Cause(ctx)
}

// Trouble returns the trouble that delivery is in, nil when there is none.
func (d *Deliver) Trouble() *Condition { return d.state().current() }

// state returns the trouble, made on the first call.
func (d *Deliver) state() *trouble {
	d.setUp.Do(func() { d.trouble = &trouble{part: DeliveryPart, logger: d.Logger, report: d.report} })
	return d.trouble
}

// report forwards a change of the trouble.
func (d *Deliver) report(ctx context.Context, c *Condition) {
	if d.Report != nil {
		d.Report(ctx, DeliveryPart, c)
	}
}

// taking is the strand of the trouble with taking batches, which all workers
// share: a worker that waits for a batch cannot know that it would get one. The
// workers themselves are the strands behind it.
const taking = 0

// work takes batches one after the other. ctx ends the taking, calls ends what
// is under way.
func (d *Deliver) work(ctx, calls context.Context, worker int) {
	var backoff Backoff
	for ctx.Err() == nil {
		b, err := d.Buffer.Next(ctx, d.Sink.Limits())
		if err != nil {
			if d.retry(ctx, taking, &backoff, fmt.Errorf("take batch: %w", err)) != nil {
				return
			}
			continue
		}
		backoff.Reset()
		d.trouble.recovered(ctx, taking)
		if d.one(ctx, calls, worker, b) != nil {
			return
		}
	}
}

// one carries a batch to its end. The error says that the program stops, and
// that the batch was left as it was.
func (d *Deliver) one(ctx, calls context.Context, worker int, b Batch) error {
	d.Metrics.inFlight.Set(float64(d.inFlight.Add(1)))
	defer func() { d.Metrics.inFlight.Set(float64(d.inFlight.Add(-1))) }()
	var backoff Backoff
	receipt, err := d.try(calls, &b)
	for err != nil {
		if stop := d.retry(ctx, worker, &backoff, fmt.Errorf("deliver batch: %w", err)); stop != nil {
			d.giveBack(calls, b)
			return stop
		}
		receipt, err = d.try(calls, &b)
	}
	backoff.Reset()
	for {
		err := d.Buffer.Settle(calls, b, receipt)
		if err == nil {
			break
		}
		// Delivered but not settled: sending it again would double it.
		if stop := d.retry(calls, worker, &backoff, fmt.Errorf("settle batch: %w", err)); stop != nil {
			return stop
		}
	}
	d.Metrics.settled(b, receipt, time.Now())
	d.trouble.recovered(ctx, worker)
	if d.OnSettled != nil {
		d.OnSettled()
	}
	return nil
}

// try sends a batch once. An outcome that stays unknown puts the batch in doubt
// for the next try.
func (d *Deliver) try(ctx context.Context, b *Batch) (Receipt, error) {
	began := time.Now()
	receipt, err := d.Sink.Deliver(ctx, *b)
	if err != nil && Classify(err).OutcomeUnknown {
		b.Doubt = b.Doubt.Join(Doubt{From: began, Until: time.Now()})
	}
	return receipt, err
}

// giveBack leaves a batch in the buffer because the program stops. If it surely
// has not arrived its lease ends on disk, too, so that the next start has nothing
// to look up; when that fails the next start looks, and finds nothing.
func (d *Deliver) giveBack(ctx context.Context, b Batch) {
	if b.Doubt.IsZero() {
		_ = d.Buffer.Settle(ctx, b, RetryAll(b, Doubt{}))
	}
}

// retry notes a failure and waits; an error says that ctx has ended.
func (d *Deliver) retry(ctx context.Context, strand int, backoff *Backoff, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	e := Classify(err)
	d.Metrics.retries.WithLabelValues(DeliveryPart, e.Class.String()).Inc()
	wait := backoff.Next(e)
	d.trouble.failed(ctx, strand, e, wait)
	return Wait(ctx, wait)
}
