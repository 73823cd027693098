package app_test

import (
	"bytes"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gaplesslogs/gapless/internal/emulator/tenant"
	"github.com/gaplesslogs/gapless/internal/store"
	"github.com/gaplesslogs/gapless/internal/web"
)

// storeDamages are what befalls the data directory of an App that has stopped, or
// was cut off, with events of its buffer not delivered.
func storeDamages() map[string]func(dir string) error {
	db := func(dir string) string { return filepath.Join(dir, "gapless.db") }
	change := func(f func([]byte) []byte) func(string) error {
		return func(dir string) error {
			b, err := os.ReadFile(db(dir))
			if err != nil {
				return err
			}
			return os.WriteFile(db(dir), f(b), 0o600)
		}
	}
	noise := func(b []byte) {
		r := rand.New(rand.NewPCG(3, 4))
		for i := range b {
			b[i] = byte(r.Uint32())
		}
	}
	return map[string]func(string) error{
		"zeros in the header":     change(func(b []byte) []byte { clear(b[:100]); return b }),
		"garbage in the middle":   change(func(b []byte) []byte { noise(b[len(b)/3 : len(b)/2]); return b }),
		"cut to nothing":          change(func([]byte) []byte { return nil }),
		"cut in half":             change(func(b []byte) []byte { return b[:len(b)/2] }),
		"deleted":                 func(dir string) error { return os.Remove(db(dir)) },
		"another file":            change(func([]byte) []byte { return bytes.Repeat([]byte("<html>"), 5000) }),
		"deleted with the mirror": func(dir string) error { return os.WriteFile(filepath.Join(dir, "gapless.cursors.json"), nil, 0o600) },
	}
}

// TestStoreIsLost damages the store of an App while CloudWatch Logs is down and
// events wait: after the next start each event is in the stream once, and a person
// is told until the report is deleted.
func TestStoreIsLost(t *testing.T) {
	t.Parallel()
	for name, do := range storeDamages() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, t.TempDir(), tenant.Unlimited, "dev")
				defer w.close(t.Context(), t)
				s := w.sites[0]
				if err := s.tenant.Generate(300, time.Now().Add(-2*time.Hour), time.Now()); err != nil {
					t.Fatal(err)
				}
				s.live(t.Context(), t, 0.5)
				w.start(t.Context(), t)
				<-time.After(5 * time.Minute)
				onAWS(awsError(503, "ServiceUnavailableException"))(s)
				<-time.After(5 * time.Minute)
				w.stop(t.Context(), t, time.Second)
				if name == "deleted with the mirror" {
					if err := os.Remove(filepath.Join(w.cfg.DataDir, "gapless.db")); err != nil {
						t.Fatal(err)
					}
				}
				if err := do(w.cfg.DataDir); err != nil {
					t.Fatal(err)
				}
				s.aws.Clear()
				w.start(t.Context(), t)
				<-time.After(5 * time.Minute)
				s.quit()
				<-time.After(time.Minute)
				s.compare(t)
				w.wantToldOfLoss(t, "dev")
			})
		})
	}
}

// TestOlderStoreIsPutBack puts back a copy of the data directory's database that
// was made before events were delivered.
func TestOlderStoreIsPutBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, t.TempDir(), tenant.Unlimited, "dev")
		defer w.close(t.Context(), t)
		s := w.sites[0]
		s.live(t.Context(), t, 0.5)
		onAWS(awsError(503, "ServiceUnavailableException"))(s)
		w.start(t.Context(), t)
		<-time.After(5 * time.Minute)
		w.stop(t.Context(), t, time.Second)
		path := filepath.Join(w.cfg.DataDir, "gapless.db")
		old, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		s.aws.Clear()
		w.start(t.Context(), t)
		<-time.After(10 * time.Minute)
		w.stop(t.Context(), t, w.cfg.ShutdownTimeout)
		if err := os.WriteFile(path, old, 0o600); err != nil {
			t.Fatal(err)
		}
		w.start(t.Context(), t)
		<-time.After(5 * time.Minute)
		s.quit()
		<-time.After(time.Minute)
		s.compare(t)
		w.wantToldOfLoss(t, "dev")
	})
}

// TestStoreIsLostWhileRunning takes the database away under a running App, which
// says so and is to be stopped; the next one restores it.
func TestStoreIsLostWhileRunning(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, t.TempDir(), tenant.Unlimited, "dev")
		defer w.close(t.Context(), t)
		s := w.sites[0]
		s.live(t.Context(), t, 0.5)
		w.start(t.Context(), t)
		<-time.After(5 * time.Minute)
		if err := os.Remove(filepath.Join(w.cfg.DataDir, "gapless.db")); err != nil {
			t.Fatal(err)
		}
		select {
		case <-w.app.Broken():
		case <-time.After(5 * time.Minute):
			t.Fatal("the App goes on without its store")
		}
		if err := w.app.BrokenErr(); err == nil {
			t.Error("it does not say why")
		}
		w.stop(t.Context(), t, w.cfg.ShutdownTimeout)
		w.start(t.Context(), t)
		<-time.After(5 * time.Minute)
		s.quit()
		<-time.After(time.Minute)
		s.compare(t)
		w.wantToldOfLoss(t, "dev")
	})
}

// wantToldOfLoss checks that a tenant is stuck for a restoration, until a person
// deletes the report.
func (w *world) wantToldOfLoss(t *testing.T, name string) {
	t.Helper()
	o := w.overview(t.Context(), t, name)
	if len(o.Troubles) != 1 || o.Troubles[0].Part != store.RestoredPart || o.Troubles[0].Hint == "" || o.State != web.StateStuck {
		t.Errorf("%s is %s with troubles %+v, want it told of the restoration", name, o.State, o.Troubles)
	}
	if status, body := w.readiness(t.Context(), t); status != http.StatusServiceUnavailable || !strings.Contains(body, store.RestoredPart) {
		t.Errorf("readyz answers %d %q", status, body)
	}
	if err := os.Remove(filepath.Join(w.cfg.DataDir, store.ReportName)); err != nil {
		t.Error(err)
	}
	<-time.After(2 * time.Minute)
	if o := w.overview(t.Context(), t, name); len(o.Troubles) > 0 {
		t.Errorf("after the report was deleted the troubles are %+v", o.Troubles)
	}
}
