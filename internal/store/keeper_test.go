package store_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/ledger"
	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/store"
)

// A shore is a destination whose messages a test can touch.
type shore struct{ list []ledger.Found }

// Read implements ledger.Destination, as does KeptSince.
func (s *shore) Read(_ context.Context, places [][2]string, from, to time.Time, each func(ledger.Found) error) error {
	for _, f := range s.list {
		if slices.Contains(places, f.Place) && !f.At.Before(from) && !f.At.After(to) {
			if err := each(f); err != nil {
				return err
			}
		}
	}
	return nil
}

func (*shore) KeptSince(context.Context, string) (time.Time, error) { return time.Time{}, nil }

// deliver takes the messages of a batch and returns the receipt.
func (s *shore) deliver(b pipeline.Batch) (r pipeline.Receipt) {
	for _, e := range b.Events {
		message := fmt.Appendf(nil, `{"log_id":%q,"type":"s"}`, e.LogID)
		s.list = append(s.list, ledger.Found{
			At: e.Date.Truncate(time.Millisecond), Place: [2]string{b.Destination.LogGroup, b.Destination.LogStream},
			ID: strconv.Itoa(len(s.list)), Message: message,
		})
		r.Prints = append(r.Prints, pipeline.Print{At: e.Date.UnixMilli(), Hash: sha256.Sum256(message)})
	}
	return r
}

// A keptLedger is a store with a ledger and its destination.
type keptLedger struct {
	tb    rapid.TB
	ctx   context.Context
	dir   string
	store *store.Store
	buf   *store.Buffer
	book  *store.Ledger
	key   *ledger.Key
	shore shore
	n     int
	seen  func(int, time.Time)
}

// newKept opens one in a directory.
func newKept(ctx context.Context, tb rapid.TB, dir string) *keptLedger {
	tb.Helper()
	key, _, err := ledger.Generate()
	if err != nil {
		tb.Fatal(err)
	}
	k := &keptLedger{tb: tb, ctx: ctx, dir: dir, key: key}
	k.open()
	return k
}

// open opens the store.
func (k *keptLedger) open() {
	k.tb.Helper()
	var err error
	if k.store, err = store.Open(k.ctx, store.Config{Dir: k.dir}); err != nil {
		k.tb.Fatal(err)
	}
	if k.buf, err = k.store.Buffer(k.ctx, "acme"); err != nil {
		k.tb.Fatal(err)
	}
	if k.book, err = k.buf.KeepLedger(k.ctx, ""); err != nil {
		k.tb.Fatal(err)
	}
}

// close closes it.
func (k *keptLedger) close() {
	k.tb.Helper()
	if err := k.store.Close(); err != nil {
		k.tb.Fatal(err)
	}
}

// store stores events with dates.
func (k *keptLedger) put(dates ...time.Time) {
	k.tb.Helper()
	var in pipeline.Intake
	for _, at := range dates {
		k.n++
		in.Entries = append(in.Entries, pipeline.Entry{Destination: destination, Event: event.Event{
			LogID: fmt.Sprintf("id-%05d", k.n), Date: at, Type: "s", Raw: []byte(fmt.Sprintf(`{"log_id":"id-%05d"}`, k.n)),
		}})
	}
	if _, err := k.buf.Append(k.ctx, "push", in); err != nil {
		k.tb.Fatal(err)
	}
}

// deliver delivers everything.
func (k *keptLedger) deliver() {
	k.tb.Helper()
	for k.buf.Pending() > 0 {
		l := limits()
		l.MaxSpan = 1000 * time.Hour
		b, err := k.buf.Next(k.ctx, l)
		if err != nil {
			k.tb.Fatal(err)
		}
		r := k.shore.deliver(b)
		for range 2 { // the second changes nothing
			if err := k.buf.Settle(k.ctx, b, r); err != nil {
				k.tb.Fatal(err)
			}
		}
	}
}

// pass makes a pass of the keeper.
func (k *keptLedger) pass(now time.Time, places ...ledger.Place) error {
	return ledger.NewKeeper(ledger.Config{
		Tenant: "acme", Destination: "cloudwatch", Book: k.book, SealAfter: time.Hour, Key: func() *ledger.Key { return k.key },
		Memory: 1000, OnSealed: k.seen, Places: places,
	}).Pass(k.ctx, now)
}

