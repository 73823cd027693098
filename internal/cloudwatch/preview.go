package cloudwatch

import (
	"time"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// A Preview is what CloudWatch Logs would get of an event, as far as that can be told
// without asking it.
type Preview struct {
	// Message and At are what is sent; both are zero for an event that is not.
	Message []byte
	At      time.Time
	// Rejected is the counted reason for which an event is not sent.
	Rejected string
	// Restamped is the counted reason for which At is not the date of the event, and
	// Altered the one for which Message is not all of it.
	Restamped, Altered string
}

// NewPreview returns what a sink would send of an event now. Of c the policies count,
// and RetentionDays, for a group that has it: a group may in truth accept less.
func NewPreview(e event.Event, c Config, now time.Time) Preview {
	past := MaxPast
	if c.RetentionDays > 0 {
		past = min(past, time.Duration(c.RetentionDays)*day)
	}
	d := prepare(pipeline.Batch{Events: []event.Event{e}}, c, windowOf(now, past, MaxFuture))
	if len(d.rejected) > 0 {
		return Preview{Rejected: d.rejected[0].Reason}
	}
	it := d.items[0]
	p := Preview{Message: it.message, At: time.UnixMilli(it.at).UTC()}
	if len(d.altered) > 0 {
		p.Altered = d.altered[0].Reason
	}
	if len(d.restamps) > 0 {
		p.Restamped = d.restamps[0].reason
	}
	return p
}
