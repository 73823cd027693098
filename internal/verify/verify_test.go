package verify_test

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/verify"
)

// What may befall an event on its way to a destination.
const (
	fine = iota
	hole
	double
	tripleMoved
	altered
	moved
	movedFar
	restamped
	late
	asPushed
	enveloped
	elsewhere
	filtered
	filteredThere
	waits
	letter
	notRead
	before
	inGap
	manyFates
)

// TestEachIsNamedAndNothingElse draws random histories with everything planted in
// them that can be, on several destinations: each log_id is named for what was done to
// it, and no other is.
func TestEachIsNamedAndNothingElse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		rapid.Check(struct{ rapid.TB }{t}, func(rt *rapid.T) {
			now := time.Now()
			p := &past{span: verify.Span{Since: now.Add(-24 * time.Hour), Until: now}, sure: now.Add(-30 * 24 * time.Hour), books: &books{
				waiting: map[string]bool{}, letters: map[string]string{}, fates: map[string]verify.Fate{},
			}, listed: map[string]int{}}
			for i := range rapid.IntRange(1, 3).Draw(rt, "destinations") {
				name := ""
				if i > 0 {
					name = fmt.Sprint("d", i)
				}
				p.dests = append(p.dests, &place{name: name, pushed: rapid.Bool().Draw(rt, "pushed"), late: map[string]int{}, leftOut: map[string]string{}, restamps: true})
			}
			want := make(map[string][]string)
			for n := range rapid.IntRange(0, 60).Draw(rt, "events") {
				at := now.Add(-time.Duration(rapid.IntRange(-0, 26*3600*1000).Draw(rt, "age")) * time.Millisecond).Truncate(time.Millisecond)
				p.befall(rt, happen(at, n), n, want)
			}
			for n := range rapid.IntRange(0, 3).Draw(rt, "ghosts") {
				p.ghost(rt, happen(now.Add(-time.Duration(rapid.IntRange(0, 23*3600).Draw(rt, "age"))*time.Second), 900+n), want)
			}
			slices.SortFunc(p.events, func(a, b event.Event) int { return cmp.Compare(a.LogID, b.LogID) })
			memory := rapid.SampledFrom([]int{300, 4000, 0}).Draw(rt, "memory")
			sum, got := p.run(plain{TB: t, dir: dir}, verify.Config{Memory: memory, Patience: time.Minute})
			for k := range want {
				slices.Sort(want[k])
			}
			if diff := gocmp.Diff(want, got); diff != "" {
				rt.Fatalf("findings (-want +got):\n%s", diff)
			}
			unclean := false
			for k := range want {
				unclean = unclean || verify.Kind(strings.Split(k, "/")[0]).Unclean()
			}
			if sum.Clean == unclean {
				rt.Errorf("clean = %t with %v", sum.Clean, want)
			}
			if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
				rt.Errorf("files are left: %v, %v", left, err)
			}
		})
	})
}

// plain is a test whose temporary directory is another's.
type plain struct {
	testing.TB
	dir string
}

func (p plain) TempDir() string { return p.dir }

// befall lets an event happen, and something to it in each destination.
func (p *past) befall(rt *rapid.T, e event.Event, n int, want map[string][]string) {
	p.events = append(p.events, e)
	if rapid.IntRange(0, 9).Draw(rt, "listed late") == 0 {
		p.listed[e.LogID] = 1 // not by Read, and by Find
	}
	for _, d := range p.dests {
		what := rapid.IntRange(0, manyFates-1).Draw(rt, "fate")
		if p.listed[e.LogID] > 0 && (what == hole || what == movedFar || what >= elsewhere) {
			what = fine // what nobody has seen anywhere is no finding
		}
		name := func(k verify.Kind) {
			if !e.Date.Before(p.span.Since) {
				want[string(k)+"/"+d.name] = append(want[string(k)+"/"+d.name], e.LogID)
			}
		}
		key := d.name + "/" + e.LogID
		raw := string(e.Raw)
		switch what {
		case fine:
			d.put(e.Date, raw)
		case hole:
			name(verify.Missing)
		case double:
			d.put(e.Date, raw)
			d.put(e.Date, raw).LogStream = rapid.SampledFrom([]string{"logs", "other"}).Draw(rt, "stream")
			name(verify.Twice)
		case tripleMoved:
			d.put(e.Date, raw)
			d.put(e.Date, raw)
			d.put(e.Date.Add(-3*time.Second), raw)
			name(verify.Twice)
			name(verify.WrongTimestamp)
		case altered:
			d.put(e.Date, strings.Replace(raw, `"n":`, `"n": `, 1))
			if !d.pushed { // as a push may write it
				name(verify.Altered)
			}
		case moved, movedFar:
			by := time.Duration(rapid.IntRange(1, 40_000).Draw(rt, "ms")) * time.Millisecond
			if what == movedFar {
				by = time.Duration(rapid.IntRange(60, 13*24*60).Draw(rt, "minutes")) * time.Minute
			}
			d.put(e.Date.Add(-by), raw)
			name(verify.WrongTimestamp)
		case restamped:
			d.put(e.Date.Add(30*time.Second), raw)
		case late:
			d.put(e.Date, raw)
			d.late[strconv.Itoa(len(d.stored)-1)] = rapid.IntRange(0, 2).Draw(rt, "reads")
		case asPushed, enveloped:
			message := pushed(e)
			if what == enveloped {
				message = fmt.Sprintf(`{"log_id":%q,"data":%s}`, e.LogID, message)
				d.put(e.Date.Add(14*time.Second), message)
			} else if d.put(e.Date, message); !d.pushed {
				name(verify.Altered)
			}
		case elsewhere:
			d.put(e.Date, raw).Elsewhere = true
			name(verify.Elsewhere)
		case filtered:
			d.leftOut[e.LogID] = "type"
		case filteredThere:
			d.leftOut[e.LogID] = "type"
			d.put(e.Date, raw)
		case waits:
			p.books.waiting[key] = true
			name(verify.Waiting)
		case letter:
			p.books.letters[key] = "too_large"
			name(verify.DeadLetter)
		case notRead:
			p.books.fates[key] = verify.NotRead
			name(verify.NotYet)
		case before:
			p.books.fates[key] = verify.BeforeStart
			name(verify.Before)
		case inGap:
			p.books.fates[key] = verify.InGap
			name(verify.Missing)
		}
		_ = n
	}
}

