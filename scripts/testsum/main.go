// Command testsum runs `go test` and ends with what a person wants to know: how
// many tests passed, what failed, and which ones could not run and why.
//
// Its arguments go to `go test`. It prints Go's own line for each package, the
// output of each failing test in full, and as its last line
// "N passed, N failed, N skipped". The exit code is that of `go test`. The race
// detector is on wherever it can be built; where it cannot, testsum says so.
//
// With -plain REGEXP -in PACKAGES before them, the tests of that name in those
// packages run without the race detector, after the others.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"slices"
	"strings"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code, err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "testsum:", err)
	}
	os.Exit(code)
}

// A plan is what to run: the arguments of go test, and the tests that go without the
// race detector.
type plan struct {
	args  []string
	plain string   // names them; empty for none
	in    []string // their packages
}

// readPlan reads the command line.
func readPlan(args []string) plan {
	if len(args) < 4 || args[0] != "-plain" || args[2] != "-in" {
		return plan{args: args}
	}
	p := plan{args: args[4:], plain: args[1], in: strings.Fields(args[3])}
	return p
}

// unwatched keeps the race detector out of SQLite, which is C turned into Go. Nothing
// is found there that would be ours, and the tests that use it, which are most, take
// three times as long with it. What is around it, in Go by hand, is watched: so it must
// not name a package that instantiates what others do, of which the linker keeps one.
const unwatched = "-gcflags=modernc.org/sqlite/lib=-race=false"

// passes returns the arguments of each run of go test.
func (p plan) passes(race bool) [][]string {
	switch {
	case !race:
		return [][]string{p.args}
	case p.plain == "":
		return [][]string{append([]string{"-race", unwatched}, p.args...)}
	}
	flags := slices.DeleteFunc(slices.Clone(p.args), func(arg string) bool { return !strings.HasPrefix(arg, "-") })
	return [][]string{
		append([]string{"-race", unwatched, "-skip", p.plain}, p.args...),
		slices.Concat([]string{"-run", p.plain}, flags, p.in),
	}
}

// run runs the tests and returns the exit code.
func run(ctx context.Context, args []string, w io.Writer) (int, error) {
	raceErr := raceWorks(ctx)
	s := newSummary()
	code := 0
	var errs []error
	for i, args := range readPlan(args).passes(raceErr == nil) {
		cmd := goCommand(ctx, raceErr == nil && i == 0, append([]string{"test", "-json"}, args...)...)
		c, err := s.follow(cmd, w)
		code, errs = max(code, c), append(errs, err)
	}
	s.print(w)
	if raceErr != nil {
		fmt.Fprintf(w, "THE RACE DETECTOR WAS OFF: it needs a C compiler (%v). Install gcc or clang and run again.\n", raceErr)
	}
	fmt.Fprintln(w, s.closing())
	return code, errors.Join(errs...)
}

// follow runs a command and takes in what it says. The exit code is at least 1 when
// it has failed, or could not be followed.
func (s *summary) follow(cmd *exec.Cmd, w io.Writer) (int, error) {
	cmd.Stderr = w
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 1, err
	}
	if err := cmd.Start(); err != nil {
		return 1, err
	}
	readErr := s.read(out, w)
	err = cmd.Wait()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return max(exit.ExitCode(), 1), readErr
	}
	if err = errors.Join(readErr, err); err != nil {
		return 1, err
	}
	return 0, nil
}

// raceWorks compiles the part of the standard library that the race detector
// needs C for; the answer is cached by Go itself.
func raceWorks(ctx context.Context) error {
	if out, err := goCommand(ctx, true, "build", "-race", "runtime/cgo").CombinedOutput(); err != nil {
		return fmt.Errorf("go build -race on %s/%s: %w\n%s", runtime.GOOS, runtime.GOARCH, err, out)
	}
	return nil
}

// goCommand prepares a call of the go command.
func goCommand(ctx context.Context, cgo bool, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Env = os.Environ()
	if cgo {
		cmd.Env = append(cmd.Env, "CGO_ENABLED=1")
	}
	return cmd
}
