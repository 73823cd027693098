package verify_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/verify"
)

// A past is what has happened in a tenant, and what lies where, in memory.
type past struct {
	span   verify.Span
	events []event.Event  // by log_id
	listed map[string]int // log_ids that Auth0 lists from so many calls on
	sure   time.Time
	calls  int
	dests  []*place
	books  *books
}

// Read implements verify.Holder.
func (p *past) Read(_ context.Context, s verify.Span, each func([]event.Event) error) (time.Time, error) {
	p.calls++
	for list := range slices.Chunk(p.events, 100) {
		list = slices.DeleteFunc(slices.Clone(list), func(e event.Event) bool {
			return e.Date.Before(s.Since.Add(-time.Minute)) || p.listed[e.LogID] >= p.calls
		})
		if err := each(list); err != nil {
			return time.Time{}, err
		}
	}
	return p.sure, nil
}

// Find implements verify.Holder.
func (p *past) Find(_ context.Context, ids iter.Seq[string], each func(event.Event) error) error {
	p.calls++
	for id := range ids {
		for _, e := range p.events {
			if e.LogID == id && p.listed[id] < p.calls {
				if err := each(e); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// A place is a destination. What it expects of an event is the event itself.
type place struct {
	name     string
	stored   []verify.Stored
	late     map[string]int // event ids that a reader sees from so many reads on
	reads    int
	leftOut  map[string]string // by log_id
	shape    func(e event.Event) [][]byte
	pushed   bool
	kept     time.Time
	restamps bool
}

func (d *place) Name() string     { return d.name }
func (d *place) Pushed() bool     { return d.pushed }
func (d *place) Copies() []string { return nil }

func (d *place) KeptSince(string) time.Time { return d.kept }

func (d *place) Latest(date time.Time) time.Time { return date }

func (d *place) Restamped(date, timestamp, _ time.Time) bool {
	return d.restamps && timestamp.After(date)
}

func (d *place) Expect(e event.Event) verify.Expectation {
	x := verify.Expectation{LeftOut: d.leftOut[e.LogID], LogGroup: "/auth0/t", LogStream: "logs", Messages: [][]byte{e.Raw}}
	if d.shape != nil {
		x.Messages = d.shape(e)
	}
	return x
}

func (d *place) Read(_ context.Context, s verify.Span, everywhere bool, each func(verify.Stored) error) error {
	d.reads++
	for _, e := range d.stored {
		if e.Timestamp.Before(s.Since) || e.Timestamp.After(s.Until) || e.Elsewhere && !everywhere || d.late[e.EventID] >= d.reads {
			continue
		}
		if err := each(e); err != nil {
			return err
		}
	}
	return nil
}

// put puts a message in.
func (d *place) put(at time.Time, message string) *verify.Stored {
	d.stored = append(d.stored, verify.Stored{
		LogGroup: "/auth0/t", LogStream: "logs", EventID: strconv.Itoa(len(d.stored)), Timestamp: at, Ingested: at.Add(time.Second), Message: []byte(message),
	})
	return &d.stored[len(d.stored)-1]
}

// books are a ledger.
type books struct {
	waiting map[string]bool // destination/log_id
	letters map[string]string
	fates   map[string]verify.Fate
	later   map[string]verify.Fate // from the second question on
	asked   map[string]int
}

func (b *books) Waiting(_ context.Context, _ verify.Span, each func(destination, logID string) error) error {
	for _, k := range slices.Sorted(maps.Keys(b.waiting)) {
		name, id, _ := strings.Cut(k, "/")
		if err := each(name, id); err != nil {
			return err
		}
	}
	return nil
}

func (b *books) Letters(_ context.Context, each func(destination, logID, reason string) error) error {
	for _, k := range slices.Sorted(maps.Keys(b.letters)) {
		name, id, _ := strings.Cut(k, "/")
		if err := each(name, id, b.letters[k]); err != nil {
			return err
		}
	}
	return nil
}

func (b *books) Fates(_ context.Context, asked []verify.Question) (list []verify.Fate, err error) {
	if len(asked) == 0 {
		return nil, errors.New("nothing was asked")
	}
	for _, q := range asked {
		key := q.Destination + "/" + q.LogID
		f, ok := b.fates[key]
		if after, changes := b.later[key]; changes && b.asked[key] > 0 {
			f = after
		}
		if b.asked == nil {
			b.asked = make(map[string]int)
		}
		if b.asked[key]++; !ok {
			f = verify.Delivered
		}
		list = append(list, f)
	}
	return list, nil
}

// happen makes an event of a time; n makes its log_id its own.
func happen(at time.Time, n int) event.Event {
	id := event.IDAt(at.Add(300 * time.Millisecond))
	id = id[:len(id)-9] + fmt.Sprintf("%09d", n)
	raw := fmt.Sprintf(`{"date":%q,"type":"s","log_id":%q,"_id":%q,"user_agent":"Firefox 125.0.0","isMobile":false,"details":{"n":%d}}`,
		at.UTC().Format("2006-01-02T15:04:05.000Z"), id, id, n)
	e, err := event.Parse([]byte(raw), at)
	if err != nil {
		panic(err)
	}
	return e
}

// pushed is the same event as a push brings it.
func pushed(e event.Event) string {
	s := strings.Replace(string(e.Raw), `"_id":"`+e.LogID+`",`, "", 1)
	return strings.NewReplacer(`"Firefox 125.0.0"`, `"Mozilla/5.0 (X11)"`, `,"isMobile":false`, "").Replace(s)
}

// run compares, and returns the findings as KIND[/DESTINATION] to log_ids.
func (p *past) run(tb testing.TB, cfg verify.Config) (verify.Summary, map[string][]string) {
	tb.Helper()
	cfg.Span = p.span
	if cfg.Dir == "" {
		cfg.Dir = tb.TempDir()
	}
	dests := make([]verify.Destination, len(p.dests))
	for i, d := range p.dests {
		dests[i] = d
	}
	var ledger verify.Ledger
	if p.books != nil {
		ledger = p.books
	}
	got := make(map[string][]string)
	sum, err := verify.Run(tb.Context(), cfg, p, dests, ledger, func(f verify.Finding) error {
		key := string(f.Kind) + "/" + f.Destination
		got[key] = append(got[key], f.LogID)
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
	for k := range got {
		slices.Sort(got[k])
	}
	return sum, got
}
