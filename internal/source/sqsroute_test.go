package source_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/gaplesslogs/gapless/internal/cloudwatch"
	queues "github.com/gaplesslogs/gapless/internal/emulator/sqs"
	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/pipeline/pipelinetest"
	"github.com/gaplesslogs/gapless/internal/source"
)

// TestSQSBodies reads every form of a message, and what is none.
func TestSQSBodies(t *testing.T) {
	t.Parallel()
	record := func(id string) string {
		return fmt.Sprintf(`{"date":"2026-11-11T06:46:23.765Z","type":"s","log_id":%q}`, id)
	}
	quoted := func(s string) string {
		b, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	for name, c := range map[string]struct {
		body       string
		ids        []string
		unreadable []string
	}{
		"envelope":            {body: envelope(partner("dev"), "a", "dev"), ids: []string{"a"}},
		"detail":              {body: `{"log_id":"a","data":` + record("a") + `}`, ids: []string{"a"}},
		"bare record":         {body: record("a"), ids: []string{"a"}},
		"array of envelopes":  {body: `[` + envelope(partner("dev"), "a", "dev") + `,` + envelope(partner("dev"), "b", "dev") + `]`, ids: []string{"a", "b"}},
		"array of records":    {body: `[` + record("a") + `,{"log_id":"b","data":` + record("b") + `}]`, ids: []string{"a", "b"}},
		"lines":               {body: record("a") + "\n" + record("b"), ids: []string{"a", "b"}},
		"from SNS":            {body: `{"Type":"Notification","TopicArn":"arn:aws:sns:eu-west-1:123456789012:x","Message":` + quoted(record("a")) + `}`, ids: []string{"a"}},
		"text of a template":  {body: quoted(record("a")), ids: []string{"a"}},
		"no JSON":             {body: "<html>", unreadable: []string{"<html>"}},
		"empty list":          {body: "[]", unreadable: []string{"[]"}},
		"cut off":             {body: record("a")[:30], unreadable: []string{record("a")[:30]}},
		"cut off in an array": {body: `[` + record("a") + `,{"log_id`, ids: []string{"a"}, unreadable: []string{`{"log_id`}},
		"foreign event":       {body: `{"source":"aws.ec2","detail-type":"x","detail":{"state":"running"}}`, unreadable: []string{`{"source":"aws.ec2","detail-type":"x","detail":{"state":"running"}}`}},
		"one of two":          {body: `[` + record("a") + `,7]`, ids: []string{"a"}, unreadable: []string{"7"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newSQS(queues.Options{}, queues.Queue{})
				s.Send(queueName, c.body)
				in := startQueueRun(t, t.Context(), alone(s), new(pipelinetest.Pages))
				<-time.After(time.Minute)
				in.end()
				var unreadable []string
				for _, p := range in.disk.All() {
					for _, u := range p.Unreadable {
						unreadable = append(unreadable, string(u.Raw))
					}
				}
				if d := cmp.Diff(c.ids, in.disk.IDs()); d != "" {
					t.Errorf("events (-want +got):\n%s", d)
				}
				if d := cmp.Diff(c.unreadable, unreadable); d != "" {
					t.Errorf("unreadable (-want +got):\n%s", d)
				}
				if left := s.Messages(queueName); len(left) > 0 {
					t.Errorf("the message is left in the queue")
				}
			})
		})
	}
}

// TestSQSRoutes has two tenants on one queue: each gets its own events, whoever
// received them; those of a third stay in the queue, out of the way, and are told.
func TestSQSRoutes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSQS(queues.Options{Seed: 3}, queues.Queue{})
		var mu sync.Mutex
		var told []string
		q := &source.Queue{URL: queueURL, OnStray: func(_ context.Context, e *pipeline.Error) {
			mu.Lock()
			defer mu.Unlock()
			if e == nil {
				told = append(told, "over")
				return
			}
			told = append(told, e.Error())
		}}
		one := join(q, s, source.SQSConfig{Source: partner("one")})
		two := join(q, s, source.SQSConfig{TenantName: "two"})
		var ones, twos []string
		for i := range 40 {
			a, b := fmt.Sprintf("one-%02d", i), fmt.Sprintf("two-%02d", i)
			ones, twos = append(ones, a), append(twos, b)
			s.Send(queueName, envelope(partner("one"), a, ""), envelope(partner("x"), b, "two"))
		}
		both := `[` + envelope(partner("one"), "one-mixed", "") + `,` + envelope(partner("two"), "two-mixed", "two") + `]`
		s.Send(queueName, both, envelope(partner("three"), "three-00", "three"), "no JSON")
		ones, twos = append(ones, "one-mixed"), append(twos, "two-mixed")
		ins := []*queueRun{startQueueRun(t, t.Context(), one, new(pipelinetest.Pages)), startQueueRun(t, t.Context(), two, new(pipelinetest.Pages))}
		<-time.After(14 * time.Minute)
		left := s.Messages(queueName)
		if len(left) != 1 || left[0].Receives != 1 || !strings.Contains(left[0].Body, "three-00") {
			t.Errorf("left in the queue: %+v", left)
		}
		<-time.After(15 * time.Minute) // it comes again
		mu.Lock()
		want := []string{"route messages of queue " + queueURL + ": events belong to no tenant that reads this queue (source " + partner("three") + ", tenant_name three)"}
		if d := cmp.Diff(want, told); d != "" {
			t.Errorf("told (-want +got):\n%s", d)
		}
		mu.Unlock()
		for _, in := range ins {
			in.end()
		}
		// The tenant is configured: what has stayed in the queue arrives.
		third := startQueueRun(t, t.Context(), join(&source.Queue{URL: queueURL}, s, source.SQSConfig{TenantName: "three"}), new(pipelinetest.Pages))
		<-time.After(time.Hour)
		third.end()
		for i, want := range [][]string{ones, twos, {"three-00"}} {
			if d := cmp.Diff(want, append(ins, third)[i].disk.IDs()); d != "" {
				t.Errorf("tenant %d (-want +got):\n%s", i, d)
			}
		}
		letters := 0
		for _, p := range ins[0].disk.All() {
			letters += len(p.Unreadable)
		}
		if letters != 1 {
			t.Errorf("%d unreadable pieces went to the first tenant", letters)
		}
	})
}

