package cloudwatch_test

import (
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	logs "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/gaplesslogs/gapless/internal/cloudwatch"
	"github.com/gaplesslogs/gapless/internal/emulator"
	emulated "github.com/gaplesslogs/gapless/internal/emulator/cloudwatch"
	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/pipeline/pipelinetest"
)

// leastPolicy is what gapless needs when group and stream exist.
const leastPolicy = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["logs:PutLogEvents","logs:DescribeLogStreams"],"Resource":"arn:aws:logs:*:*:log-group:/auth0/example:*"}]}`

// emulate runs the emulator with a user that may do everything and one that has
// the policy.
func emulate(t *testing.T, policy string) (*emulated.Server, *emulator.Faults) {
	t.Helper()
	faults := emulator.NewFaults()
	server, err := emulated.New(emulated.Options{Faults: faults, AccessKeys: []emulated.AccessKey{
		{ID: "AKIDEXAMPLE", Secret: "example-secret", Policy: policy}, {ID: "AKIDADMIN", Secret: "admin-secret"},
	}})
	if err != nil {
		t.Fatalf("start emulator: %v", err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Errorf("close emulator: %v", err)
		}
	})
	return server, faults
}

func TestSinkKeepsTheContractAgainstTheEmulator(t *testing.T) {
	t.Parallel()
	pipelinetest.TestSink(t, func(t *testing.T) (pipeline.Sink, func() []pipelinetest.Stored) {
		t.Helper()
		server, _ := emulate(t, "")
		s, _ := open(t, server, config())
		return s, func() []pipelinetest.Stored { return emulatedEvents(t, server) }
	})
}

// emulatedEvents reads all that the emulator holds.
func emulatedEvents(t *testing.T, server *emulated.Server) []pipelinetest.Stored {
	t.Helper()
	client := admin(server)
	groups, err := client.DescribeLogGroups(t.Context(), &logs.DescribeLogGroupsInput{})
	if err != nil {
		t.Fatalf("list groups: %v", err)
	}
	var out []pipelinetest.Stored
	for _, g := range groups.LogGroups {
		pages := logs.NewDescribeLogStreamsPaginator(client, &logs.DescribeLogStreamsInput{LogGroupName: g.LogGroupName})
		for pages.HasMorePages() {
			page, err := pages.NextPage(t.Context())
			if err != nil {
				t.Fatalf("list streams: %v", err)
			}
			for _, s := range page.LogStreams {
				d := pipeline.Destination{LogGroup: *g.LogGroupName, LogStream: *s.LogStreamName}
				for _, e := range server.Events(d.LogGroup, d.LogStream) {
					out = append(out, pipelinetest.Stored{Destination: d, Time: time.UnixMilli(e.Timestamp).UTC(), Message: e.Message})
				}
			}
		}
	}
	return out
}

// admin returns a client that may do everything.
func admin(h http.Handler) *logs.Client {
	return logs.New(logs.Options{
		Region: "eu-central-1", BaseEndpoint: aws.String("http://logs.example.com"), Retryer: aws.NopRetryer{},
		Credentials: adminKeys, HTTPClient: &http.Client{Transport: emulator.Transport(h)},
	})
}

func TestTwoPermissionsAreEnough(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, _ := emulate(t, leastPolicy)
		s, _ := open(t, server, config())
		got := pipeline.Classify(s.Check(t.Context(), dest))
		if got.Class != pipeline.Unauthorized {
			t.Errorf("before the destination exists: class %v, error %v", got.Class, got.Err)
		}
		client := admin(server)
		if _, err := client.CreateLogGroup(t.Context(), &logs.CreateLogGroupInput{LogGroupName: &dest.LogGroup}); err != nil {
			t.Fatal(err)
		}
		if _, err := client.CreateLogStream(t.Context(), &logs.CreateLogStreamInput{LogGroupName: &dest.LogGroup, LogStreamName: &dest.LogStream}); err != nil {
			t.Fatal(err)
		}
		if err := s.Check(t.Context(), dest); err != nil {
			t.Errorf("Check: %v", err)
		}
		same(t, "receipt", pipeline.Receipt{}, deliver(t, s, some()))
		same(t, "stored", 50, len(server.Events(dest.LogGroup, dest.LogStream)))
	})
}

func TestWrongSecretAgainstTheEmulator(t *testing.T) {
	t.Parallel()
	server, _ := emulate(t, "")
	s, err := cloudwatch.New(t.Context(), config(), cloudwatch.Deps{
		Logger: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(), Credentials: wrongKeys,
		HTTPClient: &http.Client{Transport: emulator.Transport(server)},
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Deliver(t.Context(), some())
	got := pipeline.Classify(err)
	if got.Class != pipeline.Unauthorized || got.Hint == "" || strings.Contains(err.Error()+got.Hint, "not-the-secret") {
		t.Errorf("class %v, hint %q, error %v", got.Class, got.Hint, err)
	}
}

// TestTheLoopDeliversThroughFaults runs the delivery loop over the sink while the
// emulator fails in each way in which the outcome is known.
func TestTheLoopDeliversThroughFaults(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, faults := emulate(t, "")
		for i, f := range []emulator.Fault{
			{Kind: emulator.FaultCut},
			{Kind: emulator.FaultHang},
			{Kind: emulator.FaultGarbage},
			{Status: 503},
			{Status: 500},
			{Status: 400, Body: `{"__type":"ThrottlingException","message":"Rate exceeded"}`},
			{Status: 400, Body: `{"__type":"ExpiredTokenException","message":"expired"}`},
		} {
			f.Match, f.After = "PutLogEvents", 3*i
			faults.Add(f)
		}
		s, _ := open(t, server, config())
		var waits pipeline.Backoff
		want := 0
		for range 20 {
			b := some()
			want += len(b.Events)
			for {
				r, err := s.Deliver(t.Context(), b)
				if err == nil {
					same(t, "receipt", pipeline.Receipt{}, withoutPrints(t, len(b.Events), r))
					break
				}
				if err := pipeline.Wait(t.Context(), waits.Next(pipeline.Classify(err))); err != nil {
					t.Fatal(err)
				}
			}
			waits.Reset()
		}
		same(t, "stored", want, len(server.Events(dest.LogGroup, dest.LogStream)))
	})
}

func TestGiantsAgainstTheEmulator(t *testing.T) {
	t.Parallel()
	server, _ := emulate(t, "")
	s, reg := open(t, server, config())
	e := ev("giant", time.Now())
	e.Raw = []byte(`{"log_id":"giant","details":{"body":"` + strings.Repeat("😀", 400_000) + `"}}`)
	r := deliver(t, s, batch(ev("before", time.Now()), e, ev("after", time.Now())))
	same(t, "altered", []string{"1 too_large"}, reasons(r.Altered))
	same(t, "altered", 1.0, value(t, reg, "gapless_cloudwatch_altered_events_total", "reason=too_large"))
	same(t, "stored", 3, len(server.Events(dest.LogGroup, dest.LogStream)))
}
