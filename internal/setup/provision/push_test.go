package provision_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	bustypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	queuetypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/tidwall/gjson"

	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/emulator"
	"github.com/gaplesslogs/gapless/internal/emulator/moto"
	"github.com/gaplesslogs/gapless/internal/emulator/tenant"
	"github.com/gaplesslogs/gapless/internal/setup/provision"
	"github.com/gaplesslogs/gapless/internal/setup/stack"
)

// router sends what is for EventBridge to the bridge, if there is one, and the rest to
// moto.
type router struct {
	bridge  *bridge
	rest    http.RoundTripper
	recent  int // how many calls find the name of a queue still in use
	refused int
}

// RoundTrip implements http.RoundTripper.
func (r *router) RoundTrip(req *http.Request) (*http.Response, error) {
	target := req.Header.Get("X-Amz-Target")
	switch {
	case r.bridge != nil && strings.HasPrefix(target, "AWSEvents."):
		return emulator.Transport(r.bridge).RoundTrip(req)
	case r.recent > 0 && target == "AmazonSQS.CreateQueue":
		r.recent--
		r.refused++
		return &http.Response{
			StatusCode: http.StatusBadRequest, Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}}, Request: req,
			Body: io.NopCloser(strings.NewReader(`{"__type":"com.amazonaws.sqs#QueueDeletedRecently","message":"You must wait 60 seconds"}`)),
		}, nil
	default:
		return r.rest.RoundTrip(req)
	}
}

// account is moto's, with a bridge of ours before it.
type account struct {
	t      *testing.T
	aws    *provision.AWS
	router *router
	queues *sqs.Client
}

func newAccount(t *testing.T, endpoint string) *account {
	t.Helper()
	plain := &http.Transport{}
	t.Cleanup(plain.CloseIdleConnections)
	a := &account{t: t, router: &router{bridge: newBridge(), rest: plain}}
	var err error
	a.aws, err = provision.NewAWS(t.Context(), config.AWS{Region: "eu-central-1", Endpoint: endpoint}, provision.AWSOptions{
		HTTPClient: &http.Client{Transport: a.router}, Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "secret", ""),
	})
	if err != nil {
		t.Fatal(err)
	}
	a.queues = sqs.NewFromConfig(a.aws.In(""))
	a.router.bridge.send = a.send
	return a
}

// send delivers an event as EventBridge does: the queue's policy must let the rule.
func (a *account) send(ctx context.Context, queueARN, ruleARN string, event []byte) error {
	url := a.url(ctx, queueARN[strings.LastIndex(queueARN, ":")+1:])
	out, err := a.queues.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []queuetypes.QueueAttributeName{"All"}})
	if err != nil {
		return err
	}
	policy := gjson.Get(out.Attributes["Policy"], "Statement.0")
	if policy.Get("Principal.Service").String() != "events.amazonaws.com" || policy.Get("Action").String() != "sqs:SendMessage" ||
		policy.Get("Resource").String() != queueARN || policy.Get("Condition.ArnEquals.aws:SourceArn").String() != ruleARN {
		return fmt.Errorf("the policy of the queue does not let %s: %s", ruleARN, out.Attributes["Policy"])
	}
	_, err = a.queues.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: &url, MessageBody: aws.String(string(event))})
	return err
}

// url looks a queue up.
func (a *account) url(ctx context.Context, name string) string {
	out, err := a.queues.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: &name})
	if err != nil {
		return ""
	}
	return aws.ToString(out.QueueUrl)
}

// received takes a message off a queue that match accepts.
func (a *account) received(url string, match func(body string) bool) string {
	a.t.Helper()
	for {
		out, err := a.queues.ReceiveMessage(a.t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &url, WaitTimeSeconds: 1, MaxNumberOfMessages: 10, VisibilityTimeout: 60})
		if err != nil {
			a.t.Fatal(err)
		}
		for _, m := range out.Messages {
			if match(aws.ToString(m.Body)) {
				return aws.ToString(m.Body)
			}
		}
	}
}

