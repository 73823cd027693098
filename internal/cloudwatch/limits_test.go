package cloudwatch_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gaplesslogs/gapless/internal/cloudwatch"
	"github.com/gaplesslogs/gapless/internal/event"
)

// sized makes an event whose bytes are so many.
func sized(i, size int, at time.Time) event.Event {
	e := ev(fmt.Sprintf("event-%05d", i), at)
	e.Raw = fmt.Appendf(nil, `{"log_id":"%s","t":""}`, e.LogID)
	e.Raw = fmt.Appendf(nil, `{"log_id":"%s","t":"%s"}`, e.LogID, strings.Repeat("x", size-len(e.Raw)))
	return e
}

// TestExactlyAtTheLimits delivers batches at exactly each limit, and by one less and
// more, to a CloudWatch Logs that enforces them to the letter: each event arrives
// once, whole, and no call is refused.
func TestExactlyAtTheLimits(t *testing.T) {
	t.Parallel()
	const small = 100
	many := func(n, size int, span time.Duration) (list []event.Event) {
		for i := range n {
			at := time.Now().Add(-span)
			if i == n-1 {
				at = time.Now()
			}
			list = append(list, sized(i, size, at))
		}
		return list
	}
	for _, by := range []int{-1, 0, 1} {
		over := max(0, by) // calls beside the first
		for name, c := range map[string]struct {
			events func() []event.Event
			calls  int
		}{
			"events":                           {func() []event.Event { return many(cloudwatch.MaxBatchEvents+by, 70, 0) }, 1 + over},
			"message":                          {func() []event.Event { return many(1, cloudwatch.MaxMessageBytes+min(by, 0), 0) }, 1},
			"two messages of the largest size": {func() []event.Event { return many(2, cloudwatch.MaxMessageBytes+min(by, 0), 0) }, 2},
			"bytes": {func() []event.Event {
				list := many(1024, 1024-cloudwatch.EventOverhead, 0)
				return append(list[:1023], sized(1023, 1024-cloudwatch.EventOverhead+by, time.Now()))
			}, 1 + over},
			"span": {func() []event.Event {
				return many(3, small, 24*time.Hour-time.Second+time.Duration(by)*time.Millisecond)
			}, 1 + over},
			"24 h": {func() []event.Event { return many(3, small, 24*time.Hour+time.Duration(by)*time.Millisecond) }, 2}, // a second is kept from it
		} {
			t.Run(fmt.Sprint(name, " ", by), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					cloud := ready()
					s, reg := open(t, cloud, config(func(c *cloudwatch.Config) { c.Compression = cloudwatch.CompressNone }))
					b := batch(c.events()...)
					r := deliver(t, s, b)
					same(t, "rejected and returned", 0, len(r.Rejected)+len(r.Retry)+len(r.Altered))
					wantOnce(t, cloud, b, reg, 0, 0, 0)
					same(t, "calls", c.calls, len(cloud.seen("PutLogEvents")))
				})
			})
		}
	}
}
