package setup_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/setup"
)

// secret is one as Auth0 makes them.
const secret = "mVvkZ0b3kK_9hUqP7xXyZ1aB2cD3eF4gH5iJ6kL7mN8oP9qR0sT1uV2wX3yZ4aB5"

// ask runs a wizard on lines.
func ask(t *testing.T, from setup.Answers, given map[string]string, lines ...string) (setup.Answers, string, error) {
	t.Helper()
	var out strings.Builder
	w := setup.Wizard{In: strings.NewReader(strings.Join(append(lines, ""), "\n")), Out: &out, Defaults: setup.Defaults{Region: "ap-northeast-1"}}
	a, err := w.Ask(t.Context(), from, given)
	return a, out.String(), err
}

// TestWizard takes defaults, repeats what is wrong, and helps.
func TestWizard(t *testing.T) {
	t.Parallel()
	a, out, err := ask(t, setup.Answers{}, nil,
		"", "https://Dev-Tenant.us.auth0.com/", "", "?", "my id", "abc", "", "", "", "13", "90", "ecs\n")
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	want := setup.Answers{
		Auth: "client-secret", Domain: "Dev-Tenant.us.auth0.com", Name: "dev-tenant", ClientID: "abc", ClientSecret: "env:AUTH0_CLIENT_SECRET",
		Region: "ap-northeast-1", LogGroup: "/auth0/{tenant}", RetentionDays: "90", Where: "ecs",
	}
	if string(want.File()) != string(a.File()) {
		t.Errorf("got\n%s", a.File())
	}
	for _, text := range []string{
		"(client-secret, private-key, webhook) [client-secret]: ", "in gapless [dev-tenant]: ", "AWS Region of the log group [ap-northeast-1]: ",
		"  In the Auth0 Dashboard, under Applications, create one of the kind Machine to", "(tenants[].client_id: Client ID",
		"  That holds a space. Write the client ID alone.\n", `  That "13" is not a value it can take. Use one of: 0, 1, 3, 5,`,
	} {
		if !strings.Contains(out, text) {
			t.Errorf("%q was not shown in\n%s", text, out)
		}
	}
	if strings.Contains(out, "private key is kept") || strings.Contains(out, "certificate") {
		t.Errorf("what does not arise was asked:\n%s", out)
	}
}

// TestWizardOtherWays asks what the way to get events needs, and no more.
func TestWizardOtherWays(t *testing.T) {
	t.Parallel()
	a, out, err := ask(t, setup.Answers{}, nil, "webhook", "dev", "", "", "proxy", "", "", "", "github", "ec2")
	if err != nil || a.WebhookTLS != "proxy" || a.WebhookToken != "env:GAPLESS_WEBHOOK_TOKEN" || a.Where != "ec2" {
		t.Errorf("%+v: %v\n%s", a, err, out)
	}
	if !strings.Contains(out, "no place that Auth0 can push to") || strings.Contains(out, "domain") {
		t.Errorf("got\n%s", out)
	}
	a, out, err = ask(t, setup.Answers{}, map[string]string{"private-key": "file:k.pem", "region": "us-east-1"}, "", "a.example.com", "", "abc", "", "", "")
	if err != nil || a.Auth != setup.AuthKey || a.Region != "us-east-1" || strings.Contains(out, "Region") || strings.Contains(out, "secret is kept") {
		t.Errorf("%+v: %v\n%s", a, err, out)
	}
	a, out, err = ask(t, setup.Answers{Domain: "old.example.com", LogGroup: "old", Region: "us-east-1"}, nil, "", "", "", "abc", "", "", "new", "", "")
	if err != nil || a.Domain != "old.example.com" || a.LogGroup != "new" || a.Region != "us-east-1" || !strings.Contains(out, "[old.example.com]") {
		t.Errorf("%+v: %v\n%s", a, err, out)
	}
}

// TestWizardNeverTakesASecret has secrets pasted wherever a reference is asked for.
func TestWizardNeverTakesASecret(t *testing.T) {
	t.Parallel()
	pem := "-----BEGIN RSA PRIVATE KEY-----\n" + secret + "\nenv:OK\n-----END RSA PRIVATE KEY-----"
	for _, pasted := range []string{secret, "env:" + secret, "hunter2", pem, "$SECRET", "env:a b", "***"} {
		a, out, err := ask(t, setup.Answers{}, map[string]string{"auth": setup.AuthKey}, "a.example.com", "", "abc", pasted, "file:k.pem", "", "", "", "")
		if err != nil || a.PrivateKey != "file:k.pem" {
			t.Errorf("%q: %+v, %v", pasted, a, err)
		}
		if strings.Contains(out+string(a.File()), secret) || strings.Contains(out, "hunter2") || strings.Count(out, "  That ") != 1 {
			t.Errorf("%q: printed\n%s", pasted, out)
		}
		given := flagsFor(setup.AuthSecret)
		given["client-secret"] = pasted
		if _, err := setup.Take(t.Context(), setup.Answers{}, given, setup.Defaults{}); err == nil || strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q as a flag: %v", pasted, err)
		}
	}
	_, out, err := ask(t, setup.Answers{}, nil, "", "a.example.com", "", secret, "abc", "", "", "", "", "")
	if err != nil || strings.Contains(out, secret) || !strings.Contains(out, "may be the secret") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestWizardEnds without an answer too many: at the end of the input, after wrong
