package browsertest_test

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/gaplesslogs/gapless/internal/web/browsertest"
)

// chromium is the browser of all tests of the package.
var chromium browsertest.Shared

func TestMain(m *testing.M) { os.Exit(chromium.Main(m)) }

// TestWatch holds that a tab tells of what a page does wrong: it is this that the
// tests of the pages rest on.
func TestWatch(t *testing.T) {
	tests := map[string]struct {
		page       string
		complaints []string
	}{
		"console":   {`<script>console.error("oh dear")</script>`, []string{`console.error: "oh dear"`}},
		"exception": {`<script>throw new Error("lost")</script>`, []string{"exception that nothing caught: Uncaught Error: lost"}},
		"promise":   {`<script>Promise.reject(new Error("broken"))</script>`, []string{"broken"}},
		"outside":   {`<img src="https://cdn.example.com/x.png" alt="">`, []string{"request to another place: GET https://cdn.example.com/x.png", "ERR_NAME_NOT_RESOLVED"}},
		"missing":   {`<img src="/missing.png" alt="">`, []string{"status of 404"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			tab := chromium.Tab(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/" {
					http.NotFound(w, r)
					return
				}
				fmt.Fprint(w, "<!doctype html><html lang=en><title>t</title><link rel=icon href=data:,>"+tt.page)
			}))
			tab.Open("/")
			tab.Forgive(tt.complaints...)
		})
	}
}

// TestJudges holds that what shuts people out is found: a picture without words, and a
// page that is wider than a phone.
func TestJudges(t *testing.T) {
	tab := chromium.Tab(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `<!doctype html><html lang=en><title>t</title><link rel=icon href=data:,><meta name=viewport content="width=device-width">
			<main><h1>t</h1><img src="data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA=" width=500 height=10></main>`)
	}))
	tab.Open("/")
	if got := tab.Violations(); len(got) != 1 || !strings.HasPrefix(got[0], "image-alt (critical)") {
		t.Errorf("got violations %q, want the picture without words alone", got)
	}
	if got := tab.Overflow(); len(got) > 0 {
		t.Errorf("in a wide window %q stands out, want nothing", got)
	}
	tab.Look(browsertest.View{Width: 360, Lang: "en"})
	tab.Open("/")
	if got := tab.Overflow(); len(got) != 1 || !strings.HasPrefix(got[0], "<img") {
		t.Errorf("on a phone %q stands out, want the picture", got)
	}
}
