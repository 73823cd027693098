package browsertest_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"

	"github.com/gaplesslogs/gapless/internal/web"
	"github.com/gaplesslogs/gapless/internal/web/browsertest"
	"github.com/gaplesslogs/gapless/internal/web/webtest"
)

// TestIncident plays one through: who was locked out last night, from where? It takes two
// clicks from the overview to read it, and a third to see all that came from there.
func TestIncident(t *testing.T) {
	w := webtest.New(time.Now(), 300)
	for i := range 3 {
		w.Journal.Add(func(e *web.EventDetail) {
			e.Type, e.UserID, e.UserName, e.IP, e.City, e.Country = "limit_wc", "auth0|wanda", "wanda@example.com", "2001:db8::7", "Oslo", "NO"
			e.Date = w.At.Add(-time.Duration(i+1) * time.Hour)
		})
	}
	tab := open(t, w)
	tab.Open("/")
	tab.Click(`.nav a[href="/events"]`)
	tab.Wait(`location.pathname === "/events" && document.querySelector(".quick")`)
	tab.Click(`.quick a[href*="limit_wc"]`)
	tab.Wait(`location.search.includes("limit_wc")`)
	tab.WaitText(`[data-facet="user"]`, "wanda@example.com")
	tab.WaitText(`[data-facet="ip"]`, "2001:db8::7 · Oslo, NO")
	if text := tab.Text("#rows"); strings.Contains(text, "Success Login") {
		t.Errorf("the search shows other events too:\n%s", text)
	}
	tab.Click(`#rows a[href*="2001:db8::7"]`)
	tab.Wait(`location.search.includes("ip=")`)
	if got := tab.Count("#rows tr"); got != 3 {
		t.Errorf("from that address %d events are shown, want 3", got)
	}
	tab.Back()
	tab.Wait(`!location.search.includes("ip=")`)
	tab.WaitText("#rows", "wanda@example.com")
}

// TestSearchFinds holds that the form finds, that its address says what it shows, and
// that the page draws the form from its address.
func TestSearchFinds(t *testing.T) {
	w := webtest.New(time.Now(), 300)
	w.Journal.Add(func(e *web.EventDetail) {
		e.Type, e.UserName, e.ClientName, e.IP = "fcp", "Zoë@example.com", "Kiosk", "203.0.113.250"
		e.Raw = []byte(`{"needle": "in the haystack"}`)
	})
	tab := open(t, w)
	for name, tt := range map[string]struct{ selector, text, want string }{
		"text":    {`[name="q"]`, "IN THE hay", "q=IN+THE+hay"},
		"user":    {`[name="user"]`, "zoë@", "user=zo%C3%AB%40"},
		"client":  {`[name="client"]`, "kiosk", "client=kiosk"},
		"address": {`[name="ip"]`, "203.0.113.248/29", "ip=203.0.113.248%2F29"},
	} {
		t.Run(name, func(t *testing.T) {
			tab.Open("/events?range=24h")
			tab.Type(tt.selector, tt.text+kb.Enter)
			tab.Wait(`location.search.length > 20`)
			if got, want := browsertest.Eval[string](tab, "location.search"), "?"+tt.want+"&range=24h"; got != want && got != "?range=24h&"+tt.want {
				t.Errorf("the address says %s, want %s", got, want)
			}
			tab.WaitText("#rows", "Zoë@example.com")
			if got := tab.Count("#rows tr"); got != 1 {
				t.Errorf("%d events are shown, want 1", got)
			}
			if got := browsertest.Eval[string](tab, `document.querySelector('`+tt.selector+`').value`); got != tt.text {
				t.Errorf("the form says %q, want %q", got, tt.text)
			}
		})
	}
	t.Run("type", func(*testing.T) {
		tab.Open("/events")
		tab.Click("#types summary")
		tab.Type("#types-find", "change password")
		tab.Click(`#types label:not([hidden]) input[value="fcp"]`)
		tab.WaitText("#types-count", "1 types chosen")
		tab.Click(`.picker-foot .primary`)
		tab.Wait(`location.search === "?type=fcp"`)
		tab.WaitText("#rows", "Failed Change Password")
		tab.WaitText(".chosen", "Failed Change Password")
	})
	t.Run("failures", func(*testing.T) {
		tab.Open("/events")
		tab.Click(`[name="failed"]`)
		tab.Wait(`location.search === "?failed=1"`)
		tab.Wait(`document.querySelectorAll("#rows tr").length > 0 && document.querySelectorAll("#rows tr.info").length === 0`)
	})
	t.Run("wrong", func(*testing.T) {
		tab.Open("/events")
		tab.Type(`[name="ip"]`, "nonsense"+kb.Enter)
		tab.WaitText("main", "is no address")
		tab.Forgive("status of 400")
	})
}

