package notify_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	logs "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/google/go-cmp/cmp"
	"github.com/tidwall/gjson"

	"github.com/gaplesslogs/gapless/internal/emulator"
	"github.com/gaplesslogs/gapless/internal/emulator/cloudwatch"
	"github.com/gaplesslogs/gapless/internal/notify"
)

// message is one of a beginning and an end.
func message() notify.Message {
	at := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	return notify.Message{ID: "m1", About: notify.AboutAlerts, At: at, Instance: "prod <eu>", Version: "1", Notices: []notify.Notice{
		{State: notify.StateFiring, Alert: notify.Alert{ID: "a1", Kind: notify.KindCredentialsRefused, Tenant: "dev", Part: "poll", Severity: notify.Critical, Message: "access_denied <!channel> & more", Hint: "Set it.", Since: at.Add(-time.Minute), Round: 1}},
		{State: notify.StateEnded, Alert: notify.Alert{ID: "a2", Kind: notify.KindDiskFull, Severity: notify.Critical, Message: "10 MiB", Since: at.Add(-2 * time.Hour), Ended: at.Add(-time.Hour), Round: 2}},
	}}
}

// TestWebhookIsSigned sends a message and checks the signature as a receiver does.
func TestWebhookIsSigned(t *testing.T) {
	t.Parallel()
	n := newNet()
	w := &notify.Webhook{
		URL: literal("https://alerts.example.com/hook"), Key: literal("key"), Client: notify.NewClient(n), Agent: "gapless/1",
		Headers: []notify.Header{{Name: "Authorization", Value: literal("Bearer x")}},
	}
	if err := w.Send(t.Context(), message()); err != nil {
		t.Fatal(err)
	}
	got := n.take("alerts.example.com")[0]
	signature := got.header.Get(notify.SignatureHeader)
	if err := notify.Verify("key", signature, []byte(got.body), time.Now(), 5*time.Minute); err != nil {
		t.Errorf("%s: %v", signature, err)
	}
	for name, err := range map[string]error{
		"another key":  notify.Verify("other", signature, []byte(got.body), time.Now(), 5*time.Minute),
		"another body": notify.Verify("key", signature, []byte(got.body+" "), time.Now(), 5*time.Minute),
		"none":         notify.Verify("key", "", []byte(got.body), time.Now(), 5*time.Minute),
		"another time": notify.Verify("key", "t=1"+strings.TrimPrefix(signature, "t="), []byte(got.body), time.Now(), 5*time.Minute),
	} {
		if !errors.Is(err, notify.ErrSignature) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := notify.Verify("key", signature, []byte(got.body), time.Now().Add(time.Hour), 5*time.Minute); !errors.Is(err, notify.ErrOld) {
		t.Errorf("an hour later: %v", err)
	}
	if got.header.Get("Authorization") != "Bearer x" || got.header.Get("Gapless-About") != "alerts" || got.header.Get("Gapless-Delivery") != "m1" {
		t.Errorf("headers: %v", got.header)
	}
	want := `{"schema":"gapless.notify/1","id":"m1","about":"alerts","at":"2026-11-02T09:00:00Z","instance":"prod \u003ceu\u003e","version":"1",` +
		`"title":"gapless prod \u003ceu\u003e: dev: Credentials are refused; ended: The disk is nearly full","severity":"critical","alerts":[` +
		`{"id":"a1","state":"firing","kind":"credentials_refused","severity":"critical","tenant":"dev","part":"poll","title":"Credentials are refused","message":"access_denied \u003c!channel\u003e \u0026 more","hint":"Set it.","since":"2026-11-02T08:59:00Z","lasted_seconds":60},` +
		`{"id":"a2","state":"ended","kind":"disk_near_full","severity":"critical","title":"The disk is nearly full","message":"10 MiB","since":"2026-11-02T07:00:00Z","ended":"2026-11-02T08:00:00Z","lasted_seconds":3600}]}`
	if diff := cmp.Diff(want, got.body); diff != "" {
		t.Errorf("body (-want +got):\n%s", diff)
	}
}

// TestSlackTakesNothingForMarkup has a message hold what Slack would take for a mention.
func TestSlackTakesNothingForMarkup(t *testing.T) {
	t.Parallel()
	n := newNet()
	s := &notify.Slack{URL: literal("https://hooks.example.com/x"), Client: notify.NewClient(n), Agent: "gapless/1"}
	if err := s.Send(t.Context(), message()); err != nil {
		t.Fatal(err)
	}
	body := n.take("hooks.example.com")[0].body
	for _, b := range gjson.Get(body, "blocks.#.text").Array() {
		if b.Get("type").Str == "mrkdwn" && strings.ContainsAny(b.Get("text").Str, "<>") {
			t.Errorf("markup: %s", b)
		}
	}
	if gjson.Get(body, "blocks.0.type").Str != "header" || !strings.Contains(body, ":rotating_light:") || !strings.Contains(body, ":white_check_mark:") {
		t.Errorf("got %s", body)
	}
}

// TestOnlyHTTPSIsCalled has URLs that must not be called, and quotes none of them.
func TestOnlyHTTPSIsCalled(t *testing.T) {
	t.Parallel()
	for text, good := range map[string]bool{
		"https://hooks.slack.com/services/x": true, "http://127.0.0.1:9/x": true, "http://localhost/x": true, "http://[::1]:9/": true,
		"http://canary.example.com/": false, "https://user:canary@example.com/": false, "canary": false, "https://": false, "https://canary.example.com\n": false,
	} {
		err := notify.CheckURL(text)
		if (err == nil) != good || err != nil && strings.Contains(err.Error(), "canary") {
			t.Errorf("%q: %v", text, err)
		}
		s := &notify.Slack{URL: literal(text), Client: notify.NewClient(newNet()), Agent: "x"}
		if err := s.Send(t.Context(), message()); (err == nil) != good || err != nil && strings.Contains(err.Error(), "canary") {
			t.Errorf("send to %q: %v", text, err)
		}
	}
}

// awsConfig reaches a fake of AWS.
func awsConfig(next http.RoundTripper) aws.Config {
	return aws.Config{
		Region: "eu-central-1", Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "secret", ""),
		HTTPClient: &http.Client{Transport: next}, Retryer: func() aws.Retryer { return aws.NopRetryer{} },
	}
}

