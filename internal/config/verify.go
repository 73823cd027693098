package config

import (
	"errors"
	"fmt"
	"regexp"
	"time"
	_ "time/tzdata" // verify.zone holds also where the machine has no zones
)

// Verify says when everything is verified by itself.
type Verify struct {
	Schedule string        `yaml:"schedule" default:"02:30" example:"every 6h" doc:"When 'gapless run' verifies by itself that what Auth0 holds is in the destinations: a time of day such as 02:30, 'every 6h' (1h to 7d), or off. A time that was missed while gapless was not running is caught up once. It never runs with --once. See docs/verify.md."`
	Zone     string        `yaml:"zone" default:"UTC" example:"Asia/Tokyo" doc:"Time zone of a schedule that is a time of day, by its IANA name. A time that a change of the clocks leaves out comes when the clocks have changed, and one that it repeats comes once."`
	Span     time.Duration `yaml:"span" default:"25h" min:"1h" max:"720h" doc:"How far back a scheduled verification reaches. A little more than the time between two of them leaves no hole."`
	Jitter   time.Duration `yaml:"jitter" default:"10m" min:"0s" max:"6h" doc:"A scheduled verification begins up to so much later, by the name of the tenant, so that several do not begin at once."`
	Repair   bool          `yaml:"repair" default:"false" doc:"Deliver what a scheduled verification finds missing, as 'gapless backfill' does, and verify once more."`
}

// A Schedule is when something comes round.
type Schedule struct {
	// Off says that it never does.
	Off bool
	// Every is the time between two; 0 for a time of day.
	Every time.Duration
	// Hour and Minute are the time of day, in Zone.
	Hour, Minute int
	Zone         *time.Location
}

// The bounds of an interval.
const (
	leastVerifyEvery = time.Hour
	mostVerifyEvery  = 7 * 24 * time.Hour
)

// Errors of ParseSchedule.
var (
	errNoSchedule = errors.New("use a time of day such as 02:30, an interval such as every 6h (1h to 7d), or off")
	errNoZone     = errors.New("use the name of a time zone such as UTC or Europe/Berlin")
)

// Patterns of schedules.
var (
	clockPattern = regexp.MustCompile(`^([01][0-9]|2[0-3]):([0-5][0-9])$`)
	everyPattern = regexp.MustCompile(`^every +(\S+)$`)
)

// ParseSchedule reads Verify.Schedule and Verify.Zone.
func ParseSchedule(v Verify) (Schedule, error) {
	zone, err := time.LoadLocation(v.Zone)
	if err != nil || v.Zone == "" {
		return Schedule{}, fmt.Errorf("%q: %w", v.Zone, errNoZone)
	}
	s := Schedule{Zone: zone}
	if v.Schedule == "off" {
		s.Off = true
		return s, nil
	}
	if m := clockPattern.FindStringSubmatch(v.Schedule); m != nil {
		_, err := fmt.Sscanf(v.Schedule, "%d:%d", &s.Hour, &s.Minute)
		return s, err
	}
	if m := everyPattern.FindStringSubmatch(v.Schedule); m != nil {
		p, err := ParseStartFrom(m[1])
		if err == nil && p.Ago >= leastVerifyEvery && p.Ago <= mostVerifyEvery {
			s.Every = p.Ago
			return s, nil
		}
	}
	return s, fmt.Errorf("%q: %w", v.Schedule, errNoSchedule)
}

// Next returns the first time behind another one; the zero time when it is off.
func (s Schedule) Next(after time.Time) time.Time {
	switch {
	case s.Off:
		return time.Time{}
	case s.Every > 0:
		return after.Add(s.Every)
	}
	day := after.In(s.Zone)
	for i := 0; ; i++ { // a day that is left out altogether has been seen, too
		at := time.Date(day.Year(), day.Month(), day.Day()+i, s.Hour, s.Minute, 0, 0, s.Zone)
		if at.After(after) {
			return at
		}
	}
}

// Last returns the last time that is not behind now, given one that is due.
func (s Schedule) Last(due, now time.Time) time.Time {
	for next := s.Next(due); !s.Off && !next.After(now); next = s.Next(due) {
		due = next
	}
	return due
}

// checkVerify checks the section verify.
func (l *loader) checkVerify(v *Verify) {
	if _, err := ParseSchedule(*v); err != nil {
		path, value, fix := "verify.schedule", v.Schedule, "Use a time of day such as 02:30, an interval such as every 6h (1h to 7d), or off."
		if errors.Is(err, errNoZone) {
			path, value, fix = "verify.zone", v.Zone, "Use the name of a time zone such as UTC or Europe/Berlin."
		}
		l.complain(path, quote(value)+" is not a value it can take", fix)
	}
}