// mustPass is pass without an error.
func (k *keptLedger) mustPass(now time.Time, places ...ledger.Place) {
	k.tb.Helper()
	if err := k.pass(now, places...); err != nil {
		k.tb.Fatal(err)
	}
}

// lines returns the entries.
func (k *keptLedger) lines() (list [][]byte) {
	k.tb.Helper()
	if err := k.store.LedgerEntries(k.ctx, "acme", "", func(line []byte) error {
		list = append(list, slices.Clone(line))
		return nil
	}); err != nil {
		k.tb.Fatal(err)
	}
	return list
}

// check checks the chains.
func (k *keptLedger) check() ledger.Checked {
	k.tb.Helper()
	r := ledger.Record{Tenant: "acme", Destination: "cloudwatch", Keys: []ledger.PublicKey{k.key.Public()}}
	for _, line := range k.lines() {
		r.Add(line)
	}
	return r.Check("", true)
}

// audit checks the chains and compares everything.
func (k *keptLedger) audit() (ledger.Summary, []ledger.Result) {
	k.tb.Helper()
	c := k.check()
	if len(c.Problems) > 0 {
		k.tb.Fatalf("the chain is broken: %+v", c.Problems)
	}
	var results []ledger.Result
	a := ledger.Audit{Record: &c, Destination: &k.shore, Memory: 1000}
	sum, err := a.Run(k.ctx, func(r ledger.Result) error { results = append(results, r); return nil })
	if err != nil {
		k.tb.Fatal(err)
	}
	return sum, results
}

// kinds lists the kinds of all entries.
func kinds(c *ledger.Checked) (list []string) {
	for _, e := range c.Entries {
		list = append(list, fmt.Sprintf("%s %d", e.Kind, e.Count))
	}
	return list
}

// hour is a time of the tests: an hour of an ordinary day, long ago.
func hour(n int) time.Time {
	return time.Date(2026, 11, 20, n, 0, 0, 0, time.UTC)
}

func TestLedgerSealsHours(t *testing.T) {
	t.Parallel()
	k := newKept(t.Context(), t, privateDir(t))
	defer k.close()
	k.mustPass(hour(1)) // nothing was delivered yet
	k.put(hour(2).Add(time.Minute), hour(2).Add(2*time.Minute), hour(5))
	k.deliver()
	k.put(hour(7)) // waits
	k.mustPass(hour(9))
	c := k.check()
	if diff := cmp.Diff([]string{"start 0", "hour 2", "quiet 0", "hour 1", "quiet 0"}, kinds(&c)); diff != "" || len(c.Problems) > 0 {
		t.Fatalf("%+v, entries (-want +got):\n%s", c.Problems, diff)
	}
	if !c.SealedUntil.Equal(hour(7)) || c.Signed != 5 {
		t.Errorf("sealed until %s, %d signed", c.SealedUntil, c.Signed)
	}
	if first := c.Entries[1]; first.FirstID != "id-00001" || first.LastID != "id-00002" || first.FirstAt != hour(2).Add(time.Minute).UnixMilli() || len(first.Places) != 1 {
		t.Errorf("entry %+v", first)
	}
	k.deliver()
	k.put(hour(2), hour(3), hour(3)) // late
	k.deliver()
	k.mustPass(hour(9))
	k.mustPass(hour(9))
	c = k.check()
	if diff := cmp.Diff([]string{"start 0", "hour 2", "quiet 0", "hour 1", "quiet 0", "late 1", "late 2", "hour 1"}, kinds(&c)); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
	sum, results := k.audit()
	if len(results) > 0 || sum.Hours != 6 || sum.Matched != 6 || sum.Events != 7 {
		t.Errorf("%+v, %+v", sum, results)
	}
	if n := store.Number(t, k.store.Reader, "SELECT count(*) FROM ledger_leaves"); n != 0 {
		t.Errorf("%d rows of leaves are left", n)
	}
}

