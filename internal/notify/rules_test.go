package notify

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func testLimits() Thresholds {
	return Thresholds{
		DeliveryLag: 15 * time.Minute, DeliveryLagCritical: time.Hour, FetchFailing: 5 * time.Minute, DestinationFailing: 10 * time.Minute,
		Quiet: time.Hour, BufferUsed: 0.8, DiskFree: 1 << 30, CertificateEnds: 14 * 24 * time.Hour, RateLimited: 10 * time.Minute,
	}
}

// said is what rules find, in short.
func said(list []Finding) (out []string) {
	for _, f := range list {
		f = f.filled()
		out = append(out, fmt.Sprintf("%s %s %s %s", f.Kind, f.Part, f.Severity, f.Hold))
	}
	return out
}

// TestRules judges one figure after the other.
func TestRules(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	trouble := func(part, class string) Snapshot {
		return Snapshot{Tenants: []Tenant{{Name: "a", Troubles: []Trouble{{Part: part, Class: class, Message: "m"}}}}}
	}
	one := func(x Tenant) Snapshot { x.Name = "a"; return Snapshot{Tenants: []Tenant{x}} }
	for name, c := range map[string]struct {
		snapshot Snapshot
		want     string // empty for nothing
	}{
		"nothing":                   {one(Tenant{}), ""},
		"secret refused":            {trouble("poll", "unauthorized"), "credentials_refused poll critical 15s"},
		"Auth0 down":                {trouble("poll", "transient"), "not_fetching poll critical 5m0s"},
		"queue refused":             {trouble("sqs", "unauthorized"), "credentials_refused sqs critical 15s"},
		"Auth0 throttles":           {trouble("poll", "throttled"), "rate_limited poll warning 10m0s"},
		"destination refuses":       {trouble("delivery", "unauthorized"), "destination_refusing delivery critical 15s"},
		"destination never works":   {trouble("delivery:audit", "misconfigured"), "destination_refusing delivery:audit critical 15s"},
		"destination fails":         {trouble("delivery", "transient"), "destination_failing delivery warning 10m0s"},
		"destination throttles":     {trouble("delivery", "throttled"), "destination_failing delivery warning 10m0s"},
		"push silent":               {trouble("push", "transient"), "push_silent push warning 1m0s"},
		"stray messages":            {trouble("sqs_routing", "misconfigured"), "stray_messages sqs_routing warning 1m0s"},
		"buffer of one full":        {trouble("buffer:audit", "quota"), "destination_skipping audit critical 15s"},
		"destination removed":       {trouble("destination:audit", "misconfigured"), "destination_removed audit warning 1m0s"},
		"quota of letters":          {trouble("dead_letters", "quota"), "dead_letter_quota  critical 15s"},
		"secret unreadable":         {trouble("secrets", "transient"), "secret_unreadable secrets warning 1m0s"},
		"new secret refused":        {trouble("secrets", "unauthorized"), "credentials_refused secrets critical 15s"},
		"not started":               {trouble("start", "transient"), "tenant_not_started  critical 15s"},
		"restored":                  {trouble("store", "restored"), "store_restored  critical 0s"},
		"unknown part":              {trouble("new", "transient"), "trouble new warning 5m0s"},
		"lag":                       {one(Tenant{Queues: []Queue{{Events: 1, Lag: 20 * time.Minute, Waiting: 20 * time.Minute}}}), "delivery_lag delivery warning 30s"},
		"much lag":                  {one(Tenant{Queues: []Queue{{}, {Name: "audit", Events: 1, Lag: time.Hour, Waiting: time.Hour}}}), "delivery_lag delivery:audit critical 30s"},
		"an old log is read":        {one(Tenant{Queues: []Queue{{Events: 1, Lag: 720 * time.Hour, Waiting: time.Minute}}}), ""},
		"buffer":                    {one(Tenant{BufferMax: 100, BufferRoom: 20}), "buffer_near_full  warning 30s"},
		"buffer full":               {one(Tenant{BufferMax: 100, BufferRoom: 4}), "buffer_near_full  critical 30s"},
		"buffer has room":           {one(Tenant{BufferMax: 100, BufferRoom: 21}), ""},
		"risk":                      {one(Tenant{Risks: []Risk{{Kind: "unfetched"}}}), "retention_risk unfetched critical 30s"},
		"risk of the buffer":        {one(Tenant{Risks: []Risk{{Kind: "buffer"}}}), ""},
		"gap":                       {one(Tenant{Gaps: []Gap{{Recorded: now.Add(-time.Hour)}}}), "gap 2026-11-02T08:00:00Z critical -1ns"},
		"gap healed":                {one(Tenant{Gaps: []Gap{{Recorded: now.Add(-time.Hour), Healed: now}}}), ""},
		"old gap":                   {one(Tenant{Gaps: []Gap{{Recorded: now.Add(-25 * time.Hour)}}}), ""},
		"disk":                      {Snapshot{DiskFree: 1 << 29, DiskTotal: 100 << 30}, "disk_near_full  critical 30s"},
		"small disk with room":      {Snapshot{DiskFree: 1 << 29, DiskTotal: 1 << 30}, ""},
		"small disk":                {Snapshot{DiskFree: 1 << 26, DiskTotal: 1 << 30}, "disk_near_full  critical 30s"},
		"disk unknown":              {Snapshot{}, ""},
		"certificate":               {Snapshot{CertificateEnds: now.Add(13 * 24 * time.Hour)}, "certificate_ends  warning 0s"},
		"certificate soon":          {Snapshot{CertificateEnds: now.Add(time.Hour)}, "certificate_ends  critical 0s"},
		"certificate good":          {Snapshot{CertificateEnds: now.Add(15 * 24 * time.Hour)}, ""},
		"no credentials":            {Snapshot{Credentials: []Credentials{{Tenant: "a", Problem: "none"}}}, "credentials_refused delivery critical 1m0s"},
		"credentials have ended":    {Snapshot{Credentials: []Credentials{{Tenant: "a", Destination: "x", Ends: now.Add(-time.Minute)}}}, "credentials_end delivery:x warning 30s"},
		"credentials end":           {Snapshot{Credentials: []Credentials{{Tenant: "a", Ends: now.Add(time.Minute)}}}, ""},
		"reload refused":            {Snapshot{Refused: &Trouble{Message: "m"}}, "reload_refused  warning 0s"},
		"quiet":                     {one(Tenant{Pause: 2 * time.Hour, Usual: &Usual{Weeks: 4, Longest: 5 * time.Minute}}), "quiet  warning 0s"},
		"quiet at night":            {one(Tenant{Pause: 8 * time.Hour, Usual: &Usual{Weeks: 4, Longest: 6 * time.Hour}}), ""},
		"quiet for a short time":    {one(Tenant{Pause: 59 * time.Minute, Usual: &Usual{Weeks: 4, Longest: time.Minute}}), ""},
		"quiet and hardly known":    {one(Tenant{Pause: 23 * time.Hour, Usual: &Usual{Known: 48 * time.Hour, Longest: time.Hour}}), ""},
		"quiet for a day, young":    {one(Tenant{Pause: 25 * time.Hour, Usual: &Usual{Known: 48 * time.Hour, Longest: time.Hour}}), "quiet  warning 0s"},
		"quiet and known for hours": {one(Tenant{Pause: 3 * time.Hour, Usual: &Usual{Known: 4 * time.Hour}}), ""},
	} {
		c.snapshot.At = now
		got := strings.Join(said(Judge(c.snapshot, testLimits(), newMemory())), "\n")
		if got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
		off := Thresholds{}
		for _, f := range Judge(c.snapshot, off, newMemory()) {
			switch f.Kind {
			case KindDeliveryLag, KindNotFetching, KindFailing, KindQuiet, KindBufferFull, KindDiskFull, KindCertificateEnds, KindRateLimited:
				t.Errorf("%s: %s is told, and its threshold is off", name, f.Kind)
			}
		}
	}
}

