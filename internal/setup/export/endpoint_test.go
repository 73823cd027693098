package export_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gaplesslogs/gapless/internal/setup/export"
	"github.com/gaplesslogs/gapless/internal/setup/stack"
)

// standIn answers in the place of the AWS CLI: to the call FAILS with the error ERROR,
// to others as if all were well. It writes down which calls there were.
const standIn = `#!/bin/sh
case $1 in --endpoint-url) shift 2 ;; esac
echo "$2" >>"$CALLS"
case "$2" in
"$FAILS")
	printf '\nAn error occurred (%s) when calling the X operation: reason\n' "$ERROR" >&2
	exit 254
	;;
esac
case "$*" in
*Account*) echo 123456789012 ;;
*get-caller-identity*) echo arn:aws:iam::123456789012:root ;;
*list-tags-for-resource*) echo '"gapless"' ;;
*describe-query-definitions*) echo null ;;
esac
`

// TestEndpointsThatKnowLess holds that the script goes on where an emulator does not know
// what gapless can do without, and that it stops at all other errors.
func TestEndpointsThatKnowLess(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("NOT RUN: there is no sh. To run this test: install a POSIX shell")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "aws"), []byte(standIn), 0o755); err != nil {
		t.Fatal(err)
	}
	group := &stack.LogGroup{Region: region, Name: "/auth0/dev", Protected: true, RetentionDays: 30, Tags: map[string]string{stack.ManagedBy: "gapless"}}
	s := stack.Stack{Resources: append([]stack.Resource{group}, analysis()...)}
	s.Resources = append(s.Resources, &stack.LogStream{Region: region, Group: "/auth0/dev", Name: "last"})
	path := filepath.Join(dir, "setup.sh")
	if err := os.WriteFile(path, render(t, export.AWSCLI, s, options()).Files[0].Content, 0o600); err != nil {
		t.Fatal(err)
	}
	const emulator = "http://127.0.0.1:5000"
	for name, c := range map[string]struct {
		fails, code, endpoint string
		ends                  bool   // whether the script goes on to its end
		calls                 int    // of what fails
		says                  string // on standard error
	}{
		"all is well":                 {fails: "none", endpoint: emulator, ends: true},
		"queries on an emulator":      {"put-query-definition", "500", emulator, true, 1, "2 left out, as the endpoint does not know them: (saved queries)"},
		"looking for queries":         {"describe-query-definitions", "InternalFailure", emulator, true, 2, ""},
		"indexes on an emulator":      {"put-index-policy", "UnknownOperationException", emulator, true, 1, "1 left out, as the endpoint does not know them: (field indexes)"},
		"protection on an emulator":   {"put-log-group-deletion-protection", "501", emulator, true, 1, emulator + " does not know deletion protection"},
		"refused by an emulator":      {"put-query-definition", "AccessDeniedException", emulator, false, 1, "could not set"},
		"AWS fails":                   {"put-query-definition", "500", "", false, 1, "could not set"},
		"AWS knows no such call":      {"put-index-policy", "UnknownOperationException", "", false, 1, "could not set"},
		"what cannot be done without": {"put-retention-policy", "500", emulator, false, 1, "could not set"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			calls := filepath.Join(t.TempDir(), "calls")
			cmd := exec.CommandContext(t.Context(), "sh", path)
			cmd.Env = []string{
				"PATH=" + dir + string(os.PathListSeparator) + os.Getenv("PATH"), "CALLS=" + calls, "FAILS=" + c.fails, "ERROR=" + c.code, "AWS_ENDPOINT_URL=" + c.endpoint,
			}
			var stderr strings.Builder
			cmd.Stderr = &stderr
			stdout, err := cmd.Output()
			if ended := err == nil; ended != c.ends {
				t.Fatalf("%v\n%s%s", err, stdout, stderr.String())
			}
			if !strings.Contains(stderr.String(), c.says) || c.says == "" && stderr.Len() > 0 {
				t.Errorf("it says %q on standard error", stderr.String())
			}
			if made := strings.Contains(string(stdout), ": last"); made != c.ends {
				t.Errorf("what follows was made: %v", made)
			}
			done, err := os.ReadFile(calls)
			if err != nil {
				t.Fatal(err)
			}
			if n := strings.Count(string(done), c.fails+"\n"); n != c.calls {
				t.Errorf("%s was called %d times, want %d", c.fails, n, c.calls)
			}
		})
	}
}
