package cloudwatch

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	logs "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/smithy-go/middleware"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
)

const (
	// lookupPage is the largest page of GetLogEvents:
	// https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_GetLogEvents.html
	lookupPage = 10_000
	// lookupGap is how far apart timestamps may lie to be read in one go. What
	// lies between them is read as well.
	lookupGap = 10 * time.Minute
	// lookupSlack covers the clocks and roundings between the time at which an
	// event was re-stamped and the one at which that is reckoned again.
	lookupSlack = 2 * time.Minute
	// lookupFirst is the wait before the second look; it doubles.
	lookupFirst = time.Second
	// lookupGiveUp is how long a destination that cannot be read, though it takes
	// events, holds back those in doubt.
	lookupGiveUp = 10 * time.Minute
	// lookupPages bounds one reading of a span, against an endpoint that leads
	// on and on.
	lookupPages = 10_000
)

// What can become of an event in doubt.
const (
	outcomeFound     = "found"
	outcomeMissing   = "missing"
	outcomeUnchecked = "unchecked"
)

// errEndless says that the reading of a stream does not end.
var errEndless = errors.New("the stream has no end")

// A suspect is an item of a batch in doubt: where it is if it has arrived.
type suspect struct {
	item
	key      string // what tells its message from all others
	from, to int64  // the timestamps that it may have, inclusive
}

// lookUp finds the items of a batch in doubt that have arrived. Reads of
// CloudWatch Logs lag behind writes, so it looks again until InDoubtWait has
// passed since the last call whose outcome is unknown.
//
// Where the destination cannot be read, for want of a permission or because the
// class of the group does not have it, it says so once and finds nothing: the
// events may then arrive twice.
func (d *delivery) lookUp(ctx context.Context, doubt pipeline.Doubt, items []item) (found map[int]pipeline.Print, err error) {
	found = make(map[int]pipeline.Print)
	left := d.suspects(doubt, items)
	until := doubt.Until.Add(d.sink.config.InDoubtWait)
	d.resent = outcomeMissing
	for wait := lookupFirst; ; wait = min(2*wait, 8*lookupFirst) {
		left, err = d.look(ctx, left, found)
		if err != nil && time.Since(doubt.Until) > lookupGiveUp && !is(err, missing) && !cannotRead(err) {
			if err := d.sink.probe(ctx, d.dest, ""); err != nil && !is(err, missing) {
				return nil, err // nothing can be sent either, and reads may come back with it
			}
			left, err = d.look(ctx, left, found)
		}
		switch {
		case is(err, missing): // the stream, so that nothing can be in it
			return found, nil
		case cannotRead(err), err != nil && time.Since(doubt.Until) > lookupGiveUp:
			d.sink.unreadable(ctx, d.dest, err)
			d.resent = outcomeUnchecked
			return found, nil
		case err != nil:
			return nil, err
		}
		remains := time.Until(until)
		if len(left) == 0 || remains <= 0 {
			return found, nil
		}
		if err := pipeline.Wait(ctx, min(wait, remains)); err != nil {
			return nil, err
		}
	}
}

// suspects says where each item is to be looked for: at its date, or, where a call
// within the doubt has re-stamped it or the next would, between the edges that the
// window of the group had then and has now.
func (d *delivery) suspects(doubt pipeline.Doubt, items []item) []suspect {
	list := make([]suspect, len(items))
	c, now := d.sink.config, d.window
	then := windowOf(doubt.From.Add(d.sink.clock.offset()), now.past, now.future)
	oldest := now.oldest
	if !d.sink.windows.known(d.dest.LogGroup) { // as if its retention were the shortest
		oldest = windowOf(d.now, pastSteps[len(pastSteps)-1], now.future).oldest
	}
	for i, it := range items {
		from, to := it.date, it.date
		switch {
		case it.date.Before(now.oldest) && c.TooOld == Restamp:
			from, to = then.clamp(it.date), oldest
		case it.date.After(then.newest) && c.TooNew == Restamp:
			from, to = then.newest, now.clamp(it.date)
		}
		if !from.Equal(to) {
			from, to = from.Add(-lookupSlack), to.Add(lookupSlack)
		}
		list[i] = suspect{item: it, key: messageKey(it.message), from: from.UnixMilli(), to: to.UnixMilli()}
	}
	slices.SortFunc(list, func(a, b suspect) int { return cmp.Compare(a.from, b.from) })
	return list
}

// messageKey names a message: by the log_id of the event in it, which is a hash
// of the bytes where it has none.
func messageKey(message []byte) string {
	page, err := event.ParsePage(message, time.Time{})
	if err == nil && len(page.Events) == 1 {
		return page.Events[0].LogID
	}
	return string(message)
}

