package cloudwatch

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"sort"
	"strconv"

	"github.com/gaplesslogs/gapless/internal/emulator"
)

// The limits of PutLogEvents, from the API reference.
const (
	maxBatchBytes = 1_048_576          // messages plus eventOverhead each
	maxEventBytes = 1_048_576          // one message plus eventOverhead
	maxSpan       = dayMillis          // between the first and last event that counts
	maxAge        = 14 * dayMillis     // older events are rejected one by one
	maxAhead      = 2 * 60 * 60 * 1000 // later events are rejected one by one
)

// An inputEvent is an event of a PutLogEvents call.
type inputEvent struct {
	time    int64
	message string
}

type putInput struct {
	group, stream *string
	sequenceToken *string
	entity        json.RawMessage
	events        []inputEvent
	given         bool // logEvents is there
	bytes         int  // size of all events
	// The members of events that are missing or break a constraint, in words.
	faults checks
}

// rejected is rejectedLogEventsInfo.
type rejected struct {
	TooNewStart *int `json:"tooNewLogEventStartIndex,omitempty"` // inclusive
	TooOldEnd   *int `json:"tooOldLogEventEndIndex,omitempty"`   // exclusive
	ExpiredEnd  *int `json:"expiredLogEventEndIndex,omitempty"`  // exclusive
}

type putOutput struct {
	NextSequenceToken string            `json:"nextSequenceToken"`
	Rejected          *rejected         `json:"rejectedLogEventsInfo,omitempty"`
	RejectedEntity    map[string]string `json:"rejectedEntityInfo,omitempty"`
}

// resource implements input.
func (in *putInput) resource(a arns) []string {
	return []string{a.stream(deref(in.group), deref(in.stream))}
}

// decode implements selfDecoder: see scanner for why it is not encoding/json.
func (in *putInput) decode(body []byte) error {
	s := &scanner{data: body, arena: make([]byte, 0, len(body))}
	var ends []int
	err := s.object(func(key string) error {
		switch key {
		case "logEvents":
			if s.null() {
				return nil
			}
			in.given = true
			return s.array(func() error { return in.decodeEvent(s, &ends) })
		case "logGroupName":
			return s.member(&in.group)
		case "logStreamName":
			return s.member(&in.stream)
		case "sequenceToken":
			return s.member(&in.sequenceToken)
		}
		raw, err := s.raw()
		if key == "entity" {
			in.entity = raw
		}
		return err
	})
	if err != nil {
		return err
	}
	in.slice(string(s.arena), ends)
	return s.end()
}

// slice gives every event its part of the text that they share.
func (in *putInput) slice(text string, ends []int) {
	begin := 0
	for i, end := range ends {
		in.events[i].message = text[begin:end]
		in.bytes += end - begin + eventOverhead
		begin = end
	}
}

// member reads a string that may be null. It leaves the arena as it was.
func (s *scanner) member(to **string) error {
	if s.null() {
		return nil
	}
	begin := len(s.arena)
	end, err := s.text()
	if err != nil {
		return err
	}
	text := string(s.arena[begin:end])
	s.arena = s.arena[:begin]
	*to = &text
	return nil
}

// decodeEvent reads an element of logEvents. The messages are cut out of the
// arena once it holds all of them.
func (in *putInput) decodeEvent(s *scanner, ends *[]int) error {
	var e inputEvent
	begin := len(s.arena)
	hasTime, hasMessage := false, false
	err := s.object(func(key string) (err error) {
		switch key {
		case "timestamp":
			if hasTime = !s.null(); hasTime {
				e.time, err = s.integer()
			}
		case "message":
			s.arena = s.arena[:begin] // the last one counts
			if hasMessage = !s.null(); hasMessage {
				_, err = s.text()
			}
		default:
			_, err = s.raw()
		}
		return err
	})
	in.events = append(in.events, e)
	*ends = append(*ends, len(s.arena))
	in.check(e, hasTime, hasMessage, len(s.arena)-begin)
	return err
}

// maxReported bounds the events that one message speaks of.
const maxReported = 10

