package app_test

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	logs "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/gaplesslogs/gapless/internal/app"
	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/emulator"
	"github.com/gaplesslogs/gapless/internal/emulator/cloudwatch"
	"github.com/gaplesslogs/gapless/internal/emulator/tenant"
	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/verify"
)

// verify compares the first tenant of a world. The findings are log_ids by kind, with
// the name of a further destination behind it.
func (w *world) verify(ctx context.Context, tb rapid.TB, since time.Duration, change ...func(*app.Verification)) (verify.Summary, map[string][]string) {
	tb.Helper()
	now := time.Now()
	v := app.Verification{Tenant: w.sites[0].name, Span: verify.Span{Since: now.Add(-since), Until: now}, Patience: time.Minute}
	for _, c := range change {
		c(&v)
	}
	got := make(map[string][]string)
	sum, err := app.Verify(ctx, w.options(), v, func(f verify.Finding) error {
		key := string(f.Kind)
		if f.Destination != "" {
			key += ":" + f.Destination
		}
		got[key] = append(got[key], f.LogID)
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
	for _, list := range got {
		slices.Sort(list)
	}
	return sum, got
}

// wantFindings compares findings.
func wantFindings(tb rapid.TB, what string, want, got map[string][]string) {
	tb.Helper()
	for k, list := range want {
		if len(list) == 0 {
			delete(want, k)
		}
		slices.Sort(list)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		tb.Errorf("%s: findings (-want +got):\n%s", what, diff)
	}
}

// rewrite replaces what lies in a stream, as somebody may who has the rights.
func (s *site) rewrite(ctx context.Context, tb rapid.TB, w *world, endpoint string, change func([]cloudwatch.StoredEvent) []cloudwatch.StoredEvent) {
	tb.Helper()
	client := logs.New(logs.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(endpoint), HTTPClient: &http.Client{Transport: w},
		Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "example-secret", ""),
	})
	group, stream := aws.String("/auth0/"+s.name), "logs"
	events := change(slices.Clone(s.cloudwatch.Events(*group, stream)))
	slices.SortStableFunc(events, func(a, b cloudwatch.StoredEvent) int { return int(a.Timestamp - b.Timestamp) })
	if len(s.cloudwatch.Events(*group, stream)) > 0 {
		if _, err := client.DeleteLogStream(ctx, &logs.DeleteLogStreamInput{LogGroupName: group, LogStreamName: &stream}); err != nil {
			tb.Fatal(err)
		}
	}
	if _, err := client.CreateLogStream(ctx, &logs.CreateLogStreamInput{LogGroupName: group, LogStreamName: &stream}); err != nil {
		tb.Fatal(err)
	}
	for len(events) > 0 {
		n := 1
		for n < len(events) && n < 5000 && events[n].Timestamp-events[0].Timestamp < 23*3600*1000 {
			n++
		}
		in := &logs.PutLogEventsInput{LogGroupName: group, LogStreamName: &stream}
		for _, e := range events[:n] {
			in.LogEvents = append(in.LogEvents, types.InputLogEvent{Message: aws.String(e.Message), Timestamp: aws.Int64(e.Timestamp)})
		}
		out, err := client.PutLogEvents(ctx, in)
		if err != nil || out.RejectedLogEventsInfo != nil {
			tb.Fatalf("put: %v, %v", err, out)
		}
		events = events[n:]
	}
}

