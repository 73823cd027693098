package journal_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/prometheus/client_golang/prometheus"
	"pgregory.net/rapid"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/journal"
	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// A tester is a *testing.T or a *rapid.T.
type tester interface {
	rapid.TB

	Cleanup(fn func())
}

// open opens a journal until the end of the test.
func open(tb tester, cfg journal.Config) *journal.Journal {
	tb.Helper()
	j, err := journal.Open(context.Background(), cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := j.Close(); err != nil {
			tb.Error(err)
		}
	})
	return j
}

// dirOf makes a data directory.
func dirOf(tb tester) string {
	tb.Helper()
	dir, err := os.MkdirTemp("", "journal")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// written lets the journal write what is queued; the test is in a bubble.
func written() { <-time.After(2 * time.Second) }

// start is the date of the first event.
var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// newEvent makes an event that happened so many seconds after start.
func newEvent(id string, second int, typ, user, ip string) event.Event {
	at := start.Add(time.Duration(second) * time.Second)
	raw := fmt.Sprintf(`{"date":%q,"type":%q,"user_id":"auth0|%s","user_name":"%s@Example.com","client_id":"cid-%s","client_name":"Shop %s","ip":%q,"log_id":%q,"user_agent":"curl","location_info":{"city_name":"Tokyo","country_name":"Japan"},"description":"of %s"}`,
		at.Format(time.RFC3339Nano), typ, user, user, user, user, ip, id, user)
	return event.Event{LogID: id, Date: at, Type: typ, Raw: []byte(raw)}
}

// outcome makes the outcome of a batch of a tenant.
func outcome(tenant string, events ...event.Event) journal.Outcome {
	b := pipeline.Batch{Destination: pipeline.Destination{LogGroup: "/auth0/" + tenant, LogStream: "logs"}, Events: events}
	for range events {
		b.Sources = append(b.Sources, "poll")
		b.Stored = append(b.Stored, time.Now().Add(-time.Second))
	}
	return journal.Outcome{Tenant: tenant, Region: "eu-central-1", Outcome: pipeline.Outcome{Batch: b, Began: time.Now(), Took: 20 * time.Millisecond}}
}

// settle puts an outcome into the journal.
func settle(j *journal.Journal, o journal.Outcome) { j.Settling(o)(true) }

// ids names the events of a page.
func ids(list []journal.Record) []string {
	out := []string{}
	for _, r := range list {
		out = append(out, r.Event.LogID)
	}
	return out
}

// search searches, and fails the test for an error.
func search(tb rapid.TB, r *journal.Reader, q journal.Query) journal.Page {
	tb.Helper()
	if q.Limit == 0 {
		q.Limit = 100
	}
	p, err := r.Search(context.Background(), q)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// TestSearchFilters holds each filter against what it is to find, in the queue, in the
// file, and in the file opened beside.
func TestSearchFilters(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		j := open(t, journal.Config{Dir: dir})
		settle(j, outcome("dev", newEvent("1", 0, "s", "anna", "10.0.0.1"), newEvent("2", 1, "fp", "Bert", "10.0.1.1")))
		settle(j, outcome("prod", newEvent("3", 2, "fu", "anna", "2001:db8::1"), newEvent("4", 3, "limit_wc", "Éva", "::ffff:10.0.0.1")))
		cases := []struct {
			name string
			q    journal.Query
			want []string
		}{
			{"all", journal.Query{}, []string{"4", "3", "2", "1"}},
			{"tenant", journal.Query{Tenant: "dev"}, []string{"2", "1"}},
			{"types", journal.Query{Types: []string{"s", "fu"}}, []string{"3", "1"}},
			{"no such type", journal.Query{Types: []string{"f"}}, []string{}},
			{"failed", journal.Query{Failed: true}, []string{"4", "3", "2"}},
			{"user", journal.Query{User: "ANNA"}, []string{"3", "1"}},
			{"user by name", journal.Query{User: "bert@ex"}, []string{"2"}},
			{"user with an accent", journal.Query{User: "éVA"}, []string{"4"}},
			{"user and client over two names", journal.Query{User: "anna@example.comauth0"}, []string{}},
			{"client", journal.Query{Client: "shop bERT"}, []string{"2"}},
			{"client is no user", journal.Query{Client: "auth0|anna"}, []string{}},
			{"address", journal.Query{IP: "10.0.0.1"}, []string{"1"}},
			{"beginning of an address", journal.Query{IP: "10.0."}, []string{"2", "1"}},
			{"middle of an address", journal.Query{IP: "0.0.1"}, []string{}},
			{"prefix", journal.Query{IP: "10.0.0.0/24"}, []string{"4", "1"}},
			{"prefix of the other family", journal.Query{IP: "2001:DB8::/32"}, []string{"3"}},
			{"text", journal.Query{Text: `"USER_ID":"auth0|anna"`}, []string{"3", "1"}},
			{"text over two events", journal.Query{Text: `of anna"}{"date"`}, []string{}},
			{"since", journal.Query{Since: start.Add(2 * time.Second)}, []string{"4", "3"}},
			{"until", journal.Query{Until: start.Add(2 * time.Second)}, []string{"2", "1"}},
			{"several", journal.Query{User: "anna", Types: []string{"s", "fu"}, IP: "2001:"}, []string{"3"}},
		}
		check := func(where string, r *journal.Reader) {
			for _, c := range cases {
				got := search(t, r, c.q)
				if diff := cmp.Diff(c.want, ids(got.Records)); diff != "" || got.More != "" {
					t.Errorf("%s, %s: more %q (-want +got)\n%s", where, c.name, got.More, diff)
				}
			}
		}
		check("in the queue", j.Reader)
		written()
		check("in the file", j.Reader)
		r, err := journal.OpenReadOnly(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		check("beside", r)
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestRecordIsWhole reads what was written of an event, in the queue and in the file.
func TestRecordIsWhole(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j := open(t, journal.Config{Dir: t.TempDir()})
		events := []event.Event{newEvent("1", 0, "s", "anna", "10.0.0.1"), newEvent("2", 1, "fp", "bert", "10.0.0.2"), newEvent("3", 2, "f", "carl", ""), newEvent("4", 3, "s", "dora", "")}
		o := outcome("dev", events...)
		o.Receipt = pipeline.Receipt{
			Rejected: []pipeline.Rejection{{Index: 1, Reason: "too_old"}}, Retry: []int{2}, Restamped: []pipeline.Restamp{{Index: 3, At: start.Add(time.Hour)}},
			Altered: []pipeline.Rejection{{Index: 0, Reason: "too_large"}},
		}
		settle(j, o)
		again := outcome("dev", events[2])
		settle(j, again)
		also := outcome("dev", events...)
		also.Batch.Destination = pipeline.Destination{Sink: "audit", LogGroup: "/audit", LogStream: "logs"}
		also.Receipt.Skipped = []pipeline.Rejection{{Index: 1, Reason: "filter"}}
		also.Emulated = true
		settle(j, also)
		place := journal.Place{Destination: o.Batch.Destination, Region: "eu-central-1"}
		facts := journal.Facts{
			UserID: "auth0|anna", UserName: "anna@Example.com", ClientID: "cid-anna", ClientName: "Shop anna", IP: "10.0.0.1", Description: "of anna",
			UserAgent: "curl", City: "Tokyo", CountryName: "Japan",
		}
		settled, fetched := o.Began.Add(o.Took).UTC(), o.Batch.Stored[0].UTC()
		for _, where := range []string{"queue", "file"} {
			d, err := j.Event(t.Context(), "dev", "1")
			if err != nil {
				t.Fatal(err)
			}
			want := journal.Record{
				Tenant: "dev", Event: events[0], Facts: facts, State: journal.Altered, Reason: "too_large", Fetched: fetched, Settled: settled,
				Timestamp: start, Source: "poll", Place: place, Attempts: 1,
			}
			if diff := cmp.Diff(want, d.Record, cmpopts.IgnoreUnexported(journal.Record{})); diff != "" {
				t.Errorf("%s (-want +got)\n%s", where, diff)
			}
			if len(d.Stations) != 2 || d.Stations[1].Place.Sink != "audit" || !d.Stations[1].Place.Emulated || d.Stations[1].State != journal.Delivered {
				t.Errorf("%s: the stations are %+v", where, d.Stations)
			}
			for id, want := range map[string]journal.Record{
				"2": {State: journal.Rejected, Reason: "too_old", Attempts: 1}, "3": {State: journal.Delivered, Attempts: 2, Timestamp: events[2].Date},
				"4": {State: journal.Delivered, Attempts: 1, Timestamp: start.Add(time.Hour)},
			} {
				d, err := j.Event(t.Context(), "dev", id)
				if err != nil {
					t.Fatal(err)
				}
				got := journal.Record{State: d.State, Reason: d.Reason, Attempts: d.Attempts, Timestamp: d.Timestamp}
				if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(journal.Record{})); diff != "" {
					t.Errorf("%s, event %s (-want +got)\n%s", where, id, diff)
				}
				if id == "2" && (len(d.Stations) != 2 || d.Stations[1].State != journal.Skipped || d.Stations[1].Reason != "filter") {
					t.Errorf("%s: the stations of 2 are %+v", where, d.Stations)
				}
			}
			if _, err := j.Event(t.Context(), "dev", "5"); !errors.Is(err, journal.ErrNotFound) {
				t.Errorf("an event that is not there: %v", err)
			}
			if _, err := j.Event(t.Context(), "other", "1"); !errors.Is(err, journal.ErrNotFound) {
				t.Errorf("an event of another tenant: %v", err)
			}
			list, err := j.Deliveries(t.Context(), "dev", time.Time{}, 10)
			if err != nil || len(list) != 3 {
				t.Fatalf("%s: deliveries %+v, %v", where, list, err)
			}
			first := list[2]
			if first.Events != 4 || first.Delivered != 2 || first.Rejected != 1 || first.Retried != 1 || first.Took != o.Took || first.Bytes == 0 {
				t.Errorf("%s: the first delivery is %+v", where, first)
			}
			if older, err := j.Deliveries(t.Context(), "", list[0].At, 1); err != nil || len(older) != 1 || !older[0].At.Equal(list[1].At) {
				t.Errorf("%s: before the latest there is %+v, %v", where, older, err)
			}
			written()
		}
	})
}

// fakeWaiting stands for the buffer of a store.
type fakeWaiting struct{ rows []fakeRow }

// A fakeRow is a row of it.
type fakeRow struct {
	journal.WaitingRow

	events []event.Event
}

// look begins a look at a copy of all.
func (f *fakeWaiting) look(context.Context) (journal.WaitingLook, error) {
	l := &fakeLook{}
	for _, r := range f.rows {
		r.events = slices.Clone(r.events)
		l.rows = append(l.rows, r)
	}
	return l, nil
}

type fakeLook struct{ rows []fakeRow }

func (l *fakeLook) Rows(_ context.Context, tenant string, since, until time.Time) (list []journal.WaitingRow, _ error) {
	for i, r := range l.rows {
		r.Row = int64(i)
		r.Oldest, r.Newest = r.events[0].Date, r.events[0].Date
		for _, e := range r.events {
			if e.Date.Before(r.Oldest) {
				r.Oldest = e.Date
			}
			if e.Date.After(r.Newest) {
				r.Newest = e.Date
			}
		}
		if (tenant == "" || r.Tenant == tenant) && !r.Newest.Before(since) && (until.IsZero() || r.Oldest.Before(until)) {
			list = append(list, r.WaitingRow)
		}
	}
	return list, nil
}

func (l *fakeLook) Events(_ context.Context, row int64) ([]event.Event, error) {
	return l.rows[row].events, nil
}

func (*fakeLook) Close() error { return nil }

// A model is a journal beside a naive list of what it was told.
type model struct {
	t       *rapid.T
	dir     string
	budget  journal.Budget
	hurry   int64 // how much is a backlog, in which raw blocks are written
	waiting fakeWaiting
	j       *journal.Journal
	all     map[string]modelEvent // by tenant and log_id
	arrived []modelEvent          // in their order
	n       int
}

// A modelEvent is one of its events.
type modelEvent struct {
	event.Event

	tenant, user, ip string
	waits            bool
}

func (e modelEvent) key() string { return e.tenant + "/" + e.LogID }

// arrive lets events come into the buffer.
func (m *model) arrive() {
	tenant := rapid.SampledFrom([]string{"dev", "prod"}).Draw(m.t, "tenant")
	row := fakeRow{WaitingRow: journal.WaitingRow{Tenant: tenant, StoredAt: time.Now(), Source: "poll", Place: journal.Place{Destination: pipeline.Destination{LogGroup: "g", LogStream: "s"}}}}
	for range rapid.IntRange(1, 6).Draw(m.t, "events") {
		m.n++
		user := rapid.SampledFrom([]string{"anna", "Bert", "ANNABEL", "éva"}).Draw(m.t, "user")
		ip := rapid.SampledFrom([]string{"10.0.0.1", "10.0.0.20", "::1", ""}).Draw(m.t, "ip")
		e := modelEvent{tenant: tenant, user: user, ip: ip, waits: true, Event: newEvent(fmt.Sprintf("%03d", m.n*7%1000), rapid.IntRange(0, 9).Draw(m.t, "second"), rapid.SampledFrom([]string{"s", "fp", "f"}).Draw(m.t, "type"), user, ip)}
		m.all[e.key()] = e
		row.events = append(row.events, e.Event)
	}
	slices.SortFunc(row.events, func(a, b event.Event) int { return a.Date.Compare(b.Date) })
	m.waiting.rows = append(m.waiting.rows, row)
}

// deliver settles some events of a row.
func (m *model) deliver() {
	if len(m.waiting.rows) == 0 {
		return
	}
	i := rapid.IntRange(0, len(m.waiting.rows)-1).Draw(m.t, "row")
	row := &m.waiting.rows[i]
	n := rapid.IntRange(1, len(row.events)).Draw(m.t, "delivered")
	o := outcome(row.Tenant, slices.Clone(row.events[:n])...)
	done := m.j.Settling(o)
	if rapid.Bool().Draw(m.t, "look while it is settled") {
		m.search(false)
	}
	row.events = row.events[n:]
	if len(row.events) == 0 {
		m.waiting.rows = slices.Delete(m.waiting.rows, i, i+1)
	}
	done(true)
	for _, e := range o.Batch.Events {
		k := modelEvent{tenant: o.Tenant, Event: e}.key()
		x := m.all[k]
		x.waits = false
		m.all[k] = x
		m.arrived = append(m.arrived, x)
	}
}

// search pages through what a random query picks, and lets things happen in between.
func (m *model) search(move bool) {
	q := journal.Query{
		Tenant: rapid.SampledFrom([]string{"", "", "dev"}).Draw(m.t, "of"), User: rapid.SampledFrom([]string{"", "", "anna", "É", "zoe"}).Draw(m.t, "by"),
		IP: rapid.SampledFrom([]string{"", "", "10.0.0.", "10.0.0.0/28"}).Draw(m.t, "from"), Failed: rapid.Bool().Draw(m.t, "failed"),
		Text: rapid.SampledFrom([]string{"", "", "OF ANNA"}).Draw(m.t, "text"), Limit: rapid.IntRange(1, 5).Draw(m.t, "limit"),
	}
	if rapid.Bool().Draw(m.t, "bounded") {
		q.Since, q.Until = start.Add(2*time.Second), start.Add(7*time.Second)
	}
	want := []string{}
	for k, e := range m.all {
		if m.picks(q, e) {
			want = append(want, k)
		}
	}
	got := []string{}
	var last *journal.Record
	for pages := 0; ; pages++ {
		p := search(m.t, m.j.Reader, q)
		for i := range p.Records {
			r := &p.Records[i]
			if last != nil && last.Event.Date.Before(r.Event.Date) {
				m.t.Fatalf("%s comes behind %s, which is older", r.Event.LogID, last.Event.LogID)
			}
			last = r
			got = append(got, r.Tenant+"/"+r.Event.LogID)
		}
		if p.More == "" {
			break
		}
		if pages > 500 {
			m.t.Fatal("the search does not end")
		}
		q.From = p.More
		if move && rapid.IntRange(0, 3).Draw(m.t, "move") == 0 {
			m.move()
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		m.t.Fatalf("%+v (-want +got)\n%s", q, diff)
	}
}

// move lets events go on, but none come.
func (m *model) move() {
	if rapid.Bool().Draw(m.t, "write") {
		written()
		return
	}
	before := m.all
	m.deliver()
	m.all = before
}

// picks is the naive search.
func (m *model) picks(q journal.Query, e modelEvent) bool {
	has := func(s, part string) bool { return part == "" || containsFold(s, part) }
	failed := e.Type != "s"
	return (q.Tenant == "" || q.Tenant == e.tenant) && (!q.Failed || failed) && has(e.user, q.User) && has(string(e.Raw), q.Text) &&
		(q.IP == "" || q.IP == "10.0.0." && len(e.ip) > 6 && e.ip[:7] == "10.0.0." || q.IP == "10.0.0.0/28" && e.ip == "10.0.0.1") &&
		(q.Since.IsZero() || !e.Date.Before(q.Since)) && (q.Until.IsZero() || e.Date.Before(q.Until))
}

// containsFold tries every place.
func containsFold(s, part string) bool {
	a, b := []rune(s), []rune(part)
	for i := 0; i+len(b) <= len(a); i++ {
		if equalFold(a[i:i+len(b)], b) {
			return true
		}
	}
	return false
}

// equalFold compares letter by letter.
func equalFold(a, b []rune) bool {
	for i := range a {
		x, y := a[i], b[i]
		if x != y && x+32 != y && x != y+32 || (x == y+32 || y == x+32) && (min(x, y) < 'A' || min(x, y) > 'Z' && min(x, y) != 'É') {
			return false
		}
	}
	return true
}

// tail reads on behind a place until nothing comes any more.
func (m *model) tail() {
	from := "1"
	var got []string
	for {
		p := search(m.t, m.j.Reader, journal.Query{After: from, Limit: rapid.IntRange(1, 4).Draw(m.t, "tail")})
		for _, r := range p.Records {
			got = append(got, r.Tenant+"/"+r.Event.LogID)
		}
		if p.Latest == from {
			break
		}
		from = p.Latest
	}
	want := []string{}
	for _, e := range m.arrived {
		want = append(want, e.key())
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		m.t.Fatalf("the tail (-want +got)\n%s", diff)
	}
}

// reopen closes the journal and opens it again.
func (m *model) reopen() {
	if m.j != nil {
		if err := m.j.Close(); err != nil {
			m.t.Fatal(err)
		}
	}
	m.j = open(m.t, journal.Config{Dir: m.dir, Waiting: m.waiting.look}.WithBudget(m.budget).WithHurry(m.hurry))
}

// TestSearchAgainstModel pages through a journal in which dates are out of order and
// events move on meanwhile: no page skips or repeats one.
func TestSearchAgainstModel(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		// Wrapped, for rapid would ask a *testing.T for its deadline, which no bubble allows.
		rapid.Check(struct{ rapid.TB }{t}, func(t *rapid.T) {
			m := &model{t: t, dir: dirOf(t), all: make(map[string]modelEvent), budget: journal.Budget{Time: time.Hour, Blocks: rapid.IntRange(1, 3).Draw(t, "budget")}, hurry: rapid.SampledFrom([]int64{0, 1, 2000}).Draw(t, "hurry")}
			m.reopen()
			actions := map[string]func(){
				"arrive": m.arrive, "deliver": m.deliver, "write": written, "search": func() { m.search(true) }, "tail": m.tail, "reopen": m.reopen,
			}
			// Opening the file is slow, and takes a small share for that. A step makes several
			// queries, so that few steps are many.
			names := []string{"arrive", "arrive", "arrive", "deliver", "deliver", "deliver", "write", "write", "search", "search", "tail", "reopen"}
			for range rapid.IntRange(4, 16).Draw(t, "steps") {
				actions[rapid.SampledFrom(names).Draw(t, "step")]()
			}
			m.search(false)
			m.tail()
		})
	})
}