// TestEventOpens holds that an event opens from the list, shows its way and all of its
// bytes, and that nothing in it can be more than text.
func TestEventOpens(t *testing.T) {
	w := webtest.New(time.Now(), 100)
	const nasty = `<img src="https://evil.example.com/x" onerror="window.hacked = 1">`
	raw := fmt.Sprintf(`{"b":1,"a":12345678901234567890.10,"description":%q,"a":2}`, nasty+`</code><script>window.hacked = 1</script>`)
	w.Journal.Add(func(e *web.EventDetail) {
		e.Date = time.Now().UTC()
		e.UserName, e.Description, e.UserAgent, e.City, e.ClientName, e.LogID = nasty, nasty, nasty, nasty, nasty, "a/b?<c>"
		e.Raw = []byte(raw)
	})
	tab := open(t, w)
	tab.Open("/events")
	tab.Click("#rows tr:first-child a.what")
	tab.Wait(`document.getElementById("event-json")`)
	want := "{\n  \"b\": 1,\n  \"a\": 12345678901234567890.10,\n  \"description\": "
	if got := browsertest.Eval[string](tab, `document.getElementById("event-json").textContent`); !strings.HasPrefix(got, want) || !strings.HasSuffix(got, "\"a\": 2\n}") {
		t.Errorf("the event shows as %s", got)
	}
	tab.WaitText(".way-line", "/auth0/")
	tab.WaitText(".said", "onerror")
	if browsertest.Eval[bool](tab, `"hacked" in window || document.images.length > 0`) {
		t.Error("the event became part of the page")
	}
	got := browsertest.Eval[string](tab, `fetch(document.querySelector("a[download]").href).then(r => r.text())`)
	if got != raw {
		t.Errorf("the download holds %s, want %s", got, raw)
	}
	tab.Click("#copy")
	tab.WaitText("#copy", "Copied")
	tab.Accessible()
}

// TestLiveTail holds that new events show on top by themselves, wait while one reads
// further down, are spoken of, and stop to come when the tail is turned off.
func TestLiveTail(t *testing.T) {
	w := webtest.New(time.Now(), 200)
	tab := open(t, w)
	arrive := func(user string) {
		w.Journal.Add(func(e *web.EventDetail) { e.UserName, e.Type = user, "fp" })
	}
	tab.Open("/events?failed=1")
	tab.Click("#tail")
	tab.Wait(`location.search === "?failed=1&live=1"`)
	arrive("first@example.com")
	tab.WaitText("#rows tr:first-child", "first@example.com")
	tab.WaitText("#tail-say", "1 new events")

	browsertest.Eval[any](tab, "scrollTo({top: 900})")
	tab.Wait("scrollY > 100")
	w.Journal.Add(func(e *web.EventDetail) { e.UserName, e.Type = "success@example.com", "s" })
	arrive("second@example.com")
	tab.WaitText("#tail-bar", "1 new")
	if got := tab.Text("#rows tr:first-child"); !strings.Contains(got, "first@example.com") {
		t.Errorf("while one reads, the list begins with %s", got)
	}
	tab.Click("#tail-show")
	tab.WaitText("#rows tr:first-child", "second@example.com")

	tab.Click("#tail")
	tab.Wait(`document.querySelector("#tail").ariaPressed === "false" && location.search === "?failed=1"`)
	arrive("third@example.com")
	tab.Click("#tail") // it goes on where it was
	tab.WaitText("#rows tr:first-child", "third@example.com")
	if text := tab.Text("#rows"); strings.Contains(text, "success@example.com") {
		t.Error("the live tail shows what the search does not pick")
	}
}

// TestLookFurtherBack holds that the list goes on, says how far it has looked, and ends.
func TestLookFurtherBack(t *testing.T) {
	tab := open(t, webtest.New(time.Now(), 150))
	tab.Open("/events")
	before := tab.Text("#reach")
	tab.Click("#further")
	tab.Wait(`document.querySelectorAll("#rows tr").length === 150`)
	tab.Wait(`!document.getElementById("further")`)
	if after := tab.Text("#end"); after == before || !strings.Contains(after, "That is all") {
		t.Errorf("at its end the list says %q, before %q", after, before)
	}
	if got := browsertest.Eval[int](tab, `new Set([...document.querySelectorAll("#rows .what")].map(a => a.href)).size`); got != 150 {
		t.Errorf("the list has %d different events, want 150", got)
	}
}

