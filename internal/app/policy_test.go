package app_test

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/google/go-cmp/cmp"

	"github.com/gaplesslogs/gapless/internal/app"
	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/emulator"
	"github.com/gaplesslogs/gapless/internal/emulator/cloudwatch"
	"github.com/gaplesslogs/gapless/internal/emulator/tenant"
)

// A documentedPolicy is the policy for AWS of docs/security.md, with the actions
// that its tables add for settings.
type documentedPolicy struct {
	text    string   // as JSON
	actions []string // those of the policy, in order
	added   []string // the actions of logs: that are in the tables alone
}

// readPolicy reads docs/security.md.
func readPolicy(t *testing.T) (p documentedPolicy) {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "security.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(page), "```json\n")
	p.text, _, _ = strings.Cut(after, "```")
	var policy struct {
		Statement []struct {
			Action []string
		}
	}
	if err := json.Unmarshal([]byte(p.text), &policy); err != nil || len(policy.Statement) != 1 {
		t.Fatalf("docs/security.md has no policy of one statement: %v\n%s", err, p.text)
	}
	p.actions = slices.Sorted(slices.Values(policy.Statement[0].Action))
	for _, m := range regexp.MustCompile("(?m)^\\|.*`(logs:[A-Z][A-Za-z]+)`").FindAllStringSubmatch(string(page), -1) {
		if !slices.Contains(p.actions, m[1]) {
			p.added = append(p.added, m[1])
		}
	}
	slices.Sort(p.added)
	p.added = slices.Compact(p.added) // several tables may name one
	return p
}

// with returns the policy with more actions, also on the group itself.
func (p documentedPolicy) with(t *testing.T, more []string) string {
	t.Helper()
	var policy map[string]any
	if err := json.Unmarshal([]byte(p.text), &policy); err != nil {
		t.Fatal(err)
	}
	statements, _ := policy["Statement"].([]any)
	policy["Statement"] = append(statements, map[string]any{"Effect": "Allow", "Action": more, "Resource": "*"})
	text, err := json.Marshal(policy)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// calls passes requests on and remembers what they asked for, by the name that name
// gives; nil takes that of the emulators of CloudWatch Logs and Auth0.
type calls struct {
	next http.Handler
	name func(*http.Request) string

	mu  sync.Mutex
	ops map[string]bool
}

// ServeHTTP implements http.Handler.
func (a *calls) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := a.name
	if name == nil {
		name = cloudwatch.Operation
	}
	a.mu.Lock()
	a.ops[name(r)] = true
	a.mu.Unlock()
	a.next.ServeHTTP(w, r)
}

// list returns what was asked for, each with a prefix.
func (a *calls) list(prefix string) (all []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for op := range a.ops {
		all = append(all, prefix+op)
	}
	slices.Sort(all)
	return all
}

// TestPermissionsAreThoseOfTheDocs runs the product with nothing but the policy of
// docs/security.md through creation, delivery and the look-up of what may have
// arrived: it works, and each permission is used.
func TestPermissionsAreThoseOfTheDocs(t *testing.T) {
	t.Parallel()
	p := readPolicy(t)
	t.Run("the policy alone", func(t *testing.T) {
		t.Parallel()
		aws, auth0 := exportUnder(t, export{policy: func(*testing.T, *config.Config) string { return p.text }})
		if d := cmp.Diff(slices.Sorted(slices.Values(append(slices.Clone(p.actions), "logs:DescribeLogGroups"))), aws); d != "" {
			t.Errorf("the policy, with what is tried and may be refused, differs from the calls (-policy +calls):\n%s", d)
		}
		if d := cmp.Diff([]string{"GET /api/v2/logs", "POST /oauth/token"}, auth0); d != "" {
			t.Errorf("the calls to Auth0 (-want +got):\n%s", d)
		}
	})
	t.Run("with retention and tags", func(t *testing.T) {
		t.Parallel()
		// Tags are given with CreateLogGroup: their permission has no call. An export asks no query.
		want := slices.DeleteFunc(append(slices.Clone(p.actions), p.added...), func(a string) bool { return a == "logs:TagResource" || a == "logs:StopQuery" })
		aws, _ := exportUnder(t, export{policy: func(*testing.T, *config.Config) string { return p.with(t, p.added) }, settings: true})
		if d := cmp.Diff(slices.Sorted(slices.Values(want)), aws); d != "" {
			t.Errorf("the policy and the tables differ from the calls (-policy +calls):\n%s", d)
		}
	})
}