// TestTheEventBridgeWay makes the EventBridge way from nothing, with moto's SQS: its
// first tries fail, events arrive in the queue, what others change is set right, and
// all is taken away but a queue that holds messages.
func TestTheEventBridgeWay(t *testing.T) {
	t.Parallel()
	endpoint := moto.Start(t)
	t.Run("fake", func(t *testing.T) { theWay(t, endpoint) })
	t.Run("witness", func(t *testing.T) { theWitness(t, endpoint) })
}

func theWay(t *testing.T, endpoint string) {
	t.Helper()
	a := newAccount(t, endpoint)
	b := a.router.bridge
	s := newSite(t, dev, tenant.Options{Streams: tenant.StreamOptions{Bus: b, Interval: time.Millisecond}})
	s.options.Push, s.options.Parts = stack.PushEventBridge, []string{stack.PartAuth0, stack.PartQueue}
	var err error
	if s.values, err = a.aws.Values(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.providers = []provision.Provider{provision.NewPush(a.aws, provision.PushOptions{Owner: "gapless", Wait: func(context.Context, time.Duration) error { return nil }})}
	equal(t, "plan", s.plan(), "create Auth0 application dev/gapless", "create Auth0 log stream dev/gapless",
		"create event bus {{Auth0 log stream:dev/gapless:partner_event_source}} (eu-central-1)", "create queue gapless-dev-dead (eu-central-1)",
		"create queue gapless-dev (eu-central-1)", "create event rule gapless-dev (eu-central-1)")

	b.deny = "CreateEventBus"
	err = s.apply()
	if p, missing := provision.MissingPermission(err); !missing || p.Action != "events:CreateEventBus" {
		t.Errorf("error %v, permission %+v", err, p)
	}
	for _, part := range []string{"what the log stream sends is dropped", "PATCH /api/v2/log-streams/lst_0000000000000001", `{"status":"paused"}`} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("the error does not say %q: %v", part, err)
		}
	}
	b.deny, b.hidden, a.router.recent = "PutTargets", 3, 2 // the source is not seen at once, nor is the name of the queue free
	if err := s.apply(); err == nil {
		t.Error("a refused PutTargets is no error")
	}
	b.deny = ""
	equal(t, "plan", s.plan()[5:], "change event rule gapless-dev (eu-central-1) dead_letter_queue queue")
	s.must()
	if b.hidden != 0 || a.router.refused != 2 || len(s.streams()) != 1 {
		t.Errorf("hidden %d, refused %d, %d log streams", b.hidden, a.router.refused, len(s.streams()))
	}

	if err := s.tenant.Append([]byte(`{"log_id":"x1","type":"fp","date":"2026-11-27T05:00:00.000Z"}`)); err != nil {
		t.Fatal(err)
	}
	url := a.url(t.Context(), "gapless-dev")
	message := a.received(url, func(body string) bool { return gjson.Get(body, "detail.log_id").String() == "x1" })
	source := s.streams()[0].PartnerSource
	if gjson.Get(message, "source").String() != source || b.dropped == 0 {
		t.Errorf("message %s; %d events were dropped before there was a bus", message, b.dropped)
	}
	a.checkQueue(url, source)
	s.drift(a, url, source)
	s.takeAway(a, url, source)
}

// checkQueue checks what the queue is like.
func (a *account) checkQueue(url, source string) {
	a.t.Helper()
	out, err := a.queues.GetQueueAttributes(a.t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []queuetypes.QueueAttributeName{"All"}})
	if err != nil {
		a.t.Fatal(err)
	}
	redrive := out.Attributes["RedrivePolicy"]
	if out.Attributes["MessageRetentionPeriod"] != "1209600" || gjson.Get(redrive, "maxReceiveCount").Int() != 20 ||
		gjson.Get(redrive, "deadLetterTargetArn").String() != "arn:aws:sqs:eu-central-1:123456789012:gapless-dev-dead" {
		a.t.Errorf("attributes %v", out.Attributes)
	}
	target := a.router.bridge.buses[source].rules["gapless-dev"].targets["gapless"]
	if dead := gjson.GetBytes(target, "DeadLetterConfig.Arn").String(); dead != "arn:aws:sqs:eu-central-1:123456789012:gapless-dev-dead" {
		a.t.Errorf("target %s", target)
	}
}