// look reads the spans in which suspects may be and returns those that were not
// there. It stops reading a span when all of its suspects are found.
func (d *delivery) look(ctx context.Context, list []suspect, found map[int]pipeline.Print) (left []suspect, err error) {
	for len(list) > 0 {
		n, to := 1, list[0].to
		for n < len(list) && list[n].from <= to+lookupGap.Milliseconds() {
			to = max(to, list[n].to)
			n++
		}
		missed, err := d.lookSpan(ctx, list[:n], to, found)
		left = append(left, missed...)
		if err != nil {
			return append(left, list[n:]...), err
		}
		list = list[n:]
	}
	return left, nil
}

// lookSpan reads one span.
func (d *delivery) lookSpan(ctx context.Context, list []suspect, to int64, found map[int]pipeline.Print) ([]suspect, error) {
	wanted := make(map[string][]int, len(list))
	for i, s := range list {
		wanted[s.key] = append(wanted[s.key], i)
	}
	err := d.sink.read(ctx, d.dest, list[0].from, to, func(at int64, message string) (more bool) {
		key := messageKey([]byte(message))
		for _, i := range wanted[key] {
			// What is there counts, and not what would be sent now: rules may have changed.
			found[list[i].index] = pipeline.Print{At: at, Hash: sha256.Sum256([]byte(message))}
		}
		delete(wanted, key)
		return len(wanted) > 0
	})
	var left []suspect
	for _, s := range list {
		if _, there := found[s.index]; !there {
			left = append(left, s)
		}
	}
	return left, err
}

// read calls each for the messages of a stream with timestamps from one to
// another, inclusive, until it wants no more.
func (s *Sink) read(ctx context.Context, dest pipeline.Destination, from, to int64, each func(at int64, message string) (more bool)) error {
	var token *string
	for range lookupPages {
		out, err := invoke(ctx, s, opGet, &logs.GetLogEventsInput{
			LogGroupName: aws.String(dest.LogGroup), LogStreamName: aws.String(dest.LogStream),
			StartTime: aws.Int64(max(0, from)), EndTime: aws.Int64(to + 1), // the end is exclusive
			StartFromHead: aws.Bool(true), Limit: aws.Int32(lookupPage), NextToken: token,
		}, s.client.GetLogEvents, func(o *logs.GetLogEventsOutput) middleware.Metadata { return o.ResultMetadata })
		if err != nil {
			return err
		}
		if out.Events == nil && out.NextForwardToken == nil {
			return &failure{op: opGet, text: errForeign.Error(), err: errForeign}
		}
		for _, e := range out.Events {
			if !each(aws.ToInt64(e.Timestamp), aws.ToString(e.Message)) {
				return nil
			}
		}
		next := out.NextForwardToken
		if next == nil || aws.ToString(next) == aws.ToString(token) {
			return nil // the same token says that the end is reached
		}
		token = next
	}
	return &failure{op: opGet, text: errEndless.Error(), err: errEndless}
}

// cannotRead reports whether an error says that a destination cannot be read at
// all: the permission is missing, the class of the group has no reads, or the
// endpoint does not know the call.
func cannotRead(err error) bool {
	f, ok := errors.AsType[*failure](err)
	if !ok {
		return false
	}
	switch f.kind {
	case forbidden:
		return accessDenied(err)
	case throttled, missing:
		return false
	default:
		return f.status >= http.StatusBadRequest && f.status < http.StatusInternalServerError || f.status == http.StatusNotImplemented
	}
}

// readable remembers that it was said that a destination cannot be read.
type readable struct{ told atomic.Bool }

// unreadable says, once, what it means that a destination cannot be read.
func (s *Sink) unreadable(ctx context.Context, dest pipeline.Destination, err error) {
	if s.readable.told.Swap(true) {
		return
	}
	hint := "GetLogEvents must work on the log group: the class INFREQUENT_ACCESS does not have it."
	if accessDenied(err) {
		hint = "Allow logs:GetLogEvents on " + s.arn(opGet, dest) + "."
	}
	s.logger.LogAttrs(ctx, slog.LevelWarn, "what may have arrived cannot be looked up; a crash or a lost answer may repeat the batches under way",
		slog.String("log_group", dest.LogGroup), slog.Any("error", err), slog.String("hint", hint))
}

// checkReading finds out at the start whether batches in doubt can be looked up.
func (s *Sink) checkReading(ctx context.Context, dest pipeline.Destination) {
	now := s.clock.now().UnixMilli()
	if err := s.read(ctx, dest, now, now, func(int64, string) bool { return false }); cannotRead(err) {
		s.unreadable(ctx, dest, err)
	}
}
