package cloudwatch

import "time"

// The published limits of PutLogEvents. A request that breaks one is refused as
// a whole. https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html
// and https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/cloudwatch_limits_cwl.html
const (
	// MaxBatchEvents is the largest number of events in one call.
	MaxBatchEvents = 10_000
	// MaxBatchBytes bounds the sum over the events of the UTF-8 bytes of the
	// message and EventOverhead; JSON syntax and compression do not count.
	MaxBatchBytes = 1_048_576
	// EventOverhead is what each event costs besides its message, in bytes.
	EventOverhead = 26
	// MaxMessageBytes is the longest message of one event. The overhead counts
	// in the limit of an event too, which is as large as that of a batch.
	MaxMessageBytes = MaxBatchBytes - EventOverhead
	// MaxPast is how old an event may be: older ones are rejected one by one.
	// Groups with a shorter retention reject what is older than that.
	MaxPast = 14 * day
	// MaxFuture is how far ahead of CloudWatch's clock an event may be.
	MaxFuture = 2 * time.Hour
)

const day = 24 * time.Hour

// Margins that keep gapless off the edges of the limits.
const (
	// maxSpan stays a second under the 24 hours that the events of one call may
	// span, because it is not said whether 24 hours sharp are one too many.
	maxSpan = day - time.Second
	// pastMargin is kept from the old edge. It covers the time from the
	// decision to the moment at which CloudWatch looks, which is at most the
	// request timeout and a slow retry, and what is left of the clocks'
	// difference (see clock); ten minutes are 0.05 % of the window.
	pastMargin = 10 * time.Minute
	// futureMargin is kept from the new edge. That edge moves away from an
	// event while it travels, so only the clocks' difference matters; AWS
	// refuses signatures that are more than five minutes off.
	futureMargin = 5 * time.Minute
)

// retentionDays are the values that PutRetentionPolicy takes.
// https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
var retentionDays = []int{1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653}
