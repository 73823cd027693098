package source

import (
	"fmt"
	"strings"
	"time"

	"github.com/gaplesslogs/gapless/internal/event"
)

// place is where the poll stands. Its text is the cursor:
//
//	<log_id>                     behind this event: the usual case
//	@start                       nothing read yet; every event counts
//	@start <time>                nothing read yet; events count from a time on
//	@since <time> <log_id>       behind this event; older events do not count
//
// The forms with a time fix a start that was given as a duration, or on a tenant
// without events, so that a restart does not move it.
type place struct {
	// id is the log_id to go on behind; empty means nothing read yet.
	id string
	// since, when not zero, is the date from which on events count.
	since time.Time
}

// Words that cursors other than a plain log_id begin with.
const (
	marker     = "@"
	startWord  = marker + "start"
	sinceWord  = marker + "since"
	timeLayout = time.RFC3339Nano
)

// cursor returns the text of a place.
func (p place) cursor() event.Cursor {
	switch {
	case p.id == "" && p.since.IsZero():
		return startWord
	case p.id == "":
		return event.Cursor(startWord + " " + p.since.UTC().Format(timeLayout))
	case p.since.IsZero():
		return event.Cursor(p.id)
	default:
		return event.Cursor(sinceWord + " " + p.since.UTC().Format(timeLayout) + " " + p.id)
	}
}

// readCursor reads a cursor that is not empty.
func readCursor(c event.Cursor) (place, error) {
	word, rest, _ := strings.Cut(string(c), " ")
	var p place
	text := rest
	switch {
	case word == startWord && rest == "":
		return place{}, nil
	case word == startWord:
	case word == sinceWord:
		text, p.id, _ = strings.Cut(rest, " ")
	default:
		return place{id: string(c)}, nil
	}
	t, err := time.Parse(timeLayout, text)
	if err != nil || word == sinceWord && p.id == "" {
		return place{}, fmt.Errorf("read cursor %q: it was not written by this version of gapless", c)
	}
	p.since = t
	return p, nil
}

// CursorID returns the log_id behind which a cursor of Poll stands; empty when it
// names none.
func CursorID(c event.Cursor) string {
	p, err := readCursor(c)
	if err != nil {
		return ""
	}
	return p.id
}