// TestLedgerNamesTheHour plants what an auditor looks for, each in a destination of its
// own.
func TestLedgerNamesTheHour(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		do   func(list []ledger.Found) []ledger.Found
		want []string // verdict, hour, expected and there
	}{
		"nothing": {func(l []ledger.Found) []ledger.Found { return l }, nil},
		"altered": {func(l []ledger.Found) []ledger.Found {
			l[1].Message = []byte(`{"log_id":"id-00002","n":99}`)
			return l
		}, []string{"changed 2 3 3"}},
		"removed":  {func(l []ledger.Found) []ledger.Found { return slices.Delete(l, 1, 2) }, []string{"fewer 2 3 2"}},
		"an hour":  {func(l []ledger.Found) []ledger.Found { return slices.Delete(l, 3, 4) }, []string{"fewer 4 1 0"}},
		"replaced": {func(l []ledger.Found) []ledger.Found { l[0].Message = []byte(`{"log_id":"other"}`); return l }, []string{"changed 2 3 3"}},
		"added": {func(l []ledger.Found) []ledger.Found {
			more := l[0]
			more.Message, more.ID = []byte(`{"log_id":"more"}`), "more"
			return append(l, more)
		}, []string{"more 2 3 4"}},
		"added to a quiet hour": {func(l []ledger.Found) []ledger.Found {
			more := l[0]
			more.Message, more.At, more.ID = []byte(`{"log_id":"more"}`), hour(3).Add(time.Minute), "more"
			return append(l, more)
		}, []string{"more 3 0 1"}},
		"moved within the hour": {func(l []ledger.Found) []ledger.Found { l[0].At = l[0].At.Add(time.Second); return l }, []string{"changed 2 3 3"}},
		"moved to another": {
			func(l []ledger.Found) []ledger.Found { l[0].At = hour(4).Add(time.Minute); return l },
			[]string{"fewer 2 3 2", "more 4 1 2"},
		},
		"twice": {func(l []ledger.Found) []ledger.Found {
			again := l[0]
			again.ID = "again"
			return append(l, again)
		}, []string{"twice 2 3 3"}},
		"foreign": {func(l []ledger.Found) []ledger.Found {
			more := l[0]
			more.Message, more.ID = []byte("a line of somebody else"), "more"
			return append(l, more)
		}, nil},
		"late altered": {
			func(l []ledger.Found) []ledger.Found { l[4].Message = []byte(`{"log_id":"id-00005"}`); return l },
			[]string{"changed 2 5 5"},
		},
		"late doubled in another form": {func(l []ledger.Found) []ledger.Found {
			more := l[4]
			more.Message, more.ID = []byte(`{"log_id":"id-00005"}`), "more"
			return append(l, more)
		}, []string{"more 2 5 6"}},
		"late removed": {func(l []ledger.Found) []ledger.Found { return slices.Delete(l, 5, 6) }, []string{"fewer 2 5 4"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newKept(t.Context(), t, privateDir(t))
			defer k.close()
			k.put(hour(2), hour(2).Add(time.Second), hour(2).Add(2*time.Second), hour(4))
			k.deliver()
			k.mustPass(hour(8))
			if strings.HasPrefix(name, "late") {
				k.put(hour(2), hour(2))
				k.deliver()
				k.mustPass(hour(8))
			}
			k.shore.list = tt.do(k.shore.list)
			sum, results := k.audit()
			var got []string
			for _, r := range results {
				got = append(got, fmt.Sprint(r.Verdict, " ", r.From.Hour(), " ", r.Expected, " ", r.There))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("%+v, results (-want +got):\n%s", sum, diff)
			}
			if (sum.First == nil) != (tt.want == nil) || name == "foreign" && sum.Foreign != 1 {
				t.Errorf("summary %+v", sum)
			}
		})
	}
}

// TestLedgerLateEventsNamed names the event that came late and is gone, or changed.
func TestLedgerLateEventsNamed(t *testing.T) {
	t.Parallel()
	k := newKept(t.Context(), t, privateDir(t))
	defer k.close()
	k.put(hour(2))
	k.deliver()
	k.mustPass(hour(8))
	k.put(hour(2), hour(2), hour(2))
	k.deliver()
	k.mustPass(hour(8))
	k.shore.list[2].Message = []byte(`{"log_id":"id-00003"}`)
	k.shore.list = slices.Delete(k.shore.list, 1, 2)
	_, results := k.audit()
	if len(results) != 1 || !slices.Equal(results[0].LateMissing, []string{"id-00002"}) || !slices.Equal(results[0].LateChanged, []string{"id-00003"}) {
		t.Errorf("results %+v", results)
	}
}