// TestBacklog writes raw blocks, which answer as the others do, also to those who read
// beside; when the backlog is over they are indexed.
func TestBacklog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		j := open(t, journal.Config{Dir: dir}.WithHurry(1))
		raw := func() int64 {
			n, err := j.Number("SELECT count(*) FROM blocks WHERE level = -1")
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		var events []event.Event
		for i := range 2500 { // more than a block holds, and not in the order of their dates
			events = append(events, newEvent(fmt.Sprintf("%04d", i), i*7%2500, []string{"s", "fp"}[i%2], fmt.Sprintf("u%d", i%50), "10.0.0.1"))
		}
		o := outcome("dev", events...)
		o.Receipt = pipeline.Receipt{Rejected: []pipeline.Rejection{{Index: 3, Reason: "too_old"}}, Retry: []int{4}}
		settle(j, o)
		also := outcome("dev", events[:100]...)
		also.Batch.Destination.Sink = "audit"
		settle(j, also)
		<-time.After(1500 * time.Millisecond)
		if raw() != 2 {
			t.Errorf("there are %d raw blocks", raw())
		}
		check := func(where string, r *journal.Reader) {
			t.Helper()
			for want, q := range map[int]journal.Query{2499: {}, 49: {User: "AUTH0|U4", Text: `"AUTH0|U4"`}, 50: {User: "u7@"}, 1: {Text: `"log_id":"1234"`}, 1250: {Failed: true}} {
				q.Limit = 5000
				if got := len(search(t, r, q).Records); got != want {
					t.Errorf("%s: %+v finds %d events, want %d", where, q, got, want)
				}
			}
			d, err := r.Event(t.Context(), "dev", "0003")
			if err != nil || d.State != journal.Rejected || d.UserID != "auth0|u3" || string(d.Event.Raw) != string(events[3].Raw) || len(d.Stations) != 2 {
				t.Errorf("%s: an event has become %+v, %v", where, d, err)
			}
			a, err := r.Activity(t.Context(), journal.ActivityQuery{Since: start, Until: start.Add(time.Hour), Top: 3})
			if err != nil || a.Total != 2499 || len(a.Users) != 3 || a.Users[0].Count != 50 {
				t.Errorf("%s: the activity is %+v, %v", where, a, err)
			}
			if p := search(t, r, journal.Query{After: "1", Limit: 5000}); len(p.Records) != 2499 || p.Records[3].Event.LogID != "0003" {
				t.Errorf("%s: the tail finds %d events", where, len(p.Records))
			}
		}
		check("raw", j.Reader)
		r, err := journal.OpenReadOnly(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		check("raw, beside", r)
		<-time.After(10 * time.Second)
		if raw() != 0 {
			t.Errorf("%d raw blocks are left after the backlog", raw())
		}
		check("indexed", j.Reader)
		check("indexed, beside", r)
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestMerges writes many small batches: they become few blocks, and nothing is lost.
func TestMerges(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j := open(t, journal.Config{Dir: t.TempDir()})
		const n = 600
		for i := range n {
			settle(j, outcome("dev", newEvent(fmt.Sprintf("%04d", i), i, "s", "anna", "10.0.0.1")))
			<-time.After(time.Second)
		}
		written()
		blocks, err := j.Number("SELECT count(*) FROM blocks")
		if err != nil || blocks > 3*journal.MergeOf {
			t.Errorf("there are %d blocks of %d events, %v", blocks, n, err)
		}
		p := search(t, j.Reader, journal.Query{Limit: n})
		if len(p.Records) != n || p.Records[0].Event.LogID != "0599" || p.Records[n-1].Event.LogID != "0000" {
			t.Errorf("the search finds %d events", len(p.Records))
		}
		after := search(t, j.Reader, journal.Query{After: "1", Limit: n})
		if !slices.IsSortedFunc(after.Records, func(a, b journal.Record) int { return int(a.Seq() - b.Seq()) }) || len(after.Records) != n {
			t.Errorf("the tail finds %d events", len(after.Records))
		}
		d, err := j.Event(t.Context(), "dev", "0123")
		if want := newEvent("0123", 123, "s", "anna", "10.0.0.1"); err != nil || string(d.Event.Raw) != string(want.Raw) {
			t.Errorf("an event has become %s, %v", d.Event.Raw, err)
		}
	})
}

