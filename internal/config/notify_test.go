package config_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gaplesslogs/gapless/internal/config"
)

// TestNotifyProblems writes what cannot be meant, and looks at what is said, which never
// quotes a URL.
func TestNotifyProblems(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ notify, want string }{
		"no url":             {"slack: [{name: a}]", "notify.slack.0.webhook_url is missing"},
		"no https":           {"slack: [{webhook_url: 'http://hooks.example.com/canary'}]", "notify.slack.0.webhook_url is not a URL with https"},
		"a file":             {"webhook: [{url: 'ftp://hooks.example.com/canary'}]", "notify.webhook.0.url is not a URL with https"},
		"two of a name":      {"slack: [{webhook_url: 'env:A'}, {webhook_url: 'env:B'}]", `notify.slack.1.name is "slack", like that of notify.slack.0`},
		"names across kinds": {"slack: [{name: x, webhook_url: 'env:A'}]\n  heartbeat: [{name: x, url: 'env:B'}]", `notify.heartbeat.0.name is "x", like that of notify.slack.0`},
		"kind":               {"slack: [{webhook_url: 'env:A', kinds: [gaps]}]", `notify.slack.0.kinds holds "gaps"`},
		"tenant":             {"slack: [{webhook_url: 'env:A', tenants: [prod]}]", `notify.slack.0.tenants holds "prod"`},
		"severity":           {"slack: [{webhook_url: 'env:A', severity: high}]", `notify.slack.0.severity "high"`},
		"time":               {"slack: [{webhook_url: 'env:A', report_at: '25:00'}]", `notify.slack.0.report_at "25:00" is not a time`},
		"short time":         {"slack: [{webhook_url: 'env:A', report_at: '9:00'}]", `notify.slack.0.report_at "9:00" is not a time`},
		"zone":               {"slack: [{webhook_url: 'env:A', report_zone: 'Mars/Base'}]", `notify.slack.0.report_zone "Mars/Base"`},
		"topic":              {"sns: [{topic_arn: 'arn:aws:sqs:eu-central-1:123456789012:x'}]", "notify.sns.0.topic_arn"},
		"events' group":      {"emf: [{log_group: '/auth0/dev-tenant'}]", "notify.emf.0.log_group is where events of"},
		"namespace":          {"emf: [{namespace: AWS/Logs}]", "notify.emf.0.namespace"},
		"header":             {"webhook: [{url: 'env:A', headers: [{name: 'a b', value: 'env:B'}]}]", "notify.webhook.0.headers.0.name"},
		"thresholds":         {"thresholds: {delivery_lag: 2h}", "notify.thresholds.delivery_lag_critical is less than delivery_lag"},
		"repeats":            {"repeat_every: 1m", "notify.repeat_every 1m is less than the least"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			base := minimal
			if name == "events' group" {
				base += "    cloudwatch: {log_group: /auth0/dev-tenant}\n"
			}
			_, err := load(t, base+"notify:\n  "+c.notify+"\n")
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "canary") {
				t.Errorf("got %v, want it to say %q and to quote no URL", err, c.want)
			}
		})
	}
}

// TestNotifyDefaults reads channels of which only what must be is written.
func TestNotifyDefaults(t *testing.T) {
	t.Parallel()
	cfg := mustLoad(t, minimal+"notify:\n  slack: [{webhook_url: 'env:A'}]\n  webhook: [{url: 'http://127.0.0.1:9/x', report_at: '09:30', report_zone: Asia/Tokyo}]\n  emf: [{}]\n  heartbeat: [{url: 'env:B'}]\n")
	n := cfg.Notify
	if n.Slack[0].Name != "slack" || n.Webhook[0].Name != "webhook" || n.EMF[0].Name != "emf" || n.Heartbeat[0].Name != "heartbeat" {
		t.Errorf("names: %+v", n)
	}
	if n.Slack[0].Success || n.Slack[0].SuccessEvery != 6*time.Hour || n.EMF[0].LogGroup != "/gapless/metrics" || n.Heartbeat[0].Method != http.MethodGet {
		t.Errorf("defaults: %+v", n)
	}
	if _, _, _, ok := n.Slack[0].Clock(); ok {
		t.Error("a report is sent that nobody asked for")
	}
	hour, minute, zone, ok := n.Webhook[0].Clock()
	if !ok || hour != 9 || minute != 30 || zone.String() != "Asia/Tokyo" {
		t.Errorf("clock: %d:%d %v %v", hour, minute, zone, ok)
	}
	if got := config.RegionOfTopic("arn:aws:sns:eu-central-1:123456789012:x"); got != "eu-central-1" {
		t.Errorf("region of the topic: %q", got)
	}
}