// answers of a program, with its context.
func TestWizardEnds(t *testing.T) {
	t.Parallel()
	for _, lines := range [][]string{{}, {"", "a.example.com"}, {"", "?"}, {"webhook", "-----BEGIN X"}} {
		if _, _, err := ask(t, setup.Answers{}, nil, lines...); !errors.Is(err, setup.ErrNoMoreAnswers) {
			t.Errorf("%q: got %v", lines, err)
		}
	}
	_, out, err := ask(t, setup.Answers{}, nil, "a", "b", "?", "c", "", "a.example.com")
	if !errors.Is(err, setup.ErrTooManyTries) || !strings.Contains(err.Error(), "--auth") || strings.Count(out, "  That ") != 3 {
		t.Errorf("got %v\n%s", err, out)
	}
	if _, _, err := ask(t, setup.Answers{}, nil, strings.Repeat("a", 1<<20)); err == nil || errors.Is(err, setup.ErrTooManyTries) {
		t.Errorf("a line of 1 MiB: %v", err)
	}

	w := setup.Wizard{In: strings.NewReader(strings.Repeat("x\n", 9) + "\n"), Out: io.Discard, Patient: true}
	if _, err := w.Ask(t.Context(), setup.Answers{}, nil); !errors.Is(err, setup.ErrNoMoreAnswers) {
		t.Errorf("a person may try nine times: %v", err)
	}

	r, in := io.Pipe()
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("stop")
	cancel(stop)
	w = setup.Wizard{In: r, Out: io.Discard}
	if _, err := w.Ask(ctx, setup.Answers{}, nil); !errors.Is(err, stop) && !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	_ = in.Close() // ends the read
}

// TestTakeListsAllThatIsMissing names everything at once.
func TestTakeListsAllThatIsMissing(t *testing.T) {
	t.Parallel()
	_, err := setup.Take(t.Context(), setup.Answers{}, nil, setup.Defaults{})
	var bad *setup.FlagsError
	if !errors.As(err, &bad) {
		t.Fatalf("got %v", err)
	}
	var flags []string
	for _, p := range bad.Problems {
		flags = append(flags, p.Flag)
	}
	if want := []string{"domain", "client-id", "region"}; !slices.Equal(flags, want) {
		t.Errorf("got %q, want %q", flags, want)
	}
	if text := err.Error(); !strings.HasPrefix(text, "3 answers are missing or wrong\n  --domain is missing: Auth0 domain of the tenant. It stands in") {
		t.Errorf("got %q", text)
	}
	given := map[string]string{"auth": "client-secret", "domain": "manage.auth0.com", "name": "A B", "private-key": "file:x", "cert-file": "x", "region": "eu-central-1a"}
	_, err = setup.Take(t.Context(), setup.Answers{}, given, setup.Defaults{})
	for _, text := range []string{
		"--domain is the Dashboard", `--name "A..." is not a name`, "--client-id is missing", "--region is not an AWS Region",
		"--private-key does not go with the other answers", "--cert-file does not go",
	} {
		if err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%q is not in %v", text, err)
		}
	}
}

// TestAnswersAreCheckedOneByOne holds single answers against the checks of their
// settings.
func TestAnswersAreCheckedOneByOne(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		flag, answer string
		ok           bool
	}{
		{"auth", "client-secret", true},
		{"auth", "secret", false},
		{"auth", "", false},
		{"domain", "dev-tenant.us.auth0.com", true},
		{"domain", "http://127.0.0.1:4010", true},
		{"domain", "dev tenant", false},
		{"domain", "https://manage.auth0.com/dashboard/us/dev", false},
		{"domain", "dev-tenant.us.auth0.com/api/v2", false},
		{"domain", "a\x1b[2J.com", false},
		{"name", "dev-tenant", true},
		{"name", "Dev", false},
		{"name", "..", false},
		{"client-secret", "env:A", true},
		{"client-secret", "aws-ssm:/gapless/secret", true},
		{"client-secret", "env:", false},
		{"webhook-listen", ":8443", true},
		{"webhook-listen", "8443", false},
		{"region", "eu-central-1", true},
		{"region", "us-gov-west-1", true},
		{"region", "Frankfurt", false},
		{"region", "eu-central-1a", false},
		{"log-group", "/auth0/{tenant}/{date}", true},
		{"log-group", "/auth0/{tenent}", false},
		{"log-group", "aws/x", false},
		{"log-group", "a b", false},
		{"retention-days", "3653", true},
		{"retention-days", "2", false},
		{"retention-days", "a year", false},
		{"where", "lambda", true},
		{"where", "azure", false},
	} {
		for _, q := range setup.Questions() {
			if q.Flag != c.flag {
				continue
			}
			a := setup.Answers{Auth: setup.AuthSecret}
			if c.flag == "webhook-listen" {
				a.Auth = setup.AuthWebhook
			}
			if err := q.Set(t.Context(), &a, c.answer); (err == nil) != c.ok {
				t.Errorf("--%s %q: %v", c.flag, c.answer, err)
			}
		}
	}
}

// TestQuestionsAreDescribed holds that each has what the wizard and the help show.
func TestQuestionsAreDescribed(t *testing.T) {
	t.Parallel()
	for _, q := range setup.Questions() {
		if q.Text == "" || q.Help == "" || !strings.Contains(q.Usage, "`") || strings.HasSuffix(q.Text, "?") {
			t.Errorf("%s: %+v", q.Flag, q)
		}
	}
	if _, ok := config.Describe("tenants.0.nothing"); ok {
		t.Error("what is not there is described")
	}
}