func (in *putInput) check(e inputEvent, hasTime, hasMessage bool, size int) {
	if hasTime && hasMessage && e.time >= 0 && size > 0 || len(in.faults.found) >= maxReported {
		return
	}
	at := "logEvents." + strconv.Itoa(len(in.events)) + ".member."
	if in.faults.required(at+"timestamp", hasTime) {
		in.faults.number(at+"timestamp", &e.time, 0, -1)
	}
	if in.faults.required(at+"message", hasMessage) && size == 0 {
		in.faults.add("''", at+"message", "Member must have length greater than or equal to 1")
	}
}

func (in *putInput) validate() error {
	var c checks
	if c.required("logGroupName", in.group != nil) {
		c.group(in.group)
	}
	if c.required("logStreamName", in.stream != nil) {
		c.stream(in.stream)
	}
	c.text("sequenceToken", in.sequenceToken, 1, unlimited, nil)
	if c.required("logEvents", in.given) {
		// The real service quotes the whole list; the bodies of events have no
		// place in an error message.
		what := fmt.Sprintf("[%d log events]", len(in.events))
		if len(in.events) == 0 {
			what = "[]"
		}
		c.count("logEvents", what, len(in.events), 1, maxEvents)
	}
	c.found = append(c.found, in.faults.found...)
	return c.err()
}

// putLogEvents stores a batch. The sequence token is ignored, as it is since
// January 2023; the same batch sent twice is stored twice.
func (s *Server) putLogEvents(c *call, in *putInput) (any, error) {
	if err := in.validate(); err != nil {
		return nil, err
	}
	now := nowMillis()
	var info *rejected
	var class string
	seq, stored, err := s.store.put(*in.group, *in.stream, now, func(g *logGroup) ([]inputEvent, error) {
		if err := in.limits(); err != nil {
			return nil, err
		}
		class = g.Class
		var kept []inputEvent
		kept, info = window(in.events, now, g)
		if n := len(kept); n > 0 && kept[n-1].time-kept[0].time > maxSpan {
			return nil, errSpan
		}
		return kept, nil
	})
	emulator.Note(c.ctx, slog.String("group", *in.group), slog.String("stream", *in.stream),
		slog.Int("events", len(in.events)), slog.Int("bytes", in.bytes), slog.Int("rejected", len(in.events)-len(stored)))
	if err != nil {
		return nil, err
	}
	s.stats.stored(stored, len(in.events))
	return putOutput{
		NextSequenceToken: sequenceToken(seq),
		Rejected:          info,
		RejectedEntity:    rejectEntity(in.entity, class),
	}, nil
}

// limits checks what the batch as a whole must satisfy.
func (in *putInput) limits() error {
	for i, e := range in.events {
		if size := len(e.message) + eventOverhead; size > maxEventBytes {
			return invalidParameter("Log event too large: %d bytes exceeds limit of %d", size, maxEventBytes)
		}
		if i > 0 && e.time < in.events[i-1].time {
			return errOrder
		}
	}
	if in.bytes > maxBatchBytes {
		return invalidParameter("Upload too large: %d bytes exceeds limit of %d", in.bytes, maxBatchBytes)
	}
	return nil
}

// window splits an ascending batch into what is stored and what is too old,
// expired or too new; info is nil when everything is stored.
func window(events []inputEvent, now int64, g *logGroup) (kept []inputEvent, info *rejected) {
	from := func(t int64) int {
		return sort.Search(len(events), func(i int) bool { return events[i].time >= t })
	}
	tooOld, expired, tooNew := from(now-maxAge), from(g.expiry(now)), from(now+maxAhead+1)
	var r rejected
	if tooOld > 0 {
		r.TooOldEnd = &tooOld
	}
	if expired > 0 {
		r.ExpiredEnd = &expired
	}
	if tooNew < len(events) {
		r.TooNewStart = &tooNew
	}
	if r != (rejected{}) {
		info = &r
	}
	return events[min(max(tooOld, expired), tooNew):tooNew], info
}
