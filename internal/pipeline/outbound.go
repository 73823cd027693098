package pipeline

import (
	"context"
	"slices"

	"github.com/gaplesslogs/gapless/internal/event"
)

// A Shape makes the message of an event out of its bytes; source is what brought
// it, empty when that is not known. It is a pure function, and must not write to
// e.Raw.
type Shape func(e event.Event, source string) []byte

// Outbound is a Sink in front of another one: what leaves goes through its
// Transforms and its Shape first. What they do is done to the messages alone. The
// buffer, and with it the dead letters, keep the events as they are.
//
// A transform may leave an event out: by Skip, which counts it as skipped, or by
// Withhold, which makes it a dead letter. Neither is offered to Sink, not even
// to look for it where the batch is in doubt: the rule decides, whatever an earlier
// call may have done.
type Outbound struct {
	Sink Sink
	// Transforms are applied in order to each event.
	Transforms []Transform
	// Shape makes the message of what they have kept; nil leaves it as it is.
	Shape Shape
	// Growth is the most by which Transforms and Shape together make an event
	// longer, in bytes. Batches are made so much smaller, so that they still fit into
	// one call of Sink; what is longer all the same is Sink's to split or to trim.
	Growth int
}

var _ Sink = (*Outbound)(nil)

// reasonWithheld is the counted reason for which a withheld event is rejected.
const reasonWithheld = "withheld"

// Limits returns what a batch may hold at this moment, see Sink.
func (o *Outbound) Limits() Limits {
	l := o.Sink.Limits()
	l.EventOverhead += o.Growth
	return l
}

// Deliver changes the events of a batch and sends it on, see Sink.
func (o *Outbound) Deliver(ctx context.Context, b Batch) (Receipt, error) {
	out, places, left := o.change(b)
	r, err := o.Sink.Deliver(ctx, out)
	if err != nil {
		return Receipt{}, err
	}
	r.back(places, len(b.Events))
	r.Rejected = append(r.Rejected, left.Rejected...)
	r.Skipped = append(r.Skipped, left.Skipped...)
	return r, nil
}

// change returns the batch as it goes on, which of its events stood where in b, and
// what became of the others.
func (o *Outbound) change(b Batch) (out Batch, places []int, left Receipt) {
	out = b
	out.Events, out.Keys, out.Sources, out.Stored = make([]event.Event, 0, len(b.Events)), nil, nil, nil
	for i, e := range b.Events {
		e, v := transformed(o.Transforms, e)
		switch {
		case v.Withhold:
			left.Rejected = append(left.Rejected, Rejection{Index: i, Reason: reasonWithheld, Detail: v.Reason})
			continue
		case v.Skip:
			left.Skipped = append(left.Skipped, Rejection{Index: i, Reason: v.Reason})
			continue
		}
		if o.Shape != nil {
			e.Raw = o.Shape(e, b.source(i))
		}
		out.Events = append(out.Events, e)
		places = append(places, i)
	}
	if len(b.Keys) == len(b.Events) {
		out.Keys = pick(b.Keys, places)
	}
	if len(b.Sources) == len(b.Events) {
		out.Sources = pick(b.Sources, places)
	}
	if len(b.Stored) == len(b.Events) {
		out.Stored = pick(b.Stored, places)
	}
	return out, places, left
}

// transformed applies transforms until one takes the event out.
func transformed(list []Transform, e event.Event) (event.Event, Verdict) {
	for _, t := range list {
		var v Verdict
		if e, v = t(e); v.Skip || v.Withhold {
			return e, v
		}
	}
	return e, Verdict{}
}

// source returns what brought an event, empty when that is not known.
func (b Batch) source(i int) string {
	if i < len(b.Sources) {
		return b.Sources[i]
	}
	return ""
}

// pick returns the elements at some places.
func pick[T any](from []T, places []int) []T {
	out := make([]T, len(places))
	for i, at := range places {
		out[i] = from[at]
	}
	return out
}

// back names the events of a receipt by the places that they had. It makes lists of
// its own: those of the receipt belong to who wrote it. The batch had so many events.
func (r *Receipt) back(places []int, events int) {
	if r.Prints != nil {
		prints := make([]Print, events)
		for i, at := range places {
			prints[at] = r.Prints[i]
		}
		r.Prints = prints
	}
	for _, list := range []*[]Rejection{&r.Rejected, &r.Skipped, &r.Altered} {
		*list = slices.Clone(*list)
		for i := range *list {
			(*list)[i].Index = places[(*list)[i].Index]
		}
	}
	r.Restamped = slices.Clone(r.Restamped)
	for i := range r.Restamped {
		r.Restamped[i].Index = places[r.Restamped[i].Index]
	}
	r.Retry = slices.Clone(r.Retry)
	for i, at := range r.Retry {
		r.Retry[i] = places[at]
	}
}
