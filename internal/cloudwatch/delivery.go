package cloudwatch

import (
	"context"
	"crypto/sha256"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"

	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// A fate is what became of an event. The zero value is: not known, to be tried
// again.
type fate struct {
	stored bool
	found  bool // stored by an earlier call
	print  pipeline.Print
	reason string // of a rejection by CloudWatch
	detail string
}

// A delivery is one call of Deliver under way.
type delivery struct {
	sink   *Sink
	dest   pipeline.Destination
	now    time.Time // at CloudWatch
	window window
	fates  []fate // by the index in the batch
	stored int
	doubt  pipeline.Doubt // of the events without a fate
	resent string         // outcome of those in doubt that are sent again; empty when the batch is not in doubt
	// accepts is true once CloudWatch has taken a request for this destination
	// in this delivery: what it refuses then is the event's fault.
	accepts bool
}

// part delivers items that satisfy the limits of one call, in one call if
// CloudWatch takes them.
func (d *delivery) part(ctx context.Context, items []item) error {
	info, err := d.sink.send(ctx, d.dest, items)
	if err == nil && contradicts(info, len(items)) {
		return &pipeline.Error{Op: "deliver to " + name(d.dest), Class: pipeline.Transient, OutcomeUnknown: true, Err: errContradiction}
	}
	if err == nil || d.resent == outcomeUnchecked && claims(err) {
		d.accepts = true
		d.settle(items, info)
		return nil
	}
	f, ok := err.(*failure) //nolint:errorlint // one that is wrapped is about something else, such as making the log group
	if !ok || f.kind != refused {
		return err
	}
	if len(items) == 1 {
		return d.refuse(ctx, items[0], f)
	}
	half := len(items) / 2
	if err := d.part(ctx, items[:half]); err != nil {
		return err
	}
	return d.part(ctx, items[half:])
}

// claims reports whether an error is the word of an endpoint that it has the
// events. It is taken where the destination cannot be read: nothing else can be had
// there, and without it the events would go again and again.
func claims(err error) bool { return is(err, repeated) || errors.Is(err, errBare) }

// refuse rejects a single event that CloudWatch refuses, once it is sure that
// the event is at fault and not the destination, whose refusal every event
// would share. A destination that is missing is made for the trial: CloudWatch
// may judge the events before it looks for their stream.
func (d *delivery) refuse(ctx context.Context, it item, f *failure) error {
	if !d.accepts {
		err := d.sink.probe(ctx, d.dest, "")
		if is(err, missing) {
			if err = d.sink.provision(ctx, d.dest, err); err == nil {
				err = d.sink.probe(ctx, d.dest, "")
			}
		}
		if err != nil {
			return err
		}
		d.accepts = true
	}
	d.fates[it.index] = fate{reason: reasonInvalid, detail: "CloudWatch Logs refuses the event: " + f.text}
	return nil
}

// settle notes what the answer to a call says about each of its items.
func (d *delivery) settle(items []item, info *types.RejectedLogEventsInfo) {
	r := readRejected(info, len(items))
	againOld, againNew := d.learn(items, r)
	for i, it := range items {
		switch reason := r.reason(i); reason {
		case "":
			d.fates[it.index] = fate{stored: true, print: pipeline.Print{At: it.at, Hash: sha256.Sum256(it.message)}}
			d.stored++
			d.sink.metrics.bytes.WithLabelValues("message").Add(float64(len(it.message)))
		case reasonTooNew:
			if !againNew {
				d.fates[it.index] = fate{reason: reason, detail: "CloudWatch Logs rejected the date as too far in the future"}
			}
		default:
			if !againOld {
				d.fates[it.index] = fate{reason: reason, detail: "CloudWatch Logs rejected the date as older than the log group accepts"}
			}
		}
	}
}

// learn narrows the window of the group by what was rejected for its age, and
// says whether the old and the new ones may be tried again.
func (d *delivery) learn(items []item, r rejected) (againOld, againNew bool) {
	s, group := d.sink, d.dest.LogGroup
	if r.old > 0 && s.config.TooOld == Restamp {
		age := d.now.Sub(time.UnixMilli(items[r.old-1].at))
		againOld = s.windows.narrow(group, d.window, true, age, d.now)
	}
	if r.new < len(items) && s.config.TooNew == Restamp {
		againNew = s.windows.narrow(group, d.window, false, 0, d.now)
	}
	return againOld, againNew
}

// receipt sums up the delivery and counts it.
func (d *delivery) receipt(from draft) pipeline.Receipt {
	r := pipeline.Receipt{Rejected: from.rejected, Doubt: d.doubt, Prints: make([]pipeline.Print, len(d.fates))}
	m := d.sink.metrics
	for i := range d.fates {
		r.Prints[i] = d.fates[i].print
	}
	for _, it := range from.items {
		switch f := d.fates[it.index]; {
		case f.stored:
		case f.reason != "":
			r.Rejected = append(r.Rejected, pipeline.Rejection{Index: it.index, Reason: f.reason, Detail: f.detail})
		default:
			r.Retry = append(r.Retry, it.index)
		}
	}
	for _, a := range from.altered {
		if d.fates[a.Index].stored {
			r.Altered = append(r.Altered, a)
			m.altered.WithLabelValues(a.Reason).Inc()
		}
	}
	for _, x := range from.restamps {
		if d.fates[x.index].stored {
			r.Restamped = append(r.Restamped, pipeline.Restamp{Index: x.index, At: x.at})
			m.restamped.WithLabelValues(x.reason).Inc()
		}
	}
	for _, x := range r.Rejected {
		m.rejected.WithLabelValues(x.Reason).Inc()
	}
	m.delivered.Add(float64(d.stored))
	d.countDoubts()
	return r
}

// countDoubts counts what became of the events of a batch in doubt.
func (d *delivery) countDoubts() {
	if d.resent == "" {
		return
	}
	for _, f := range d.fates {
		switch {
		case f.found:
			d.sink.metrics.doubts.WithLabelValues(outcomeFound).Inc()
		case f.stored:
			d.sink.metrics.doubts.WithLabelValues(d.resent).Inc()
		}
	}
}

// rejected is what an answer says of n ascending items: those before old are too
// old, of which those before tooOld are so for every group and the others for
// the retention of this one; those from new on are too new.
type rejected struct{ old, tooOld, new int }

// errContradiction says that what was rejected cannot be read from an answer.
var errContradiction = errors.New("the answer rejects events that the batch does not have, or for two reasons; what has arrived is looked up")

// contradicts reports whether an answer about n events rejects more than there
// are, or an event for being too old and too new. What it says of the others is
// not to be believed then.
func contradicts(info *types.RejectedLogEventsInfo, n int) bool {
	if info == nil {
		return false
	}
	index := func(v *int32, absent int) int {
		if v == nil {
			return absent
		}
		return int(*v)
	}
	old := max(0, index(info.TooOldLogEventEndIndex, 0), index(info.ExpiredLogEventEndIndex, 0))
	from := index(info.TooNewLogEventStartIndex, n)
	return old > n || from < 0 || old > from
}

// readRejected reads the indexes of an answer that does not contradict itself: the
// end of the too old and of the expired is exclusive, the start of the too new
// inclusive, and one that is absent says that there are none. So does an end below
// the first event, and a start behind the last.
func readRejected(info *types.RejectedLogEventsInfo, n int) rejected {
	r := rejected{new: n}
	if info == nil {
		return r
	}
	if v := info.TooOldLogEventEndIndex; v != nil {
		r.tooOld = min(max(0, int(*v)), n)
	}
	r.old = r.tooOld
	if v := info.ExpiredLogEventEndIndex; v != nil {
		r.old = max(r.old, min(max(0, int(*v)), n))
	}
	if v := info.TooNewLogEventStartIndex; v != nil {
		r.new = min(max(0, int(*v)), n)
	}
	return r
}

// reason says why the item at i was rejected; empty when it was not.
func (r rejected) reason(i int) string {
	switch {
	case i < r.tooOld:
		return reasonTooOld
	case i < r.old:
		return reasonExpired
	case i >= r.new:
		return reasonTooNew
	default:
		return ""
	}
}
