package journal

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"time"
)

// An ActivityQuery picks what is counted.
type ActivityQuery struct {
	Tenant       string // empty for all
	Since, Until time.Time
	// Top is how many users, addresses, clients and types to name.
	Top int
}

// An Activity is what passed in a span, as counts. An event that went through twice, as
// one that was replayed, counts twice.
type Activity struct {
	// Since and Until are the span that was counted: the one asked for, widened to whole
	// steps.
	Since, Until  time.Time
	Total, Failed int64
	Step          time.Duration
	// Types are the most frequent, and Cells the counts of each by step, oldest first;
	// Failures are the failed events by step.
	Types                        []Top
	Cells                        [][]int64
	Failures                     []int64
	Users, Failing, IPs, Clients []Top
	// Partial says that older events of the span were not counted: the journal does not
	// hold them, or the budget was spent. From is how far the counts reach back then.
	Partial bool
	From    time.Time
}

// A Top is how often a value occurs.
type Top struct {
	Value, Label  string
	Count, Failed int64
}

// maxSteps bounds the columns of an Activity.
const maxSteps = 200

// stepOf returns the length of the steps of a span: the shortest of a few that people
// know, of which the span has not too many. Blocks count in steps of bucket.
func stepOf(span time.Duration) time.Duration {
	for _, step := range []time.Duration{bucket, 15 * time.Minute, time.Hour, 6 * time.Hour, 24 * time.Hour} {
		if span <= 96*step || step == time.Hour && span <= 8*24*time.Hour {
			return step
		}
	}
	const day = 24 * time.Hour
	return (span / maxSteps).Truncate(day) + day
}

// Activity counts what passed in a span.
func (r *Reader) Activity(ctx context.Context, q ActivityQuery) (Activity, error) {
	if !q.Until.After(q.Since) {
		q.Until = q.Since.Add(bucket)
	}
	step := stepOf(q.Until.Sub(q.Since))
	a := Activity{Step: step, Since: q.Since.UTC().Truncate(step)}
	a.Until = q.Until.UTC().Add(step - 1).Truncate(step)
	m := newMatcher(Query{Tenant: q.Tenant, Since: a.Since, Until: a.Until})
	l, err := r.look(ctx, bounds{tenant: q.Tenant, settled: true})
	if err != nil {
		return Activity{}, err
	}
	defer l.close()
	c := &counting{searching: &searching{look: l, m: m}, sum: newStats(nil), from: math.MinInt64}
	if err := c.run(); err != nil {
		return Activity{}, r.noteDamage(err)
	}
	if c.from > m.since {
		a.Partial, a.From = true, timeOf(min(c.from, m.until))
	}
	c.sum.fill(&a, max(q.Top, 1))
	return a, nil
}

// A counting is an Activity under way.
type counting struct {
	*searching

	sum  *stats
	from int64 // how far back all is counted
}

// run counts, the newest first.
func (c *counting) run() error {
	if c.tx != nil {
		if err := c.tx.QueryRowContext(c.ctx, "SELECT at FROM since").Scan(&c.from); err != nil {
			return fmt.Errorf("read journal: %w", err)
		}
	}
	for _, x := range c.inMemory(c.m) {
		list, err := x.open()
		if err != nil {
			return err
		}
		c.add(list)
	}
	for {
		if len(c.chunk) == 0 {
			if c.ended {
				return nil
			}
			if err := c.readChunk(); err != nil {
				return err
			}
			continue
		}
		h := c.chunk[0]
		c.chunk = c.chunk[1:]
		if c.spent() && c.opened > 0 {
			c.from = max(c.from, h.newest+1)
			return nil
		}
		if c.ctx.Err() != nil {
			return context.Cause(c.ctx)
		}
		c.opened++
		if err := c.count(&h); err != nil {
			return err
		}
	}
}

// count adds a block.
func (c *counting) count(h *header) error {
	if h.level == levelRaw {
		list, err := c.r.whole(c.ctx, c.tx, h)
		if err == nil {
			c.add(list)
		}
		return err
	}
	if h.oldest >= c.m.since && h.newest < c.m.until {
		plain, err := c.r.column(c.ctx, c.tx, "SELECT stats FROM blocks WHERE id = ?", h.id)
		if err != nil {
			return err
		}
		return c.sum.merge(plain)
	}
	list, err := c.r.load(c.ctx, c.tx, h)
	if err != nil {
		return err
	}
	c.add(list)
	return nil
}

// add counts the records that are in the span.
func (c *counting) add(list []Record) {
	for i := range list {
		if c.m.record(&list[i]) {
			c.sum.add(&list[i])
		}
	}
}

// fill writes sums into an activity.
func (s *stats) fill(a *Activity, top int) {
	steps := int(a.Until.Sub(a.Since) / a.Step)
	a.Failures = make([]int64, steps)
	types := make(map[string]tally)
	for c, n := range s.cells {
		failed := Failed(c.typ)
		t := types[c.typ]
		t.n += n
		a.Total += n
		if failed {
			t.failed += n
			a.Failed += n
			a.Failures[a.column(c)] += n
		}
		types[c.typ] = t
	}
	most := func(t tally) int64 { return t.n }
	a.Types = tops(types, top, most)
	at := make(map[string]int, len(a.Types))
	for i, t := range a.Types {
		at[t.Value] = i
		a.Cells = append(a.Cells, make([]int64, steps))
	}
	for c, n := range s.cells {
		if i, named := at[c.typ]; named {
			a.Cells[i][a.column(c)] += n
		}
	}
	a.Users, a.IPs, a.Clients = tops(s.users, top, most), tops(s.ips, top, most), tops(s.clients, top, most)
	a.Failing = tops(s.users, top, func(t tally) int64 { return t.failed })
}

// column returns in which step a cell lies; all that is counted lies in one.
func (a *Activity) column(c cell) int {
	at := time.UnixMicro(c.at * bucket.Microseconds())
	return int(at.Sub(a.Since) / a.Step)
}

// tops returns the values with the highest counts, but for 0.
func tops(m map[string]tally, n int, by func(tally) int64) []Top {
	list := make([]Top, 0, len(m))
	for value, t := range m {
		if by(t) > 0 {
			list = append(list, Top{Value: value, Label: t.label, Count: t.n, Failed: t.failed})
		}
	}
	of := func(t Top) int64 { return by(tally{n: t.Count, failed: t.Failed}) }
	slices.SortFunc(list, func(a, b Top) int { return cmp.Or(cmp.Compare(of(b), of(a)), cmp.Compare(a.Value, b.Value)) })
	return list[:min(n, len(list))]
}