// value reads a metric.
func value(tb testing.TB, reg *prometheus.Registry, name string) float64 {
	tb.Helper()
	families, err := reg.Gather()
	if err != nil {
		tb.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			m := f.GetMetric()[0]
			return m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	tb.Fatalf("there is no metric %s", name)
	return 0
}

// TestFullDisk leaves no room: the history waits in memory, drops what is too much,
// and goes on once there is room.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var free atomic.Int64
		free.Store(1 << 40)
		reg := prometheus.NewRegistry()
		j := open(t, journal.Config{Dir: t.TempDir(), MaxQueued: 4000, Registerer: reg}.WithFree(func(string) (int64, int64, error) { return free.Load(), 1 << 40, nil }))
		settle(j, outcome("dev", newEvent("1", 0, "s", "anna", "")))
		written()
		free.Store(1 << 20)
		for i := 2; i < 10; i++ {
			settle(j, outcome("dev", newEvent(strconv.Itoa(i), i, "s", "anna", "")))
		}
		written()
		if value(t, reg, "gapless_history_paused") != 1 || value(t, reg, "gapless_history_dropped_events_total") == 0 {
			t.Error("a full disk is not told of")
		}
		held := len(search(t, j.Reader, journal.Query{}).Records)
		if want := 9 - int(value(t, reg, "gapless_history_dropped_events_total")); held != want || held < 2 {
			t.Errorf("%d events are found while the disk is full, want %d", held, want)
		}
		free.Store(1 << 40)
		<-time.After(time.Minute)
		if value(t, reg, "gapless_history_paused") != 0 || value(t, reg, "gapless_history_queued_events") != 0 {
			t.Error("it does not go on when there is room")
		}
		if got := len(search(t, j.Reader, journal.Query{}).Records); got != held {
			t.Errorf("%d events are found afterwards, want %d", got, held)
		}
	})
}

