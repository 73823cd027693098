package app_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tidwall/gjson"

	"github.com/gaplesslogs/gapless/internal/emulator"
	"github.com/gaplesslogs/gapless/internal/emulator/sqs"
	"github.com/gaplesslogs/gapless/internal/emulator/tenant"
	"github.com/gaplesslogs/gapless/internal/web"
)

// queueURL is the queue of the tests.
const queueURL = "https://sqs.us-east-1.amazonaws.com/123456789012/auth0"

// queue adds a queue, which every tenant of a world reads, to it.
func (w *world) queue(opts sqs.Options) *sqs.Server {
	s := sqs.New(opts)
	s.Create("auth0", sqs.Queue{})
	w.reads(s)
	return s
}

// reads lets every tenant of a world read a queue.
func (w *world) reads(s *sqs.Server) {
	w.hosts["sqs.us-east-1.amazonaws.com"] = emulator.Transport(s)
	for i := range w.cfg.Tenants {
		w.cfg.Tenants[i].SQS.QueueURL = queueURL
		if len(w.cfg.Tenants) > 1 {
			w.cfg.Tenants[i].SQS.Source = partnerSource(w.cfg.Tenants[i].Name)
		}
	}
}

// partnerSource is the event source of a tenant.
func partnerSource(tenant string) string {
	return "aws.partner/auth0.com/" + tenant + "-946f0c5c-0000-0000-0000-000000000000/auth0.logs"
}

// push sends events of the tenant to the queue, as its EventBridge stream and a rule
// do: one an envelope, in no order.
func (s *site) push(q *sqs.Server, raws [][]byte) {
	for _, raw := range slices.Backward(raws) {
		q.Send("auth0", fmt.Sprintf(`{"version":"0","id":"1","detail-type":"Auth0 log","source":%q,"detail":{"log_id":%q,"data":%s}}`,
			partnerSource(s.name), gjson.GetBytes(raw, "log_id").String(), raw))
	}
}

// TestQueueBesideThePoll pushes the events of a tenant by way of a queue while the
// poll stands still, and lets the poll find them all later: they arrive by the
// queue, once, whatever the queue repeats.
func TestQueueBesideThePoll(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, dir, tenant.Unlimited, "dev")
		defer w.close(t.Context(), t)
		s := w.sites[0]
		q := w.queue(sqs.Options{Seed: 5, Repeat: 4})
		s.auth0.Add(emulator.Fault{Status: 503, Times: -1})
		if err := s.tenant.Generate(250, time.Now().Add(-time.Hour), time.Now()); err != nil {
			t.Fatal(err)
		}
		s.push(q, s.tenant.Events())
		w.start(t.Context(), t)
		<-time.After(5 * time.Minute)
		s.compare(t)
		if n := len(q.Messages("auth0")); n > 0 {
			t.Errorf("%d messages are left in the queue", n)
		}
		s.auth0.Clear()
		<-time.After(10 * time.Minute)
		// The poll brings one more: the event of its token, which the push brings late.
		s.push(q, s.tenant.Events()[250:])
		<-time.After(5 * time.Minute)
		if o := w.overview(t.Context(), t, "dev"); len(o.Troubles) > 0 || o.Stored != 251 || o.Duplicates < 250 {
			t.Errorf("stored %d, duplicates %d, troubles %+v", o.Stored, o.Duplicates, o.Troubles)
		}
		w.stop(t.Context(), t, w.cfg.ShutdownTimeout)
		s.compare(t)
	})
}

