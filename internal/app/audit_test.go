package app_test

import (
	"context"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	logs "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/gaplesslogs/gapless/internal/app"
	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/emulator/cloudwatch"
	"github.com/gaplesslogs/gapless/internal/store"
)

// An audit compares what a tenant held with what was delivered and what lies in
// the dead letters, and the figures with both.
type audit struct {
	w    *world
	site *site
	cfg  *config.Tenant
	odd  *oddities
}

// place is where the events with a log_id are.
type place struct {
	delivered []cloudwatch.StoredEvent
	letters   []store.DeadLetter
}

// check does the audit.
func (a *audit) check(ctx context.Context, rt *rapid.T) {
	a.site.note()
	places, broken := a.places(ctx, rt)
	a.figures(ctx, rt, places, len(broken))
	for raw := range a.site.held {
		id := idOf([]byte(raw))
		p := places[id]
		if p == nil {
			p = new(place)
		}
		a.event(rt, raw, id, p)
		delete(places, id)
	}
	for id := range places {
		rt.Errorf("%s: %s is there, and the tenant did not hold it", a.site.name, id)
	}
	if diff := cmp.Diff(a.odd.broken, broken); diff != "" {
		rt.Errorf("%s: records that are no events (-served +kept):\n%s", a.site.name, diff)
	}
	if n := a.site.disorder.Load(); n > 0 {
		rt.Errorf("%s: %d calls had events out of order", a.site.name, n)
	}
}

// event checks that an event is where it belongs, and nowhere else.
func (a *audit) event(rt *rapid.T, raw, id string, p *place) {
	reason, altered := a.fate(raw)
	copies, letters := len(p.delivered), 0
	for _, l := range p.letters {
		switch {
		case string(l.Event.Raw) != raw:
			rt.Errorf("%s: the dead letter of %s has other bytes", a.site.name, id)
		case l.Kind == store.KindAltered && altered:
		case l.Kind == store.KindRejected && (l.Reason == reason || l.Reason == "too_old" && a.cfg.CloudWatch.TooOld == config.DeadLetter):
			letters++
		default:
			rt.Errorf("%s: %s is a dead letter (%s) for reason %s: %s", a.site.name, id, l.Kind, l.Reason, l.Detail)
		}
	}
	if n := copies + letters; n > 1 || n == 0 && a.odd.gone[id] == 0 {
		rt.Errorf("%s: an event (late: %t) is delivered %d times and %d times in the dead letters: %s %.200s",
			a.site.name, a.odd.late[id], copies, letters, id, raw)
	}
	if altered && copies == 1 && len(p.letters) != 1 {
		rt.Errorf("%s: %s was trimmed, and %d whole ones are in the dead letters", a.site.name, id, len(p.letters))
	}
	if reason != "" && copies > 0 {
		rt.Errorf("%s: %s is delivered and should be a dead letter for reason %s", a.site.name, id, reason)
	}
	date := dateOf(raw)
	for _, e := range p.delivered {
		if (e.Message != raw) != altered || len(e.Message) > 1<<20 {
			rt.Errorf("%s: %s arrived with other bytes, %d of %d", a.site.name, id, len(e.Message), len(raw))
		}
		if e.Timestamp != date.UnixMilli() && !a.restamped(e, date) {
			rt.Errorf("%s: an event of %s stands at %s", a.site.name, date, time.UnixMilli(e.Timestamp).UTC())
		}
	}
}

// fate says why an event must lie in the dead letters, or that it was altered.
func (a *audit) fate(raw string) (reason string, altered bool) {
	switch {
	case strings.Contains(raw, poisonMark):
		return "invalid", false
	case !strings.Contains(raw, hugeMark):
		return "", false
	case a.cfg.CloudWatch.TooLarge == config.DeadLetter:
		return "too_large", false
	default:
		return "", true
	}
}

// restamped reports whether an event older than CloudWatch Logs takes stands
// where docs/config.md says: at the oldest timestamp that is accepted.
func (a *audit) restamped(e cloudwatch.StoredEvent, date time.Time) bool {
	const margin = 11 * time.Minute // kept from the edge, and a slow call
	edge := time.UnixMilli(e.Ingested).Add(-14 * 24 * time.Hour)
	at := time.UnixMilli(e.Timestamp)
	return a.cfg.CloudWatch.TooOld == config.Restamp && date.Before(at) && !at.Before(edge) && at.Before(edge.Add(margin))
}

