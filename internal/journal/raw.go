package journal

import (
	"cmp"
	"context"
	"database/sql"
	"slices"
	"time"

	"github.com/klauspost/compress/s2"
)

// Blocks that are written in a backlog, when the processor is wanted for the export, are
// raw: they hold what is known without reading the events, and the bytes of these,
// packed the quick way. Names, facts and counts are read when somebody searches such a
// block, and for good when the backlog is over: then one block after the other is
// indexed, which is to say that it is made as those of a quiet hour are.

// Levels of blocks that are not merged.
const (
	// levelRaw is that of raw blocks.
	levelRaw = -1
	// levelFull is that of blocks which fill a good part of the bounds.
	levelFull = 1 << 10
)

const (
	// hurryBytes is how much must be queued for a backlog.
	hurryBytes = blockBytes / 4
	// indexEvery is the pause between two blocks that are indexed.
	indexEvery = 20 * time.Millisecond
	// indexAfter is how long after a backlog that begins.
	indexAfter = 2 * time.Second
	// indexWithin is for how long a backlog puts it off.
	indexWithin = 5 * time.Minute
)

// levelOf returns the level of a block of so many events and bytes that was merged so
// many times.
func levelOf(times, events int, bytes int64) int {
	if events >= blockEvents/mergeOf || bytes >= blockBytes/mergeOf {
		return levelFull
	}
	return times
}

// A rawItem is an event on its way into a raw block.
type rawItem struct {
	p     *pending
	fates *fates
	i     int   // its place in the batch
	date  int64 // microseconds
	seq   int64
}

// logID returns that of the event.
func (x *rawItem) logID() string { return x.p.Batch.Events[x.i].LogID }

// compareItems orders items of a tenant as the keys of their events.
func compareItems(a, b rawItem) int {
	if c := cmp.Compare(a.date, b.date); c != 0 {
		return c
	}
	return cmp.Compare(a.logID(), b.logID())
}

// A rawPacker makes raw blocks. What it makes is overwritten by the next one.
type rawPacker struct {
	enc                encoder
	plain, body, facts []byte
}

// insertRaw writes outcomes as raw blocks, and returns of how many events.
func (j *Journal) insertRaw(ctx context.Context, tx *sql.Tx, list []*pending) (events int, err error) {
	groups := make(map[group][]rawItem)
	var order []group
	write := func(items []rawItem) error {
		for _, part := range cutItems(items) {
			events += len(part)
			if err := j.raw.block(part).insert(ctx, tx); err != nil {
				return err
			}
		}
		return nil
	}
	for _, p := range list {
		if p.size == 0 {
			continue
		}
		items := p.items()
		if p.large() {
			if err := write(items); err != nil {
				return events, err
			}
			continue
		}
		g := group{p.Tenant, p.Batch.Destination.Sink}
		if groups[g] == nil {
			order = append(order, g)
		}
		groups[g] = append(groups[g], items...)
	}
	for _, g := range order {
		if err := write(groups[g]); err != nil {
			return events, err
		}
	}
	return events, nil
}

// items lists the events whose outcome is known.
func (p *pending) items() []rawItem {
	f := p.fates()
	list := make([]rawItem, 0, p.size)
	for i := range p.Batch.Events {
		if !f.left[i] {
			list = append(list, rawItem{p: p, fates: &f, i: i, date: p.Batch.Events[i].Date.UnixMicro(), seq: p.seq + int64(len(list))})
		}
	}
	return list
}

// cutItems cuts items into those of blocks within the bounds, each in the order of the
// keys.
func cutItems(list []rawItem) (parts [][]rawItem) {
	from, bytes := 0, 0
	for i := range list {
		size := len(list[i].p.Batch.Events[list[i].i].Raw)
		if i > from && blockFull(i-from, bytes+size) {
			parts = append(parts, list[from:i:i])
			from, bytes = i, 0
		}
		bytes += size
	}
	parts = append(parts, list[from:])
	for _, part := range parts {
		if !slices.IsSortedFunc(part, compareItems) {
			slices.SortStableFunc(part, compareItems)
		}
	}
	return parts
}

