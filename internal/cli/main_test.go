package cli_test

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/gaplesslogs/gapless/internal/cli"
)

// update rewrites the scripts and the pages that are compared with what the
// program prints.
var update = flag.Bool("update", false, "rewrite expected output and the pages of docs/")

// TestMain lets scripts run the program itself as "gapless".
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"gapless": func() {
			env := cli.OS()
			env.Version = "v0.0.0-test"
			os.Exit(cli.Main(context.Background(), os.Args[1:], env))
		},
	})
}

// TestScripts runs the scripts in testdata/script: exact output and exit codes.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			e.Vars = append(e.Vars, "XDG_STATE_HOME="+e.WorkDir+"/state")
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){"exits": exits},
	})
}

// exits runs a command and compares its exit code: exits CODE COMMAND ARGS...
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND ARGS...")
	}
	err := ts.Exec(args[1], args[2:]...)
	got := "0"
	if err != nil {
		got = strings.TrimPrefix(err.Error(), "exit status ")
	}
	if got != args[0] {
		ts.Fatalf("exit code %s, want %s", got, args[0])
	}
}
