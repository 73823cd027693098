package cli

import (
	"time"

	"github.com/gaplesslogs/gapless/internal/event"
)

// difference compares the log_ids of the tenant with those of the stream.
func (d *demo) difference() (missing, twice int) {
	seen := make(map[string]int)
	for _, e := range d.stage.cloudwatch.Events(stageLogGroup, stageLogStream) {
		if parsed, err := event.Parse([]byte(e.Message), time.Time{}); err == nil {
			seen[parsed.LogID]++
		}
	}
	for _, n := range seen {
		if n > 1 {
			twice++
		}
	}
	for _, raw := range d.stage.tenant.Events() {
		if parsed, err := event.Parse(raw, time.Time{}); err == nil && seen[parsed.LogID] == 0 {
			missing++
		}
	}
	return missing, twice
}
