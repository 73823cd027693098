package cli_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"

	"github.com/gaplesslogs/gapless/internal/cli"
)

// update rewrites the scripts and the pages that are compared with what the
// program prints.
var update = flag.Bool("update", false, "rewrite expected output and the pages of docs/")

// quickExit is for the environment of a child: with the race detector a process
// otherwise sleeps for a second when it ends.
const quickExit = "GORACE=atexit_sleep_ms=0"

// leakless fails a run that leaves goroutines behind.
type leakless struct{ *testing.M }

// Run runs the tests.
func (l leakless) Run() int {
	code := l.M.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// TestMain lets scripts run the program itself as "gapless".
func TestMain(m *testing.M) {
	testscript.Main(leakless{m}, map[string]func(){
		"gapless": func() {
			env := cli.OS()
			env.Version = "v0.0.0-test"
			os.Exit(cli.Main(context.Background(), os.Args[1:], env))
		},
	})
}
