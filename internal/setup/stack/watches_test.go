package stack

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	logs "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/google/go-cmp/cmp"

	"github.com/gaplesslogs/gapless/internal/emulator/cloudwatch"
	"github.com/gaplesslogs/gapless/internal/event"
)

// inProcess answers requests without a network.
type inProcess struct{ http.Handler }

func (h inProcess) Do(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result(), nil
}

// filled returns a client of an emulated CloudWatch Logs with events in a group.
func filled(t *testing.T, group string, events []event.Event) *logs.Client {
	t.Helper()
	server, err := cloudwatch.New(cloudwatch.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	client := logs.New(logs.Options{
		Region: "eu-central-1", BaseEndpoint: aws.String("http://logs.test"), HTTPClient: inProcess{server}, Retryer: aws.NopRetryer{},
		Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "secret", ""),
	})
	ctx := t.Context()
	if _, err := client.CreateLogGroup(ctx, &logs.CreateLogGroupInput{LogGroupName: &group}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.CreateLogStream(ctx, &logs.CreateLogStreamInput{LogGroupName: &group, LogStreamName: aws.String("logs")}); err != nil {
		t.Fatal(err)
	}
	for batch := range slices.Chunk(events, 400) {
		in := &logs.PutLogEventsInput{LogGroupName: &group, LogStreamName: aws.String("logs")}
		for _, e := range batch {
			in.LogEvents = append(in.LogEvents, types.InputLogEvent{Message: aws.String(string(e.Raw)), Timestamp: aws.Int64(time.Now().UnixMilli())})
		}
		slices.SortFunc(in.LogEvents, func(a, b types.InputLogEvent) int { return int(*a.Timestamp - *b.Timestamp) })
		if _, err := client.PutLogEvents(ctx, in); err != nil {
			t.Fatal(err)
		}
	}
	return client
}

// matched returns the ids of the events that a pattern matches, in order.
func matched(ctx context.Context, t *testing.T, client *logs.Client, group, pattern string) (ids []string) {
	t.Helper()
	pages := logs.NewFilterLogEventsPaginator(client, &logs.FilterLogEventsInput{LogGroupName: &group, FilterPattern: &pattern})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			t.Fatalf("%s: %v", pattern, err)
		}
		for _, e := range page.Events {
			ids = append(ids, idOf(t, *e.Message))
		}
	}
	slices.Sort(ids)
	return ids
}

func idOf(t *testing.T, message string) string {
	t.Helper()
	var r struct {
		LogID string `json:"log_id"`
		Data  struct {
			LogID string `json:"log_id"`
		}
	}
	if err := json.Unmarshal([]byte(message), &r); err != nil {
		t.Fatal(err)
	}
	return r.LogID + r.Data.LogID
}

// counted says which events a watch is for, without its pattern.
func counted(slug string, f map[string]any) bool {
	is := func(codes []string) bool { code, _ := f["type"].(string); return slices.Contains(codes, code) }
	channel, _ := f["details.request.channel"].(string)
	switch slug {
	case "logins":
		return is(codesLogin())
	case "logins-failed":
		return is(codesLoginFailed())
	case "accounts-blocked":
		return is([]string{"limit_wc", "limit_sul"})
	case "addresses-blocked":
		return is([]string{"limit_mu"})
	case "logins-at-risk":
		return is(codesLogin()) && f["details.riskAssessment.confidence"] == "low"
	case "mfa-refused":
		return is(codesMFARefused())
	case "password-changes":
		return is([]string{"scp"})
	case "breached-passwords":
		return is([]string{"pwd_leak", "reset_pwd_leak", "signup_pwd_leak"})
	case "signups":
		return is([]string{"ss"})
	case "admin-changes":
		return is(codesAdmin())
	case "dashboard-changes":
		return is([]string{"sapi"}) && strings.HasPrefix(channel, "https://manage.auth0.com") || is([]string{"gd_tenant_update"})
	case "secrets-read":
		return is([]string{"mgmt_api_read"})
	case "tokens":
		return is(codesToken())
	case "tokens-refused":
		return is(codesTokenRefused())
	case "rate-limits":
		return is([]string{"api_limit", "limit_delegation", "limit_ui"})
	case "rate-limit-warnings":
		return is(codesRateWarned())
	case "extensions-failed":
		return is(codesExtension())
	case "messages-unsent":
		return is(codesUnsent())
	default:
		return false
	}
}

// TestPatternsMatchExactlyTheirEvents has the patterns looked at by the emulator's
// matcher, over one event of each type and some thousand others.
func TestPatternsMatchExactlyTheirEvents(t *testing.T) {
	t.Parallel()
	const group = "/auth0/dev-tenant"
	events := records(t)
	client := filled(t, group, events)
	var ids []string
	var flats []map[string]any
	for _, e := range events {
		ids, flats = append(ids, idOf(t, string(e.Raw))), append(flats, flat(t, e))
	}
	for _, w := range Watches() {
		var want []string
		for i, f := range flats {
			if counted(w.Slug, f) {
				want = append(want, ids[i])
			}
		}
		slices.Sort(want)
		if len(want) == 0 {
			t.Errorf("%s: no event to match", w.Slug)
		}
		if d := cmp.Diff(want, matched(t.Context(), t, client, group, w.Pattern)); d != "" {
			t.Errorf("%s: %s (-want +matched):\n%s", w.Slug, w.Pattern, d)
		}
		if len(w.Pattern) > 1024 {
			t.Errorf("%s: the pattern has %d characters, AWS takes 1,024", w.Slug, len(w.Pattern))
		}
	}
}

func TestWatchesAreWhole(t *testing.T) {
	t.Parallel()
	slugs, metrics := map[string]bool{}, map[string]bool{}
	for _, w := range Watches() {
		if slugs[w.Slug] || metrics[w.Metric] || w.Slug == "" || w.Metric == "" || w.Counts == "" {
			t.Errorf("%+v: a name is missing or taken", w)
		}
		slugs[w.Slug], metrics[w.Metric] = true, true
		if (w.Threshold > 0) != (w.Why != "") || (w.Threshold > 0) != (w.Period >= time.Minute) || w.Period%time.Minute != 0 {
			t.Errorf("%s: threshold, period and reason do not go together", w.Slug)
		}
		if !slices.ContainsFunc(SavedQueries(), func(q SavedQuery) bool { return q.Title == w.Query }) {
			t.Errorf("%s: there is no query %q", w.Slug, w.Query)
		}
	}
}