// TestFullBufferIsNoRateLimit has sources wait for room.
func TestFullBufferIsNoRateLimit(t *testing.T) {
	t.Parallel()
	s := Snapshot{At: time.Now(), Tenants: []Tenant{{Name: "a", BufferMax: 100, Troubles: []Trouble{{Part: "poll", Class: "throttled"}}}}}
	if diff := cmp.Diff([]string{"buffer_near_full  critical 30s"}, said(Judge(s, testLimits(), newMemory()))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestRoomAgainIsNoRateLimit has the buffer have room again before the source that waited
// for it has tried again.
func TestRoomAgainIsNoRateLimit(t *testing.T) {
	t.Parallel()
	s := Snapshot{At: time.Now(), Tenants: []Tenant{{Name: "a", BufferMax: 100, BufferRoom: 90, Troubles: []Trouble{{Part: "poll", Class: "throttled", Full: true}}}}}
	if got := said(Judge(s, testLimits(), newMemory())); got != nil {
		t.Errorf("told: %v", got)
	}
}

// TestEndedCredentialsAreToldOnce has the destination refuse for want of credentials.
func TestEndedCredentialsAreToldOnce(t *testing.T) {
	t.Parallel()
	s := Snapshot{
		At: time.Now(), Credentials: []Credentials{{Tenant: "a", Problem: "none"}},
		Tenants: []Tenant{{Name: "a", Troubles: []Trouble{{Part: "delivery", Class: "unauthorized"}}}},
	}
	if diff := cmp.Diff([]string{"destination_refusing delivery critical 15s"}, said(Judge(s, testLimits(), newMemory()))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestDeadLettersAreNewsForAnHour counts letters: those that were there before are no
// news, a series is one condition, and letters of events that were delivered in another
// form are less.
func TestDeadLettersAreNewsForAnHour(t *testing.T) {
	t.Parallel()
	now, m := time.Now(), newMemory()
	look := func(rejected, altered int64) []string {
		now = now.Add(time.Minute)
		x := Tenant{Name: "a", Rejected: map[string]int64{"too_old": rejected}, Altered: map[string]int64{"too_large": altered}, Kept: 9}
		return said(Judge(Snapshot{At: now, Tenants: []Tenant{x}}, testLimits(), m))
	}
	want := func(got []string, want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	want(look(7, 7))
	want(look(7, 8), "dead_letters  info -1ns")
	want(look(8, 8), "dead_letters  warning -1ns")
	for range 59 {
		want(look(8, 8), "dead_letters  warning -1ns")
	}
	want(look(8, 8))
	want(look(0, 0)) // another store
	want(look(0, 1), "dead_letters  info -1ns")
}

// TestRateLimitThatStarves has a tenant wait for most of the time while it is behind.
func TestRateLimitThatStarves(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		share  float64
		behind time.Duration
		gains  time.Duration // less behind each minute
		want   []string
	}{
		"starves":              {0.9, time.Hour, 0, []string{"rate_limited poll warning -1ns"}},
		"loses":                {0.9, time.Hour, -30 * time.Second, []string{"rate_limited poll warning -1ns"}},
		"waits":                {0.9, time.Minute, 0, nil},
		"is busy":              {0.2, time.Hour, 0, nil},
		"reads a history":      {0.9, 30 * 24 * time.Hour, time.Hour, nil},
		"hardly gains":         {0.9, 30 * 24 * time.Hour, 20 * time.Second, []string{"rate_limited poll warning -1ns"}},
		"has nearly caught up": {0.9, 25 * time.Minute, time.Minute, nil},
	} {
		at, m := time.Now(), newMemory()
		var got []string
		for i := range 15 {
			now := at.Add(time.Duration(i) * time.Minute)
			x := Tenant{Name: "a", ReadUntil: now.Add(-c.behind + time.Duration(i)*c.gains), Waited: time.Duration(c.share * float64(now.Sub(at)))}
			got = said(Judge(Snapshot{At: now, Tenants: []Tenant{x}}, testLimits(), m))
			if i < 10 && got != nil {
				t.Errorf("%s: after %d minutes: %v", name, i, got)
			}
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestNobodyIsLeftWithoutAdvice has each kind found without a hint of its own: what is told
// says what to do all the same.
func TestNobodyIsLeftWithoutAdvice(t *testing.T) {
	t.Parallel()
	for _, k := range Kinds() {
		if f := (Finding{Kind: k.Name}).filled(); f.Hint == "" {
			t.Errorf("%s: told without what to do", k.Name)
		}
		if f := (Finding{Kind: k.Name, Hint: "This."}).filled(); f.Hint != "This." {
			t.Errorf("%s: another hint took the place of its own: %s", k.Name, f.Hint)
		}
	}
}

// TestClockKnowsSummerTime asks for the next report around a change of the clocks.
func TestClockKnowsSummerTime(t *testing.T) {
	t.Parallel()
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	c := Clock{Hour: 9, Zone: berlin}
	at := time.Date(2026, 10, 24, 8, 0, 0, 0, berlin) // the clocks change on the 25th
	var got []string
	for range 3 {
		at = c.next(at)
		got = append(got, at.UTC().Format("02 15:04"))
	}
	if diff := cmp.Diff([]string{"24 07:00", "25 08:00", "26 08:00"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestShort writes durations.
func TestShort(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0: "0s", 45 * time.Second: "45s", time.Minute: "1m", 65 * time.Second: "1m5s", time.Hour: "1h", 3*time.Hour + 2*time.Minute: "3h2m", 99 * time.Hour: "4d3h", 48 * time.Hour: "2d",
	} {
		if got := short(d); got != want {
			t.Errorf("%v: got %s, want %s", d, got, want)
		}
	}
}

// TestKindsAreUnique holds that each kind is there once, with words for people.
func TestKindsAreUnique(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, k := range Kinds() {
		if seen[k.Name] || k.Title == "" || k.Severity.rank() < 0 {
			t.Errorf("%+v", k)
		}
		seen[k.Name] = true
	}
}