// TestLedgerDeliveredAgain has events that were taken out of the destination and
// delivered again by a repair: they are in the entry of the hour and in a late one. With
// them go some that are new.
func TestLedgerDeliveredAgain(t *testing.T) {
	t.Parallel()
	for name, times := range map[string][][]int{"one": {{1}}, "two": {{1, 3}}, "all": {{1, 2, 3}}, "one after the other": {{1}, {2}}, "the same twice": {{1}, {1}}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newKept(t.Context(), t, privateDir(t))
			defer k.close()
			k.put(hour(2), hour(2), hour(2))
			k.deliver()
			k.mustPass(hour(8))
			k.put(hour(2)) // a new one, in a late entry of its own
			k.deliver()
			k.mustPass(hour(8))
			for _, ids := range times {
				var entries []pipeline.Entry
				for _, n := range ids {
					id := fmt.Sprintf("id-%05d", n)
					k.shore.list = slices.DeleteFunc(k.shore.list, func(f ledger.Found) bool { l, _ := ledger.LeafOf(f.At, f.Message); return l.ID == id })
					entries = append(entries, pipeline.Entry{Destination: destination, Event: event.Event{LogID: id, Date: hour(2), Type: "s", Raw: []byte(`{}`)}})
				}
				if _, results := k.audit(); len(results) != 1 || results[0].Verdict != ledger.Fewer {
					t.Fatalf("taken out: %+v", results)
				}
				if _, err := k.buf.Requeue(t.Context(), "repair", entries); err != nil {
					t.Fatal(err)
				}
				k.deliver()
				k.mustPass(hour(8))
			}
			if sum, results := k.audit(); len(results) > 0 {
				t.Errorf("%+v, %+v", sum, results)
			}
		})
	}
}

// errPlace is that of a place that fails.
var errPlace = errors.New("no room")

// A pier is a place of which a test knows everything.
type pier struct {
	lines [][]byte
	fail  int // so many calls fail, half done
}

func (*pier) Name() string { return "pier" }

func (p *pier) Publish(_ context.Context, list []ledger.Outgoing) error {
	for i, o := range list {
		if p.fail > 0 && i == len(list)/2 {
			p.fail--
			return errPlace
		}
		p.lines = append(p.lines, o.Line)
	}
	return nil
}

func (p *pier) Head(context.Context) (ledger.Head, bool, error) {
	if p.fail > 0 {
		p.fail--
		return ledger.Head{}, false, errPlace
	}
	if len(p.lines) == 0 {
		return ledger.Head{}, false, nil
	}
	e, err := ledger.Parse(p.lines[len(p.lines)-1])
	return e.Head(), true, err
}

// TestLedgerPublishes publishes to a place that fails at times, and to a new one: all
// have all entries, in order, and sealing goes on meanwhile.
func TestLedgerPublishes(t *testing.T) {
	t.Parallel()
	k := newKept(t.Context(), t, privateDir(t))
	defer k.close()
	p, late := &pier{}, &pier{}
	k.put(hour(2), hour(3))
	k.deliver()
	k.mustPass(hour(6), p)
	p.fail = 2
	k.put(hour(8))
	k.deliver()
	for range 2 {
		if err := k.pass(hour(11), p); !errors.Is(err, errPlace) {
			t.Fatalf("error %v", err)
		}
	}
	k.mustPass(hour(11), p)
	k.mustPass(hour(11), p, late2{late})
	want := k.lines()
	for name, got := range map[string][][]byte{"pier": p.lines, "new": late.lines} {
		r := ledger.Record{Tenant: "acme", Destination: "cloudwatch"}
		for _, line := range got {
			r.Add(line)
		}
		c := r.Check("", true)
		if len(c.Entries) != len(want) || len(c.Problems) > 0 {
			t.Errorf("%s has %d of %d entries: %+v", name, len(c.Entries), len(want), c.Problems)
		}
	}
}

// late2 is a pier of another name.
type late2 struct{ *pier }

func (late2) Name() string { return "late" }