// TestDamage has the file damaged in several ways: it is made anew, and goes on.
func TestDamage(t *testing.T) {
	t.Parallel()
	harm := map[string]func(t *testing.T, path string){
		"no database": func(t *testing.T, path string) {
			t.Helper()
			if err := os.WriteFile(path, []byte("this is no database, and it is long enough to be looked at as one"), 0o600); err != nil {
				t.Fatal(err)
			}
		},
		"cut off": func(t *testing.T, path string) {
			t.Helper()
			if err := os.Truncate(path, 8192); err != nil {
				t.Fatal(err)
			}
		},
		"gone": func(t *testing.T, path string) {
			t.Helper()
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		},
	}
	for name, do := range harm {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				dir := t.TempDir()
				path := filepath.Join(dir, journal.FileName)
				j, err := journal.Open(t.Context(), journal.Config{Dir: dir})
				if err != nil {
					t.Fatal(err)
				}
				settle(j, outcome("dev", newEvent("1", 0, "s", "anna", "")))
				if err := j.Close(); err != nil {
					t.Fatal(err)
				}
				do(t, path)
				j = open(t, journal.Config{Dir: dir})
				settle(j, outcome("dev", newEvent("2", 1, "s", "anna", "")))
				<-time.After(3 * time.Minute)
				if got := ids(search(t, j.Reader, journal.Query{}).Records); !slices.Equal(got, []string{"2"}) {
					t.Errorf("it holds %v afterwards", got)
				}
			})
		})
	}
}

