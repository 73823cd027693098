package web

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/gaplesslogs/gapless/internal/event"
)

// TestTokensAreTheText holds that the coloured pieces of an event are its bytes, whatever
// they are.
func TestTokensAreTheText(t *testing.T) {
	t.Parallel()
	join := func(tokens []jsonToken) string {
		var b strings.Builder
		for _, x := range tokens {
			b.WriteString(x.Text)
		}
		return b.String()
	}
	rapid.Check(t, func(rt *rapid.T) {
		raw := rapid.OneOf(
			rapid.Custom(func(rt *rapid.T) []byte {
				b, err := json.Marshal(rapid.MapOf(rapid.String(), rapid.Float64()).Draw(rt, "object"))
				if err != nil {
					rt.Fatal(err)
				}
				return indented(b)
			}),
			rapid.SliceOf(rapid.Byte()),
		).Draw(rt, "raw")
		if got := join(jsonTokens(raw)); got != string(raw) {
			rt.Fatalf("got %q, want %q", got, raw)
		}
	})
	var got []string
	for _, x := range jsonTokens([]byte(`{"a": [-1.5e3, "x\"y", null]}`)) {
		if x.Class != "" {
			got = append(got, x.Class+" "+x.Text)
		}
	}
	if want := `k "a", n -1.5e3, s "x\"y", l null`; strings.Join(got, ", ") != want {
		t.Errorf("got %s, want %s", strings.Join(got, ", "), want)
	}
}

// TestQuickSearchesAreOfTheCatalogue holds that the searches that the page offers look for
// types that exist, and each for several or for one that tells.
func TestQuickSearchesAreOfTheCatalogue(t *testing.T) {
	t.Parallel()
	for _, s := range quickSearches() {
		if len(s.Types) == 0 && !s.Failed {
			t.Errorf("%s looks for nothing", s.Key)
		}
		for _, code := range s.Types {
			if !event.Lookup(code).Known {
				t.Errorf("%s looks for %q, which is no type", s.Key, code)
			}
		}
	}
	seen := 0
	for _, g := range typeGroups("en", []string{"brand_new"}) {
		seen += len(g.Types)
		if len(g.Types) == 0 {
			t.Errorf("the group %s is empty", g.Key)
		}
	}
	if want := len(event.Types()) + 1; seen != want {
		t.Errorf("one can choose from %d types, want %d", seen, want)
	}
}

// TestHref holds that addresses of the page are short and mean what they say.
func TestHref(t *testing.T) {
	t.Parallel()
	v := url.Values{"type": {"fp,fu"}, "user": {""}, "range": {"24h"}}
	for want, got := range map[string]string{
		"/events?range=24h&type=fp,fu":                eventsHref(v),
		"/events?type=fp,fu":                          eventsHref(v, "range", ""),
		"/events":                                     eventsHref(v, "range", "", "type", ""),
		"/events?range=24h&type=fp,fu&user=auth0|a":   eventsHref(v, "user", "auth0|a"),
		"/events?ip=2001:db8::1&range=24h&type=fp,fu": eventsHref(v, "ip", "2001:db8::1"),
		"/events/a%2Fb/%3F%23":                        eventHref("a/b", "?#"),
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		u, err := url.Parse(got)
		if err != nil || strings.HasPrefix(got, "/events?") && u.Query().Get("type") != "" && u.Query().Get("type") != "fp,fu" {
			t.Errorf("%s reads as %v: %v", got, u, err)
		}
	}
	if len(v["user"]) != 1 {
		t.Error("the parameters that were given have changed")
	}
}

// TestColumns holds that the columns of the heat map lose no count, and lead to spans that
// lie side by side.
func TestColumns(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		counts := rapid.SliceOfN(rapid.Int64Range(0, 1e6), 1, 400).Draw(rt, "counts")
		since := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
		p := activityPage{Activity: Activity{
			Since: since, Until: since.Add(time.Duration(len(counts)) * time.Minute), Step: 60, Failures: counts, Cells: []Row{{Type: "fp", Counts: counts}},
		}}
		p.draw(url.Values{})
		var want, got int64
		for _, n := range counts {
			want += n
		}
		at := since
		for _, c := range p.Rows[0].Cells {
			got += c.Count
			if !c.At.Equal(at) || c.Shade < 0 || c.Shade > shades || (c.Shade > 0) != (c.Count > 0) || (c.Href != "") != (c.Count > 0) {
				rt.Fatalf("the cell at %v: %+v", at, c)
			}
			at = c.Until
		}
		if got != want || p.Rows[0].Total != want || !at.Equal(p.Until) || len(p.Bars) > maxColumns {
			rt.Fatalf("%d columns count %d up to %v, want %d up to %v", len(p.Bars), got, at, want, p.Until)
		}
	})
}
