package cli

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	logs "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/google/go-cmp/cmp"
	"github.com/tidwall/gjson"

	"github.com/gaplesslogs/gapless/internal/app"
	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/emulator"
	"github.com/gaplesslogs/gapless/internal/emulator/cloudwatch"
	"github.com/gaplesslogs/gapless/internal/insights"
	"github.com/gaplesslogs/gapless/internal/verify"
)

// A shelf is a log group to read, in memory.
type shelf struct {
	t      *testing.T
	client *logs.Client
	faults *emulator.Faults
	places []*app.Place
	n      int
}

// newShelf makes an empty log group of a class whose events are seen after a while.
func newShelf(t *testing.T, class types.LogGroupClass, delay time.Duration) *shelf {
	t.Helper()
	s := &shelf{t: t, faults: emulator.NewFaults()}
	server, err := cloudwatch.New(cloudwatch.Options{Faults: s.faults, ReadDelay: delay})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	web, keys := &http.Client{Transport: emulator.Transport(server)}, credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "example-secret", "")
	s.client = logs.New(logs.Options{Region: "us-east-1", BaseEndpoint: aws.String("http://logs.example.com"), HTTPClient: web, Credentials: keys})
	cfg := config.Default()
	cfg.AWS.Region, cfg.AWS.Endpoint = "us-east-1", "http://logs.example.com"
	tenant := config.NewTenant()
	tenant.Name = "dev"
	cfg.Tenants = []config.Tenant{tenant}
	s.places, err = app.OpenPlaces(t.Context(), app.Options{Config: cfg, Logger: slog.New(slog.DiscardHandler), AWSHTTP: web, AWSCredentials: keys}, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	group, stream := "/auth0/dev", "logs"
	if _, err := s.client.CreateLogGroup(t.Context(), &logs.CreateLogGroupInput{LogGroupName: &group, LogGroupClass: class}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.client.CreateLogStream(t.Context(), &logs.CreateLogStreamInput{LogGroupName: &group, LogStreamName: &stream}); err != nil {
		t.Fatal(err)
	}
	return s
}

// put delivers an event that happened a while ago, and returns its log_id.
func (s *shelf) put(kind string, ago time.Duration, more string) string {
	s.t.Helper()
	s.n++
	id, at := fmt.Sprintf("id%04d", s.n), time.Now().Add(-ago)
	message := fmt.Sprintf(`{"log_id":%q,"type":%q,"date":%q%s}`, id, kind, at.UTC().Format(time.RFC3339Nano), more)
	_, err := s.client.PutLogEvents(s.t.Context(), &logs.PutLogEventsInput{
		LogGroupName: aws.String("/auth0/dev"), LogStreamName: aws.String("logs"),
		LogEvents: []types.InputLogEvent{{Timestamp: aws.Int64(at.UnixMilli()), Message: &message}},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return id
}

// TestFollowShowsEachEventOnce follows a log group whose events are seen late, arrive
// late, and are asked for in vain at times.
func TestFollowShowsEachEventOnce(t *testing.T) {
	t.Parallel()
	for _, class := range []types.LogGroupClass{types.LogGroupClassStandard, types.LogGroupClassInfrequentAccess} {
		t.Run(string(class), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newShelf(t, class, 45*time.Second)
				want := map[string]bool{s.put("s", 5*time.Minute, ""): true}
				s.put("s", 20*time.Minute, "") // from before the beginning
				ctx, cancel := context.WithCancel(t.Context())
				var out, notes bytes.Buffer
				env := &Env{Stdout: &out, Stderr: &notes}
				tail := &tailing{
					env: env, asJSON: true, picked: &pick{}, places: s.places, since: time.Now().Add(-10 * time.Minute), interval: 2 * time.Second, late: time.Hour,
				}
				done := make(chan error, 1)
				go func() { done <- tail.follow(ctx) }()
				for i := range 400 {
					<-time.After(700 * time.Millisecond)
					ago := time.Duration(i%7) * 200 * time.Millisecond
					if i%50 == 49 {
						ago = min(50*time.Minute, time.Since(tail.since)-time.Second) // the exporter was down
					}
					want[s.put("s", ago, "")] = true
					if i == 100 || i == 300 {
						for _, op := range []string{"FilterLogEvents", "StartQuery", "GetQueryResults"} {
							s.faults.Add(emulator.Fault{Match: op, Times: 14, Status: http.StatusBadRequest, Body: `{"__type":"ThrottlingException","message":"Rate exceeded"}`})
						}
					}
				}
				<-time.After(20 * time.Minute)
				cancel()
				if err := <-done; err != nil {
					t.Errorf("it ended with %v", err)
				}
				got := make(map[string]int)
				for line := range strings.Lines(out.String()) {
					got[gjson.Get(line, "log_id").Str]++
				}
				for id, n := range got {
					if n != 1 || !want[id] {
						t.Errorf("%s: shown %d times, wanted %t", id, n, want[id])
					}
				}
				if len(got) != len(want) {
					t.Errorf("%d events shown, want %d", len(got), len(want))
				}
				if class == types.LogGroupClassStandard && !strings.Contains(notes.String(), "trying again") {
					t.Errorf("nothing is said of being throttled: %q", notes.String())
				}
			})
		})
	}
}