// TestDamageInUse takes the file away, and spoils what is read, while it is in use.
func TestDamageInUse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		reg := prometheus.NewRegistry()
		j := open(t, journal.Config{Dir: dir, Registerer: reg})
		settle(j, outcome("dev", newEvent("1", 0, "s", "anna", "")))
		written()
		if err := os.Remove(filepath.Join(dir, journal.FileName)); err != nil {
			t.Fatal(err)
		}
		settle(j, outcome("dev", newEvent("2", 1, "s", "anna", "")))
		written()
		if got := ids(search(t, j.Reader, journal.Query{}).Records); !slices.Equal(got, []string{"2"}) {
			t.Errorf("it holds %v after the file was taken away", got)
		}
		if n := value(t, reg, "gapless_history_renewals_total"); n != 1 {
			t.Errorf("it was made anew %v times", n)
		}
		<-time.After(5 * time.Minute)
		if err := j.Spoil(); err != nil {
			t.Fatal(err)
		}
		if _, err := j.Search(t.Context(), journal.Query{Limit: 1}); err == nil {
			t.Error("damage is read without an error")
		}
		written()
		settle(j, outcome("dev", newEvent("3", 2, "s", "anna", "")))
		written()
		if got := ids(search(t, j.Reader, journal.Query{}).Records); !slices.Equal(got, []string{"3"}) || value(t, reg, "gapless_history_renewals_total") != 2 {
			t.Errorf("it holds %v after the damage", got)
		}
	})
}

