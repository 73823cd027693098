package store_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/store"
)

// day returns the span of some days since a bubble of synctest begins.
func day(from, to int) event.Mark {
	at := func(n int) time.Time { return time.Date(2000, 1, 1+n, 0, 0, 0, 0, time.UTC) }
	return event.Mark{Since: at(from), Until: at(to)}
}

// TestMark keeps the mark with the cursor, across a restart, until the cursor is
// reset.
func TestMark(t *testing.T) {
	t.Parallel()
	cfg := store.Config{Dir: t.TempDir()}
	s := openStore(t, cfg)
	b := openBuffer(t, s, "dev-tenant")
	want := func(source string, m event.Mark, cursor event.Cursor) {
		t.Helper()
		got, err := b.Mark(t.Context(), source)
		if diff := cmp.Diff(m, got); diff != "" || err != nil {
			t.Errorf("mark of %s: %v (-want +got):\n%s", source, err, diff)
		}
		if c, err := b.Cursor(t.Context(), source); c != cursor || err != nil {
			t.Errorf("cursor of %s is %q, %v, want %q", source, c, err, cursor)
		}
	}
	want("poll", event.Mark{}, "")
	mustAppend(t, b, pipeline.Intake{Cursor: "a"})
	want("poll", event.Mark{}, "a")
	mustAppend(t, b, pipeline.Intake{Cursor: "b", Mark: day(1, 2)})
	mustAppend(t, b, pipeline.Intake{Cursor: "c"})
	want("poll", day(1, 2), "c")
	mustAppend(t, b, pipeline.Intake{Mark: day(1, 3)})
	want("poll", day(1, 3), "c")
	want("other", event.Mark{}, "")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, cfg)
	b = openBuffer(t, s, "dev-tenant")
	want("poll", day(1, 3), "c")
	if got := statusOf(t, s.Reader).Cursors[0]; !got.ReadSince.Equal(day(1, 3).Since) || !got.ReadUntil.Equal(day(1, 3).Until) {
		t.Errorf("status tells %v to %v", got.ReadSince, got.ReadUntil)
	}
	if err := b.ResetCursor(t.Context(), "poll"); err != nil {
		t.Fatal(err)
	}
	want("poll", event.Mark{}, "")
}

// TestHeal heals a gap once a source has read the whole of it, and no sooner.
func TestHeal(t *testing.T) {
	t.Parallel()
	gap := func(from, to int) *event.Gap {
		g := &event.Gap{FromID: "1", ToID: "2", Reason: "expired"}
		if from > 0 {
			g.FromTime = day(from, to).Since
		}
		if to > 0 {
			g.ToTime = day(from, to).Until
		}
		return g
	}
	for name, tt := range map[string]struct {
		gap    *event.Gap
		marks  []event.Mark
		healed bool
	}{
		"the whole":                {gap(10, 12), []event.Mark{day(10, 12)}, true},
		"more than the whole":      {gap(10, 12), []event.Mark{day(3, 30)}, true},
		"as reading goes on":       {gap(10, 12), []event.Mark{day(9, 10), day(9, 11), day(9, 12)}, true},
		"behind it":                {gap(10, 12), []event.Mark{day(12, 30)}, false},
		"before it":                {gap(10, 12), []event.Mark{day(1, 10)}, false},
		"not yet its end":          {gap(10, 12), []event.Mark{day(1, 11)}, false},
		"not its beginning":        {gap(10, 12), []event.Mark{day(11, 30)}, false},
		"in two pieces":            {gap(10, 12), []event.Mark{day(1, 11), day(11, 30)}, false},
		"without a known start":    {gap(0, 12), []event.Mark{day(1, 30)}, false},
		"without an end":           {gap(10, 0), []event.Mark{day(1, 30)}, false}, // it was recorded later
		"without an end, far on":   {gap(10, 0), []event.Mark{day(1, 100_000)}, true},
		"by nothing but its marks": {gap(10, 12), nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				<-time.After(40 * 24 * time.Hour)
				s := openStore(t, store.Config{})
				b, other := openBuffer(t, s, "dev-tenant"), openBuffer(t, s, "other")
				mustAppend(t, b, pipeline.Intake{Cursor: "1", Gap: tt.gap})
				mustAppend(t, other, pipeline.Intake{Cursor: "1", Gap: tt.gap})
				for _, m := range tt.marks {
					mustAppend(t, b, pipeline.Intake{Mark: m})
				}
				list, err := s.Status(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				for _, st := range list {
					want := tt.healed && st.Tenant == "dev-tenant"
					if got := !st.Gaps[0].HealedAt.IsZero(); len(st.Gaps) != 1 || got != want {
						t.Errorf("%s: healed %t, want %t: %+v", st.Tenant, got, want, st.Gaps)
					}
				}
			})
		})
	}
}