// ghost puts an event into a destination that Auth0 does not hold.
func (p *past) ghost(rt *rapid.T, e event.Event, want map[string][]string) {
	d := p.dests[rapid.IntRange(0, len(p.dests)-1).Draw(rt, "destination")]
	d.put(e.Date, string(e.Raw))
	want["not_in_auth0/"+d.name] = append(want["not_in_auth0/"+d.name], e.LogID)
}

// TestExporterAtWork compares beside an exporter that is about to store and deliver
// events: what it has not heard of, or has delivered a moment ago, is not missing.
func TestExporterAtWork(t *testing.T) {
	t.Parallel()
	now := time.Now()
	p := &past{span: verify.Span{Since: now.Add(-time.Hour), Until: now}, sure: now.Add(-time.Hour), dests: []*place{{}}}
	for n, age := range []time.Duration{30 * time.Minute, 30 * time.Minute, 30 * time.Second, 20 * time.Minute, 10 * time.Minute} {
		p.events = append(p.events, happen(now.Add(-age), n))
	}
	id := func(n int) string { return p.events[n].LogID }
	p.books = &books{
		fates: map[string]verify.Fate{"/" + id(0): verify.Unknown, "/" + id(1): verify.Unknown, "/" + id(2): verify.Unknown, "/" + id(4): verify.LeftOut},
		later: map[string]verify.Fate{"/" + id(1): verify.Delivered},
	}
	sum, got := p.run(t, verify.Config{Lag: time.Minute})
	want := map[string][]string{"missing/": {id(0), id(3), id(4)}, "waiting/": {id(1)}, "not_yet/": {id(2)}}
	for k := range want {
		slices.Sort(want[k])
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
	if sum.Clean || sum.Held != 5 {
		t.Errorf("summary: %+v", sum)
	}
}

// TestProvable compares a span that reaches further back than either side keeps.
func TestProvable(t *testing.T) {
	t.Parallel()
	now := time.Now().Truncate(time.Second)
	p := &past{span: verify.Span{Since: now.Add(-10 * 24 * time.Hour), Until: now}, sure: now.Add(-5 * 24 * time.Hour)}
	d := &place{kept: now.Add(-2 * 24 * time.Hour)}
	p.dests = []*place{d}
	gone, ghost := happen(now.Add(-6*24*time.Hour), 1), happen(now.Add(-4*24*time.Hour), 2)
	old, young := happen(now.Add(-3*24*time.Hour), 3), happen(now.Add(-24*time.Hour), 4)
	p.events = []event.Event{old, young}
	d.put(gone.Date, string(gone.Raw))
	d.put(ghost.Date, string(ghost.Raw))
	d.put(now.Add(-time.Hour), "no JSON")
	d.put(now.Add(-time.Hour), `{"level":"info","msg":"of another program"}`)
	sum, got := p.run(t, verify.Config{})
	if diff := gocmp.Diff(map[string][]string{"missing/": {young.LogID}, "not_in_auth0/": {ghost.LogID}}, got); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
	r := sum.Destinations[0]
	if r.Gone != 1 || r.Foreign != 2 || r.Found[verify.Expired] != 1 || !r.KeptSince.Equal(d.kept) || !sum.ProvedSince.Equal(p.sure) || sum.Held != 2 {
		t.Errorf("summary: %+v", sum)
	}
}
