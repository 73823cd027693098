package checkup

import (
	"fmt"
	"time"
)

// clockNoise is how far two clocks may be apart without anybody saying so: a Date
// header has whole seconds, and the answer takes its time.
const clockNoise = 5 * time.Second

// ClockFix says how to set the clock of a machine right.
const ClockFix = "Let the clock of this machine be kept by NTP: timedatectl set-ntp true (or chronyc makestep); in a container set that of the host."

// A Bound is how far a clock may be off until something breaks, and what does.
type Bound struct {
	// Behind and Ahead are how far this machine's clock may be behind and ahead of
	// the other; 0 for as far as it likes.
	Behind, Ahead time.Duration
	// Breaks says what does not work beyond.
	Breaks string
}

// Clock compares the clock of this machine with that of somebody else, told by a Date
// header.
func Clock(whose string, offset time.Duration, known bool, b Bound) Finding {
	if !known {
		return Skipped("%s told no time (no Date header); a proxy may have taken it out", whose)
	}
	words := fmt.Sprintf("the clock of this machine is %s ahead of that of %s", offset.Round(time.Second).Abs(), whose)
	if offset < 0 {
		words = fmt.Sprintf("the clock of this machine is %s behind that of %s", offset.Round(time.Second).Abs(), whose)
	}
	switch {
	case b.Ahead > 0 && offset > b.Ahead, b.Behind > 0 && -offset > b.Behind:
		return Failed("", ClockFix, "%s: %s", words, b.Breaks)
	case offset.Abs() > clockNoise:
		return Warned(ClockFix, "%s", words)
	default:
		return Passed("the clock agrees with that of %s within %s", whose, clockNoise)
	}
}