// TestQueueOfReplicas has two gapless with a store each on one queue, both stopped
// and started on the way: each event arrives, and the queue is empty.
func TestQueueOfReplicas(t *testing.T) {
	t.Parallel()
	dirs := []string{t.TempDir(), t.TempDir()}
	synctest.Test(t, func(t *testing.T) {
		one, two := newWorld(t, dirs[0], tenant.Unlimited, "dev"), newWorld(t, dirs[1], tenant.Unlimited, "dev")
		defer one.close(t.Context(), t)
		defer two.close(t.Context(), t)
		q := one.queue(sqs.Options{Seed: 5})
		two.reads(q)
		s := one.sites[0]
		if err := s.tenant.Generate(600, time.Now().Add(-time.Hour), time.Now()); err != nil {
			t.Fatal(err)
		}
		for _, w := range []*world{one, two} {
			w.sites[0].auth0.Add(emulator.Fault{Status: 503, Times: -1})
			w.start(t.Context(), t)
		}
		events := s.tenant.Events()
		s.push(q, events[:300])
		<-time.After(time.Second)
		one.stop(t.Context(), t, time.Second)
		s.push(q, events[300:])
		one.start(t.Context(), t)
		<-time.After(10 * time.Minute)
		a, b := s.delivered(), two.sites[0].delivered()
		for _, raw := range events {
			if n := a[string(raw)] + b[string(raw)]; n != 1 {
				t.Errorf("an event arrived %d times", n)
			}
		}
		if len(a) == 0 || len(b) == 0 || len(q.Messages("auth0")) > 0 {
			t.Errorf("%d by one, %d by the other, %d messages are left", len(a), len(b), len(q.Messages("auth0")))
		}
	})
}

// TestQueueOfTwoTenants has two tenants on one queue, with events of a third in it:
// each gets its own, and the third's stay and are told.
func TestQueueOfTwoTenants(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, dir, tenant.Unlimited, "one", "two")
		defer w.close(t.Context(), t)
		q := w.queue(sqs.Options{Seed: 5})
		for _, s := range w.sites {
			s.auth0.Add(emulator.Fault{Status: 503, Times: -1})
			if err := s.tenant.Generate(60, time.Now().Add(-time.Hour), time.Now()); err != nil {
				t.Fatal(err)
			}
			s.push(q, s.tenant.Events())
		}
		third := &site{name: "three"}
		third.push(q, [][]byte{[]byte(`{"log_id":"x","type":"s","date":"2026-11-11T06:46:23.765Z"}`)})
		w.start(t.Context(), t)
		<-time.After(10 * time.Minute)
		for _, s := range w.sites {
			s.compare(t)
			told := slices.DeleteFunc(w.overview(t.Context(), t, s.name).Troubles, func(x web.Trouble) bool { return x.Part == "poll" })
			if len(told) != 1 || told[0].Part != "sqs_routing" || !strings.Contains(told[0].Message, partnerSource("three")) || !strings.Contains(told[0].Hint, "sqs.source") {
				t.Errorf("%s: %+v", s.name, told)
			}
		}
		if n := len(q.Messages("auth0")); n != 1 {
			t.Errorf("%d messages are in the queue, want the one of nobody's", n)
		}
		w.stop(t.Context(), t, w.cfg.ShutdownTimeout)
		w.cfg.Tenants[1].SQS.Source = partnerSource("three") // a person mends it
		w.start(t.Context(), t)
		<-time.After(20 * time.Minute)
		if n := len(q.Messages("auth0")); n != 0 {
			t.Errorf("%d messages are left", n)
		}
		if n := w.sites[1].delivered()[`{"log_id":"x","type":"s","date":"2026-11-11T06:46:23.765Z"}`]; n != 1 {
			t.Errorf("the event arrived %d times", n)
		}
		for _, x := range w.overview(t.Context(), t, "two").Troubles {
			if x.Part != "poll" {
				t.Errorf("still told: %+v", x)
			}
		}
	})
}

