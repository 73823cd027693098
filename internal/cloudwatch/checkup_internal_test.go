package cloudwatch

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/gaplesslogs/gapless/internal/checkup"
	emulated "github.com/gaplesslogs/gapless/internal/emulator/cloudwatch"
	"github.com/gaplesslogs/gapless/internal/emulator/moto"
	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// TestPrincipalOf finds what policies are attached to.
func TestPrincipalOf(t *testing.T) {
	t.Parallel()
	for arn, want := range map[string]string{
		"arn:aws:iam::123456789012:user/gapless":                          "arn:aws:iam::123456789012:user/gapless",
		"arn:aws:iam::123456789012:user/team/gapless":                     "arn:aws:iam::123456789012:user/team/gapless",
		"arn:aws:sts::123456789012:assumed-role/gapless/gapless-dev":      "arn:aws:iam::123456789012:role/gapless",
		"arn:aws-us-gov:sts::123456789012:assumed-role/gapless/i-0123456": "arn:aws-us-gov:iam::123456789012:role/gapless",
		"arn:aws:iam::123456789012:root":                                  "",
		"arn:aws:sts::123456789012:federated-user/someone":                "",
		"nonsense": "",
	} {
		if got := principalOf(arn); got != want {
			t.Errorf("%s: %q, want %q", arn, got, want)
		}
	}
}

// TestOriginOfCredentials names each way in which the SDK finds credentials.
func TestOriginOfCredentials(t *testing.T) {
	t.Parallel()
	env := map[string]string{"AWS_PROFILE": "audit"}
	k := &Checkup{sink: &Sink{}, want: Examine{LookupEnv: func(n string) (string, bool) { v, ok := env[n]; return v, ok }}}
	for source, want := range map[string]string{
		"EnvConfigCredentials":                         "from the environment (AWS_ACCESS_KEY_ID)",
		"SharedConfigCredentials: /home/u/.aws/config": "from the shared configuration /home/u/.aws/config (profile audit)",
		"WebIdentityCredentials":                       "by web identity (AWS_WEB_IDENTITY_TOKEN_FILE)",
		"CredentialsEndpointProvider":                  "from the container (role of the ECS task)",
		"EC2RoleProvider":                              "from the instance (role of the EC2 instance)",
		"SSOProvider":                                  "by IAM Identity Center (aws sso login) (profile audit)",
		"ProcessProvider":                              "by a process (credential_process) (profile audit)",
		"AssumeRoleProvider":                           "by a role that the profile assumes (profile audit)",
	} {
		words, static := k.origin(source)
		if words != want || static != (strings.HasPrefix(source, "Env") || strings.HasPrefix(source, "Shared")) {
			t.Errorf("%s: %q, static %t", source, words, static)
		}
	}
	env["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"] = "/var/run/secrets/token"
	if words, _ := k.origin("CredentialsEndpointProvider"); !strings.Contains(words, "EKS Pod Identity") {
		t.Errorf("in EKS: %q", words)
	}
}

// examined runs all checks against an endpoint, and returns what each found.
func examined(t *testing.T, endpoint string, c Config, want Examine) map[string]checkup.Finding {
	t.Helper()
	c.Region, c.Endpoint = "us-east-1", endpoint
	want.LookupEnv = func(string) (string, bool) { return "", false }
	k, err := NewCheckup(t.Context(), c, Deps{
		Logger: slog.New(slog.DiscardHandler), HTTPClient: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}},
		Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "example-secret", ""),
	}, want)
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]checkup.Finding)
	if err := checkup.Run(t.Context(), []checkup.Section{{Checks: k.Checks()}}, time.Minute, func(r checkup.Result) { all[r.Check] = r.Finding }); err != nil {
		t.Fatal(err)
	}
	return all
}

// iamBeside answers iam:SimulatePrincipalPolicy, with a decision on each action, and
// leaves all else to the emulator.
func iamBeside(t *testing.T, next http.Handler, decide func(action, resource, principal string) string) http.Handler {
	t.Helper()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.Header.Get("Authorization"), "/iam/") {
			next.ServeHTTP(w, r)
			return
		}
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		action := r.PostForm.Get("ActionNames.member.1")
		w.Header().Set("Content-Type", "text/xml")
		fmt.Fprintf(w, `<SimulatePrincipalPolicyResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><SimulatePrincipalPolicyResult><IsTruncated>false</IsTruncated><EvaluationResults><member><EvalActionName>%s</EvalActionName><EvalDecision>%s</EvalDecision></member></EvaluationResults></SimulatePrincipalPolicyResult></SimulatePrincipalPolicyResponse>`,
			action, decide(action, r.PostForm.Get("ResourceArns.member.1"), r.PostForm.Get("PolicySourceArn")))
	})
}

