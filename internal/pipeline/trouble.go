package pipeline

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"
)

// A Condition is the trouble that a part of a tenant's export is in.
type Condition struct {
	// Part is the loop: "poll", "delivery".
	Part string
	// Since is when the trouble began.
	Since time.Time
	// Failures counts the tries that failed since.
	Failures int
	// Err is the last error, with its class and hint.
	Err Error
}

// trouble follows the failures of one loop, so that people hear of a change and
// of the recovery, and not of each try. It is safe for concurrent use.
//
// The loop has one or more strands, such as the destinations of a delivery, each
// known by a name. It is in trouble while any of them is: that the others get on does
// not end what one of them cannot get past.
type trouble struct {
	part   string
	logger *slog.Logger
	report func(context.Context, *Condition)

	mu      sync.Mutex
	now     *Condition
	failing map[string]Error // the last error of each strand in trouble
}

// failed notes a failure of a strand.
func (t *trouble) failed(ctx context.Context, strand string, e Error, wait time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	told := t.tells(e)
	if t.now == nil {
		t.now, t.failing = &Condition{Part: t.part, Since: time.Now()}, make(map[string]Error)
	}
	t.now.Failures++
	t.failing[strand] = e
	if told {
		if !t.tells(t.now.Err) { // what was told last is over
			t.tell(ctx, e)
		}
		return
	}
	t.tell(ctx, e)
	level := slog.LevelWarn
	if e.Class == Unauthorized || e.Class == Misconfigured {
		level = slog.LevelError // a person must act
	}
	attrs := []slog.Attr{
		slog.String("part", t.part), slog.String("class", e.Class.String()),
		slog.Duration("next_try_in", wait.Round(time.Millisecond)), slog.Any("error", e.Err),
	}
	if e.Hint != "" {
		attrs = append(attrs, slog.String("hint", e.Hint))
	}
	t.logger.LogAttrs(ctx, level, "trouble, trying again", attrs...)
}

// tells reports whether an error is that of a strand in trouble, so that it has
// been told. The caller holds mu.
func (t *trouble) tells(e Error) bool {
	for _, known := range t.failing {
		if known.Error() == e.Error() {
			return true
		}
	}
	return false
}

// tell reports the condition with an error. The caller holds mu.
func (t *trouble) tell(ctx context.Context, e Error) {
	t.now.Err = e
	if t.report != nil {
		c := *t.now
		t.report(ctx, &c)
	}
}

// recovered notes a success of a strand. The trouble is over when no other strand
// is in any; otherwise what is left of it is reported.
func (t *trouble) recovered(ctx context.Context, strand string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, failed := t.failing[strand]; !failed {
		return
	}
	delete(t.failing, strand)
	if len(t.failing) > 0 {
		if !t.tells(t.now.Err) {
			t.tell(ctx, t.failing[slices.Min(slices.Collect(maps.Keys(t.failing)))])
		}
		return
	}
	t.logger.LogAttrs(ctx, slog.LevelInfo, "recovered", slog.String("part", t.part),
		slog.Int("failures", t.now.Failures), slog.Duration("after", time.Since(t.now.Since).Round(time.Millisecond)))
	t.now = nil
	if t.report != nil {
		t.report(ctx, nil)
	}
}

// current returns the trouble of the moment, nil when there is none.
func (t *trouble) current() *Condition {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.now == nil {
		return nil
	}
	c := *t.now
	return &c
}