// TestBounds lets events become too old, and too many.
func TestBounds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j := open(t, journal.Config{Dir: t.TempDir(), Limits: journal.Limits{Keep: time.Hour, MaxBytes: 1 << 20}})
		settle(j, outcome("dev", newEvent("old", 0, "s", "anna", "")))
		w := j.Watch("dev", "poll", false)
		w.Stored(event.Page{Events: make([]event.Event, 1)}, pipeline.Intake{Received: time.Now()}, pipeline.Appended{Stored: 1})
		w.CaughtUp()
		<-time.After(30 * time.Minute)
		settle(j, outcome("dev", newEvent("new", 1, "s", "anna", "")))
		<-time.After(32 * time.Minute)
		if got := ids(search(t, j.Reader, journal.Query{}).Records); !slices.Equal(got, []string{"new"}) {
			t.Errorf("it holds %v after an hour", got)
		}
		if runs, _, err := j.Runs(t.Context(), journal.RunQuery{Limit: 9}); err != nil || len(runs) > 1 { // the one in memory
			t.Errorf("the runs are %+v, %v", runs, err)
		}
		a, err := j.Activity(t.Context(), journal.ActivityQuery{Since: start.Add(-time.Hour), Until: start.Add(time.Hour), Top: 3})
		if err != nil || !a.Partial || a.Total != 1 {
			t.Errorf("the activity is %+v, %v; want it partial", a, err)
		}
		for i := range 40 {
			var events []event.Event
			for k := range 500 {
				events = append(events, newEvent(fmt.Sprintf("%d-%x", i, (i*500+k)*2654435761), i, "s", fmt.Sprintf("u%x", (i*500+k)*2654435761), ""))
			}
			settle(j, outcome("dev", events...))
		}
		<-time.After(2 * time.Minute)
		pages, err := j.Number("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size")
		if err != nil || pages > 2<<20 {
			t.Errorf("the file has %d bytes, %v", pages, err)
		}
		if p := search(t, j.Reader, journal.Query{Limit: 1}); len(p.Records) != 1 || p.Records[0].Event.Date != start.Add(39*time.Second) {
			t.Errorf("the newest event is %+v", p.Records)
		}
	})
}