// TestVerify exports a history, finds it clean while the exporter runs and while it
// does not, finds exactly what is planted then, repairs it, and finds that clean.
func TestVerify(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, dir, tenant.Unlimited, "dev")
		defer w.close(t.Context(), t)
		s := w.sites[0]
		w.cfg.Tenants[0].Retention = "30d"
		if err := s.tenant.Generate(800, time.Now().Add(-5*24*time.Hour), time.Now()); err != nil {
			t.Fatal(err)
		}
		s.live(t.Context(), t, 0.5)
		w.start(t.Context(), t)
		<-time.After(2 * time.Minute)
		sum, got := w.verify(t.Context(), t, 6*24*time.Hour)
		wantFindings(t, "beside the exporter", map[string][]string{"not_yet": got["not_yet"]}, got)
		if !sum.Clean || sum.Held < 800 || sum.Destinations[0].InBoth+int64(len(got["not_yet"])) != sum.Held {
			t.Errorf("summary: %+v", sum)
		}
		s.quit()
		<-time.After(time.Minute)
		w.stop(t.Context(), t, 20*time.Second)
		stopped := time.Now()
		want := map[string][]string{}
		s.rewrite(t.Context(), t, w, w.cfg.Tenants[0].CloudWatch.Endpoint, func(list []cloudwatch.StoredEvent) (out []cloudwatch.StoredEvent) {
			for i, e := range list {
				id := idOf([]byte(e.Message))
				switch i % 50 {
				case 3:
					want["missing"] = append(want["missing"], id)
					continue
				case 7:
					out = append(out, e)
					want["twice"] = append(want["twice"], id)
				case 11:
					e.Timestamp -= int64(1+i) * 60_000
					want["wrong_timestamp"] = append(want["wrong_timestamp"], id)
				case 19:
					e.Message = strings.Replace(e.Message, `"type":"`, `"type":"x`, 1)
					want["altered"] = append(want["altered"], id)
				case 23:
					forged := e
					forged.Message = strings.ReplaceAll(e.Message, id, id[:50]+"999999")
					out = append(out, forged)
					want["not_in_auth0"] = append(want["not_in_auth0"], id[:50]+"999999")
				}
				out = append(out, e)
			}
			return out
		})
		missing := slices.Clone(want["missing"])
		var list []verify.Finding
		v := app.Verification{Tenant: "dev", Span: verify.Span{Since: time.Now().Add(-6 * 24 * time.Hour), Until: time.Now()}, Patience: time.Minute}
		if _, err := app.Verify(t.Context(), w.options(), v, func(f verify.Finding) error { list = append(list, f); return nil }); err != nil {
			t.Fatal(err)
		}
		sum, got = w.verify(t.Context(), t, 6*24*time.Hour)
		want["not_yet"] = after(got["not_yet"], stopped)
		wantFindings(t, "planted", want, got)
		if sum.Clean {
			t.Error("it is clean")
		}
		w.repair(t, v, list, app.Repaired{Stored: int64(len(missing))})
		delete(want, "missing")
		_, got = w.verify(t.Context(), t, 6*24*time.Hour)
		want["not_yet"] = after(got["not_yet"], stopped)
		wantFindings(t, "repaired", want, got)
	})
}

// repair repairs what is among findings.
func (w *world) repair(t *testing.T, v app.Verification, list []verify.Finding, want app.Repaired) {
	t.Helper()
	w.repairWith(t, w.options(), v, list, want)
}