// block makes a block of items of one tenant and sink, which are in order. Those of a
// further sink, of which no bytes are kept, are as in a quiet hour.
func (k *rawPacker) block(items []rawItem) *block {
	first, last := &items[0], &items[len(items)-1]
	b := &block{header: header{
		tenant: first.p.Tenant, sink: first.p.Batch.Destination.Sink, level: levelRaw, events: len(items),
		first: first.seq, last: first.seq, oldest: first.date, newest: last.date,
	}}
	k.enc = encoder{b: k.enc.b[:0]}
	if need := sizeOfItems(items); cap(k.plain) < need {
		k.plain = make([]byte, 0, need+need/8)
	}
	k.plain = k.plain[:0]
	failed := make(map[string]bool)
	var r Record
	for i := range items {
		x := &items[i]
		x.p.fill(&r, x.i, *x.fates)
		k.enc.add(&r, x.seq)
		k.plain = append(k.plain, r.Event.Raw...)
		b.first, b.last = min(b.first, x.seq), max(b.last, x.seq)
		b.settled = max(b.settled, micros(r.Settled))
		fails, known := failed[r.Event.Type]
		if !known {
			fails = Failed(r.Event.Type)
			failed[r.Event.Type] = fails
		}
		if fails {
			b.failed++
		}
	}
	b.bytes = int64(len(k.plain))
	b.types = joinTypes(failed)
	b.ids = newIDs(len(items), func(i int) string { return items[i].logID() })
	b.facts = packQuick(&k.facts, k.enc.b)
	if b.sink == "" {
		b.body = packQuick(&k.body, k.plain)
	} else {
		b.level = levelOf(0, b.events, b.bytes)
	}
	return b
}

// sizeOfItems returns how many bytes their events have.
func sizeOfItems(items []rawItem) (n int) {
	for i := range items {
		n += len(items[i].p.Batch.Events[items[i].i].Raw)
	}
	return n
}

// packQuick compresses with S2 into a buffer, which grows as it must.
func packQuick(buffer *[]byte, plain []byte) []byte {
	if need := 1 + s2.MaxEncodedLen(len(plain)); len(*buffer) < need {
		*buffer = make([]byte, need+need/8)
	}
	to := *buffer
	to[0] = formS2
	return to[:1+len(s2.Encode(to[1:], plain))]
}

// whole reads the records of a block with all that is known of them, and with the bytes
// of the events where these are kept.
func (r *Reader) whole(ctx context.Context, q querier, h *header) ([]Record, error) {
	list, err := r.load(ctx, q, h)
	if err != nil || h.sink != "" {
		return list, err
	}
	if err := r.loadBodies(ctx, q, h, list); err != nil {
		return nil, err
	}
	if h.level == levelRaw {
		for i := range list {
			list[i].Facts = FactsOf(list[i].Event.Raw)
		}
	}
	return list, nil
}

// findRaw notes whether the file has raw blocks.
func (j *Journal) findRaw(ctx context.Context, f *file) error {
	var found bool
	if err := f.write.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM blocks WHERE level = ?)", levelRaw).Scan(&found); err != nil {
		return err
	}
	j.rawSince = time.Time{}
	if found {
		j.rawSince = time.Now()
	}
	return nil
}

// toIndex returns what tells when to index the next block; nil when there is none.
func (j *Journal) toIndex() <-chan time.Time {
	if j.rawSince.IsZero() {
		return nil
	}
	return time.After(indexEvery)
}

// mayIndex reports whether the backlog is over, or has put indexing off for long.
func (j *Journal) mayIndex() bool {
	return !j.rawSince.IsZero() && (time.Since(j.hurried) >= indexAfter || time.Since(j.rawSince) >= indexWithin)
}

// index indexes one block, the youngest, for that is looked at first.
func (j *Journal) index(ctx context.Context) error {
	list, err := queryHeaders(ctx, j.file().write, "WHERE level = ? ORDER BY id DESC LIMIT 1", levelRaw)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		j.rawSince, j.raw = time.Time{}, rawPacker{}
		return nil
	}
	if err := j.transact(ctx, func(ctx context.Context, tx *sql.Tx) error { return j.mergeBlocks(ctx, tx, list, 0) }); err != nil {
		return err
	}
	return j.merge(ctx, group{list[0].tenant, list[0].sink})
}