func explain(doing, operation string, err error) *notify.SendError {
	return &notify.SendError{Text: doing + ": " + operation + ": " + err.Error()}
}

// TestTopicIsPublishedTo publishes through the real client.
func TestTopicIsPublishedTo(t *testing.T) {
	t.Parallel()
	n := newNet()
	n.answer["sns.eu-central-1.amazonaws.com"] = func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", "text/xml")
		_, _ = w.Write([]byte(`<PublishResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><PublishResult><MessageId>1</MessageId></PublishResult></PublishResponse>`))
	}
	topic := &notify.Topic{ARN: "arn:aws:sns:eu-central-1:123456789012:ops.fifo", API: sns.NewFromConfig(awsConfig(n)), Explain: explain}
	if err := topic.Send(t.Context(), message()); err != nil {
		t.Fatal(err)
	}
	form := n.take("sns.eu-central-1.amazonaws.com")[0].body
	for _, want := range []string{
		"Action=Publish", "TopicArn=arn%3Aaws%3Asns%3Aeu-central-1%3A123456789012%3Aops.fifo", "Subject=gapless+prod+%3Ceu%3E%3A+dev%3A+Credentials+are+refused%3B+ended%3A+The+disk+is+nearly+full",
		"MessageDeduplicationId=m1", "MessageGroupId=gapless", "%5B%22credentials_refused%22%2C%22disk_near_full%22%5D", "%5B%22dev%22%5D", "String.Array", "access_denied",
	} {
		if !strings.Contains(form, want) {
			t.Errorf("%s is not in %s", want, form)
		}
	}
	n.answers("sns.eu-central-1.amazonaws.com", http.StatusForbidden)
	if err := topic.Send(t.Context(), message()); err == nil || !strings.Contains(err.Error(), "publish to the topic") {
		t.Errorf("refused: %v", err)
	}
}

