package transform_test

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/transform"
)

// TestPatternsMatchWhatRoutesMake draws templates and events: a pattern matches every
// name that is made, and not those of a template with other words.
func TestPatternsMatchWhatRoutesMake(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		word := rapid.SampledFrom([]string{"/auth0/", "aws/", "{tenant}", "a.b", "/", "{date}", "{hour}", "{type}", "{category}", "{organization}", "{connection}", "#1"})
		template := strings.Join(rapid.SliceOfN(word, 1, 5).Draw(rt, "words"), "")
		r, err := transform.NewRoutes("dev", template, template, 0)
		if err != nil {
			rt.Fatal(err)
		}
		raw := `{"type":"` + rapid.SampledFrom([]string{"s", "", "a/b", "..", "ü ü"}).Draw(rt, "type") + `","organization_id":"aws/x","connection":"-"}`
		e, err := event.Parse([]byte(raw), time.Now())
		if err != nil {
			rt.Fatal(err)
		}
		to := r.Route(e)
		group, stream := r.Patterns()
		for name, p := range map[string]transform.Pattern{to.LogGroup: group, to.LogStream: stream} {
			if !p.Match(name) || len(name) < len(p.Prefix) || name[:len(p.Prefix)] != p.Prefix {
				rt.Errorf("template %q made %q, pattern %+v", template, name, p)
			}
			if p.Match("~/" + name) {
				rt.Errorf("template %q: the pattern matches any name", template)
			}
		}
	})
}