// An export says under what events are exported.
type export struct {
	// policy returns the policy for a configuration.
	policy func(*testing.T, *config.Config) string
	// settings has the group be given a retention and tags.
	settings bool
	// verifies has the schedule of verify run.
	verifies bool
	// before is called with the endpoint and the key of an administrator; nil does nothing.
	before func(t *testing.T, cfg *config.Config, endpoint http.Handler, admin credentials.StaticCredentialsProvider)
}

// exportUnder exports the events of a tenant under a policy, one call's answer
// being lost, and returns what was asked of both sides.
func exportUnder(t *testing.T, under export) (awsCalls, auth0Calls []string) {
	t.Helper()
	const key, adminKey, secret, name = "AKIDEXAMPLE", "AKIDADMIN", "example-secret", "dev-tenant"
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, dir, tenant.Unlimited, name)
		defer w.close(t.Context(), t)
		s := w.sites[0]
		w.cfg.AWS.Region = "ap-northeast-1"
		if under.settings {
			w.cfg.Tenants[0].CloudWatch.RetentionDays = 30
			w.cfg.Tenants[0].CloudWatch.Tags = map[string]string{"team": "security"}
		}
		waits := []time.Duration{10 * time.Minute, time.Minute} // the second time everything is there
		if under.verifies {
			w.cfg.Verify.Schedule, waits[1] = "every 1h", time.Hour
		}
		if err := s.cloudwatch.Close(); err != nil {
			t.Fatal(err)
		}
		var err error
		s.cloudwatch, err = cloudwatch.New(cloudwatch.Options{Faults: s.aws, AccessKeys: []cloudwatch.AccessKey{
			{ID: key, Secret: secret, Policy: under.policy(t, w.cfg)}, {ID: adminKey, Secret: secret},
		}})
		if err != nil {
			t.Fatal(err)
		}
		if under.before != nil {
			under.before(t, w.cfg, s.cloudwatch, credentials.NewStaticCredentialsProvider(adminKey, secret, ""))
		}
		aws, auth0 := &calls{next: s.watch(s.cloudwatch), ops: map[string]bool{}}, &calls{next: s.tenant, ops: map[string]bool{}}
		w.hosts["logs-"+name+".example.com"], w.hosts[name+".example.com"] = emulator.Transport(aws), emulator.Transport(auth0)
		if err := s.tenant.Generate(250, time.Now().Add(-time.Hour), time.Now()); err != nil {
			t.Fatal(err)
		}
		s.aws.Add(emulator.Fault{Match: "PutLogEvents", Kind: emulator.FaultLost})
		for _, wait := range waits {
			w.stop(t.Context(), t, w.cfg.ShutdownTimeout)
			if w.app, err = app.New(t.Context(), app.Options{
				Config: w.cfg, Logger: slog.New(slog.DiscardHandler), Auth0HTTP: w, AWSHTTP: &http.Client{Transport: w},
				AWSCredentials: credentials.NewStaticCredentialsProvider(key, secret, ""),
			}); err != nil {
				t.Fatal(err)
			}
			if err := w.app.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			<-time.After(wait)
		}
		if troubles := w.overview(t.Context(), t, name).Troubles; len(troubles) > 0 {
			t.Errorf("troubles under the policy: %+v", troubles)
		}
		if v := w.overview(t.Context(), t, name).Verify; under.verifies && (v == nil || !v.Clean) {
			t.Errorf("verified under the policy: %+v", v)
		}
		w.stop(t.Context(), t, w.cfg.ShutdownTimeout)
		s.compare(t)
		awsCalls, auth0Calls = aws.list("logs:"), auth0.list("")
	})
	return awsCalls, auth0Calls
}
