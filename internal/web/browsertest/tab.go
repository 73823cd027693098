package browsertest

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

const (
	// patience is for how long a page may take to become what a test waits for. It
	// tells a page that never gets there from a machine that is slow.
	patience = 60 * time.Second
	// glance is how often it is looked at meanwhile.
	glance = 20 * time.Millisecond
)

// A View is how a page is looked at.
type View struct {
	// Width is that of the window in pixels; below 600 it is a phone.
	Width int
	Dark  bool
	// Lang is the language that the browser asks for, such as "en" or "ja".
	Lang string
}

// String names the view, fit for the name of a file.
func (v View) String() string {
	theme := "light"
	if v.Dark {
		theme = "dark"
	}
	return strings.Join([]string{map[bool]string{true: "360", false: "1440"}[v.Width < 600], theme, v.Lang}, "-")
}

// A Tab is a tab of a Browser. Its methods fail the test where they cannot do their work.
type Tab struct {
	t      testing.TB
	ctx    context.Context
	watch  *watch
	server string
}

// do runs actions of chromedp.
func (tab *Tab) do(what string, actions ...chromedp.Action[chromedp.Void]) {
	tab.t.Helper()
	ctx, cancel := context.WithTimeout(tab.ctx, patience)
	defer cancel()
	err := chromedp.Do(ctx, actions...)
	for err != nil && ctx.Err() == nil && strings.Contains(err.Error(), "node with given id") {
		// It was found on a page that has just gone; nothing was done to it yet.
		err = chromedp.Do(ctx, actions...)
	}
	if err != nil {
		tab.t.Fatalf("%s: %v\nthe page shows:\n%s", what, err, tab.body())
	}
}

// call makes a call of the DevTools protocol an action.
func call[P, R any](command cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, command, params)
		return err
	})
}

// enable asks for the events that the watch wants.
func (tab *Tab) enable() {
	tab.do("watch the tab", call(network.Enable, network.EnableParams{}), call(log.Enable, cdp.Empty{}))
}

// Look sets how the page is looked at, from the next page on as to the language.
func (tab *Tab) Look(v View) {
	tab.t.Helper()
	scheme := map[bool]string{true: "dark", false: "light"}[v.Dark]
	height := map[bool]int64{true: 780, false: 900}[v.Width < 600]
	viewport := []chromedp.EmulateViewportOption{}
	if v.Width < 600 {
		viewport = append(viewport, chromedp.EmulateMobile)
	}
	tab.do("set the view",
		chromedp.EmulateViewport(int64(v.Width), height, viewport...),
		call(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
		}}),
		call(network.SetExtraHTTPHeaders, network.SetExtraHTTPHeadersParams{Headers: network.Headers{"Accept-Language": v.Lang}}),
	)
}

// Zone sets the time zone of the browser, such as "Asia/Tokyo".
func (tab *Tab) Zone(name string) {
	tab.t.Helper()
	tab.do("set the time zone", call(emulation.SetTimezoneOverride, emulation.SetTimezoneOverrideParams{TimezoneID: name}))
}

// NoScripts keeps the scripts of the pages from running.
func (tab *Tab) NoScripts() {
	tab.t.Helper()
	tab.do("stop scripts", call(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}))
}

// jsonString writes a string as JSON.
func jsonString(s string) []byte {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err) // a string can always be written
	}
	return b
}

// Open goes to a path of the server and waits until it is loaded.
func (tab *Tab) Open(path string) {
	tab.t.Helper()
	tab.do("open "+path, chromedp.Navigate(tab.server+path))
}

// Back goes back as the button of the browser does. It does not wait: a page may be
// shown again without being loaded.
func (tab *Tab) Back() {
	tab.t.Helper()
	Eval[any](tab, "history.back()")
}

// Click clicks on what a CSS selector finds first.
func (tab *Tab) Click(selector string) {
	tab.t.Helper()
	tab.do("click "+selector, chromedp.Click(chromedp.CSS(selector)))
}

// Type types text into what a CSS selector finds first.
func (tab *Tab) Type(selector, text string) {
	tab.t.Helper()
	tab.do("type into "+selector, chromedp.SendKeys(chromedp.CSS(selector), text))
}

// Press presses keys, such as kb.ArrowDown.
func (tab *Tab) Press(keys string) {
	tab.t.Helper()
	tab.do("press keys", chromedp.KeyEvent(keys))
}

// Eval returns the value of a JavaScript expression, of promises what they promise.
func Eval[T any](tab *Tab, expression string) T {
	tab.t.Helper()
	ctx, cancel := context.WithTimeout(tab.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		tab.t.Fatalf("evaluate %s: %v", expression, err)
	}
	return v
}

