package browsertest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// ErrNoChromium says that there is no Chromium to be found, and what to do about it.
var ErrNoChromium = errors.New("no Chromium on PATH nor in CHROMIUM, so nothing of the page was tried in a browser; " +
	"install one: apt-get install -y chromium")

// closing bounds how long a browser may take to end before it is killed.
const closing = 10 * time.Second

// A Browser is a running Chromium.
type Browser struct {
	ctx    context.Context
	cancel context.CancelFunc
}

// find returns the path of Chromium.
func find() (string, error) {
	if path := os.Getenv("CHROMIUM"); path != "" {
		return path, nil
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", ErrNoChromium
}

// Start starts a browser with an empty profile. The error is ErrNoChromium where none is
// installed. Close ends it.
func Start(ctx context.Context) (*Browser, error) {
	path, err := find()
	if err != nil {
		return nil, err
	}
	opts := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path),
		chromedp.Flag("disable-gpu", true),
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-domain-reliability", true),
		chromedp.Flag("no-pings", true),
		// What is asked for by name must not reach a resolver, let alone a server.
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"),
	)
	if os.Geteuid() == 0 { // Chromium refuses to build its sandbox as root
		opts = append(opts, chromedp.NoSandbox)
	}
	ctx, cancel := chromedp.NewExecAllocator(ctx, opts...)
	tab, _ := chromedp.NewContext(ctx)
	if err := chromedp.Do(tab); err != nil {
		cancel()
		return nil, fmt.Errorf("start %s: %w", path, err)
	}
	return &Browser{ctx: tab, cancel: cancel}, nil
}

// Close ends the browser and waits for it.
func (b *Browser) Close() error {
	defer b.cancel()
	ctx, cancel := context.WithTimeout(b.ctx, closing)
	defer cancel()
	if err := chromedp.Cancel(ctx); err != nil {
		return fmt.Errorf("close the browser: %w", err)
	}
	return nil
}

// A Shared is one browser for all tests of a package, started for the first that asks. Its
// zero value is ready.
type Shared struct {
	once    sync.Once
	browser *Browser
	err     error
}

// Tab serves a handler and opens a tab for its pages. It skips the test where there is no
// Chromium.
func (s *Shared) Tab(tb testing.TB, pages http.Handler) *Tab {
	tb.Helper()
	// The browser serves the tests that come after this one too.
	s.once.Do(func() { s.browser, s.err = Start(context.Background()) })
	if errors.Is(s.err, ErrNoChromium) {
		tb.Skip(s.err)
	}
	if s.err != nil {
		tb.Fatal(s.err)
	}
	server := httptest.NewServer(pages)
	tb.Cleanup(server.Close)
	return s.browser.Tab(tb, server.URL)
}

// Main runs the tests of a package, ends the browser and returns the exit code: for TestMain.
func (s *Shared) Main(m *testing.M) int {
	code := m.Run()
	if s.browser == nil {
		return code
	}
	if err := s.browser.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return max(code, 1)
	}
	return code
}

// Tab opens a tab for the pages of a server, such as "http://127.0.0.1:1234". It is closed
// with the test, which fails then for what the page has done wrong meanwhile.
func (b *Browser) Tab(tb testing.TB, server string) *Tab {
	tb.Helper()
	w := &watch{server: server}
	ctx, cancel := chromedp.NewContext(b.ctx, chromedp.WithNewBrowserContext(), chromedp.WithListener(w.see))
	if err := chromedp.Do(ctx); err != nil {
		cancel()
		tb.Fatalf("open a tab: %v", err)
	}
	tab := &Tab{t: tb, ctx: ctx, watch: w, server: server}
	tb.Cleanup(func() {
		if err := chromedp.Cancel(ctx); err != nil {
			tb.Logf("close the tab: %v", err)
		}
		tab.Clean()
	})
	tab.enable()
	tab.Look(View{Width: 1440, Lang: "en"})
	return tab
}
