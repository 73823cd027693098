package cli

import (
	"fmt"
	"time"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/web"
)

// A difference is what lies between the tenant's log and the stream, by log_id.
type difference struct {
	held    int // events of the tenant
	arrived int // of these, those that are in the stream
	coming  int // of these, those not read yet, in the buffer, or among the dead letters
	missing int // of these, the rest
	twice   int // log_ids that are in the stream more than once
}

// String says it in a sentence.
func (d difference) String() string {
	s := fmt.Sprintf("The tenant held %d events: %d arrived, %d are missing, %d arrived twice.", d.held, d.arrived, d.missing, d.twice)
	if d.coming > 0 {
		s += fmt.Sprintf(" %d had not arrived when it ended.", d.coming)
	}
	return s
}

// difference compares the log_ids of the tenant with those of the stream. The
// figures t must be older than the comparison: what was in the buffer then may
// have arrived since, but what was not cannot be there.
func (d *demo) difference(t web.Tenant) difference {
	seen := make(map[string]int)
	for _, e := range d.stage.cloudwatch.Events(stageLogGroup, stageLogStream) {
		seen[logID([]byte(e.Message))]++
	}
	delete(seen, "")
	var diff difference
	for _, n := range seen {
		if n > 1 {
			diff.twice++
		}
	}
	behind := 0 // events that have been read and are not in the stream
	for _, raw := range d.stage.tenant.Events() {
		diff.held++
		switch id := logID(raw); {
		case seen[id] > 0:
			diff.arrived++
		case id > t.Cursor: // the ids of the emulated tenant ascend and have one length
			diff.coming++
		default:
			behind++
		}
	}
	waiting := min(behind, int(t.Buffered+t.DeadLetters))
	diff.coming += waiting
	diff.missing = behind - waiting
	return diff
}

// logID returns the log_id of an event, empty when it has none.
func logID(raw []byte) string {
	e, err := event.Parse(raw, time.Time{})
	if err != nil {
		return ""
	}
	return e.LogID
}