// repairWith is repair in other surroundings.
func (*world) repairWith(t *testing.T, opts app.Options, v app.Verification, list []verify.Finding, want app.Repaired) {
	t.Helper()
	r := app.NewRepair(v, func(yield func(verify.Finding, error) bool) {
		for _, f := range list {
			if f.Kind == verify.Missing && !yield(f, nil) {
				return
			}
		}
	})
	opts.Repair = r
	a, err := app.New(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-a.Done()
	if err := a.Err(); err != nil {
		t.Error(err)
	}
	if err := a.Stop(context.WithoutCancel(t.Context())); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(want, r.Done()); diff != "" {
		t.Errorf("repaired (-want +got):\n%s", diff)
	}
}

// after returns the log_ids from behind a time: verify gets a token, which the tenant
// logs.
func after(ids []string, at time.Time) (list []string) {
	for _, id := range ids {
		if t, ok := event.TimeInID(id); ok && t.After(at) {
			list = append(list, id)
		}
	}
	return list
}

// TestVerifyByTheRules compares two destinations with filters, redaction, shapes,
// routes and a tenant that is pushed to besides: whatever the rules make of events is
// as it should be, and what is taken out or changed in one destination is named for
// that one.
func TestVerifyByTheRules(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, dir, tenant.Unlimited, "dev")
		defer w.close(t.Context(), t)
		s := w.sites[0]
		audit, end := w.also(t, "audit")
		defer end()
		c := &w.cfg.Tenants[0]
		c.Retention = "30d"
		c.Filter.Types.Deny = []string{"s*"}
		c.Redact.Rules = []config.RedactRule{{Path: "user_name", Action: "hash"}, {Kind: "ip", Action: "mask"}}
		var err error
		if c.Redact.Key, err = config.ParseSecret("0123456789abcdef0123456789abcdef"); err != nil {
			t.Fatal(err)
		}
		c.CloudWatch.LogStream = "{severity}/{date}"
		c.CloudWatch.Fields = map[string]string{"by": "source", "stage": "text:prod"}
		c.CloudWatch.Copy = map[string]string{"agent": "user_agent"}
		c.Destinations[0].Filter.Types.Deny = []string{"f"}
		c.Destinations[0].Redact.Rules = []config.RedactRule{{Path: "details", Action: "drop"}}
		if err := s.tenant.Generate(600, time.Now().Add(-20*24*time.Hour), time.Now()); err != nil {
			t.Fatal(err)
		}
		w.once = true
		w.start(t.Context(), t)
		<-w.app.Done()
		w.stop(t.Context(), t, 20*time.Second)
		stopped := time.Now()
		sum, got := w.verify(t.Context(), t, 21*24*time.Hour)
		wantFindings(t, "as it was exported", map[string][]string{"not_yet": after(got["not_yet"], stopped), "not_yet:audit": after(got["not_yet:audit"], stopped)}, got)
		for i, d := range sum.Destinations {
			if d.InBoth == 0 || d.Filtered["type_denied"] == 0 || d.Restamped == 0 || !d.Clean() {
				t.Errorf("destination %d: %+v", i, d)
			}
		}
		if sum.Destinations[1].Filtered["type_denied"] <= sum.Destinations[0].Filtered["type_denied"] {
			t.Errorf("audit leaves out no more than the tenant: %+v", sum.Destinations)
		}

		// The same again, after somebody was in one of them.
		audit.name = s.name
		want := map[string][]string{}
		audit.rewrite(t.Context(), t, w, c.Destinations[0].CloudWatch.Endpoint, func(list []cloudwatch.StoredEvent) (out []cloudwatch.StoredEvent) {
			for i, e := range list {
				id := idOf([]byte(e.Message))
				if e.Timestamp < time.Now().Add(-13*24*time.Hour).UnixMilli() {
					continue // the emulator takes nothing that is older a second time
				}
				switch i % 40 {
				case 1:
					want["missing:audit"] = append(want["missing:audit"], id)
					continue
				case 2:
					e.Message = strings.Replace(e.Message, "{", "{ ", 1)
					want["altered:audit"] = append(want["altered:audit"], id)
				}
				out = append(out, e)
			}
			return out
		})
		_, got = w.verify(t.Context(), t, 12*24*time.Hour)
		want["not_yet"], want["not_yet:audit"] = after(got["not_yet"], stopped), after(got["not_yet:audit"], stopped)
		within(want, 12*24*time.Hour)
		wantFindings(t, "planted in one", want, got)
		_, got = w.verify(t.Context(), t, 12*24*time.Hour, func(v *app.Verification) { v.Destination = app.MainDestination })
		wantFindings(t, "the other alone", map[string][]string{"not_yet": after(got["not_yet"], stopped)}, got)
	})
}

// within leaves the log_ids of the last time.
func within(want map[string][]string, last time.Duration) {
	for k, list := range want {
		want[k] = slices.DeleteFunc(list, func(id string) bool { at, _ := event.TimeInID(id); return time.Since(at) > last })
	}
}

