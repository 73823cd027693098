package notify

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// What the rules hold besides the thresholds.
const (
	// gapTold is how long a gap counts as news.
	gapTold = 24 * time.Hour
	// lettersQuiet is how long no event may become a dead letter until that is over.
	lettersQuiet = time.Hour
	// quietFactor is how many times longer than usual a pause is that is told.
	quietFactor = 3
	// quietYoung is the pause that is told of a tenant of which too little is known.
	quietYoung = 24 * time.Hour
	// waitShare is the share of the time that may be spent waiting for the rate limit,
	// and waitSpan the time over which it is taken.
	waitShare = 0.5
	waitSpan  = 10 * time.Minute
	// caughtUp is the time in which reading that gains on the log has caught up at its
	// pace, for it not to starve: the limit holds up any first read of a long history.
	caughtUp = 24 * time.Hour
)

// Judge returns the conditions that hold in a snapshot. Memory is what it needs to know
// of earlier ones; Judge brings it up to date.
func Judge(s Snapshot, t Thresholds, m *Memory) []Finding {
	var out []Finding
	for i := range s.Tenants {
		j := judge{at: s.At, limits: t, tenant: &s.Tenants[i]}
		j.troubles()
		j.queues()
		j.quiet()
		j.rateLimit(m)
		j.gaps()
		j.letters(m)
		out = append(out, j.out...)
	}
	return append(out, judgeProcess(s, t)...)
}

// judgeProcess judges what belongs to no tenant.
func judgeProcess(s Snapshot, t Thresholds) (out []Finding) {
	if least := min(t.DiskFree, s.DiskTotal/10); s.DiskTotal > 0 && s.DiskFree < least {
		out = append(out, Finding{
			Kind: KindDiskFull, Message: fmt.Sprintf("%s of %s are free on the disk of the data directory", size(s.DiskFree), size(s.DiskTotal)),
			Hint: "Make room on it. When it is full no new events are taken; what is stored is still delivered.",
		})
	}
	if left := s.CertificateEnds.Sub(s.At); t.CertificateEnds > 0 && !s.CertificateEnds.IsZero() && left < t.CertificateEnds {
		f := Finding{
			Kind: KindCertificateEnds, Message: "the certificate of the webhook ends on " + s.CertificateEnds.UTC().Format(time.RFC3339),
			Hint: "Put a new one into the files of webhook.tls; they are read again by themselves.",
		}
		if left < 48*time.Hour {
			f.Severity = Critical
		}
		if left <= 0 {
			f.Message = "the certificate of the webhook has ended on " + s.CertificateEnds.UTC().Format(time.RFC3339) + ": Auth0 refuses it"
		}
		out = append(out, f)
	}
	for _, c := range s.Credentials {
		out = append(out, judgeCredentials(s, c)...)
	}
	if r := s.Refused; r != nil {
		out = append(out, Finding{Kind: KindReload, Message: "the configuration was not reloaded, the one before stays in use: " + r.Message, Hint: r.Hint, Since: r.Since})
	}
	return out
}

// judgeCredentials judges the credentials of a destination. Where that refuses what is
// sent, this is told already.
func judgeCredentials(s Snapshot, c Credentials) []Finding {
	i := slices.IndexFunc(s.Tenants, func(t Tenant) bool { return t.Name == c.Tenant })
	if i >= 0 && slices.ContainsFunc(s.Tenants[i].Troubles, func(x Trouble) bool { return x.Part == deliveryPart(c.Destination) && x.person() }) {
		return nil
	}
	const hint = "Log in again, or renew what the credentials come from (a profile, a token file, the role). gapless takes the new ones by itself."
	switch {
	case c.Problem != "":
		return []Finding{{Kind: KindCredentialsRefused, Tenant: c.Tenant, Part: deliveryPart(c.Destination), Hold: time.Minute, Message: "there are no credentials of AWS: " + c.Problem, Hint: hint}}
	case !c.Ends.IsZero() && c.Ends.Before(s.At):
		return []Finding{{
			Kind: KindCredentialsEnd, Tenant: c.Tenant, Part: deliveryPart(c.Destination), Since: c.Ends,
			Message: "the credentials of AWS have ended on " + c.Ends.UTC().Format(time.RFC3339) + " and are not renewed", Hint: hint,
		}}
	}
	return nil
}

// deliveryPart is the part of a destination, as its troubles have it.
func deliveryPart(name string) string {
	if name == "" {
		return "delivery"
	}
	return "delivery:" + name
}

// A judge judges one tenant.
type judge struct {
	at     time.Time
	limits Thresholds
	tenant *Tenant
	out    []Finding
}

// add adds a finding of the tenant.
func (j *judge) add(f Finding) {
	f.Tenant = j.tenant.Name
	j.out = append(j.out, f)
}