// TestSQSStrayIsOver tells the end of strays once none has come for a while.
func TestSQSStrayIsOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSQS(queues.Options{}, queues.Queue{MaxReceives: 3, DeadLetters: "dead"})
		var told []bool
		q := &source.Queue{URL: queueURL, OnStray: func(_ context.Context, e *pipeline.Error) { told = append(told, e != nil) }}
		s.Send(queueName, envelope(partner("three"), "three", "three"))
		in := startQueueRun(t, t.Context(), join(q, s, source.SQSConfig{Source: partner("one"), Receivers: 1}), new(pipelinetest.Pages))
		<-time.After(2 * time.Hour)
		in.end()
		if d := cmp.Diff([]bool{true, false}, told); d != "" {
			t.Errorf("told (-want +got):\n%s", d)
		}
		if len(s.Messages("dead")) != 1 || len(in.disk.IDs()) != 0 {
			t.Errorf("the redrive policy of the queue has not moved the message")
		}
	})
}

// TestSQSTenantWaits lets the disk take nothing of one of two tenants: its messages
// use up no receives, and the other's in hand are stored.
func TestSQSTenantWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSQS(queues.Options{}, queues.Queue{MaxReceives: 1, DeadLetters: "dead"})
		q := &source.Queue{URL: queueURL}
		var room atomic.Bool
		one := startQueueRun(t, t.Context(), join(q, s, source.SQSConfig{Source: partner("one")}), &pipelinetest.Pages{Fault: func(context.Context, int, event.Page) error {
			if !room.Load() {
				return errors.New("no room")
			}
			return nil
		}})
		two := startQueueRun(t, t.Context(), join(q, s, source.SQSConfig{Source: partner("two")}), new(pipelinetest.Pages))
		var ones, twos []string
		for i := range 100 {
			a, b := fmt.Sprintf("one-%02d", i), fmt.Sprintf("two-%02d", i)
			ones, twos = append(ones, a), append(twos, b)
			s.Send(queueName, envelope(partner("one"), a, ""), envelope(partner("two"), b, ""))
		}
		<-time.After(3 * time.Hour)
		if n := len(two.disk.IDs()); n == 0 {
			t.Error("nothing of the other tenant was stored")
		}
		if told := two.told(); len(told) > 0 {
			t.Errorf("the other tenant was told %q", told)
		}
		room.Store(true)
		<-time.After(10 * time.Minute)
		one.end()
		two.end()
		if a, b := one.disk.Missing(ones), two.disk.Missing(twos); len(a)+len(b) > 0 {
			t.Errorf("missing: %d and %d", len(a), len(b))
		}
		if n := len(s.Messages("dead")) + len(s.Messages(queueName)); n > 0 {
			t.Errorf("%d messages are left or were moved to the dead letters", n)
		}
	})
}

// TestSQSMetrics counts messages.
func TestSQSMetrics(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSQS(queues.Options{}, queues.Queue{})
		fill(s, 25)
		s.Send(queueName, envelope(partner("three"), "three", "three"))
		reg := prometheus.NewPedanticRegistry()
		src := (&source.Queue{URL: queueURL}).Join(source.SQSConfig{Receivers: 2, Source: partner("dev")}, sqsClient(s), source.SQSDeps{
			Logger: slog.New(slog.DiscardHandler), Explain: cloudwatch.ExplainAWS, Registerer: reg, Tenant: "dev",
		})
		in := startQueueRun(t, t.Context(), src, new(pipelinetest.Pages))
		<-time.After(time.Minute)
		in.end()
		families, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		got := make(map[string]float64)
		for _, f := range families {
			got[f.GetName()] = f.GetMetric()[0].GetCounter().GetValue()
		}
		want := map[string]float64{"gapless_sqs_received_messages_total": 26, "gapless_sqs_deleted_messages_total": 25, "gapless_sqs_stray_messages_total": 1}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
	})
}
