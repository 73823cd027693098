package cloudwatch

import (
	"cmp"
	"log/slog"
	"slices"
	"strconv"
	"strings"

	"github.com/gaplesslogs/gapless/internal/emulator"
)

// The orders of DescribeLogStreams.
const (
	orderByName = "LogStreamName"
	orderByTime = "LastEventTime"
)

// streamInput is the input of CreateLogStream and DeleteLogStream.
type streamInput struct {
	groupInput
	Stream *string `json:"logStreamName"`
}

// resource implements input.
func (in *streamInput) resource(a arns) []string {
	return []string{a.stream(deref(in.Group), deref(in.Stream))}
}

func (in *streamInput) validate() error {
	c := in.checks()
	if c.required("logStreamName", in.Stream != nil) {
		c.stream(in.Stream)
	}
	return c.err()
}

func (s *Server) createLogStream(c *call, in *streamInput) (any, error) {
	if err := in.validate(); err != nil {
		return nil, err
	}
	emulator.Note(c.ctx, slog.String("group", *in.Group), slog.String("stream", *in.Stream))
	return nil, s.store.createStream(*in.Group, *in.Stream, nowMillis())
}

func (s *Server) deleteLogStream(c *call, in *streamInput) (any, error) {
	if err := in.validate(); err != nil {
		return nil, err
	}
	emulator.Note(c.ctx, slog.String("group", *in.Group), slog.String("stream", *in.Stream))
	return nil, s.store.deleteStream(*in.Group, *in.Stream)
}

type describeStreamsInput struct {
	target
	Prefix     *string `json:"logStreamNamePrefix"`
	OrderBy    *string `json:"orderBy"`
	Descending *bool   `json:"descending"`
	NextToken  *string `json:"nextToken"`
	Limit      *int64  `json:"limit"`
}

// resource implements input.
func (in *describeStreamsInput) resource(a arns) []string {
	name := in.name(a)
	return []string{a.stream(name, ""), a.group(name)}
}

func (in *describeStreamsInput) validate() error {
	var c checks
	in.check(&c)
	c.text("logStreamNamePrefix", in.Prefix, 1, maxName, &streamName)
	c.enum("orderBy", in.OrderBy, orders)
	c.text("nextToken", in.NextToken, 1, unlimited, nil)
	c.number("limit", in.Limit, 1, maxDescribe)
	if err := c.err(); err != nil {
		return err
	}
	if err := in.exclusive(); err != nil {
		return err
	}
	if deref(in.OrderBy) == orderByTime && in.Prefix != nil {
		return errPrefixByTime
	}
	return nil
}

type describeStreamsOutput struct {
	Streams   []streamItem `json:"logStreams"`
	NextToken *string      `json:"nextToken,omitempty"`
}

// streamItem is a stream as DescribeLogStreams shows it. A stream that never had
// an event has none of the members that are pointers.
type streamItem struct {
	ARN            string `json:"arn"`
	Created        int64  `json:"creationTime"`
	FirstEvent     *int64 `json:"firstEventTimestamp,omitempty"`
	LastEvent      *int64 `json:"lastEventTimestamp,omitempty"`
	LastIngestion  *int64 `json:"lastIngestionTime,omitempty"`
	Name           string `json:"logStreamName"`
	StoredBytes    int64  `json:"storedBytes"` // always 0 since June 2019
	UploadSequence string `json:"uploadSequenceToken,omitempty"`
}

// lastEvent returns the time by which streams are ordered; -1 without events.
func (st *logStream) lastEvent() int64 {
	if n := len(st.events); n > 0 {
		return st.events[n-1].time
	}
	return -1
}

func (s *Server) describeLogStreams(c *call, in *describeStreamsInput) (any, error) {
	if err := in.validate(); err != nil {
		return nil, err
	}
	name := in.name(c.arns)
	out := describeStreamsOutput{Streams: []streamItem{}}
	err := s.store.viewGroup(name, func(g *logGroup) error { return in.page(g, c.arns, &out) })
	emulator.Note(c.ctx, slog.String("group", name), slog.Int("streams", len(out.Streams)))
	if err != nil {
		return nil, err
	}
	return out, nil
}

// page fills the answer.
func (in *describeStreamsInput) page(g *logGroup, a arns, out *describeStreamsOutput) error {
	now := nowMillis()
	order := in.order()
	query := hashQuery("streams", g.Name, deref(in.Prefix), deref(in.OrderBy), strconv.FormatBool(deref(in.Descending)))
	var after *logStream
	if in.NextToken != nil {
		token, err := decodeToken(*in.NextToken, query, now)
		if err != nil {
			return err
		}
		after = &logStream{name: token.After, events: []entry{{position: position{time: token.AfterTime}}}}
	}
	streams := make([]*logStream, 0, len(g.streams))
	for _, st := range g.streams {
		if strings.HasPrefix(st.name, deref(in.Prefix)) && (after == nil || order(after, st) < 0) {
			streams = append(streams, st)
		}
	}
	slices.SortFunc(streams, order)
	if limit := in.limit(); len(streams) > limit {
		streams = streams[:limit]
		last := streams[limit-1]
		out.NextToken = pageToken{After: last.name, AfterTime: last.lastEvent(), Query: query}.encode(now)
	}
	for _, st := range streams {
		out.Streams = append(out.Streams, st.item(g, a))
	}
	return nil
}

func (in *describeStreamsInput) limit() int {
	if in.Limit == nil {
		return maxDescribe
	}
	return int(*in.Limit)
}

// order returns how the streams are compared.
func (in *describeStreamsInput) order() func(a, b *logStream) int {
	order := func(a, b *logStream) int { return strings.Compare(a.name, b.name) }
	if deref(in.OrderBy) == orderByTime {
		order = func(a, b *logStream) int {
			return cmp.Or(cmp.Compare(a.lastEvent(), b.lastEvent()), strings.Compare(a.name, b.name))
		}
	}
	if deref(in.Descending) {
		return func(a, b *logStream) int { return order(b, a) }
	}
	return order
}

func (st *logStream) item(g *logGroup, a arns) streamItem {
	item := streamItem{ARN: a.stream(g.Name, st.name), Created: st.created, Name: st.name}
	if n := len(st.events); n > 0 {
		item.FirstEvent = new(st.events[0].time)
		item.LastEvent = new(st.events[n-1].time)
		item.LastIngestion = new(st.lastIngest)
		item.UploadSequence = sequenceToken(st.lastSeq)
	}
	return item
}