// TestLedgerModel delivers, seals, restarts and delivers late, in any order: at the end
// the chain is whole, and everything that lies in the destination is in it.
func TestLedgerModel(t *testing.T) {
	t.Parallel()
	dir := privateDir(t)
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		if n++; n > 8 { // each opens files, which takes its time
			return
		}
		k := newKept(t.Context(), rt, fmt.Sprintf("%s/%d", dir, n))
		defer func() { k.close() }()
		now := hour(0)
		rt.Repeat(map[string]func(*rapid.T){
			"store": func(rt *rapid.T) {
				ago := rapid.SliceOfN(rapid.IntRange(-30, 400), 1, 5).Draw(rt, "minutes ago")
				var dates []time.Time
				for _, m := range ago {
					dates = append(dates, now.Add(-time.Duration(m)*time.Minute))
				}
				k.put(dates...)
			},
			"deliver": func(*rapid.T) { k.deliver() },
			"wait": func(rt *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(1, 300).Draw(rt, "minutes")) * time.Minute)
			},
			"pass":    func(*rapid.T) { k.mustPass(now) },
			"restart": func(*rapid.T) { k.close(); k.open() },
		})
		k.deliver()
		k.mustPass(now.Add(48 * time.Hour))
		sum, results := k.audit()
		if len(results) > 0 || sum.Events != int64(len(k.shore.list)) {
			rt.Errorf("%d events in the destination, audit %+v, %+v", len(k.shore.list), sum, results)
		}
	})
}

// TestLedgerOfALostStore loses, damages or turns back the store: a new chain begins
// behind the last entry that was published, and says so.
func TestLedgerOfALostStore(t *testing.T) {
	t.Parallel()
	for name, harm := range map[string]func(t *testing.T, dir, copied string){
		"lost": func(t *testing.T, dir, _ string) {
			t.Helper()
			for _, end := range []string{"", "-wal", "-shm"} {
				_ = os.Remove(filepath.Join(dir, "gapless.db"+end))
			}
		},
		"older copy": func(t *testing.T, dir, copied string) {
			t.Helper()
			text, err := os.ReadFile(filepath.Clean(copied))
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, "gapless.db"), text, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newKept(t.Context(), t, privateDir(t))
			defer func() { k.close() }()
			p := &pier{}
			k.put(hour(2), hour(3))
			k.deliver()
			k.mustPass(hour(6), p)
			k.close()
			copied := filepath.Join(t.TempDir(), "copy")
			text, err := os.ReadFile(filepath.Join(k.dir, "gapless.db"))
			if err == nil {
				err = os.WriteFile(copied, text, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
			k.open()
			k.put(hour(7))
			k.deliver()
			k.mustPass(hour(9), p)
			store.WriteMirror(t.Context(), k.store)
			k.close()
			harm(t, k.dir, copied)
			k.open()
			k.put(hour(4))
			k.deliver()
			p.fail = 1
			if err := k.pass(time.Now(), p); !errors.Is(err, errPlace) { // it is asked again
				t.Fatalf("error %v", err)
			}
			k.mustPass(time.Now(), p)
			r := ledger.Record{Tenant: "acme", Destination: "cloudwatch", Keys: []ledger.PublicKey{k.key.Public()}}
			for _, line := range p.lines {
				r.Add(line)
			}
			c := r.Check("", true)
			last := c.Entries[len(c.Entries)-1]
			if len(c.Problems) > 0 || len(c.Notes) != 1 || last.Kind != ledger.Late || last.Count != 1 {
				t.Errorf("problems %+v, notes %q, entries %v", c.Problems, c.Notes, kinds(&c))
			}
			a := ledger.Audit{Record: &c, Destination: &k.shore}
			sum, err := a.Run(t.Context(), func(r ledger.Result) error { t.Errorf("result %+v", r); return nil })
			if err != nil || sum.Events != 4 {
				t.Errorf("%+v, %v", sum, err)
			}
		})
	}
}

// TestLedgerTurnedOff ends the chain: what is delivered meanwhile is in no entry, and a
// new chain says so.
func TestLedgerTurnedOff(t *testing.T) {
	t.Parallel()
	k := newKept(t.Context(), t, privateDir(t))
	defer k.close()
	k.put(hour(2))
	k.deliver()
	k.mustPass(hour(6))
	if err := k.buf.EndLedger(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	k.put(hour(7))
	k.deliver()
	var err error
	if k.book, err = k.buf.KeepLedger(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	k.put(hour(8))
	k.deliver()
	k.mustPass(hour(9))
	c := k.check()
	if diff := cmp.Diff([]string{"start 0", "hour 1", "quiet 0", "start 0", "late 1"}, kinds(&c)); diff != "" || len(c.Problems) > 0 {
		t.Errorf("%+v, entries (-want +got):\n%s", c.Problems, diff)
	}
}
