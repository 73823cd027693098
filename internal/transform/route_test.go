package transform_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/transform"
)

var day = time.Date(2026, 11, 23, 23, 59, 59, 0, time.UTC)

func TestRoute(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		group, stream string
		event         event.Event
		want          pipeline.Destination
	}{
		"fixed":            {"/auth0/dev", "logs", event.Event{Type: "s"}, pipeline.Destination{LogGroup: "/auth0/dev", LogStream: "logs"}},
		"tenant":           {"/auth0/{tenant}", "{tenant}-logs", event.Event{}, pipeline.Destination{LogGroup: "/auth0/acme", LogStream: "acme-logs"}},
		"date":             {"/auth0/acme", "{date}", event.Event{Date: day}, pipeline.Destination{LogGroup: "/auth0/acme", LogStream: "2026-11-23"}},
		"date is UTC":      {"/a", "{date}", event.Event{Date: day.In(time.FixedZone("JST", 9*3600))}, pipeline.Destination{LogGroup: "/a", LogStream: "2026-11-23"}},
		"type":             {"/a/{type}", "{type}/x", event.Event{Type: "seccft"}, pipeline.Destination{LogGroup: "/a/seccft", LogStream: "seccft/x"}},
		"category":         {"/a", "{category}", event.Event{Type: "fp"}, pipeline.Destination{LogGroup: "/a", LogStream: "auth.login.fail"}},
		"unknown type":     {"/a", "{category}.{type}", event.Event{Type: "brand_new"}, pipeline.Destination{LogGroup: "/a", LogStream: "none.brand_new"}},
		"missing type":     {"/a", "{type}", event.Event{}, pipeline.Destination{LogGroup: "/a", LogStream: "none"}},
		"confined":         {"/a/{type}", "{type}", event.Event{Type: "../b:*\n"}, pipeline.Destination{LogGroup: "/a/.._b___", LogStream: ".._b___"}},
		"long value":       {"/a", "{type}", event.Event{Type: strings.Repeat("x", 600)}, pipeline.Destination{LogGroup: "/a", LogStream: strings.Repeat("x", 64)}},
		"not Latin":        {"/a", "{type}", event.Event{Type: "日本"}, pipeline.Destination{LogGroup: "/a", LogStream: "__"}},
		"several in a row": {"/a", "{date}{type}", event.Event{Date: day, Type: "s"}, pipeline.Destination{LogGroup: "/a", LogStream: "2026-11-23s"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			route, fixed, err := transform.NewRoute("acme", tt.group, tt.stream)
			if err != nil {
				t.Fatal(err)
			}
			if want := name == "fixed" || name == "tenant"; fixed != want {
				t.Errorf("fixed is %t, want %t", fixed, want)
			}
			if diff := cmp.Diff(tt.want, route(tt.event)); diff != "" {
				t.Errorf("destination (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRouteRefusesBadTemplates(t *testing.T) {
	t.Parallel()
	for template, want := range map[string]string{
		"{user}": "unknown placeholder {user}: known are {tenant}, {date}, {type}, {category}",
		"{date":  "a brace is not closed",
		"":       "it is empty",
	} {
		_, _, err := transform.NewRoute("acme", "/a", template)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "log_stream") {
			t.Errorf("stream template %q: got error %v, want one with %q", template, err, want)
		}
		if _, _, err := transform.NewRoute("acme", template, "s"); err == nil || !strings.Contains(err.Error(), "log_group") {
			t.Errorf("group template %q: got error %v, want one that names log_group", template, err)
		}
	}
}

// Whatever an event says, the names stay valid for AWS and the value in its place.
func TestRouteConfinesEveryValue(t *testing.T) {
	t.Parallel()
	route, _, err := transform.NewRoute("acme", "/auth0/{type}/end", "a/{type}/b")
	if err != nil {
		t.Fatal(err)
	}
	group, stream := regexp.MustCompile(`^/auth0/[.\-_#A-Za-z0-9]+/end$`), regexp.MustCompile(`^a/[^:*/]+/b$`)
	rapid.Check(t, func(t *rapid.T) {
		d := route(event.Event{Type: rapid.String().Draw(t, "type")})
		if !group.MatchString(d.LogGroup) || len(d.LogGroup) > 512 {
			t.Fatalf("log group %q leaves its place", d.LogGroup)
		}
		if !stream.MatchString(d.LogStream) || len(d.LogStream) > 512 {
			t.Fatalf("log stream %q leaves its place", d.LogStream)
		}
	})
}

func ExampleNewRoute() {
	route, _, err := transform.NewRoute("dev-tenant", "/auth0/{tenant}", "{date}/{category}")
	if err != nil {
		panic(err)
	}
	d := route(event.Event{Type: "fp", Date: time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)})
	fmt.Println(d.LogGroup, d.LogStream)
	// Output: /auth0/dev-tenant 2026-11-23/auth.login.fail
}
