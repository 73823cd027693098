package cloudwatch

import (
	"log/slog"
	"math"

	"github.com/gaplesslogs/gapless/internal/emulator"
)

// maxPageBytes is how much a page of events can hold: messages plus
// eventOverhead each.
const maxPageBytes = 1 << 20

type getEventsInput struct {
	target
	Stream        *string `json:"logStreamName"`
	Start         *int64  `json:"startTime"`
	End           *int64  `json:"endTime"`
	NextToken     *string `json:"nextToken"`
	Limit         *int64  `json:"limit"`
	StartFromHead *bool   `json:"startFromHead"`
	Unmask        *bool   `json:"unmask"` // there is nothing that could be masked
}

// resource implements input.
func (in *getEventsInput) resource(a arns) []string {
	return []string{a.stream(in.name(a), deref(in.Stream))}
}

func (in *getEventsInput) validate() error {
	var c checks
	in.check(&c)
	if c.required("logStreamName", in.Stream != nil) {
		c.stream(in.Stream)
	}
	c.number("startTime", in.Start, 0, -1)
	c.number("endTime", in.End, 0, -1)
	c.text("nextToken", in.NextToken, 1, unlimited, nil)
	c.number("limit", in.Limit, 1, maxEvents)
	if err := c.err(); err != nil {
		return err
	}
	return in.exclusive()
}

type getEventsOutput struct {
	Events        []outputEvent `json:"events"`
	ForwardToken  string        `json:"nextForwardToken"`
	BackwardToken string        `json:"nextBackwardToken"`
}

type outputEvent struct {
	Timestamp int64  `json:"timestamp"`
	Message   string `json:"message"`
	Ingested  int64  `json:"ingestionTime"`
}

func (s *Server) getLogEvents(c *call, in *getEventsInput) (any, error) {
	if err := in.validate(); err != nil {
		return nil, err
	}
	name := in.name(c.arns)
	out := getEventsOutput{Events: []outputEvent{}}
	err := s.store.viewGroup(name, func(g *logGroup) error {
		if err := g.readable("GetLogEvents"); err != nil {
			return err
		}
		st, ok := g.streams[*in.Stream]
		if !ok {
			return errNoStream
		}
		return in.page(g, s.readable(st.events), &out)
	})
	emulator.Note(c.ctx, slog.String("group", name), slog.String("stream", *in.Stream), slog.Int("events", len(out.Events)))
	if err != nil {
		return nil, err
	}
	return out, nil
}

// readable reports the log classes whose events only Logs Insights can read.
func (g *logGroup) readable(operation string) error {
	if g.Class == classStandard {
		return nil
	}
	return newError("InvalidOperationException",
		"The log group %s is of log-group-class %s. %s is not supported for this log class.", g.Name, g.Class, operation)
}

// page fills the answer. Both tokens are positions: the forward one is that of
// the last event shown, the backward one that of the first; without events they
// stay where the token given was, so a client at the end gets its token back.
func (in *getEventsInput) page(g *logGroup, list []entry, out *getEventsOutput) error {
	from := position{max(deref(in.Start), g.expiry(nowMillis())), 0}
	to := position{math.MaxInt64, 0}
	if in.End != nil {
		to.time = *in.End
	}
	forward := deref(in.StartFromHead)
	at := startOf(from.time)
	first, last := at, at
	if in.NextToken != nil {
		var err error
		if at, forward, err = parseEventToken(*in.NextToken); err != nil {
			return err
		}
		if forward {
			first, last = at.next(), at
			from = later(from, at.next())
		} else {
			first, last = at, at.previous()
			if at.before(to) {
				to = at
			}
		}
	}
	events := in.cut(between(list, from, to), forward)
	for _, e := range events {
		out.Events = append(out.Events, outputEvent{Timestamp: e.time, Message: e.message, Ingested: e.ingested})
	}
	if n := len(events); n > 0 {
		first, last = events[0].position, events[n-1].position
	}
	out.ForwardToken, out.BackwardToken = forwardToken+last.id(), backwardToken+first.id()
	return nil
}

func later(a, b position) position {
	if a.before(b) {
		return b
	}
	return a
}

// cut returns as many events as a page takes, from the head or from the tail.
func (in *getEventsInput) cut(events []entry, forward bool) []entry {
	limit := maxEvents
	if in.Limit != nil {
		limit = int(*in.Limit)
	}
	n, size := 0, 0
	for n < len(events) && n < limit {
		i := n
		if !forward {
			i = len(events) - 1 - n
		}
		size += events[i].size()
		if size > maxPageBytes && n > 0 {
			break
		}
		n++
	}
	if forward {
		return events[:n]
	}
	return events[len(events)-n:]
}