// TestPickIsExactHere compares what is picked with and without the filter pattern that
// CloudWatch Logs gets: the pattern loses nothing.
func TestPickIsExactHere(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newShelf(t, types.LogGroupClassStandard, 0)
		alice := `,"user_name":"Alice@example.com","user_id":"auth0|1","ip":"203.0.113.7","client_name":"Shop","client_id":"abc","description":"Wrong password"`
		fp := s.put("fp", time.Minute, alice)
		mapped := s.put("fp", time.Minute, `,"ip":"::ffff:203.0.113.7","user_name":"bob"`)
		kept := s.put("x", time.Minute, `,"ip":"203.0.114.9"`)
		api := s.put("sapi", time.Minute, `,"details":{"request":{"ip":"203.0.113.7","auth":{"user":{"email":"admin@example.com"}}}}`)
		six := s.put("limit_wc", time.Minute, `,"ip":"2001:db8::1"`)
		fresh := s.put("brand_new_failure", time.Minute, "")
		for _, c := range []struct {
			pick pick
			sent bool // a pattern goes to CloudWatch Logs
			want []string
		}{
			{pick{types: []string{"fp"}}, true, []string{fp, mapped}},
			{pick{types: []string{"failed login (incorrect password)"}}, true, []string{fp, mapped}},
			{pick{types: []string{"fp", "limit_wc"}, ip: "203.0.113.7"}, true, []string{fp, mapped}},
			{pick{types: []string{"limit_*"}}, false, []string{six}},
			{pick{types: []string{"x"}}, true, []string{kept}},
			{pick{failed: true}, false, []string{fp, mapped, six, fresh}},
			{pick{user: "ALICE"}, false, []string{fp}},
			{pick{user: "admin@"}, false, []string{api}},
			{pick{user: "auth0|"}, false, []string{fp}},
			{pick{client: "shop"}, false, []string{fp}},
			{pick{client: "ABC"}, false, []string{fp}},
			{pick{ip: "203.0.113.7"}, true, []string{fp, mapped, api}},
			{pick{ip: "203.0.113"}, false, []string{fp, api}},
			{pick{ip: "203.0.112.0/23"}, false, []string{fp, mapped, api}},
			{pick{ip: "2001:0db8::1"}, false, []string{six}},
			{pick{grep: `wrong\s+PASS`}, false, []string{fp}},
			{pick{user: "nobody"}, false, nil},
		} {
			if err := c.pick.check(newTailCommand(&Env{}), new(bytes.Buffer)); err != nil {
				t.Fatal(err)
			}
			pattern := c.pick.pattern()
			if (pattern != "") != c.sent || len(pattern) > maxFilterPattern {
				t.Errorf("%+v: pattern %q", c.pick, pattern)
			}
			var got []string
			span := verify.Span{Since: time.Now().Add(-time.Hour), Until: time.Now()}
			err := eachEvent(t.Context(), s.places, &c.pick, pattern, span, func(e seenEvent) error {
				got = append(got, gjson.GetBytes(e.Message, "log_id").Str)
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("types %q user %q ip %q (-want +got):\n%s", c.pick.types, c.pick.user, c.pick.ip, d)
			}
		}
	})
}

func TestClip(t *testing.T) {
	t.Parallel()
	red := "\x1b[1;31mfailed\x1b[0m"
	for _, c := range []struct {
		text    string
		columns int
		want    string
	}{
		{"plain", 5, "plain"},
		{"plain", 4, "pla…"},
		{"日本語", 6, "日本語"},
		{"日本語", 5, "日本…"},
		{"日本語", 4, "日…"},
		{"e\u0301clair", 6, "e\u0301clair"},
		{red, 6, red},
		{red, 4, "\x1b[1;31mfai…\x1b[0m"},
		{"x", 0, ""},
	} {
		if got := clip(c.text, c.columns); got != c.want || cells(got) > c.columns {
			t.Errorf("clip(%q, %d) = %q, %d cells; want %q", c.text, c.columns, got, cells(got), c.want)
		}
	}
	if got := pad("日本", 6); got != "日本  " {
		t.Errorf("pad: %q", got)
	}
}

// TestSavedQueriesFill fills in every saved query that leaves something blank, and puts
// filters in front of the others.
func TestSavedQueriesFill(t *testing.T) {
	t.Parallel()
	cmd := newQueryCommand(&Env{})
	for _, q := range savedQueries() {
		p := &pick{user: `auth0|62" or 1`, ip: "192.0.2.9", client: "cid", types: []string{"fp"}, grep: "a/b"}
		if err := p.check(cmd, new(bytes.Buffer)); err != nil {
			t.Fatal(err)
		}
		text, err := q.fill(cmd, p)
		if err != nil {
			t.Errorf("%s: %v", q.name, err)
			continue
		}
		if _, err := insights.Parse(text); err != nil {
			t.Errorf("%s: %v\n%s", q.name, err, text)
		}
		for _, example := range []string{"0123456789abcdef", "user@example.com", "203.0.113.7"} {
			if strings.Contains(text, example) {
				t.Errorf("%s still has %s:\n%s", q.name, example, text)
			}
		}
		if found, err := findQuery(q.Title); err != nil || found.name != q.name {
			t.Errorf("%s: %v", q.Title, err)
		}
	}
	for typed, meant := range map[string]string{"blokked": "accounts-and-addresses-blocked", "one-usr": "one-user", "login-failed-by-user": "logins-failed-by-user"} {
		if _, err := findQuery(typed); err == nil || !strings.Contains(err.Error(), "did you mean "+meant+"?") {
			t.Errorf("%s: %v, want %s to be proposed", typed, err, meant)
		}
	}
	if _, err := findQuery("zzzzzzzz"); err == nil || strings.Contains(err.Error(), "did you mean") {
		t.Errorf("what resembles nothing: %v", err)
	}
	if q, err := findQuery("blocked"); err != nil || q.Title != "Accounts and addresses blocked" {
		t.Errorf("blocked: %v, %v", q.Title, err)
	}
	for title := range blanks {
		if q, err := findQuery(title); err != nil {
			t.Error(err)
		} else if _, err := q.fill(cmd, &pick{}); err == nil {
			t.Errorf("%s is about nothing", title)
		}
	}
}
