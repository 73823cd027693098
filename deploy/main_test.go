//go:build linux

package deploy_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"go.uber.org/goleak"

	"github.com/gaplesslogs/gapless/internal/emulator/cloudwatch"
	"github.com/gaplesslogs/gapless/internal/emulator/tenant"
)

// root is the repository.
const root = ".."

// clientSecret opens the emulated tenant.
const clientSecret = "s3cret-of-the-tenant"

// bin is where programs are built that several tests run.
var bin string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "gapless-deploy-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	bin = dir
	code := m.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// read returns a file of the repository.
func read(t *testing.T, elem ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(append([]string{root}, elem...)...))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// readYAML decodes a document strictly.
func readYAML(t *testing.T, text string, into any) {
	t.Helper()
	if err := yaml.UnmarshalWithOptions([]byte(text), into, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
}

// write writes a file, with the directories that it lies in.
func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// need skips the test, loudly, unless a program is there.
func need(t *testing.T, program, install string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Skipf("NOT RUN: %s is not installed. To run this test: %s", program, install)
	}
}

// A command runs a program in a directory, with variables beside those of the test
// that are not AWS's.
type command struct {
	dir string
	env []string
}

// run returns what the program has written.
func (c command) run(ctx context.Context, t *testing.T, program string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = c.dir
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "AWS_") })
	cmd.Env = append(cmd.Env, c.env...)
	cmd.WaitDelay = 10 * time.Second
	var o, e bytes.Buffer
	cmd.Stdout, cmd.Stderr = &o, &e
	err = cmd.Run()
	return o.String(), e.String(), err
}

// must is run for programs that must succeed.
func (c command) must(ctx context.Context, t *testing.T, program string, args ...string) string {
	t.Helper()
	stdout, stderr, err := c.run(ctx, t, program, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s%s", program, strings.Join(args, " "), err, stdout, stderr)
	}
	return stdout
}

// builtGapless is the binary as the Dockerfile builds it; see buildGapless.
var builtGapless = sync.OnceValues(func() (string, error) { return buildGapless(filepath.Join(bin, "gapless")) })

// gapless returns the path of that binary.
func gapless(t *testing.T) string {
	t.Helper()
	path, err := builtGapless()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// A stage is an emulated tenant with a history, and an emulated CloudWatch Logs.
type stage struct {
	tenant       *tenant.Server
	cloudwatch   *cloudwatch.Server
	auth0, aws   string
	clientID     string
	historyCount int
}

// newStage starts both until the test ends.
func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{clientID: "abc", historyCount: 100}
	var err error
	if s.tenant, err = tenant.New(tenant.Options{ClientID: s.clientID, ClientSecret: clientSecret}); err != nil {
		t.Fatal(err)
	}
	if s.cloudwatch, err = cloudwatch.New(cloudwatch.Options{}); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	if err := s.tenant.Generate(s.historyCount, now.Add(-time.Hour), now.Add(-time.Minute)); err != nil {
		t.Fatal(err)
	}
	auth0, aws := httptest.NewServer(s.tenant), httptest.NewServer(s.cloudwatch)
	s.auth0, s.aws = auth0.URL, aws.URL
	t.Cleanup(func() {
		auth0.Close()
		aws.Close()
		for _, err := range []error{s.tenant.Close(), s.cloudwatch.Close()} {
			if err != nil {
				t.Error(err)
			}
		}
	})
	return s
}

// compare fails unless each event of the tenant is in the log stream, once.
func (s *stage) compare(t *testing.T, group string) {
	t.Helper()
	got := make(map[string]int)
	for _, e := range s.cloudwatch.Events(group, "logs") {
		got[e.Message]++
	}
	for _, raw := range s.tenant.Events() {
		if got[string(raw)] != 1 {
			t.Errorf("an event is there %d times: %.80s", got[string(raw)], raw)
		}
	}
	if n := s.tenant.Len(); len(got) != n || n < s.historyCount {
		t.Errorf("%d different events arrived, the tenant holds %d", len(got), n)
	}
}
