package cloudwatch

import (
	"cmp"
	"slices"
	"time"

	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// An item is an event on its way: what will be sent, and where in the batch it
// came from.
type item struct {
	index   int       // in Batch.Events
	at      int64     // timestamp, milliseconds since 1970
	message []byte    // valid UTF-8, 1 to MaxMessageBytes; may be the event's own bytes
	date    time.Time // of the event, which at mostly is
}

// size is what an item counts towards MaxBatchBytes.
func (it item) size() int { return len(it.message) + EventOverhead }

// A draft is a batch made ready to be sent.
type draft struct {
	items    []item // ascending by time, stable
	rejected []pipeline.Rejection
	altered  []pipeline.Rejection // of items; counts once they are delivered
	restamps []restamp
}

// restamp notes that an item goes with another timestamp than its date.
type restamp struct {
	index  int
	reason string
	at     time.Time // the timestamp
}

// The counted reasons of rejections, alterations and restamps.
const (
	reasonTooOld      = "too_old"
	reasonTooNew      = "too_new"
	reasonExpired     = "expired"
	reasonTooLarge    = "too_large"
	reasonInvalidUTF8 = "invalid_utf8"
	reasonInvalid     = "invalid"
	reasonEmpty       = "empty"
)

// prepare makes the items of a batch: text that is valid, sizes and dates within
// the limits, as the policies of c say. It is pure.
func prepare(b pipeline.Batch, c Config, w window) draft {
	d := draft{items: make([]item, 0, len(b.Events))}
	for i, e := range b.Events {
		it := item{index: i, date: e.Date}
		stamp, reason := timestamp(e.Date, c, w)
		if reason != "" && stamp.IsZero() {
			d.reject(i, reason, "the date is outside the time that CloudWatch Logs accepts")
			continue
		}
		message, altered, rejected := text(e.Raw, c.TooLarge)
		if rejected.Reason != "" {
			d.reject(i, rejected.Reason, rejected.Detail)
			continue
		}
		if altered.Reason != "" {
			altered.Index = i
			d.altered = append(d.altered, altered)
		}
		if reason != "" {
			d.restamps = append(d.restamps, restamp{i, reason, stamp})
		}
		it.message, it.at = message, stamp.UnixMilli()
		d.items = append(d.items, it)
	}
	byTime := func(a, b item) int { return cmp.Compare(a.at, b.at) }
	if !slices.IsSortedFunc(d.items, byTime) {
		slices.SortStableFunc(d.items, byTime)
	}
	return d
}

// reject notes an event that is not sent.
func (d *draft) reject(index int, reason, detail string) {
	d.rejected = append(d.rejected, pipeline.Rejection{Index: index, Reason: reason, Detail: detail})
}

// timestamp returns the time to send an event with. The reason is set when that
// is not its date; the time is zero when the policy is not to send it.
//
// Under DeadLetter an event between the edge and the margin is left to
// CloudWatch to judge: only what it surely refuses is kept back.
func timestamp(t time.Time, c Config, w window) (time.Time, string) {
	switch {
	case t.Before(w.oldest) && c.TooOld == Restamp:
		return w.oldest, reasonTooOld
	case t.Before(w.oldest.Add(-2*pastMargin)) && c.TooOld != Restamp, t.UnixMilli() < 0:
		return time.Time{}, reasonTooOld
	case t.After(w.newest) && c.TooNew == Restamp:
		return w.newest, reasonTooNew
	case t.After(w.newest.Add(2*futureMargin)) && c.TooNew != Restamp:
		return time.Time{}, reasonTooNew
	default:
		return t, ""
	}
}

// split cuts ascending items into parts that each satisfy every limit of a call.
func split(items []item) [][]item {
	var parts [][]item
	start, bytes := 0, 0
	for i, it := range items {
		full := i-start == MaxBatchEvents || bytes+it.size() > MaxBatchBytes ||
			it.at-items[start].at > maxSpan.Milliseconds()
		if full && i > start {
			parts = append(parts, items[start:i:i])
			start, bytes = i, 0
		}
		bytes += it.size()
	}
	if start < len(items) {
		parts = append(parts, items[start:])
	}
	return parts
}