// Text returns what is written in the element that a CSS selector finds first, and an
// empty string when there is none.
func (tab *Tab) Text(selector string) string {
	tab.t.Helper()
	return Eval[string](tab, "document.querySelector("+string(jsonString(selector))+")?.innerText ?? ''")
}

// Count returns how many elements a CSS selector finds.
func (tab *Tab) Count(selector string) int {
	tab.t.Helper()
	return Eval[int](tab, "document.querySelectorAll("+string(jsonString(selector))+").length")
}

// Wait waits until a page is there and a JavaScript expression is true on it, over changes
// of the page too.
func (tab *Tab) Wait(expression string) {
	tab.t.Helper()
	ctx, cancel := context.WithTimeout(tab.ctx, patience)
	defer cancel()
	tick := time.NewTicker(glance)
	defer tick.Stop()
	var last error
	for {
		ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`document.readyState !== "loading" && Boolean(`+expression+`)`))
		if ok {
			return
		}
		last = errors.Join(err, ctx.Err()) // the page that was asked may just be going away
		select {
		case <-tick.C:
		case <-ctx.Done():
			tab.t.Fatalf("the page never came to %s: %v\nit shows:\n%s", expression, last, tab.body())
		}
	}
}

// WaitText waits until a text stands in what a CSS selector finds first.
func (tab *Tab) WaitText(selector, text string) {
	tab.t.Helper()
	tab.Wait("document.querySelector(" + string(jsonString(selector)) + ")?.innerText.includes(" + string(jsonString(text)) + ")")
}

// body returns what the page shows, for a message.
func (tab *Tab) body() string {
	ctx, cancel := context.WithTimeout(tab.ctx, 5*time.Second)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string]("location.href + '\\n' + document.body.innerText.slice(0, 3000)"))
	if err != nil {
		return err.Error()
	}
	return text
}

// Clean fails the test for what the page has done wrong since the last call.
func (tab *Tab) Clean() {
	tab.t.Helper()
	for _, wrong := range tab.watch.take() {
		tab.t.Errorf("%s", wrong)
	}
}

// Forgive takes away the complaints with one of the texts in them, and fails for each text
// that none has: a test that makes the page meet an error names it.
func (tab *Tab) Forgive(texts ...string) {
	tab.t.Helper()
	found := make([]bool, len(texts))
	for _, wrong := range tab.watch.take() {
		i := slices.IndexFunc(texts, func(text string) bool { return strings.Contains(wrong, text) })
		if i < 0 {
			tab.t.Errorf("%s", wrong)
			continue
		}
		found[i] = true
	}
	for i, text := range texts {
		if !found[i] {
			tab.t.Errorf("no complaint has %q in it", text)
		}
	}
}

// Fits fails the test when the page is wider than its window, so that one would have to
// scroll sideways.
func (tab *Tab) Fits() {
	tab.t.Helper()
	if wide := tab.Overflow(); len(wide) > 0 {
		tab.t.Errorf("the page is wider than the window: %s", strings.Join(wide, "\n"))
	}
}

// Overflow returns the first elements that stand out of the window to the right, as HTML;
// none when the page fits.
func (tab *Tab) Overflow() []string {
	tab.t.Helper()
	return Eval[[]string](tab, `(() => {
		const most = document.documentElement.clientWidth;
		if (document.documentElement.scrollWidth <= most) return [];
		const scrolls = e => e && e !== document.body && (getComputedStyle(e).overflowX !== 'visible' || scrolls(e.parentElement));
		return [...document.body.querySelectorAll('*')]
			.filter(e => e.getBoundingClientRect().right > most + 1 && !scrolls(e.parentElement))
			.slice(0, 8).map(e => e.outerHTML.slice(0, 160));
	})()`)
}

// Shot keeps a picture of the whole page in the directory that GAPLESS_SCREENSHOTS names;
// without it, it does nothing.
func (tab *Tab) Shot(name string) {
	tab.t.Helper()
	dir := os.Getenv("GAPLESS_SCREENSHOTS")
	if dir == "" {
		return
	}
	ctx, cancel := context.WithTimeout(tab.ctx, patience)
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err != nil {
		tab.t.Fatalf("take a picture: %v", err)
	}
	if err := os.MkdirAll(dir, 0o750); err != nil { //nolint:gosec // where the developer wants them
		tab.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o600); err != nil { //nolint:gosec // where the developer wants them
		tab.t.Fatal(err)
	}
}