// TestCheckupSimulates asks IAM about what cannot be tried without a change, and names
// the permission that is missing.
func TestCheckupSimulates(t *testing.T) {
	t.Parallel()
	for decision, want := range map[string]checkup.Status{"allowed": checkup.Pass, "implicitDeny": checkup.Fail} {
		cw, err := emulated.New(emulated.Options{})
		if err != nil {
			t.Fatal(err)
		}
		s := httptest.NewServer(iamBeside(t, cw, func(action, resource, principal string) string {
			if action != "logs:CreateLogGroup" || resource != "arn:aws:logs:us-east-1:123456789012:log-group:/auth0/dev:*" || principal != "arn:aws:iam::123456789012:user/emulator" {
				t.Errorf("asked about %s on %s for %s", action, resource, principal)
			}
			return decision
		}))
		t.Cleanup(s.Close)
		got := examined(t, s.URL, DefaultConfig(), Examine{Destination: pipeline.Destination{LogGroup: "/auth0/dev", LogStream: "logs"}})["logs_CreateLogGroup"]
		if got.Status != want || want == checkup.Fail && (got.Cause != checkup.Authorization || !strings.Contains(got.Fix, `"Action": "logs:CreateLogGroup"`)) {
			t.Errorf("%s: %+v", decision, got)
		}
	}
}

// TestCheckupChangesNothing examines destinations that are not there, fixed ones and
// templates, and finds none there afterwards.
func TestCheckupChangesNothing(t *testing.T) {
	t.Parallel()
	cw, err := emulated.New(emulated.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(cw)
	t.Cleanup(s.Close)
	c := DefaultConfig()
	c.RetentionDays = 365
	for _, dest := range []pipeline.Destination{{LogGroup: "/auth0/dev", LogStream: "logs"}, {LogGroup: "/auth0/{type}", LogStream: "{date}"}, {LogGroup: "/auth0/dev", LogStream: "{date}"}} {
		for name, f := range examined(t, s.URL, c, Examine{Destination: dest, WriteTest: true}) {
			if f.Status == checkup.Fail {
				t.Errorf("%v: %s: %+v", dest, name, f)
			}
		}
	}
	calls, failed := cw.Stats().Calls, cw.Stats().Errors
	for _, op := range []string{"CreateLogStream", "PutRetentionPolicy"} { // each was told that there is no group
		if calls[op] == 0 {
			t.Errorf("%s was not tried", op)
		}
	}
	if calls["CreateLogGroup"] > 0 || failed["ResourceNotFoundException"] < calls["CreateLogStream"]+calls["PutRetentionPolicy"]+calls["PutLogEvents"] {
		t.Errorf("something was made: calls %v, errors %v", calls, failed)
	}
}

// TestCheckupAgainstMoto has an emulator of others answer: identity, group and stream,
// the write test with its message.
func TestCheckupAgainstMoto(t *testing.T) {
	t.Parallel()
	at := moto.Start(t)
	u, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	dest := pipeline.Destination{LogGroup: "/auth0/dev", LogStream: "logs"}
	before := examined(t, u.String(), DefaultConfig(), Examine{Destination: dest})
	for name, f := range before {
		if f.Status == checkup.Fail {
			t.Errorf("before: %s: %+v", name, f)
		}
	}
	if f := before["aws_identity"]; f.Status == checkup.Skip || !strings.Contains(f.Summary, "in account 123456789012") {
		t.Errorf("identity: %+v", f)
	}
	sink := sinkAt(t, u.String())
	if err := sink.Check(t.Context(), dest); err != nil { // it makes both
		t.Fatal(err)
	}
	after := examined(t, u.String(), DefaultConfig(), Examine{Destination: dest, WriteTest: true})
	for _, name := range []string{"log_group", "log_stream", "logs_PutLogEvents", "logs_GetLogEvents", "write_test"} {
		if f := after[name]; f.Status != checkup.Pass {
			t.Errorf("after: %s: %+v", name, f)
		}
	}
	var messages []string
	stream := pipeline.Destination{LogGroup: dest.LogGroup, LogStream: DoctorStream}
	if err := sink.read(t.Context(), stream, 0, time.Now().Add(time.Hour).UnixMilli(), func(_ int64, m string) bool { messages = append(messages, m); return true }); err != nil {
		t.Fatal(err)
	}
	if len(messages) != 1 || !strings.Contains(messages[0], "This is no event of Auth0.") || strings.Contains(messages[0], `"log_id"`) {
		t.Errorf("written: %q", messages)
	}
}

// sinkAt makes a sink at an endpoint.
func sinkAt(t *testing.T, endpoint string) *Sink {
	t.Helper()
	c := DefaultConfig()
	c.Region, c.Endpoint = "us-east-1", endpoint
	k, err := NewCheckup(context.Background(), c, Deps{
		Logger: slog.New(slog.DiscardHandler), HTTPClient: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}},
		Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "example-secret", ""),
	}, Examine{})
	if err != nil {
		t.Fatal(err)
	}
	return k.sink
}
