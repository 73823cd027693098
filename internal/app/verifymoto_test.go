package app_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	logs "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"

	"github.com/gaplesslogs/gapless/internal/app"
	"github.com/gaplesslogs/gapless/internal/emulator/moto"
	"github.com/gaplesslogs/gapless/internal/emulator/tenant"
	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/verify"
)

// TestVerifyMoto compares a destination in moto, an emulator of others, that gapless
// has not written: what was planted is named, and nothing else; what was missing is
// there after a repair.
func TestVerifyMoto(t *testing.T) {
	t.Parallel()
	endpoint := moto.Start(t)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	w := newWorld(t, t.TempDir(), tenant.Unlimited, "dev")
	defer w.close(t.Context(), t)
	s := w.sites[0]
	if err := s.tenant.Generate(300, time.Now().Add(-20*time.Hour), time.Now().Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	w.cfg.Tenants[0].CloudWatch.Endpoint, w.cfg.Tenants[0].CloudWatch.InDoubtWait = endpoint, 0
	client := logs.New(logs.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(endpoint), HTTPClient: &http.Client{Transport: transport},
		Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "example-secret", ""),
	})
	want := plantInMoto(t, s, client)

	opts := w.options()
	opts.AWSHTTP = &http.Client{Transport: transport}
	v := app.Verification{Tenant: "dev", Span: verify.Span{Since: time.Now().Add(-23 * time.Hour), Until: time.Now()}}
	var list []verify.Finding
	compare := func() map[string][]string {
		got := make(map[string][]string)
		list = nil
		sum, err := app.Verify(t.Context(), opts, v, func(f verify.Finding) error {
			list = append(list, f)
			if k := string(f.Kind); f.Kind != verify.NotYet { // the tokens of this test
				got[k] = append(got[k], f.LogID)
				slices.Sort(got[k])
			}
			return nil
		})
		if err != nil || sum.Held < 300 {
			t.Fatalf("%d events, %v", sum.Held, err)
		}
		return got
	}
	wantFindings(t, "planted in moto", want, compare())
	n := int64(len(want["missing"]))
	w.repairWith(t, opts, v, list, app.Repaired{Stored: n})
	delete(want, "missing")
	wantFindings(t, "repaired in moto", want, compare())
}

// plantInMoto writes the events of a tenant into moto, but for what it plants.
func plantInMoto(t *testing.T, s *site, client *logs.Client) map[string][]string {
	t.Helper()
	want := make(map[string][]string)
	put := &logs.PutLogEventsInput{LogGroupName: aws.String("/auth0/dev"), LogStreamName: aws.String("logs")}
	add := func(at time.Time, message string) {
		put.LogEvents = append(put.LogEvents, types.InputLogEvent{Timestamp: aws.Int64(at.UnixMilli()), Message: aws.String(message)})
	}
	for i, raw := range s.tenant.Events() {
		e, err := event.Parse(raw, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		name := func(k string) { want[k] = append(want[k], e.LogID) }
		switch i % 30 {
		case 4:
			name("missing")
			continue
		case 9:
			add(e.Date, string(raw))
			name("twice")
		case 14:
			raw = []byte(strings.Replace(string(raw), `"type"`, ` "type"`, 1))
			name("altered")
		case 19:
			e.Date = e.Date.Add(-3 * time.Hour)
			name("wrong_timestamp")
		case 24:
			id := e.LogID[:50] + fmt.Sprintf("%06d", 900_000+i)
			add(e.Date, strings.ReplaceAll(string(raw), e.LogID, id))
			want["not_in_auth0"] = append(want["not_in_auth0"], id)
		}
		add(e.Date, string(raw))
	}
	slices.SortStableFunc(put.LogEvents, func(a, b types.InputLogEvent) int { return int(*a.Timestamp - *b.Timestamp) })
	if _, err := client.CreateLogGroup(t.Context(), &logs.CreateLogGroupInput{LogGroupName: put.LogGroupName}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.CreateLogStream(t.Context(), &logs.CreateLogStreamInput{LogGroupName: put.LogGroupName, LogStreamName: put.LogStreamName}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.PutLogEvents(t.Context(), put); err != nil {
		t.Fatal(err)
	}
	return want
}
