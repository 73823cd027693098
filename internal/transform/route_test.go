package transform_test

import (
	"encoding/json"
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

// rec is an event of a record.
func rec(raw string) event.Event { return event.Event{LogID: "1", Raw: []byte(raw)} }

// newRoute returns what a pair of templates of tenant acme makes of events, without a bound, and
// whether it is the same for all.
func newRoute(group, stream string) (route pipeline.Route, fixed bool, err error) {
	r, err := transform.NewRoutes("acme", group, stream, 0)
	if err != nil {
		return nil, false, err
	}
	return r.Route, r.Fixed(), nil
}

func TestRoute(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		group, stream string
		event         event.Event
		want          pipeline.Destination
	}{
		"fixed":             {"/auth0/dev", "logs", event.Event{Type: "s"}, pipeline.Destination{LogGroup: "/auth0/dev", LogStream: "logs"}},
		"tenant":            {"/auth0/{tenant}", "{tenant}-logs", event.Event{}, pipeline.Destination{LogGroup: "/auth0/acme", LogStream: "acme-logs"}},
		"date":              {"/auth0/acme", "{date}", event.Event{Date: day}, pipeline.Destination{LogGroup: "/auth0/acme", LogStream: "2026-11-23"}},
		"date is UTC":       {"/a", "{date}", event.Event{Date: day.In(time.FixedZone("JST", 9*3600))}, pipeline.Destination{LogGroup: "/a", LogStream: "2026-11-23"}},
		"type":              {"/a/{type}", "{type}/x", event.Event{Type: "seccft"}, pipeline.Destination{LogGroup: "/a/seccft", LogStream: "seccft/x"}},
		"category":          {"/a", "{category}", event.Event{Type: "fp"}, pipeline.Destination{LogGroup: "/a", LogStream: "auth.login.fail"}},
		"unknown type":      {"/a", "{category}.{type}", event.Event{Type: "brand_new"}, pipeline.Destination{LogGroup: "/a", LogStream: "none.brand_new"}},
		"missing type":      {"/a", "{type}", event.Event{}, pipeline.Destination{LogGroup: "/a", LogStream: "none"}},
		"confined":          {"/a/{type}", "{type}", event.Event{Type: "../b:*\n"}, pipeline.Destination{LogGroup: "/a/___b___", LogStream: "___b___"}},
		"long value":        {"/a", "{type}", event.Event{Type: strings.Repeat("x", 600)}, pipeline.Destination{LogGroup: "/a", LogStream: strings.Repeat("x", 64)}},
		"not Latin":         {"/a", "{type}", event.Event{Type: "日本"}, pipeline.Destination{LogGroup: "/a", LogStream: "__"}},
		"parts of the date": {"/a/{year}", "{month}/{day}/{hour}", event.Event{Date: day}, pipeline.Destination{LogGroup: "/a/2026", LogStream: "11/23/23"}},
		"severity":          {"/a", "{severity}", event.Event{Type: "fp"}, pipeline.Destination{LogGroup: "/a", LogStream: "error"}},
		"organisation":      {"/a/{organization}", "{client}", rec(`{"client_id":"c1","organization_id":"org_1","organization_name":"x"}`), pipeline.Destination{LogGroup: "/a/org_1", LogStream: "c1"}},
		"escaped":           {"/a", "{organization}", rec(`{"organization\u005fid":"\u006frg"}`), pipeline.Destination{LogGroup: "/a", LogStream: "org"}},
		"the first of two":  {"/a", "{client}", rec(`{"client_id":"a","client_id":"b"}`), pipeline.Destination{LogGroup: "/a", LogStream: "a"}},
		"not top level":     {"/a", "{client}", rec(`{"type":"s","details":{"client_id":"a"},"data":{"client_id":"b"}}`), pipeline.Destination{LogGroup: "/a", LogStream: "none"}},
		"in an envelope":    {"/a", "{client}", rec(`{"log_id":"1","data":{"type":"s","client_id":"b"}}`), pipeline.Destination{LogGroup: "/a", LogStream: "b"}},
		"null":              {"/a", "{client}-{connection}", rec(`{"client_id":null,"connection":{"a":1}}`), pipeline.Destination{LogGroup: "/a", LogStream: "none-none"}},
		"number":            {"/a", "{client}", rec(`{"client_id":17}`), pipeline.Destination{LogGroup: "/a", LogStream: "17"}},
		"two dots":          {"/a/{client}", "x/{client}", rec(`{"client_id":".."}`), pipeline.Destination{LogGroup: "/a/__", LogStream: "x/__"}},
		"edges":             {"/a", "{client}", rec(`{"client_id":" -#.a.b-c. "}`), pipeline.Destination{LogGroup: "/a", LogStream: "____a.b-c__"}},
		"AWS's own":         {"{client}/x", "{client}/x", rec(`{"client_id":"Aws"}`), pipeline.Destination{LogGroup: "_Aws/x", LogStream: "Aws/x"}},
		"AWS's services":    {"/{client}/x", "s", rec(`{"client_id":"aws"}`), pipeline.Destination{LogGroup: "_/aws/x", LogStream: "s"}},
		"AWS's by two":      {"{client}{connection}/x", "s", rec(`{"client_id":"a","connection":"ws"}`), pipeline.Destination{LogGroup: "_aws/x", LogStream: "s"}},
		"AWS's on purpose":  {"/aws/events/{client}", "s", rec(`{"client_id":"c"}`), pipeline.Destination{LogGroup: "/aws/events/c", LogStream: "s"}},
		"several in a row":  {"/a", "{date}{type}", event.Event{Date: day, Type: "s"}, pipeline.Destination{LogGroup: "/a", LogStream: "2026-11-23s"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			route, fixed, err := newRoute(tt.group, tt.stream)
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
		"{user}": "unknown placeholder {user}: known are {tenant}, {date}, {year}, {month}, {day}, {hour}, {type}, {category}, {severity}, {organization}, {client}, {connection}",
		"{date":  "a brace is not closed",
		"":       "it is empty",
	} {
		_, _, err := newRoute("/a", template)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "log_stream") {
			t.Errorf("stream template %q: got error %v, want one with %q", template, err, want)
		}
		if _, _, err := newRoute(template, "s"); err == nil || !strings.Contains(err.Error(), "log_group") {
			t.Errorf("group template %q: got error %v, want one that names log_group", template, err)
		}
	}
}

// Whatever an event says, the names stay valid for AWS and the value in its place.
func TestRouteConfinesEveryValue(t *testing.T) {
	t.Parallel()
	route, _, err := newRoute("/auth0/{type}/{organization}/end", "a/{client}/{connection}/b")
	if err != nil {
		t.Fatal(err)
	}
	group, stream := regexp.MustCompile(`^/auth0/[_A-Za-z0-9]([.\-_#A-Za-z0-9]*[\-_#A-Za-z0-9])?/[_A-Za-z0-9]([.\-_#A-Za-z0-9]*[\-_#A-Za-z0-9])?/end$`),
		regexp.MustCompile(`^a/[^:*/ .\-]([^:*/]*[^:*/ .])?/[^:*/ .\-]([^:*/]*[^:*/ .])?/b$`)
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.OneOf(rapid.String(), rapid.StringMatching(`[./ #-]{1,70}`), rapid.SampledFrom([]string{"..", "../..", "aws", " ", "\x00", "a\u2028b", "日本"}))
		raw, err := json.Marshal(map[string]string{
			"organization_id": value.Draw(t, "organization"), "client_id": value.Draw(t, "client"), "connection": value.Draw(t, "connection"),
		})
		if err != nil {
			t.Fatal(err)
		}
		d := route(event.Event{Type: value.Draw(t, "type"), Raw: raw})
		if !group.MatchString(d.LogGroup) || len(d.LogGroup) > 512 {
			t.Fatalf("log group %q leaves its place", d.LogGroup)
		}
		if !stream.MatchString(d.LogStream) || len(d.LogStream) > 512 {
			t.Fatalf("log stream %q leaves its place", d.LogStream)
		}
	})
}

func ExampleRoutes() {
	routes, err := transform.NewRoutes("dev-tenant", "/auth0/{tenant}", "{date}/{category}", 200)
	if err != nil {
		panic(err)
	}
	d := routes.Route(event.Event{Type: "fp", Date: time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)})
	fmt.Println(d.LogGroup, d.LogStream)
	// Output: /auth0/dev-tenant 2026-11-23/auth.login.fail
}
