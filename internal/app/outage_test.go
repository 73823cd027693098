package app_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	logs "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"

	"github.com/gaplesslogs/gapless/internal/emulator"
	"github.com/gaplesslogs/gapless/internal/emulator/tenant"
	"github.com/gaplesslogs/gapless/internal/web"
)

// TestOutageLongerThanRetention has CloudWatch Logs away for two days while the
// tenant keeps its events for one: what was fetched arrives all the same.
func TestOutageLongerThanRetention(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, t.TempDir(), tenant.Free, "dev")
		defer w.close(t.Context(), t)
		seldom(w.cfg)
		s := w.sites[0]
		if err := s.tenant.Generate(50, time.Now().Add(-20*time.Hour), time.Now().Add(-time.Minute)); err != nil {
			t.Fatal(err)
		}
		onAWS(emulator.Fault{Kind: emulator.FaultHang})(s)
		w.cfg.Tenants[0].CloudWatch.RequestTimeout = 5 * time.Minute
		s.live(t.Context(), t, 0.001)
		w.start(t.Context(), t)
		for range 4 {
			s.note()
			<-time.After(12 * time.Hour)
			w.stop(t.Context(), t, w.cfg.ShutdownTimeout)
			w.start(t.Context(), t) // a restart does no harm either
		}
		s.note()
		if o := w.overview(t.Context(), t, "dev"); len(s.delivered()) > 0 || len(o.Gaps) > 0 || o.Buffered < int64(len(s.held))-10 {
			t.Fatalf("%d events are delivered and %d buffered of %d, with gaps %v", len(s.delivered()), o.Buffered, len(s.held), o.Gaps)
		}
		if kept := s.tenant.Len(); kept > len(s.held)*3/4 {
			t.Fatalf("the tenant keeps %d events of %d: the test shows nothing", kept, len(s.held))
		}
		s.aws.Clear()
		s.quit()
		<-time.After(30 * time.Minute)
		s.compare(t)
	})
}

// admin returns a client for what a person does in the console.
func (s *site) admin(w *world) *logs.Client {
	return logs.New(logs.Options{
		Region: "us-east-1", BaseEndpoint: aws.String("http://logs-" + s.name + ".example.com"), Retryer: aws.NopRetryer{},
		Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "example-secret", ""), HTTPClient: &http.Client{Transport: w},
	})
}

// TestDestinationIsDeleted deletes the log group, or the stream, while events
// flow and while some wait: it is made again as configured, and whatever had not
// been delivered before arrives.
func TestDestinationIsDeleted(t *testing.T) {
	t.Parallel()
	group, stream := aws.String("/auth0/dev"), aws.String("logs")
	for name, remove := range map[string]func(context.Context, *logs.Client) error{
		"group": func(ctx context.Context, c *logs.Client) error {
			_, err := c.DeleteLogGroup(ctx, &logs.DeleteLogGroupInput{LogGroupName: group})
			return err
		},
		"stream": func(ctx context.Context, c *logs.Client) error {
			_, err := c.DeleteLogStream(ctx, &logs.DeleteLogStreamInput{LogGroupName: group, LogStreamName: stream})
			return err
		},
	} {
		for outage, wait := range map[string]time.Duration{"at once": 0, "during an outage": time.Hour} {
			t.Run(name+" "+outage, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t, t.TempDir(), tenant.Unlimited, "dev")
					defer w.close(t.Context(), t)
					w.cfg.Tenants[0].CloudWatch.RetentionDays = 30
					w.loseDestination(t, wait, remove)
					out, err := w.sites[0].admin(w).DescribeLogGroups(t.Context(), &logs.DescribeLogGroupsInput{LogGroupNamePrefix: group})
					if err != nil || len(out.LogGroups) != 1 || aws.ToInt32(out.LogGroups[0].RetentionInDays) != 30 {
						t.Errorf("groups %+v, %v; want one with the configured retention", out.LogGroups, err)
					}
				})
			})
		}
	}
}

// loseDestination lets events flow, with an outage of that length in the middle
// of which the destination is removed, and compares.
func (w *world) loseDestination(t *testing.T, outage time.Duration, remove func(context.Context, *logs.Client) error) {
	t.Helper()
	s := w.sites[0]
	s.live(t.Context(), t, 0.05)
	w.start(t.Context(), t)
	<-time.After(10 * time.Minute)
	if outage > 0 {
		fault := awsError(503, "ServiceUnavailableException")
		fault.Match, fault.Times = "PutLogEvents", -1
		s.aws.Add(fault)
		<-time.After(outage / 2)
	}
	synctest.Wait()
	before := s.delivered()
	if err := remove(t.Context(), s.admin(w)); err != nil {
		t.Fatal(err)
	}
	<-time.After(outage / 2)
	s.aws.Clear()
	<-time.After(10 * time.Minute)
	s.quit()
	<-time.After(2 * time.Minute)
	if len(before) == 0 || len(s.delivered()) == 0 {
		t.Fatalf("%d events before the removal and %d after it", len(before), len(s.delivered()))
	}
	for _, raw := range s.tenant.Events() {
		if n := s.delivered()[string(raw)]; before[string(raw)] == 0 && n != 1 {
			t.Fatalf("an event is there %d times: %.120s", n, raw)
		}
	}
}

// TestTenantIsLeftBehind takes a tenant out of the configuration while events of
// it wait: they stay in sight, keep nobody from being ready, and are delivered
// once it is back.
func TestTenantIsLeftBehind(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, t.TempDir(), tenant.Unlimited, "first", "second")
		defer w.close(t.Context(), t)
		for _, s := range w.sites {
			if err := s.tenant.Generate(20, time.Now().Add(-time.Hour), time.Now()); err != nil {
				t.Fatal(err)
			}
		}
		second := w.sites[1]
		onAWS(awsError(503, "ServiceUnavailableException"))(second)
		w.start(t.Context(), t)
		<-time.After(time.Minute)
		w.stop(t.Context(), t, w.cfg.ShutdownTimeout)
		second.aws.Clear()

		both := w.cfg.Tenants
		w.cfg.Tenants = both[:1]
		w.start(t.Context(), t)
		<-time.After(time.Minute)
		if o := w.overview(t.Context(), t, "second"); o.State != web.StateStopped || o.Buffered < 20 {
			t.Errorf("the tenant is %s with %d events, want it in sight", o.State, o.Buffered)
		}
		if status, body := w.readiness(t.Context(), t); status != http.StatusOK {
			t.Errorf("readyz answers %d %q", status, body)
		}
		w.stop(t.Context(), t, w.cfg.ShutdownTimeout)

		w.cfg.Tenants = both
		w.start(t.Context(), t)
		<-time.After(time.Minute)
		second.compare(t)
		if o := w.overview(t.Context(), t, "second"); o.State != web.StateDelivered {
			t.Errorf("the tenant is %s once it is back", o.State)
		}
	})
}