// TestActivityLeadsOn holds that a cell of the heat map says what it counts, by pointer
// and by keyboard, and leads to as many events.
func TestActivityLeadsOn(t *testing.T) {
	tab := open(t, webtest.New(time.Now(), 400))
	tab.Open("/activity")
	browsertest.Eval[any](tab, `document.querySelector("tr.error [data-cell]").focus()`)
	tab.Wait(`!document.getElementById("tip").hidden`)
	first := tab.Text("#tip")
	tab.Press(kb.ArrowRight)
	tab.Wait(`document.getElementById("tip").innerText !== ` + fmt.Sprintf("%q", first))
	cell := browsertest.Eval[struct{ N, Label string }](tab, `({N: document.activeElement.dataset.n, Label: document.activeElement.ariaLabel})`)
	if !strings.Contains(cell.Label, cell.N) || !strings.Contains(cell.Label, "UTC") {
		t.Errorf("the cell of %s events is called %q", cell.N, cell.Label)
	}
	tab.Press(kb.Enter)
	tab.Wait(`location.pathname === "/events" && document.getElementById("rows")`)
	if got := strconv.Itoa(tab.Count("#rows tr")); got != cell.N {
		t.Errorf("the cell counts %s events and leads to %s", cell.N, got)
	}
	tab.Open("/activity")
	tab.Click(".toplist li:first-child a")
	tab.Wait(`location.pathname === "/events" && location.search.includes("user=") && location.search.includes("failed=1")`)
	tab.WaitText("#rows", "mallory@example.com")
}

// TestMillion holds that the pages are as quick to use with a million events.
func TestMillion(t *testing.T) {
	w := webtest.New(time.Now(), 0)
	opts := w.Options()
	opts.Journal = webtest.NewMany(w.At, 1_000_000, 12*time.Hour)
	tab := chromium.Tab(t, handler(t, opts))
	tab.Open("/activity")
	tab.WaitText(".lone-figures", "1,000,000")
	tab.Fits()
	tab.Open("/events")
	tab.Wait(`document.querySelectorAll("#rows tr").length === 100`)
	// What is not found soon is looked for further back, step by step.
	tab.Open("/events?q=many30000%22")
	tab.WaitText("#none", "Nothing found so far")
	tab.Click("#further")
	tab.Wait(`document.querySelectorAll("#rows tr").length === 1`)
	tab.Click("#rows a.what")
	tab.WaitText("#event-json", `"many30000"`)
}

// TestZone holds that the times of a page turn to those of the place, fields included,
// and that the search means the same moment.
func TestZone(t *testing.T) {
	w := webtest.New(time.Now(), 50)
	w.Journal.Add(func(e *web.EventDetail) { e.Date = time.Date(2026, 11, 23, 22, 30, 0, 0, time.UTC) })
	tab := open(t, w)
	tab.Zone("Asia/Tokyo")
	tab.Open("/events?since=2026-11-23T22:00:00Z&until=2026-11-23T23:00:00Z")
	tab.WaitText("#rows .c-time", "22:30:00")
	tab.Click(`[data-zone-of="local"]`)
	tab.WaitText("#rows .c-time", "07:30:00")
	tab.WaitText("#rows .c-time", "2026-11-24")
	if got := browsertest.Eval[string](tab, `document.querySelector('[name="since"]').value`); got != "2026-11-24T07:00" && got != "2026-11-24T07:00:00" {
		t.Errorf("the field says %q, want the time of Tokyo", got)
	}
	tab.Type(`[name="user"]`, "@example.com"+kb.Enter)
	tab.Wait(`location.search.includes("user=")`)
	if got := browsertest.Eval[string](tab, "location.search"); !strings.Contains(got, "since=2026-11-23T22:00:00Z") || !strings.Contains(got, "until=2026-11-23T23:00:00Z") {
		t.Errorf("the search goes to %s, want the same moments", got)
	}
	tab.WaitText("#rows .c-time", "07:30:00") // it is remembered
}

// TestWithoutScripts holds that the pages work where scripts do not run.
func TestWithoutScripts(t *testing.T) {
	tab := open(t, webtest.New(time.Now(), 150))
	tab.NoScripts()
	tab.Open("/events")
	tab.Click("#further")
	tab.WaitText("#reach", "That is all")
	tab.Type(`[name="user"]`, "mallory"+kb.Enter)
	tab.Wait(`location.search.includes("user=mallory")`)
	tab.WaitText("#rows", "mallory@example.com")
	tab.Click("#rows a.what")
	tab.WaitText("#event-json", `"log_id"`)
	tab.Open("/activity")
	tab.Click("tr.error th a")
	tab.Wait(`location.pathname === "/events"`)
}