// TestQueueOnce empties the queue in a run that ends by itself.
func TestQueueOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, dir, tenant.Unlimited, "dev")
		defer w.close(t.Context(), t)
		w.once = true
		q := w.queue(sqs.Options{})
		var pushed [][]byte // which the poll does not know
		for i := range 95 {
			pushed = append(pushed, fmt.Appendf(nil, `{"log_id":"pushed-%d","type":"s","date":%q}`, i, time.Now().UTC().Format(time.RFC3339)))
		}
		s := w.sites[0]
		s.push(q, pushed)
		w.start(t.Context(), t)
		<-w.app.Done() // the poll has brought the event of its token
		if err := w.app.Err(); err != nil {
			t.Error(err)
		}
		if got := s.delivered(); len(got) != len(pushed)+1 || len(q.Messages("auth0")) > 0 {
			t.Errorf("%d events arrived, %d messages are left", len(got), len(q.Messages("auth0")))
		}
	})
}

// TestQueuePermissionsAreThoseOfTheDocs compares the policy for a queue in
// docs/security.md with the calls that are made.
func TestQueuePermissionsAreThoseOfTheDocs(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "security.md"))
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, m := range regexp.MustCompile(`"sqs:([A-Za-z]+)"`).FindAllStringSubmatch(string(page), -1) {
		want = append(want, m[1])
	}
	slices.Sort(want)
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, dir, tenant.Unlimited, "dev")
		defer w.close(t.Context(), t)
		s := w.sites[0]
		q := w.queue(sqs.Options{})
		seen := &calls{next: q, name: sqs.Operation, ops: map[string]bool{}}
		w.hosts["sqs.us-east-1.amazonaws.com"] = emulator.Transport(seen)
		var pushed [][]byte // more than one page, for the first may find room
		for i := range 40 {
			pushed = append(pushed, fmt.Appendf(nil, `{"log_id":"pushed-%d","type":"s","date":"2026-11-11T06:46:23.765Z"}`, i))
		}
		s.push(q, pushed)
		s.aws.Add(emulator.Fault{Match: "PutLogEvents", Status: 503, Times: -1})
		w.cfg.MaxBufferBytes = 1 // it takes nothing: messages are held
		w.start(t.Context(), t)
		<-time.After(5 * time.Minute)
		w.stop(t.Context(), t, w.cfg.ShutdownTimeout)
		w.cfg.MaxBufferBytes = 1 << 30
		w.start(t.Context(), t)
		<-time.After(5 * time.Minute)
		var got []string
		for _, op := range seen.list("") {
			got = append(got, strings.TrimSuffix(op, "Batch"))
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("the policy of the docs differs from the calls (-policy +calls):\n%s", d)
		}
	})
}

// TestQueueFaultsAreTold lets a permission of the queue be missing: the poll goes on,
// and the state says what to do.
func TestQueueFaultsAreTold(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, dir, tenant.Unlimited, "dev")
		defer w.close(t.Context(), t)
		s := w.sites[0]
		faults := emulator.NewFaults(emulator.Fault{
			Match: "ReceiveMessage", Status: 400, Times: -1, Body: `{"__type":"com.amazon.coral.service#AccessDeniedException","message":"no"}`,
		})
		q := w.queue(sqs.Options{Faults: faults})
		if err := s.tenant.Generate(20, time.Now().Add(-time.Hour), time.Now()); err != nil {
			t.Fatal(err)
		}
		w.start(t.Context(), t)
		<-time.After(10 * time.Minute)
		s.compare(t)
		o := w.overview(t.Context(), t, "dev")
		// The poll, which finds events that the queue does not bring, says so as well.
		parts := []string{}
		for _, x := range o.Troubles {
			parts = append(parts, x.Part)
		}
		if text, err := json.Marshal(o.Troubles); err != nil || o.State != web.StateStuck || !slices.Equal(parts, []string{"push", "sqs"}) || !strings.Contains(string(text), "sqs:ReceiveMessage") {
			t.Errorf("%v, %s, %v", o.State, text, err)
		}
		faults.Clear()
		s.push(q, s.tenant.Events())
		<-time.After(2 * time.Minute)
		if o := w.overview(t.Context(), t, "dev"); len(o.Troubles) > 0 {
			t.Errorf("after the repair: %+v", o.Troubles)
		}
	})
}