// troubles judges what fails.
func (j *judge) troubles() {
	for _, x := range j.tenant.Troubles {
		part, of, _ := strings.Cut(x.Part, ":")
		f := Finding{Part: x.Part, Message: x.Message, Hint: x.Hint, Since: x.Since}
		switch part {
		case "poll", "webhook", "sqs":
			j.sourceTrouble(x, f)
			continue
		case "delivery":
			j.deliveryTrouble(x, f)
			continue
		case "push":
			f.Kind = KindPushSilent
		case "sqs_routing":
			f.Kind = KindStrayMessages
		case "buffer":
			f.Kind, f.Part = KindSkipping, of
		case "destination":
			f.Kind, f.Part = KindRemoved, of
		case "dead_letters":
			f.Kind, f.Part = KindLetterQuota, ""
		case "secrets":
			f.Kind = KindSecret
			if x.person() {
				f.Kind = KindCredentialsRefused
			}
		case "start":
			f.Kind, f.Part = KindNotStarted, ""
		case "store":
			f.Kind, f.Part = KindRestored, ""
		default:
			f.Kind = KindTrouble
		}
		j.add(f)
	}
}

// sourceTrouble judges a source that fails.
func (j *judge) sourceTrouble(x Trouble, f Finding) {
	switch {
	case x.person():
		f.Kind = KindCredentialsRefused
	case x.Full || x.Class == "throttled" && j.full():
		return // that the buffer is full is told, and the source is late to see that it has room again
	case x.Class == "throttled":
		if f.Kind, f.Hold = KindRateLimited, j.limits.RateLimited; f.Hold <= 0 {
			return
		}
	default:
		if f.Kind, f.Hold = KindNotFetching, j.limits.FetchFailing; f.Hold <= 0 {
			return
		}
	}
	j.add(f)
}

// full reports whether sources wait for room in the buffer.
func (j *judge) full() bool {
	t := j.tenant
	return t.BufferMax > 0 && t.BufferRoom < t.BufferMax/20
}

// deliveryTrouble judges a destination that fails.
func (j *judge) deliveryTrouble(x Trouble, f Finding) {
	if x.person() {
		f.Kind = KindRefusing
	} else if f.Kind, f.Hold = KindFailing, j.limits.DestinationFailing; f.Hold <= 0 {
		return
	}
	j.add(f)
}

// queues judges what waits for the destinations, and the buffer that they share.
func (j *judge) queues() {
	for _, q := range j.tenant.Queues {
		behind := q.behind()
		if j.limits.DeliveryLag <= 0 || behind < j.limits.DeliveryLag {
			continue
		}
		f := Finding{
			Kind: KindDeliveryLag, Part: deliveryPart(q.Name), Since: j.at.Add(-behind).Add(j.limits.DeliveryLag),
			Message: fmt.Sprintf("delivery is %s behind; %d events (%s) wait", short(behind), q.Events, size(q.Bytes)),
			Hint:    "See gapless status for what holds it up. Without a trouble there, events come faster than CloudWatch Logs takes them: more in_flight, or another log stream for a part of them.",
		}
		if j.limits.DeliveryLagCritical > 0 && behind >= j.limits.DeliveryLagCritical {
			f.Severity = Critical
		}
		j.add(f)
	}
	t := j.tenant
	if used := float64(t.BufferMax - t.BufferRoom); j.limits.BufferUsed > 0 && t.BufferMax > 0 && used >= j.limits.BufferUsed*float64(t.BufferMax) {
		f := Finding{
			Kind: KindBufferFull, Message: fmt.Sprintf("the buffer has room for %s of %s; when it is full nothing is fetched any more", size(t.BufferRoom), size(t.BufferMax)),
			Hint: "Mend delivery, or set a larger max_buffer_bytes.",
		}
		if j.full() {
			f.Severity = Critical
		}
		j.add(f)
	}
	for _, r := range t.Risks {
		if r.Kind != "buffer" { // which is judged above, by the threshold
			j.add(Finding{Kind: KindRetention, Part: r.Kind, Message: r.Message, Hint: r.Hint})
		}
	}
}

// quiet judges a pause. A tenant that is read well and in which nothing happens is no
// trouble; one that is silent for much longer than at the same time of earlier weeks may
// have stopped writing its log, or is not the one that people use.
func (j *judge) quiet() {
	t := j.tenant
	if t.Usual == nil || j.limits.Quiet <= 0 {
		return
	}
	limit := max(j.limits.Quiet, quietFactor*t.Usual.Longest)
	usual := fmt.Sprintf("at this time of the week the pause was %s at most in the last %d weeks", short(t.Usual.Longest), t.Usual.Weeks)
	if t.Usual.Weeks < 2 {
		if t.Usual.Known < quietYoung {
			return
		}
		limit = max(limit, quietYoung)
		usual = "the longest pause so far was " + short(t.Usual.Longest)
	}
	if t.Pause < limit {
		return
	}
	j.add(Finding{
		Kind: KindQuiet, Since: j.at.Add(-t.Pause).Add(limit),
		Message: fmt.Sprintf("the log of Auth0 is read and has brought nothing new for %s; %s", short(t.Pause), usual),
		Hint:    "On a holiday this is well. Otherwise see in Auth0 (Monitoring, Logs) whether it has newer events, and whether this is the tenant that people sign in to.",
	})
}

