// Command testsum runs `go test` and ends with what a person wants to know: how
// many tests passed, what failed, and which ones could not run and why.
//
// Its arguments go to `go test`. It prints Go's own line for each package, the
// output of each failing test in full, and as its last line
// "N passed, N failed, N skipped". The exit code is that of `go test`. The race
// detector is on wherever it can be built; where it cannot, testsum says so.
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

// run runs the tests and returns the exit code.
func run(ctx context.Context, args []string, w io.Writer) (int, error) {
	raceErr := raceWorks(ctx)
	cmd := goCommand(ctx, raceErr == nil, append([]string{"test", "-json"}, raceFlag(raceErr, args)...)...)
	cmd.Stderr = w
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 1, err
	}
	if err := cmd.Start(); err != nil {
		return 1, err
	}
	var s summary
	readErr := s.read(out, w)
	err = cmd.Wait()
	s.print(w)
	if raceErr != nil {
		fmt.Fprintf(w, "THE RACE DETECTOR WAS OFF: it needs a C compiler (%v). Install gcc or clang and run again.\n", raceErr)
	}
	fmt.Fprintln(w, s.closing())
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

// raceFlag puts -race in front of the arguments where it works.
func raceFlag(err error, args []string) []string {
	if err != nil {
		return args
	}
	return append([]string{"-race"}, args...)
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
