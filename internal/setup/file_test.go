package setup_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/setup"
)

// load reads a file as the commands do, with nothing of this machine.
func load(t interface{ Context() context.Context }, file []byte) (*config.Config, error) {
	return config.Load(t.Context(), config.LoadOptions{
		File: "gapless.yaml", ReadFile: func(string) ([]byte, error) { return file, nil }, Environ: []string{"HOME=/h", "LOCALAPPDATA=/h"},
	})
}

// choices returns the choices of a question.
func choices(flag string) []string {
	for _, q := range setup.Questions() {
		if q.Flag == flag {
			return q.Choices
		}
	}
	return nil
}

// flagsFor returns the answers without a default for a way to get events.
func flagsFor(auth string) map[string]string {
	given := map[string]string{"auth": auth, "region": "eu-central-1", "name": "dev-tenant"}
	if auth != setup.AuthWebhook {
		given["domain"], given["client-id"] = "dev-tenant.us.auth0.com", "abc"
	}
	return given
}

// commented is a setting that is commented out.
var commented = regexp.MustCompile(`(?m)^( *)#([a-z_]+:.*)$`)

// TestEveryFileIsTaken goes through all choices, with and without what the old
// extension brings: the file loads, and with every comment of a setting taken off, too.
func TestEveryFileIsTaken(t *testing.T) {
	t.Parallel()
	old := []setup.Answers{
		{},
		{StartFrom: "90020230101", LogStream: "old", MinLevel: "3", Types: []string{"s", "f"}},
		{MinLevel: "0", Slack: true},
		{Types: []string{"gd_*", "0", "no"}, LogStream: "[1]#x y", Slack: true, SlackSuccess: true},
	}
	files := 0
	for _, auth := range choices("auth") {
		for _, where := range choices("where") {
			for _, tls := range choices("webhook-tls") {
				for i, from := range old {
					given := flagsFor(auth)
					given["where"] = where
					if auth == setup.AuthWebhook {
						given["webhook-tls"] = tls
					}
					a, err := setup.Take(t.Context(), from, given, setup.Defaults{})
					if refused := auth == setup.AuthWebhook && (where == "lambda" || where == "github"); refused != (err != nil) {
						t.Fatalf("%v, old %d: %v", given, i, err)
					} else if refused {
						continue
					}
					files++
					checkFile(t, a)
				}
			}
		}
	}
	if files < 100 {
		t.Errorf("only %d files were made", files)
	}
}

// checkFile holds a file against its answers.
func checkFile(t *testing.T, a setup.Answers) {
	t.Helper()
	file := a.File()
	cfg, err := load(t, file)
	if err != nil {
		t.Fatalf("%v\n%s", err, file)
	}
	got := cfg.Tenants[0]
	want := []string{a.Name, a.Region, a.LogGroup, a.RetentionDays}
	if d := cmp.Diff(want, []string{got.Name, cfg.AWS.Region, got.CloudWatch.LogGroup, strconv.Itoa(got.CloudWatch.RetentionDays)}); d != "" {
		t.Errorf("(-want +got):\n%s\n%s", d, file)
	}
	if d := cmp.Diff(a.Types, got.Filter.Types.Allow); d != "" {
		t.Errorf("types (-want +got):\n%s", d)
	}
	if a.LogStream != "" && got.CloudWatch.LogStream != a.LogStream {
		t.Errorf("stream %q, want %q", got.CloudWatch.LogStream, a.LogStream)
	}
	if want := map[bool]string{true: "", false: a.MinLevel}[a.MinLevel == ""]; want != "" && strconv.Itoa(got.Filter.MinLevel) != want {
		t.Errorf("min_level %d, want %s", got.Filter.MinLevel, want)
	}
	if got.Polls() != (a.Auth != setup.AuthWebhook) {
		t.Errorf("polls: %v\n%s", got.Polls(), file)
	}
	if a.Where == "github" && cfg.Listen != "" {
		t.Errorf("listens at %q", cfg.Listen)
	}
	full := string(file)
	if full = commented.ReplaceAllString(full, "$1$2"); strings.Count(full, "\n") < 20 || full == string(file) {
		t.Errorf("nothing was commented out:\n%s", file)
	}
	if _, err := load(t, []byte(full)); err != nil {
		t.Errorf("without the comments: %v\n%s", err, full)
	}
	for line := range strings.Lines(string(file)) {
		if len(line) > 120 || strings.TrimRight(line, " \n")+"\n" != line {
			t.Errorf("line %q", line)
		}
	}
}

// TestFileGolden shows a few files whole.
func TestFileGolden(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		from  setup.Answers
		flags map[string]string
	}{
		"here":    {flags: map[string]string{}},
		"eks-key": {flags: map[string]string{"auth": setup.AuthKey, "where": "eks", "private-key": "file:/run/secrets/auth0.pem", "retention-days": "365"}},
		"push":    {flags: map[string]string{"auth": setup.AuthWebhook, "where": "ec2", "webhook-token": "aws-secretsmanager:gapless#token"}},
		"extension": {
			from:  setup.Answers{StartFrom: "90020230101", LogStream: "old", LogGroup: "auth0", MinLevel: "3", Types: []string{"s", "slo"}, Slack: true},
			flags: map[string]string{"where": "github"},
		},
	} {
		given := flagsFor(c.flags["auth"])
		delete(given, "auth")
		maps.Copy(given, c.flags)
		a, err := setup.Take(t.Context(), c.from, given, setup.Defaults{})
		if err != nil {
			t.Fatal(err)
		}
		got := string(a.File()) + "\n# Next:\n#   " + strings.Join(a.Next("gapless.yaml", true), "\n#   ") + "\n"
		path := filepath.Join("testdata", name+".yaml")
		if *update {
			if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(string(want), got); d != "" {
			t.Errorf("%s is not as expected; -update rewrites it\n(-want +got):\n%s", path, d)
		}
	}
}