// rateLimit judges whether the rate limit leaves too little: most of the time is spent
// waiting for it, and reading is behind and does not catch up.
func (j *judge) rateLimit(m *Memory) {
	share, gained, known := m.waited(j.tenant, j.at)
	behind := j.at.Sub(j.tenant.ReadUntil)
	if !known || share < waitShare || j.limits.RateLimited <= 0 || j.tenant.ReadUntil.IsZero() || behind < j.limits.RateLimited {
		return
	}
	if gained > 0 && behind.Seconds()/gained.Seconds()*waitSpan.Seconds() < caughtUp.Seconds() {
		return
	}
	if slices.ContainsFunc(j.out, func(f Finding) bool { return f.Kind == KindRateLimited }) {
		return
	}
	j.add(Finding{
		Kind: KindRateLimited, Part: "poll", Hold: -1,
		Message: fmt.Sprintf("%.0f %% of the last %s were spent waiting for the rate limit of Auth0, and reading is %s behind", 100*share, short(waitSpan), short(behind)),
		Hint:    "Raise rate_share, see which other software uses up the limit, or have Auth0 push events (webhook or EventBridge).",
	})
}

// gaps judges the gaps that are new and open.
func (j *judge) gaps() {
	for _, g := range j.tenant.Gaps {
		if !g.Healed.IsZero() || j.at.Sub(g.Recorded) > gapTold {
			continue
		}
		j.add(Finding{
			Kind: KindGap, Part: g.Recorded.UTC().Format(time.RFC3339Nano), Since: g.Recorded, Until: g.Recorded.Add(gapTold), Hold: -1,
			Message: fmt.Sprintf("events from %s to %s may be missing for good: %s", stamp(g.From), stamp(g.To), g.Reason),
			Hint:    "See \"Gaps and Auth0's retention\" in docs/operations.md for what is left to try.",
		})
	}
}

// letters judges whether events become dead letters.
func (j *judge) letters(m *Memory) {
	t := j.tenant
	c := m.letters(t, j.at)
	if c == nil {
		return
	}
	f := Finding{
		Kind: KindDeadLetters, Hold: -1, Since: c.Since,
		Message: fmt.Sprintf("%d events became dead letters since %s (%s); %d are kept", c.Now-c.Base, stamp(c.Since), reasons(t.Rejected, t.Altered), t.Kept),
		Hint:    "gapless deadletter list shows them with the reason; gapless deadletter replay sends them again once it is mended.",
	}
	if c.Rejected == c.RejectedBase { // what was delivered in another form is lost to nobody
		f.Severity = Info
	}
	j.add(f)
}

// reasons lists the reasons for which there are dead letters.
func reasons(by ...map[string]int64) string {
	all := make(map[string]int64)
	for _, m := range by {
		for reason, n := range m {
			all[reason] += n
		}
	}
	var list []string
	for _, reason := range slices.Sorted(maps.Keys(all)) {
		if all[reason] > 0 {
			list = append(list, fmt.Sprintf("%s %d", reason, all[reason]))
		}
	}
	return "ever: " + strings.Join(list, ", ")
}

// stamp writes a time for people.
func stamp(t time.Time) string {
	if t.IsZero() {
		return "an unknown time"
	}
	return t.UTC().Format(time.RFC3339)
}

// short writes a duration for people: 45s, 5m, 3h2m, 4d3h.
func short(d time.Duration) string {
	n := int64(d.Round(time.Second) / time.Second)
	switch {
	case n < 60:
		return fmt.Sprintf("%ds", max(0, n))
	case n < 3600:
		return units(n, 60, "m", "s")
	case n < 86400:
		return units(n/60, 60, "h", "m")
	default:
		return units(n/3600, 24, "d", "h")
	}
}

// units writes a number as so many of a unit and the rest, which is left out when it is
// nothing.
func units(n, of int64, unit, rest string) string {
	if n%of == 0 {
		return fmt.Sprintf("%d%s", n/of, unit)
	}
	return fmt.Sprintf("%d%s%d%s", n/of, unit, n%of, rest)
}

// size writes a number of bytes for people.
func size(n int64) string {
	const units = "KMGT"
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	x, unit := float64(n)/1024, 0
	for x >= 1024 && unit < len(units)-1 {
		x, unit = x/1024, unit+1
	}
	return fmt.Sprintf("%.3g %ciB", x, units[unit])
}