// TestMetricsAreWritten writes metrics into the emulated CloudWatch Logs, where neither
// group nor stream is there.
func TestMetricsAreWritten(t *testing.T) {
	t.Parallel()
	srv, err := cloudwatch.New(cloudwatch.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
	}()
	cfg := awsConfig(emulator.Transport(srv))
	cfg.Region = "us-east-1"
	e := &notify.EMF{
		Group: "/gapless/metrics", Stream: "gapless", Namespace: "Gapless", Instance: "prod", Explain: explain,
		API: logs.NewFromConfig(cfg, func(o *logs.Options) { o.BaseEndpoint = aws.String("http://logs.example.com") }),
	}
	now := time.Now()
	beat := notify.Beat{On: []notify.Alert{{Tenant: "dev"}}, Snapshot: notify.Snapshot{At: now, Tenants: []notify.Tenant{
		{Name: "dev", Fetched: 7, Rejected: map[string]int64{"too_old": 2}, Kept: 3, Queues: []notify.Queue{{Events: 5, Bytes: 50, Lag: time.Minute, Waiting: time.Minute, Delivered: 9}}},
		{Name: "prod"},
	}}}
	if err := e.Beat(t.Context(), beat); err != nil {
		t.Fatal(err)
	}
	if err := e.Test(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := srv.Events("/gapless/metrics", "gapless")
	if len(got) != 3 {
		t.Fatalf("%d lines", len(got))
	}
	line := gjson.Parse(got[0].Message)
	for path, want := range map[string]string{
		"tenant": "dev", "instance": "prod", "_aws.CloudWatchMetrics.0.Namespace": "Gapless", "_aws.CloudWatchMetrics.0.Dimensions": `[["tenant","instance"]]`,
		"DeliveryLag": "60", "Buffered": "5", "DeliveredTotal": "9", "FetchedTotal": "7", "RejectedTotal": "2", "DeadLetters": "3", "Alerts": "1",
	} {
		if got := line.Get(path).String(); got != want {
			t.Errorf("%s is %s, want %s", path, got, want)
		}
	}
	for _, m := range line.Get("_aws.CloudWatchMetrics.0.Metrics.#.Name").Array() { // what is named is there
		if line.Get(m.Str).Type != gjson.Number {
			t.Errorf("%s is no number", m.Str)
		}
	}
	if gjson.Get(got[2].Message, "_aws").Exists() || !strings.Contains(got[2].Message, "test") {
		t.Errorf("the test: %s", got[2].Message)
	}
}

// TestTestSaysWhatItIs sends a test through channels of which one fails.
func TestTestSaysWhatItIs(t *testing.T) {
	t.Parallel()
	s := newStage()
	s.answers("two.example.com", http.StatusForbidden)
	channels := []notify.Channel{s.slack("one"), s.slack("two"), {Name: "beat", Beater: &notify.Heartbeat{
		URL: func(context.Context) (string, error) { return "", errors.New("not there") }, Method: http.MethodGet, Client: s.client,
	}}}
	got := notify.Test(t.Context(), s.settings, "1", channels)
	if got[0].Err != nil || got[1].Err == nil || got[2].Err == nil || got[2].Err.Error() != "the URL cannot be had: not there" {
		t.Errorf("got %v", got)
	}
	if e, ok := errors.AsType[*notify.SendError](got[1].Err); !ok || !e.Refused || e.Hint == "" {
		t.Errorf("refused: %#v", got[1].Err)
	}
	body := s.take("one.example.com")[0].body
	var m struct{ Text string }
	if err := json.Unmarshal([]byte(body), &m); err != nil || m.Text != "gapless: this is a test, nothing has happened" {
		t.Errorf("%v: %s", err, body)
	}
}

// TestMissingSecretIsToldBeforeItIsNeeded has a channel without a URL while all is well.
func TestMissingSecretIsToldBeforeItIsNeeded(t *testing.T) {
	t.Parallel()
	s := newStage()
	broken := s.slack("broken")
	broken.Sender = &notify.Slack{URL: func(context.Context) (string, error) { return "", errors.New("the variable does not exist") }, Client: s.client}
	synctest.Test(t, func(t *testing.T) {
		s.set(well())
		s.start(t, broken, s.slack("two"))
		pass(time.Minute)
		if got := s.take("two.example.com"); len(got) != 1 || !strings.Contains(got[0].body, "the variable does not exist") {
			t.Errorf("the other was told %v", got)
		}
		s.stop(t)
	})
}

// TestWhatHitsManyTenantsIsOneParagraph has the same happen to several tenants: it is told
// once, with their names. What is told of few, or differs in kind, has a paragraph each.
func TestWhatHitsManyTenantsIsOneParagraph(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	m := notify.Message{About: notify.AboutAlerts, At: at}
	for i := range 6 {
		name := fmt.Sprintf("t%d", 5-i)
		m.Notices = append(m.Notices, notify.Notice{State: notify.StateFiring, Alert: notify.Alert{
			ID: name, Kind: notify.KindRefusing, Severity: notify.Critical, Tenant: name, Part: "delivery", Message: "refused to " + name, Hint: "Allow " + name + ".", Since: at.Add(time.Duration(i) * time.Second),
		}})
	}
	m.Notices = append(m.Notices, notify.Notice{State: notify.StateFiring, Alert: notify.Alert{ID: "x", Kind: notify.KindDiskFull, Severity: notify.Critical, Message: "10 MiB", Since: at}})
	want := "gapless: The destination refuses events (6 tenants), The disk is nearly full\n" +
		"\n[critical] The destination refuses events (6 tenants) (delivery)\nt0, t1, t2, t3, t4, t5\nFor example t0: refused to t0\nSince 2026-11-02T09:00:00Z.\nWhat to do for t0: Allow t0.\n" +
		"\n[critical] The disk is nearly full\n10 MiB\nSince 2026-11-02T09:00:00Z.\n"
	if diff := cmp.Diff(want, m.Text()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	m.Notices = m.Notices[:4]
	if got := m.Text(); strings.Count(got, "[critical] t") != 4 || strings.Contains(got, "For example") {
		t.Errorf("four are told each: %s", got)
	}
}
