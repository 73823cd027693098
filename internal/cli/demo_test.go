package cli_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/gaplesslogs/gapless/internal/cli"
)

// walkTimeout bounds a walk through what a page tells a person to type, with the tools that
// it names: it only has to end a walk that hangs. On a busy machine the AWS CLI takes
// several seconds to start.
const walkTimeout = 5 * time.Minute

// TestDemoCommandsWork pastes what a demo tells people to try into a shell.
func TestDemoCommandsWork(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"sh", "aws", "curl"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("NOT RUN: %s is missing; install the AWS CLI (https://aws.amazon.com/cli/) and curl", tool)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), walkTimeout)
	defer cancel()
	said, stop := startDemo(ctx, t, "--events", "50")
	defer stop()
	environ := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}
	read, create, find := pasted(t, said, "Read the last"), pasted(t, said, "Create a user"), pasted(t, said, "Find the event")

	awaitOutput(ctx, t, environ, read, func(out string) bool { return strings.Count(out, "log_id") == 3 })
	if out := shell(ctx, t, "", environ, create); !strings.Contains(out, `"user_id":"auth0|`) {
		t.Errorf("no user was created: %s", out)
	}
	awaitOutput(ctx, t, environ, find, func(out string) bool { return strings.Count(out, "Create a User") == 1 })
}

// startDemo starts a demo in process and returns what it says before the figures,
// and what ends it.
func startDemo(ctx context.Context, t *testing.T, args ...string) (said string, stop func()) {
	t.Helper()
	running, cancel := context.WithCancel(ctx)
	out, ended := newSpoken(), make(chan int, 1)
	var stderr bytes.Buffer
	args = append([]string{"demo", "--tenant-listen", "127.0.0.1:0", "--cloudwatch-listen", "127.0.0.1:0", "--listen", "127.0.0.1:0"}, args...)
	go func() {
		ended <- cli.Main(running, args, cli.Env{Stdin: strings.NewReader(""), Stdout: out, Stderr: &stderr})
	}()
	stop = func() {
		cancel()
		if code := <-ended; code != 0 {
			t.Errorf("the demo ended with %d: %s", code, stderr.String())
		}
	}
	select {
	case said = <-out.introduced:
	case code := <-ended:
		ended <- code
		stop()
		t.Fatal("the demo ended before it said anything")
	}
	return said, stop
}

// spoken is the standard output of a demo.
type spoken struct {
	text       strings.Builder
	introduced chan string // gets the text up to the last of what is to be tried
}

func newSpoken() *spoken { return &spoken{introduced: make(chan string, 1)} }

// Write implements io.Writer.
func (s *spoken) Write(p []byte) (int, error) {
	before := strings.Contains(s.text.String(), "Ctrl-C")
	s.text.Write(p)
	if !before && strings.Contains(s.text.String(), "Ctrl-C") {
		s.introduced <- s.text.String()
	}
	return len(p), nil
}

// pasted returns the indented lines below a title.
func pasted(t *testing.T, said, title string) string {
	t.Helper()
	_, below, found := strings.Cut(said, "\n"+title)
	_, below, _ = strings.Cut(below, "\n")
	block, _, ended := strings.Cut(below, "\n\n")
	if !found || !ended {
		t.Fatalf("nothing is said below %q:\n%s", title, said)
	}
	return block
}

// awaitOutput runs a command until it prints what is right.
func awaitOutput(ctx context.Context, t *testing.T, environ []string, command string, right func(string) bool) {
	t.Helper()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		cmd := exec.CommandContext(ctx, "sh", "-ec", command)
		cmd.Env = environ
		out, err := cmd.CombinedOutput() // it fails until the log group is there
		if err == nil && right(string(out)) {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s\n%v\n%s", command, err, out)
		case <-tick.C:
		}
	}
}