// TestAnyAnswers has any texts for answers: they are refused, or the file that they
// make is taken and says the same.
func TestAnyAnswers(t *testing.T) {
	t.Parallel()
	taken := 0
	rapid.Check(t, func(rt *rapid.T) {
		auth := rapid.SampledFrom(choices("auth")).Draw(rt, "auth")
		given := flagsFor(auth)
		odd := rapid.OneOf(rapid.String(), rapid.StringMatching(`[a-z0-9:{}*&!%#@'"\\/, -]{0,12}`),
			rapid.SampledFrom([]string{"0", "~", "null", "yes", "- a", "a: b", "env:A", "file:b c", "x.example.com", "http://127.0.0.1:1", "{tenant}", "a-b-1", "1827", "*a", "&a"}))
		for _, q := range setup.Questions() {
			if _, ok := given[q.Flag]; (ok || q.Flag == "log-group") && q.Flag != "auth" && rapid.Bool().Draw(rt, q.Flag+"?") {
				given[q.Flag] = odd.Draw(rt, q.Flag)
			}
		}
		a, err := setup.Take(rt.Context(), setup.Answers{}, given, setup.Defaults{})
		if err != nil {
			return
		}
		taken++
		cfg, err := load(rt, a.File())
		if err != nil {
			rt.Fatalf("%v\n%s", err, a.File())
		}
		got := cfg.Tenants[0]
		want := []string{a.Name, a.Domain, a.ClientID, a.Region, a.LogGroup}
		if d := cmp.Diff(want, []string{got.Name, got.Domain, got.ClientID, cfg.AWS.Region, got.CloudWatch.LogGroup}); d != "" {
			rt.Fatalf("(-want +got):\n%s\n%s", d, a.File())
		}
	})
	if taken == 0 {
		t.Error("no answers were taken")
	}
}

// TestNextExists holds that what is to be typed next is there, and fits the place.
func TestNextExists(t *testing.T) {
	t.Parallel()
	for _, where := range choices("where") {
		given := flagsFor(setup.AuthSecret)
		given["where"] = where
		a, err := setup.Take(t.Context(), setup.Answers{}, given, setup.Defaults{})
		if err != nil {
			t.Fatal(err)
		}
		run := "gapless run"
		if where == "lambda" || where == "github" {
			run = "gapless run --once"
		}
		for with, next := range map[string][]string{"--config x.yaml": a.Next("x.yaml", false), "": a.Next("gapless.yaml", true)} {
			if with != "" {
				with = " " + with
			}
			commands := slices.DeleteFunc(slices.Clone(next), func(line string) bool { return strings.HasPrefix(line, "#") })
			want := []string{"export AUTH0_CLIENT_SECRET=...", "gapless setup plan" + with, "gapless setup apply" + with, "gapless doctor" + with, run + with}
			if !slices.Equal(commands, want) {
				t.Errorf("%s: got %q", where, next)
			}
		}
		checkRunOn(t, where, a)
	}
	if got := fmt.Sprint(setup.Answers{ClientSecret: "aws-ssm:/a\x1b[2J"}.Next("-", true)); strings.Contains(got, "\x1b") || !strings.Contains(got, "Keep what was printed") {
		t.Errorf("got %q", got)
	}
}

// checkRunOn holds that the file tells setup where gapless runs, or how to tell it.
func checkRunOn(t *testing.T, where string, a setup.Answers) {
	t.Helper()
	want := map[string]string{
		"here": "setup:\n  run_on: none\n", "ec2": "setup:\n  run_on: ec2\n", "ecs": "setup:\n  run_on: ecs\n", "lambda": "setup:\n  run_on: lambda\n",
		"eks": "#setup: {run_on: eks-pod-identity, eks: {cluster: prod}}\n", "github": "#setup: {run_on: github, github: {repository: example/gapless-export}}\n",
		"other": "#setup: {run_on: roles-anywhere, roles_anywhere: {ca_file: /etc/gapless/ca.pem}}\n",
	}[where]
	file := string(a.File())
	if want == "" || !strings.Contains(file, "\n"+want) {
		t.Errorf("%s: the file lacks %q:\n%s", where, want, file)
	}
	file = strings.Replace(file, "\n#setup:", "\nsetup:", 1)
	cfg, err := config.Load(t.Context(), config.LoadOptions{File: "g.yaml", ReadFile: func(string) ([]byte, error) {
		return []byte("data_dir: /d\n" + strings.Replace(file, "\ndata_dir:", "\n#data_dir:", 1)), nil
	}})
	if err != nil || !strings.Contains(want, "run_on: "+cfg.Setup.RunOn) {
		t.Errorf("%s: with the comment taken off: %v", where, err)
	}
}
