package app_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gaplesslogs/gapless/internal/app"
	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/emulator"
	"github.com/gaplesslogs/gapless/internal/emulator/tenant"
	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// arrival is where an event goes, when, and as what.
type arrival struct {
	Stream  string
	At      int64
	Message string
}

// TestRulesSayWhatARunDoes lets a run deliver the events of a tenant with a filter,
// redaction, log streams by template and a shape, and holds what arrived against
// what Rules say of each event.
func TestRulesSayWhatARunDoes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, t.TempDir(), tenant.Unlimited, "dev")
		defer w.close(t.Context(), t)
		s := w.sites[0]
		c := &w.cfg.Tenants[0]
		c.Filter.Types.Deny = []string{"s", "sapi"}
		c.Redact = redactions(t)
		c.CloudWatch.LogStream = "{severity}/{type}"
		c.CloudWatch.Fields = map[string]string{"title": "type_title", "via": "source"}
		s.fill(t, 300)
		for _, raw := range []string{
			plantedEvent("planted", "poll"), tooDeep(t, "deep", "poll"),
			`{"log_id":"future","type":"fp","date":"` + time.Now().Add(3*time.Hour).UTC().Format(time.RFC3339) + `"}`,
		} {
			if err := s.tenant.Append([]byte(strings.Replace(raw, `"type":"s"`, `"type":"fp"`, 1))); err != nil {
				t.Fatal(err)
			}
		}
		w.start(t.Context(), t)
		<-time.After(time.Minute)
		w.stop(t.Context(), t, time.Minute)

		rules, err := app.NewRules(t.Context(), *c, config.Resolver{})
		if err != nil {
			t.Fatal(err)
		}
		var got, want []arrival
		outcomes := map[string]int{}
		for _, raw := range s.tenant.Events() {
			o := rules.Apply(parsed(t, raw), app.FromTenant, time.Now().Add(-time.Minute))
			switch {
			case o.LeftOut != "":
				outcomes[o.LeftOut]++
			case o.Withheld != "":
				outcomes["withheld"]++
			default:
				outcomes[o.Preview.Restamped]++
				at := o.Preview.At.UnixMilli()
				if o.Preview.Restamped != "" {
					at = 0 // of the moment
				}
				got = append(got, arrival{o.Destination.LogStream, at, string(o.Preview.Message)})
			}
		}
		for _, stream := range s.allStreams(t, "/auth0/dev") {
			for _, e := range s.cloudwatch.Events("/auth0/dev", stream) {
				at := e.Timestamp
				if strings.Contains(e.Message, `"future"`) {
					at = 0
				}
				want = append(want, arrival{stream, at, e.Message})
			}
		}
		for _, list := range [][]arrival{got, want} {
			slices.SortFunc(list, func(a, b arrival) int { return strings.Compare(a.Message, b.Message) })
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("what Rules say (-arrived +said):\n%.3000s", d)
		}
		if outcomes["type_denied"] == 0 || outcomes["withheld"] != 1 || outcomes["too_new"] != 1 || outcomes[""] < 50 {
			t.Errorf("outcomes %v", outcomes)
		}
	})
}

