package app

import (
	"database/sql"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gaplesslogs/gapless/internal/store"
	"github.com/gaplesslogs/gapless/internal/web"
)

// workdays makes a store in which events of a tenant came each hour from 8 to 18 o'clock
// of so many days before a midnight.
func workdays(t *testing.T, midnight time.Time, days int) *store.Reader {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), store.Config{Dir: dir, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Buffer(t.Context(), "dev")
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", filepath.Join(dir, "gapless.db"))
	if err != nil {
		t.Fatal(err)
	}
	for day := range days {
		for hour := 8; hour <= 18; hour++ {
			at := midnight.Add(-time.Duration(day+1)*24*time.Hour + time.Duration(hour)*time.Hour)
			if _, err := db.ExecContext(t.Context(), "INSERT INTO counts SELECT ?, id, 'stored', '', 3 FROM tenants WHERE name = 'dev'", at.Unix()/60); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := store.OpenReadOnly(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// TestUsualPausesAreThoseOfTheTimeOfTheWeek asks what is usual in the day and at night, of
// a tenant that is known for long and of a young one.
func TestUsualPausesAreThoseOfTheTimeOfTheWeek(t *testing.T) {
	t.Parallel()
	midnight := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		days, hour    int
		weeks         int
		least, most   time.Duration
		youngerThanIs time.Duration
	}{
		"in the day":           {30, 14, 4, 0, time.Hour, 31 * 24 * time.Hour},
		"at night":             {30, 4, 4, 11 * time.Hour, 13 * time.Hour, 31 * 24 * time.Hour},
		"known for three days": {3, 14, 0, 14 * time.Hour, 14 * time.Hour, 4 * 24 * time.Hour},
		"known for ten days":   {10, 14, 1, 14 * time.Hour, 14 * time.Hour, 11 * 24 * time.Hour},
		"not known":            {0, 14, 0, 0, 0, time.Second},
	} {
		r := workdays(t, midnight, c.days)
		u, err := learn(t.Context(), r, "dev", midnight.Add(time.Duration(c.hour)*time.Hour))
		if err != nil || u.Weeks != c.weeks || u.Longest < c.least || u.Longest > c.most || u.Known >= c.youngerThanIs {
			t.Errorf("%s: %+v, %v", name, u, err)
		}
	}
}

// TestUsualIsAskedOnlyOfWhatIsRead asks for a tenant that is read, of one that fails, and
// for a pause that is too short to matter.
func TestUsualIsAskedOnlyOfWhatIsRead(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 14, 0, 0, 0, time.UTC)
	r := workdays(t, now.Truncate(24*time.Hour), 30)
	u := newUsualPauses()
	look := web.Tenant{Name: "dev", State: web.StateDelivered, LastStored: now.Add(-2 * time.Hour)}
	ask := func(least time.Duration) bool {
		pause, known, err := u.of(t.Context(), r, &look, now, least)
		if err != nil || pause != 2*time.Hour {
			t.Errorf("a pause of two hours: %v, %v", pause, err)
		}
		return known != nil
	}
	if !ask(time.Hour) || ask(3*time.Hour) || ask(0) {
		t.Error("asked for another pause than for one that is long enough")
	}
	look.Troubles = []web.Trouble{{Part: "poll"}}
	if ask(time.Hour) {
		t.Error("asked for a tenant that cannot be read")
	}
	look.Troubles, look.State = nil, web.StateStopped
	if ask(time.Hour) {
		t.Error("asked for a tenant that is not read")
	}
}