// drift lets others change things, and sets them right.
func (s *site) drift(a *account, url, source string) {
	s.t.Helper()
	_, err := a.queues.SetQueueAttributes(s.t.Context(), &sqs.SetQueueAttributesInput{QueueUrl: &url, Attributes: map[string]string{
		"Policy": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"sqs:*","Resource":"*"}]}`, "MessageRetentionPeriod": "60", "RedrivePolicy": "",
	}})
	if err != nil {
		s.t.Fatal(err)
	}
	on := a.router.bridge.buses[source]
	on.rules["gapless-dev"].state = "DISABLED"
	s.cfg.Setup.Tags = map[string]string{"team": "security"}
	s.options.Tags = s.cfg.Setup.Tags
	plan := s.plan()
	equal(s.t, "plan", []string{plan[2], plan[4], plan[5]},
		"change event bus {{Auth0 log stream:dev/gapless:partner_event_source}} (eu-central-1) tags.team",
		"change queue gapless-dev (eu-central-1) dead_letter_queue max_receives policy retention_seconds tags.team "+heldNote(plan[4]),
		"change event rule gapless-dev (eu-central-1) pattern tags.team (it is disabled)")
	s.must()
	if on.tags["team"] != "security" || on.rules["gapless-dev"].tags["team"] != "security" || on.rules["gapless-dev"].state != "ENABLED" {
		s.t.Errorf("bus %+v, rule %+v", on, on.rules["gapless-dev"])
	}
}

// heldNote returns the note of a plan's line: how many messages there are depends on
// what setup itself has done.
func heldNote(line string) string {
	_, note, _ := strings.Cut(line, "(it holds about ")
	return "(it holds about " + note
}

// takeAway removes it all.
func (s *site) takeAway(a *account, url, source string) {
	s.t.Helper()
	on := a.router.bridge.buses[source]
	on.rules["theirs"] = &rule{tags: map[string]string{}}
	on.rules["gapless-dev"].targets["theirs"] = json.RawMessage(`{"Id":"theirs","Arn":"arn:aws:lambda:eu-central-1:123456789012:function:f"}`)
	e, st := s.engine()
	p, err := e.PlanRemoval(s.t.Context(), st)
	if err != nil {
		s.t.Fatal(err)
	}
	plan := lines(p)
	if !strings.HasPrefix(plan[1], "leave queue gapless-dev ") || !strings.Contains(plan[3], "the rule theirs of others hangs on it") {
		s.t.Errorf("removal plan %q", plan)
	}
	if _, err := e.Apply(s.t.Context(), p, nil); err == nil || !strings.Contains(err.Error(), "the rule has targets of others") {
		s.t.Errorf("removal of a rule with others' targets: %v", err)
	}
	delete(on.rules, "theirs")
	delete(on.rules["gapless-dev"].targets, "theirs")
	plan = s.destroy()
	equal(s.t, "removal", []string{plan[0], plan[2], plan[3], plan[4], plan[5]}, "remove event rule gapless-dev (eu-central-1)", "remove queue gapless-dev-dead (eu-central-1)",
		"remove event bus {{Auth0 log stream:dev/gapless:partner_event_source}} (eu-central-1)", "remove Auth0 log stream dev/gapless", "remove Auth0 application dev/gapless")
	if a.url(s.t.Context(), "gapless-dev") == "" || a.url(s.t.Context(), "gapless-dev-dead") != "" || len(a.router.bridge.buses) != 0 {
		s.t.Error("the queue with messages is gone, or something else is not")
	}
	if _, err := a.queues.PurgeQueue(s.t.Context(), &sqs.PurgeQueueInput{QueueUrl: &url}); err != nil {
		s.t.Fatal(err)
	}
	equal(s.t, "removal", s.destroy()[1:2], "remove queue gapless-dev (eu-central-1)")
	if a.url(s.t.Context(), "gapless-dev") != "" {
		s.t.Error("the queue is there")
	}
}

// theWitness is with moto's own EventBridge: a bus of a partner event source, and a rule whose events end in a queue. moto hangs
// no rules on the bus of a partner, so that the rule is on another.
func theWitness(t *testing.T, endpoint string) {
	t.Helper()
	a := newAccount(t, endpoint)
	a.router.bridge = nil
	ctx := t.Context()
	v, err := a.aws.Values(ctx)
	if err != nil {
		t.Fatal(err)
	}
	client := eventbridge.NewFromConfig(a.aws.In(""))
	const source = "aws.partner/auth0.com/dev-tenant-1/auth0.logs"
	if _, err := client.CreatePartnerEventSource(ctx, &eventbridge.CreatePartnerEventSourceInput{Name: aws.String(source), Account: aws.String(v[stack.Account])}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.CreateEventBus(ctx, &eventbridge.CreateEventBusInput{Name: aws.String("custom")}); err != nil {
		t.Fatal(err)
	}
	tags := map[string]string{stack.ManagedBy: "gapless"}
	e, err := provision.New(provision.Options{}, v, provision.NewPush(a.aws, provision.PushOptions{Owner: "gapless"}))
	if err != nil {
		t.Fatal(err)
	}
	st := stack.Stack{Resources: []stack.Resource{
		&stack.EventBus{Region: "eu-central-1", Source: source, Tags: tags},
		&stack.Queue{Region: "eu-central-1", Name: "gapless-witness", RetentionSeconds: 1_209_600, VisibilitySeconds: 120, Tags: tags},
		&stack.Rule{Region: "eu-central-1", Bus: "custom", Name: "gapless-dev", Pattern: `{"source":[{"prefix":"aws.partner/auth0.com"}]}`, Queue: "gapless-witness", Tags: tags},
	}}
	for range 2 {
		p, err := e.Plan(ctx, st)
		if err != nil {
			t.Fatal(err)
		}
		if out, err := e.Apply(ctx, p, nil); err != nil || len(out.Unkept) > 0 {
			t.Fatalf("apply: %v, not kept %+v", err, out.Unkept)
		}
	}
	p, err := e.Plan(ctx, st)
	if err != nil || p.Count(provision.ActionKeep) != 3 {
		t.Errorf("plan %q, %v", lines(p), err)
	}
	_, err = client.PutEvents(ctx, &eventbridge.PutEventsInput{Entries: []bustypes.PutEventsRequestEntry{{
		EventBusName: aws.String("custom"), Source: aws.String(source), DetailType: aws.String("Auth0 log"), Detail: aws.String(`{"log_id":"x1","data":{"type":"s"}}`),
	}}})
	if err != nil {
		t.Fatal(err)
	}
	a.received(a.url(ctx, "gapless-witness"), func(body string) bool { return gjson.Get(body, "detail.log_id").String() == "x1" })
	if _, err := a.queues.PurgeQueue(ctx, &sqs.PurgeQueueInput{QueueUrl: aws.String(a.url(ctx, "gapless-witness"))}); err != nil {
		t.Fatal(err)
	}
	if p, err = e.PlanRemoval(ctx, st); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Apply(ctx, p, nil); err != nil {
		t.Fatal(err)
	}
	_, err = client.DescribeEventBus(ctx, &eventbridge.DescribeEventBusInput{Name: aws.String(source)})
	if _, missing := errors.AsType[*bustypes.ResourceNotFoundException](err); !missing || p.Count(provision.ActionRemove) != 3 {
		t.Errorf("removal %q; the bus: %v", lines(p), err)
	}
}