// places finds everything that was delivered or kept, by log_id, and the records
// that are no events.
func (a *audit) places(ctx context.Context, rt *rapid.T) (places map[string]*place, broken map[string]bool) {
	places, broken = make(map[string]*place), make(map[string]bool)
	at := func(raw []byte) *place {
		id := idOf(raw)
		if places[id] == nil {
			places[id] = new(place)
		}
		return places[id]
	}
	for _, e := range a.w.everything(ctx, rt, a.site) {
		p := at([]byte(e.Message))
		p.delivered = append(p.delivered, e)
	}
	r, err := store.OpenReadOnly(ctx, a.w.cfg.DataDir)
	if err != nil {
		rt.Fatal(err)
	}
	defer func() {
		if err := r.Close(); err != nil {
			rt.Error(err)
		}
	}()
	list, err := r.DeadLetters(ctx, store.LetterFilter{Tenant: a.site.name}, 10_000)
	if err != nil {
		rt.Fatal(err)
	}
	for _, l := range list {
		if l, err = r.DeadLetter(ctx, l.ID); err != nil {
			rt.Fatal(err)
		}
		if l.Source != "poll" {
			rt.Errorf("a dead letter from the source %q", l.Source)
		}
		raw := string(l.Event.Raw)
		switch {
		case l.Kind != store.KindUnreadable:
			p := at(l.Event.Raw)
			p.letters = append(p.letters, l)
		case broken[raw]:
			rt.Errorf("%s: an unreadable record is kept twice: %s", a.site.name, raw)
		default:
			broken[raw] = true
		}
	}
	return places, broken
}

// figures holds what status tells against what is there.
func (a *audit) figures(ctx context.Context, rt *rapid.T, places map[string]*place, broken int) {
	o, err := app.ReadOverview(ctx, a.w.cfg, "test")
	if err != nil {
		rt.Fatal(err)
	}
	type figures struct {
		Stored, Delivered, Altered, DeadLetters, Buffered, Skipped, Gaps int64
		Rejected                                                         map[string]int64
	}
	want := figures{Stored: int64(len(a.site.held)), DeadLetters: int64(broken), Rejected: map[string]int64{}}
	if broken > 0 {
		want.Rejected["unreadable"] = int64(broken)
	}
	for _, p := range places {
		want.Delivered += int64(len(p.delivered))
		want.DeadLetters += int64(len(p.letters))
		for _, l := range p.letters {
			if l.Kind == store.KindAltered {
				want.Altered++
			} else {
				want.Rejected[l.Reason]++
			}
		}
	}
	for _, t := range o.Tenants {
		if t.Name != a.site.name {
			continue
		}
		got := figures{t.Stored, t.Delivered, t.Altered["too_large"], t.DeadLetters, t.Buffered, int64(len(t.Skipped)), int64(len(t.Gaps)), t.Rejected}
		if len(a.odd.gone) > 0 { // what was delivered is not all there
			want.Delivered = want.Stored + int64(broken) - want.DeadLetters + want.Altered
		}
		if diff := cmp.Diff(want, got); diff != "" {
			rt.Errorf("%s: status tells otherwise (-there +told):\n%s\nthe gaps: %+v", a.site.name, diff, t.Gaps)
		}
	}
}

// groups lists the log groups of a site.
func (w *world) groups(ctx context.Context, rt *rapid.T, s *site) (names []string) {
	pages := logs.NewDescribeLogGroupsPaginator(s.admin(w), &logs.DescribeLogGroupsInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			rt.Fatal(err)
		}
		for _, g := range page.LogGroups {
			names = append(names, aws.ToString(g.LogGroupName))
		}
	}
	return names
}

// everything returns what all streams of a site hold.
func (w *world) everything(ctx context.Context, rt *rapid.T, s *site) (all []cloudwatch.StoredEvent) {
	for _, group := range w.groups(ctx, rt, s) {
		pages := logs.NewDescribeLogStreamsPaginator(s.admin(w), &logs.DescribeLogStreamsInput{LogGroupName: aws.String(group)})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				rt.Fatal(err)
			}
			for _, x := range page.LogStreams {
				all = append(all, s.cloudwatch.Events(group, aws.ToString(x.LogStreamName))...)
			}
		}
	}
	return all
}
