package journal

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// A Delivery is one batch: the calls that it took until its outcome was known.
type Delivery struct {
	At          time.Time
	Took        time.Duration
	Tenant      string
	Destination pipeline.Destination
	Events      int
	Bytes       int64 // of the events as the buffer has them
	Delivered   int
	Rejected    int
	Retried     int  // to be sent again
	Doubt       bool // looked up first, because it may have arrived
	Error       string
}

// delivery returns what the list of deliveries shows of an outcome.
func (p *pending) delivery() Delivery {
	d := Delivery{
		At: p.Began.UTC().Truncate(time.Microsecond), Took: p.Took, Tenant: p.Tenant, Destination: p.Batch.Destination,
		Events: len(p.Batch.Events), Rejected: len(p.Receipt.Rejected), Retried: len(p.Receipt.Retry), Doubt: p.Doubted,
	}
	d.Delivered = d.Events - d.Rejected - d.Retried - len(p.Receipt.Skipped)
	for i := range p.Batch.Events {
		d.Bytes += int64(len(p.Batch.Events[i].Raw))
	}
	if p.Err != nil {
		d.Error = p.Err.Error()
	}
	return d
}

// apart moves the beginning of an outcome by microseconds, so that no two begin at the
// same one: lists are divided there. The caller holds mu.
func (q *queue) apart(p *pending) {
	if q.begun == nil || len(q.begun) > 10_000 {
		q.begun = make(map[int64]bool)
	}
	for q.begun[p.Began.UnixMicro()] {
		p.Began = p.Began.Add(time.Microsecond)
	}
	q.begun[p.Began.UnixMicro()] = true
}

// Deliveries returns the latest deliveries of a tenant, of all when it is empty, that
// began before a time, the newest first and at most limit. A zero time is no bound.
func (r *Reader) Deliveries(ctx context.Context, tenant string, before time.Time, limit int) ([]Delivery, error) {
	l, err := r.look(ctx, bounds{tenant: tenant, settled: true})
	if err != nil {
		return nil, err
	}
	defer l.close()
	limit = max(limit, 1)
	var list []Delivery
	for _, p := range l.pending {
		if r.live.queue.number(p) == 0 { // not settled yet
			continue
		}
		if d := p.delivery(); (tenant == "" || d.Tenant == tenant) && (before.IsZero() || d.At.Before(before)) {
			list = append(list, d)
		}
	}
	stored, err := l.deliveries(tenant, before, limit)
	if err != nil {
		return nil, r.noteDamage(err)
	}
	list = append(list, stored...)
	slices.SortFunc(list, func(a, b Delivery) int { return cmp.Compare(b.At.UnixMicro(), a.At.UnixMicro()) })
	list = slices.CompactFunc(list, func(a, b Delivery) bool { return a.At.Equal(b.At) }) // one that was written meanwhile
	return list[:min(limit, len(list))], nil
}

// deliveries reads those of the file.
func (l *look) deliveries(tenant string, before time.Time, limit int) (list []Delivery, err error) {
	if l.tx == nil {
		return nil, nil
	}
	until := int64(1<<63 - 1)
	if !before.IsZero() {
		until = ceilMicros(before)
	}
	rows, err := l.tx.QueryContext(l.ctx, `SELECT at, took, tenant, sink, log_group, log_stream, events, bytes, delivered, rejected, retried, doubt, error FROM deliveries
		WHERE at < ?1 AND (?2 = '' OR tenant = ?2) ORDER BY at DESC LIMIT ?3`, until, tenant, limit)
	if err != nil {
		return nil, fmt.Errorf("read journal: %w", err)
	}
	defer rows.Close() //nolint:errcheck // Err tells what went wrong
	for rows.Next() {
		var d Delivery
		var at int64
		to := &d.Destination
		if err := rows.Scan(&at, &d.Took, &d.Tenant, &to.Sink, &to.LogGroup, &to.LogStream, &d.Events, &d.Bytes, &d.Delivered, &d.Rejected, &d.Retried, &d.Doubt, &d.Error); err != nil {
			return nil, fmt.Errorf("read journal: %w", err)
		}
		d.At = timeOf(at)
		list = append(list, d)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read journal: %w", err)
	}
	return list, nil
}