// parsed parses a record.
func parsed(t *testing.T, raw []byte) event.Event {
	t.Helper()
	e, err := event.Parse(raw, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// Redact shows what is redacted and what is kept of it; Apply shows nothing of it,
// whatever becomes of the event.
func TestRulesShowWhatTheyAreAskedFor(t *testing.T) {
	t.Parallel()
	c := config.Tenant{Name: "dev", Redact: redactions(t)}
	c.CloudWatch.LogGroup, c.CloudWatch.LogStream = "{tenant}", "{client}"
	rules, err := app.NewRules(t.Context(), c, config.Resolver{})
	if err != nil {
		t.Fatal(err)
	}
	e := parsed(t, []byte(plantedEvent("a", "test")))
	x := rules.Redact(e, false)
	if len(x.Changes) < 10 || x.Withheld != "" || shows(string(x.Event.Raw)) {
		t.Errorf("redacted: %+v", x)
	}
	if all := rules.Redact(e, true); len(all.Changes) <= len(x.Changes) {
		t.Errorf("%d places of %d", len(x.Changes), len(all.Changes))
	}
	if x := rules.Redact(parsed(t, []byte(tooDeep(t, "b", "test"))), true); x.Withheld == "" || x.Changes != nil || shows(string(x.Event.Raw)) {
		t.Errorf("not withheld: %+v", x)
	}
	if got := rules.RuleNames(); !slices.Equal(got, []string{"redact.rules.0", "redact.rules.1", "preset auth0-pii", "preset no-secrets"}) {
		t.Errorf("rules %q", got)
	}
	left, err := app.NewRules(t.Context(), func() config.Tenant { c.Filter.Expression = "false"; return c }(), config.Resolver{})
	if err != nil {
		t.Fatal(err)
	}
	for _, raw := range []string{plantedEvent("a", "x"), tooDeep(t, "b", "x"), strings.Replace(plantedEvent(canary+"@example.com", "x"), `"type":"s"`, `"type":"`+canary+`@example.com"`, 1)} {
		for _, r := range []*app.Rules{rules, left} {
			o := r.Apply(parsed(t, []byte(raw)), app.FromFile, time.Now())
			if shown := fmt.Sprintf("%+v %s %s", o, o.Event.Raw, o.Preview.Message); shows(shown) || (r == left) != (o.LeftOut != "") {
				t.Errorf("shown: %s", shown)
			}
		}
	}
}

// An expression that fails is told without a word of the event.
func TestExplainQuotesNoMember(t *testing.T) {
	t.Parallel()
	rules, err := app.NewFilterRules(config.Tenant{Filter: config.Filter{Expression: `int(event.details.x) > 1`}})
	if err != nil {
		t.Fatal(err)
	}
	x := rules.Explain(parsed(t, []byte(`{"log_id":"a","details":{"x":"canary"}}`)))
	if !x.Kept || x.Err == nil || strings.Contains(x.Words, canary) || !strings.Contains(x.Words, "the expression failed at line 1") {
		t.Errorf("explained: %+v", x)
	}
}

// TestRecentLeavesNoTrace fetches the newest events of a tenant while gapless holds
// its data directory, and without one: nothing is made, nothing is moved.
func TestRecentLeavesNoTrace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, t.TempDir(), tenant.Unlimited, "dev")
		defer w.close(t.Context(), t)
		s := w.sites[0]
		s.fill(t, 250)
		opts := app.Options{Config: w.cfg, Logger: slog.New(slog.DiscardHandler), Auth0HTTP: w}
		recent := func(n int, typ string) []event.Event {
			page, err := app.Recent(t.Context(), opts, w.cfg.Tenants[0], n, typ)
			if err != nil {
				t.Fatal(err)
			}
			return page.Events
		}
		for _, n := range []int{1, 5, 100, 220} {
			got, all := recent(n, ""), s.tenant.Events()
			if len(got) != n || !slices.IsSortedFunc(got, func(a, b event.Event) int { return a.Date.Compare(b.Date) }) {
				t.Errorf("%d events, want %d in order", len(got), n)
			}
			if last := dateOf(string(all[len(all)-1])); got[n-1].Date.Before(last) {
				t.Errorf("the last is of %v, want %v", got[n-1].Date, last)
			}
		}
		if got := recent(1000, ""); len(got) != len(s.tenant.Events()) {
			t.Errorf("%d of all events", len(got))
		}
		for _, e := range recent(50, "s") {
			if e.Type != "s" {
				t.Errorf("an event of type %s", e.Type)
			}
		}
		if entries, err := os.ReadDir(w.cfg.DataDir); err == nil && len(entries) > 0 {
			t.Errorf("%v lies in the data directory", entries)
		}
		w.start(t.Context(), t)
		<-time.After(time.Minute)
		if got := recent(5, ""); len(got) != 5 {
			t.Errorf("%d events beside a running gapless", len(got))
		}
		<-time.After(time.Minute)
		w.stop(t.Context(), t, time.Minute)
		s.compare(t)
	})
}

// A fault that passes is waited out; another one is told with what it means.
func TestRecentWaitsOutWhatPasses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, t.TempDir(), tenant.Unlimited, "dev")
		defer w.close(t.Context(), t)
		s := w.sites[0]
		s.fill(t, 10)
		opts := app.Options{Config: w.cfg, Logger: slog.New(slog.DiscardHandler), Auth0HTTP: w}
		recent := func(ctx context.Context) error {
			_, err := app.Recent(ctx, opts, w.cfg.Tenants[0], 5, "")
			return err
		}
		s.auth0.Add(emulator.Fault{Match: "GET /api/v2/logs", Times: 2, Status: http.StatusBadGateway})
		if err := recent(t.Context()); err != nil {
			t.Errorf("after two faults: %v", err)
		}
		s.auth0.Add(emulator.Fault{Match: "GET /api/v2/logs", Times: -1, Status: http.StatusBadGateway})
		if e, ok := errors.AsType[*pipeline.Error](recent(t.Context())); !ok || e.Class != pipeline.Transient {
			t.Errorf("while it lasts: %v", e)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		gone := errors.New("gone")
		time.AfterFunc(500*time.Millisecond, func() { cancel(gone) })
		if err := recent(ctx); !errors.Is(err, gone) {
			t.Errorf("after the end of its context: %v", err)
		}
		s.auth0.Clear()
		s.auth0.Add(emulator.Fault{Match: "GET /api/v2/logs", Times: -1, Status: http.StatusForbidden})
		if e, ok := errors.AsType[*pipeline.Error](recent(t.Context())); !ok || e.Class != pipeline.Unauthorized {
			t.Errorf("without a permission: %v", e)
		}
	})
}
