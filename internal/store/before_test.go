package store_test

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"
	"time"

	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/store"
)

// earlier makes a data directory as a release with a row for each event has left it:
// 30 events, the first ten of them delivered, of which five are marked as on their way.
func earlier(t *testing.T) (dir string) {
	t.Helper()
	dir = privateDir(t)
	path := filepath.Join(dir, "gapless.db")
	files := fstest.MapFS{}
	for _, name := range []string{"0001", "0002", "0003", "0004"} {
		list, err := filepath.Glob(filepath.Join("migrations", name+"_*.sql"))
		if err != nil || len(list) != 1 {
			t.Fatalf("migration %s: %v, %v", name, list, err)
		}
		text, err := os.ReadFile(list[0])
		if err != nil {
			t.Fatal(err)
		}
		files[filepath.ToSlash(list[0])] = &fstest.MapFile{Data: text}
	}
	if err := store.MigrateFile(t.Context(), path, files); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	exec := func(query string, args ...any) {
		t.Helper()
		if _, err := db.ExecContext(t.Context(), query, args...); err != nil {
			t.Fatalf("%s: %v", query, err)
		}
	}
	exec("INSERT INTO tenants (id, name, buffered_events, buffered_bytes) VALUES (1, 'dev-tenant', 20, 0)")
	exec("INSERT INTO destinations (id, tenant_id, log_group, log_stream) VALUES (1, 1, ?, ?)", destination.LogGroup, destination.LogStream)
	var ids, seqs []byte
	for n := range 30 {
		e := newEvent(n, 300)
		ids = append(append(ids, byte(len(e.LogID))), e.LogID...)
		exec("INSERT INTO seen (tenant_id, log_id) VALUES (1, ?)", e.LogID)
		if n < 10 {
			continue
		}
		if n < 15 {
			seqs = append(seqs, byte(1+min(n-10, 0)))
		}
		exec(`INSERT INTO buffer (seq, destination_id, date, date_from, stored_at, log_id, type, body, source) VALUES (?, 1, ?, 0, ?, ?, 's', ?, 'poll')`,
			n+1, e.Date.UnixMicro(), start.UnixMicro(), e.LogID, e.Raw)
		exec("UPDATE tenants SET buffered_bytes = buffered_bytes + ?", len(e.Raw))
	}
	seqs[0] = 11
	exec("INSERT INTO intakes (id, tenant_id, stored_at, first_seq, last_seq, log_ids) VALUES (1, 1, ?, 1, 30, ?)", time.Now().UnixMicro(), ids)
	exec("INSERT INTO sending (id, tenant_id, since, seqs) VALUES (1, 1, ?, ?)", start.UnixMicro(), seqs)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestBufferOfAnEarlierRelease opens the store of a release with a row for each event:
// they come out as they were, those on their way in doubt, and none is taken again.
func TestBufferOfAnEarlierRelease(t *testing.T) {
	t.Parallel()
	for name, harm := range map[string]func(dir string) error{
		"sound": nil, "damaged": rewrite(func(db []byte) []byte {
			return garbage(db, 100, 400) // the schema
		}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := earlier(t)
			if harm != nil {
				if err := harm(dir); err != nil {
					t.Fatal(err)
				}
			}
			s := openStore(t, store.Config{Dir: dir})
			if harm != nil {
				wantRestored(t, s, dir)
				return
			}
			b := openBuffer(t, s, "dev-tenant")
			if done := mustAppend(t, b, newIntake(0, 30, 300)); done.Stored != 0 {
				t.Errorf("%d events were taken again", done.Stored)
			}
			l := limits()
			l.MaxEvents = 5
			for from := 10; from < 30; from += 5 {
				batch := take(t, b, l)
				if batch.Doubt.IsZero() != (from >= 15) {
					t.Errorf("the doubt of the events from %d is %v", from, batch.Doubt)
				}
				for i, e := range batch.Events {
					if want := newEvent(from+i, 300); e.LogID != want.LogID || string(e.Raw) != string(want.Raw) || !e.Date.Equal(want.Date) {
						t.Errorf("event %d is %s", from+i, e.Raw)
					}
				}
				mustSettle(t, b, batch, pipeline.Receipt{})
			}
			if st := statusOf(t, s.Reader); st.BufferedEvents != 0 || st.BufferedBytes != 0 {
				t.Errorf("the status is %d events and %d bytes at the end", st.BufferedEvents, st.BufferedBytes)
			}
			if n := store.Number(t, s.Reader, fmt.Sprintf("SELECT count(*) FROM sqlite_schema WHERE name = %q", "buffer_before")); n != 0 {
				t.Error("the table of the earlier release is there still")
			}
		})
	}
}
