package app_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"

	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/emulator/tenant"
	"github.com/gaplesslogs/gapless/internal/web/browsertest"
)

// TestInBrowser goes through the page of a running process in Chromium: a stranger is kept
// out, and whoever logs in finds an event by a word of it, byte for byte as Auth0 sent it,
// and replays a dead letter, which is delivered then.
func TestInBrowser(t *testing.T) {
	browser, err := browsertest.Start(t.Context())
	if errors.Is(err, browsertest.ErrNoChromium) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := browser.Close(); err != nil {
			t.Error(err)
		}
	}()
	w := newWorld(t, t.TempDir(), tenant.Unlimited, "dev")
	defer w.close(t.Context(), t)
	w.cfg.Listen, w.cfg.Tenants[0].CloudWatch.TooOld = "127.0.0.1:0", config.DeadLetter
	withUser(t, w.cfg, "the password")
	raw := fmt.Sprintf(`{"b":1,"log_id":"90020261127000000000000000000000000000000000000001","date":%q,"type":"limit_wc","user_name":"wanda@example.com","ip":"2001:db8::7","a":12345678901234567890.10}`,
		time.Now().UTC().Format("2006-01-02T15:04:05.000Z"))
	old := time.Now().Add(-16 * 24 * time.Hour)
	for _, err := range []error{
		w.sites[0].tenant.Generate(1, old, old.Add(time.Hour)), w.sites[0].tenant.Generate(50, time.Now().Add(-time.Hour), time.Now().Add(-time.Minute)),
		w.sites[0].tenant.Append([]byte(raw)),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	w.start(t.Context(), t)
	t.Run("page", func(t *testing.T) { w.browse(t, browser.Tab(t, "http://"+w.app.Addr()), raw) })
}

// browse is what somebody does.
func (w *world) browse(t *testing.T, tab *browsertest.Tab, raw string) {
	t.Helper()
	tab.Open("/events?q=WANDA@")
	tab.Wait(`location.pathname === "/login" && document.getElementById("username")`)
	tab.Type("#username", "vera")
	tab.Type("#password", "a guess"+kb.Enter)
	tab.WaitText(".login", "wrong")
	tab.Forgive("status of 403")
	tab.Type("#username", "vera")
	tab.Type("#password", "the password"+kb.Enter)
	tab.Wait(`location.pathname + location.search === "/events?q=WANDA@" || location.search === "?q=WANDA%40"`)

	tab.WaitText("#rows tr:only-child", "Blocked Account")
	tab.Click("#rows a.what")
	tab.WaitText(".way-line", "Delivered to CloudWatch Logs")
	if got := browsertest.Eval[string](tab, `fetch(document.querySelector("a[download]").href).then(r => r.text())`); got != raw {
		t.Errorf("the page has %s, Auth0 sent %s", got, raw)
	}

	tab.Open("/")
	tab.WaitText(".lately", "Blocked Account")
	tab.Open("/tenants/dev/letters")
	tab.Click(`input[name="id"]`)
	next := *w.cfg
	next.Tenants = append([]config.Tenant(nil), next.Tenants...)
	next.Tenants[0].CloudWatch.TooOld = config.Restamp // what the letter waited for
	if _, err := w.app.Reload(t.Context(), func(context.Context) (*config.Config, config.Resolver, error) { return &next, config.Resolver{}, nil }); err != nil {
		t.Fatal(err)
	}
	tab.Click(`button[name="do"][value="replay"]`)
	tab.Wait(`document.querySelector('input[name="confirmed"]')`)
	tab.Click(`button[name="do"]`)
	tab.Wait(`!document.querySelector('input[name="confirmed"]')`)
	s := w.sites[0]
	for s.note(); len(s.delivered()) < len(s.held); {
		select {
		case <-t.Context().Done():
			t.Fatal("the letter was not delivered")
		case <-time.After(50 * time.Millisecond):
		}
	}
	for text, n := range s.delivered() {
		if n != 1 {
			t.Errorf("%s arrived %d times", text, n)
		}
	}
	if strings.Contains(tab.Text("main"), "wrong") {
		t.Error("the page says that something is wrong")
	}
}
