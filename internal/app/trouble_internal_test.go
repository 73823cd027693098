package app

import (
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/web"
)

// TestTroubleIsToldWithoutTheDisk has the store refuse to keep a trouble, and its
// end, as when the disk is full: the page and readyz tell both all the same.
func TestTroubleIsToldWithoutTheDisk(t *testing.T) {
	t.Parallel()
	cfg := config.Default()
	cfg.DataDir, cfg.Listen, cfg.AWS.Region = t.TempDir(), "", "us-east-1"
	c := config.NewTenant()
	c.Name, c.Domain, c.ClientID = "dev", "dev.example.com", "id"
	var err error
	if c.ClientSecret, err = config.ParseSecret("s3cret"); err != nil {
		t.Fatal(err)
	}
	cfg.Tenants = []config.Tenant{c}
	a, err := New(t.Context(), Options{Config: cfg, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	})
	if err := a.store.Close(); err != nil { // from now on it keeps nothing
		t.Fatal(err)
	}
	// What the store holds since before: one trouble of a loop, and one that is not.
	letters := web.Trouble{Part: "dead_letters", Class: "quota"}
	stored := func() []web.Tenant {
		return []web.Tenant{{Name: "dev", Stored: 1, Troubles: []web.Trouble{{Part: pipeline.DeliveryPart, Message: "over long ago"}, letters}}}
	}
	report := a.reporter(a.tenants[0])
	since := time.Now()
	report(t.Context(), "poll", &pipeline.Condition{Part: "poll", Since: since, Err: pipeline.Error{Err: errors.New("no space left on device"), Hint: "Make room."}})
	told := stored()
	a.tellCurrent(told, time.Now())
	want := []web.Trouble{letters, {Part: "poll", Class: "transient", Message: "no space left on device", Hint: "Make room.", Since: since}}
	if diff := cmp.Diff(want, told[0].Troubles); diff != "" {
		t.Errorf("troubles (-want +got):\n%s", diff)
	}
	report(t.Context(), "poll", nil)
	told = stored()
	a.tellCurrent(told, time.Now())
	if diff := cmp.Diff([]web.Trouble{letters}, told[0].Troubles); diff != "" {
		t.Errorf("troubles after the end (-want +got):\n%s", diff)
	}
}