// TestVerifyDuringHeavyIngestion compares again and again while a tenant writes much,
// through an endpoint whose reads lag half a minute behind its writes and is throttled
// now and then: nothing is ever named that a person should look at.
func TestVerifyDuringHeavyIngestion(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, dir, tenant.Unlimited, "dev")
		defer w.close(t.Context(), t)
		s := w.sites[0]
		lagging, err := cloudwatch.New(cloudwatch.Options{Faults: s.aws, ReadDelay: 30 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		s.cloudwatch = lagging
		w.hosts["logs-dev.example.com"] = emulator.Transport(s.watch(lagging))
		w.cfg.Tenants[0].PollInterval = time.Second
		s.live(t.Context(), t, 10)
		w.start(t.Context(), t)
		for round := range 2 {
			<-time.After(time.Duration(10+7*round) * time.Second)
			for _, op := range []string{"FilterLogEvents", "PutLogEvents"} {
				s.aws.Add(emulator.Fault{Match: op, After: round, Times: 2, Status: http.StatusBadRequest, Body: `{"__type":"ThrottlingException","message":"Rate exceeded"}`})
			}
			sum, got := w.verify(t.Context(), t, time.Hour)
			if !sum.Clean {
				t.Errorf("round %d: it is not clean: %v", round, got)
			}
			if sum.Held < 80 || len(got["not_yet"])+len(got["waiting"]) > 100 {
				t.Errorf("round %d: %d events, %d not read yet, %d waiting", round, sum.Held, len(got["not_yet"]), len(got["waiting"]))
			}
		}
		s.quit()
		w.stop(t.Context(), t, 20*time.Second)
	})
}

// TestVerifyAPush compares a destination that an event reached as a push brings it:
// it is told apart from one that was altered.
func TestVerifyAPush(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, dir, tenant.Unlimited, "dev")
		defer w.close(t.Context(), t)
		s := w.sites[0]
		if err := s.tenant.Generate(60, time.Now().Add(-time.Hour), time.Now()); err != nil {
			t.Fatal(err)
		}
		token, err := config.ParseSecret("0123456789abcdef0123456789abcdef")
		if err != nil {
			t.Fatal(err)
		}
		w.cfg.Tenants[0].Webhook.Token = token
		var altered string
		var list []cloudwatch.StoredEvent
		for i, raw := range s.tenant.Events() {
			e, err := event.Parse(raw, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			message := asPushed(t, raw)
			switch i {
			case 5:
				message = strings.Replace(message, `"type":"`, `"type":"x`, 1)
				altered = e.LogID
			case 6, 7: // by another shipper
				message = `{"log_id":"` + e.LogID + `","data":` + message + `}`
			case 8: // by EventBridge
				message = `{"version":"0","id":"1","detail-type":"Auth0 log","source":"aws.partner/auth0.com/x","time":"2026-11-11T06:46:39Z","detail":{"log_id":"` + e.LogID + `","data":` + message + `}}`
			}
			list = append(list, cloudwatch.StoredEvent{Timestamp: e.Date.UnixMilli(), Message: message})
		}
		client := s.cloudwatch
		makeGroup(t, w, "/auth0/dev")
		s.rewrite(t.Context(), t, w, w.cfg.Tenants[0].CloudWatch.Endpoint, func([]cloudwatch.StoredEvent) []cloudwatch.StoredEvent { return list })
		if n := len(client.Events("/auth0/dev", "logs")); n != 60 {
			t.Fatalf("%d events were planted", n)
		}
		sum, got := w.verify(t.Context(), t, 2*time.Hour)
		wantFindings(t, "pushed", map[string][]string{"altered": {altered}, "not_yet": got["not_yet"]}, got)
		if d := sum.Destinations[0]; d.Pushed != 59 || d.Enveloped != 3 || d.InBoth != 60 {
			t.Errorf("result: %+v", d)
		}
	})
}

// asPushed is an event as a log stream brings it.
func asPushed(t *testing.T, raw []byte) string {
	t.Helper()
	var members map[string]any
	if err := json.Unmarshal(raw, &members); err != nil {
		t.Fatal(err)
	}
	delete(members, "_id")
	delete(members, "isMobile")
	members["user_agent"] = "Mozilla/5.0 (X11; Linux x86_64)"
	out, err := json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// makeGroup makes a log group.
func makeGroup(t *testing.T, w *world, name string) {
	t.Helper()
	client := logs.New(logs.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(w.cfg.Tenants[0].CloudWatch.Endpoint), HTTPClient: &http.Client{Transport: w},
		Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "example-secret", ""),
	})
	if _, err := client.CreateLogGroup(t.Context(), &logs.CreateLogGroupInput{LogGroupName: &name}); err != nil {
		t.Fatal(err)
	}
}
