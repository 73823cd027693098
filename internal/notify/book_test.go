package notify

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A tape plays conditions to a book, a step apart, and writes down what a channel is
// told.
type tape struct {
	book  *Book
	start time.Time
	now   time.Time
	told  []string
	step  time.Duration
}

func newTape() *tape {
	start := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	return &tape{book: newBook(start, 6*time.Hour), start: start, now: start, step: time.Second}
}

// play has conditions hold for a time.
func (p *tape) play(d time.Duration, findings ...Finding) {
	for end := p.now.Add(d); p.now.Before(end); p.now = p.now.Add(p.step) {
		p.book.observe(p.now, findings)
		p.hear()
	}
}

// hear tells the channel all that is pending.
func (p *tape) hear() {
	list := p.book.pending("slack", p.start, func(*Alert) bool { return true })
	for _, n := range list {
		p.told = append(p.told, fmt.Sprintf("%s %s %s %s", p.now.Sub(p.start), n.State, n.Severity, n.Kind))
	}
	p.book.told("slack", list)
}

// want compares what was told, and forgets it.
func (p *tape) want(t *testing.T, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, p.told); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
	p.told = nil
}

func refused() Finding { return Finding{Kind: KindCredentialsRefused, Tenant: "a", Part: "poll"} }

// TestAlertIsToldOnceRepeatedAndEnded follows a condition from its beginning to its end.
func TestAlertIsToldOnceRepeatedAndEnded(t *testing.T) {
	t.Parallel()
	p := newTape()
	p.step = 15 * time.Second
	p.play(5*time.Hour, refused())
	p.want(t, "15s firing critical credentials_refused")
	p.play(60*time.Hour, refused())
	// 6 h, 12 h, 24 h, 24 h after one another
	p.want(t, "6h0m15s still critical credentials_refused", "18h0m15s still critical credentials_refused", "42h0m15s still critical credentials_refused")
	p.play(time.Hour)
	p.want(t, "65h0m30s ended critical credentials_refused")
	if got := p.book.alerts(); len(got) != 1 || !got[0].Ended.Equal(p.start.Add(65*time.Hour)) || !got[0].Since.Equal(p.start) {
		t.Errorf("the alert that ended: %+v", got)
	}
	p.play(25 * time.Hour)
	if got := p.book.alerts(); len(got) != 0 {
		t.Errorf("a day later there is still %+v", got)
	}
	p.want(t)
}

// TestBlipTellsNobody has a condition hold for less than it must.
func TestBlipTellsNobody(t *testing.T) {
	t.Parallel()
	p := newTape()
	for range 20 {
		p.play(10*time.Second, refused())
		p.play(10 * time.Second)
	}
	p.want(t)
}

// TestKnownBeginningCounts has a condition that began before it was first looked at.
func TestKnownBeginningCounts(t *testing.T) {
	t.Parallel()
	p := newTape()
	f := refused()
	f.Since = p.start.Add(-10 * time.Second)
	p.play(time.Minute, f)
	p.want(t, "5s firing critical credentials_refused")
}

// TestFlappingIsToldOnce has a condition come and go: it is taken for the same one, and
// must be absent for longer each time to be over.
func TestFlappingIsToldOnce(t *testing.T) {
	t.Parallel()
	p := newTape()
	for range 12 {
		p.play(time.Minute, refused())
		p.play(time.Minute)
	}
	p.want(t,
		"15s firing critical credentials_refused", "1m30s ended critical credentials_refused",
		"2m0s still critical credentials_refused", // back: from here on it must be absent for a minute
	)
	p.play(time.Minute)
	p.want(t, "24m0s ended critical credentials_refused")
}

// TestWorseIsToldAtOnce has the severity rise.
func TestWorseIsToldAtOnce(t *testing.T) {
	t.Parallel()
	p := newTape()
	p.play(2*time.Minute, Finding{Kind: KindDeliveryLag, Severity: Warning})
	p.play(time.Hour, Finding{Kind: KindDeliveryLag, Severity: Critical})
	p.play(time.Hour, Finding{Kind: KindDeliveryLag, Severity: Warning})
	p.want(t, "30s firing warning delivery_lag", "2m0s still critical delivery_lag")
}

// TestEndIsToldToWhoWasTold has the severity fall below that of a channel before the end.
func TestEndIsToldToWhoWasTold(t *testing.T) {
	t.Parallel()
	p := newTape()
	critical := func(a *Alert) bool { return a.Severity == Critical }
	hear := func() (out []string) {
		list := p.book.pending("critical", p.start, critical)
		for _, n := range list {
			out = append(out, n.State)
		}
		p.book.told("critical", list)
		return out
	}
	var got []string
	for _, severity := range []Severity{Warning, Critical, Warning, ""} {
		if severity == "" {
			p.play(time.Minute)
		} else {
			p.play(time.Minute, Finding{Kind: KindDeliveryLag, Severity: severity})
		}
		got = append(got, hear()...)
	}
	if diff := cmp.Diff([]string{StateFiring, StateEnded}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestHappeningIsToldOnce has a gap that is no news after a day, and one that is healed.
func TestHappeningIsToldOnce(t *testing.T) {
	t.Parallel()
	p := newTape()
	p.step = 30 * time.Second
	gap := Finding{Kind: KindGap, Part: "1", Until: p.start.Add(24 * time.Hour)}
	p.play(24*time.Hour, gap)
	p.play(time.Hour)
	p.want(t, "0s firing critical gap")
	gap.Part, gap.Until = "2", p.now.Add(24*time.Hour)
	p.play(time.Hour, gap)
	p.play(time.Hour)
	p.want(t, "25h0m0s firing critical gap", "26h0m30s ended critical gap")
}

// TestNewChannelIsToldWhatIsOn has a channel come while one alert is on and another over;
// and a channel that fails is told of both.
func TestNewChannelIsToldWhatIsOn(t *testing.T) {
	t.Parallel()
	p := newTape()
	p.play(time.Minute, refused(), Finding{Kind: KindDiskFull})
	p.play(5*time.Minute, refused())
	all := func(*Alert) bool { return true }
	states := func(channel string, since time.Time) (out []string) {
		for _, n := range p.book.pending(channel, since, all) {
			out = append(out, n.State+" "+n.Kind)
		}
		return out
	}
	if diff := cmp.Diff([]string{"firing credentials_refused"}, states("new", p.now)); diff != "" {
		t.Errorf("a new channel (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"firing credentials_refused", "ended disk_near_full"}, states("failed", p.start)); diff != "" {
		t.Errorf("one that could not be told (-want +got):\n%s", diff)
	}
	p.book.forget(func(name string) bool { return name != "slack" })
	if diff := cmp.Diff([]string{"firing credentials_refused"}, states("slack", p.now)); diff != "" {
		t.Errorf("one of the same name as one that is gone (-want +got):\n%s", diff)
	}
}
