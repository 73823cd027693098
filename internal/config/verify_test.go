package config_test

import (
	"testing"
	"time"

	"github.com/gaplesslogs/gapless/internal/config"
)

// TestParseSchedule reads schedules, and refuses what is none.
func TestParseSchedule(t *testing.T) {
	t.Parallel()
	for text, good := range map[string]bool{
		"02:30": true, "every 6h": true, "every 7d": true, "off": true,
		"": false, "2:30": false, "24:00": false, "02:60": false, "every 10m": false, "every 8d": false, "every": false, "daily": false,
	} {
		if _, err := config.ParseSchedule(config.Verify{Schedule: text, Zone: "UTC"}); (err == nil) != good {
			t.Errorf("%q: %v", text, err)
		}
	}
	for _, zone := range []string{"", "Mars/Olympus", "../etc"} {
		if _, err := config.ParseSchedule(config.Verify{Schedule: "off", Zone: zone}); err == nil {
			t.Errorf("zone %q is taken", zone)
		}
	}
}

// TestScheduleNext follows a time of day over both changes of the clocks: one each day.
func TestScheduleNext(t *testing.T) {
	t.Parallel()
	s, err := config.ParseSchedule(config.Verify{Schedule: "02:30", Zone: "Europe/Berlin"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ from, want string }{
		{"2026-03-28T00:00:00Z", "2026-03-28T01:30:00Z"},
		{"2026-03-28T01:30:00Z", "2026-03-29T01:30:00Z"}, // 02:30 is left out: it is 03:30
		{"2026-03-29T01:30:00Z", "2026-03-30T00:30:00Z"},
		{"2026-10-24T00:30:00Z", "2026-10-25T01:30:00Z"}, // it is twice: the second
		{"2026-10-25T01:30:00Z", "2026-10-26T01:30:00Z"},
	} {
		from, err := time.Parse(time.RFC3339, c.from)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Next(from).UTC().Format(time.RFC3339); got != c.want {
			t.Errorf("behind %s: %s instead of %s", c.from, got, c.want)
		}
	}
	from := time.Date(2026, 3, 1, 2, 30, 0, 0, s.Zone)
	if got := s.Last(from, from.Add(80*time.Hour)); !got.Equal(from.Add(72 * time.Hour)) {
		t.Errorf("the last one is %s", got)
	}
}
