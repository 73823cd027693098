package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// The exit codes.
const (
	exitOK            = 0
	exitFailure       = 1
	exitUsage         = 2
	exitConfig        = 3
	exitAuthorization = 4
	exitNotClean      = 5
	exitInterrupted   = 130
)

// An exitCode is a row of the table of exit codes.
type exitCode struct {
	code    int
	meaning string
}

// exitCodes returns the table for docs/cli.md and the help.
func exitCodes() []exitCode {
	return []exitCode{
		{exitOK, "done; for run, demo and emulate also a stop that was asked for"},
		{exitFailure, "failed"},
		{exitUsage, "the command line is wrong"},
		{exitConfig, "the configuration is wrong, or can never work"},
		{exitAuthorization, "Auth0 or AWS refused the credentials or a permission"},
		{exitNotClean, "done, but not clean: something was found that a person should look at"},
		{exitInterrupted, "interrupted before it was done"},
	}
}

// errInterrupted is the cause of a context that a signal has ended.
var errInterrupted = errors.New("interrupted")

// A failure is an error with the exit code it leads to and the way out.
type failure struct {
	code int
	err  error
	try  string // a command that works, or a sentence; may be empty
}

// Error returns the text of the cause.
func (f *failure) Error() string { return f.err.Error() }

// Unwrap returns the cause.
func (f *failure) Unwrap() error { return f.err }

// fail makes an error with an exit code and the command to try next.
func fail(code int, try string, err error) error {
	return &failure{code: code, err: err, try: try}
}

// usageError makes an error about the command line of cmd.
func usageError(cmd *cobra.Command, format string, args ...any) error {
	return fail(exitUsage, cmd.CommandPath()+" --help", fmt.Errorf(format, args...))
}

// codeOf finds the exit code of an error.
func codeOf(ctx context.Context, err error) int {
	if err == nil {
		return exitOK
	}
	if errors.Is(err, errInterrupted) || (errors.Is(err, context.Canceled) && errors.Is(context.Cause(ctx), errInterrupted)) {
		return exitInterrupted
	}
	if f, ok := errors.AsType[*failure](err); ok {
		return f.code
	}
	if errors.Is(err, config.ErrInvalid) {
		return exitConfig
	}
	if e, ok := errors.AsType[*pipeline.Error](err); ok {
		switch e.Class {
		case pipeline.Misconfigured:
			return exitConfig
		case pipeline.Unauthorized:
			return exitAuthorization
		default:
			return exitFailure
		}
	}
	return exitFailure
}

// tryOf finds what to type next after an error, empty when nothing is known.
func tryOf(err error) string {
	if f, ok := errors.AsType[*failure](err); ok && f.try != "" {
		return f.try
	}
	if e, ok := errors.AsType[*pipeline.Error](err); ok && e.Hint != "" {
		return e.Hint
	}
	if errors.Is(err, config.ErrInvalid) {
		return "gapless config check"
	}
	return ""
}

// report prints an error for a person.
func (e *Env) report(err error, code int) {
	w := e.Stderr
	if code == exitInterrupted {
		fmt.Fprintln(w, e.paint(w, red, "Error:"), "interrupted")
		return
	}
	if bad, ok := errors.AsType[*config.InvalidError](err); ok {
		e.reportProblems(w, bad)
	} else {
		fmt.Fprintln(w, e.paint(w, red, "Error:"), plainLines(err.Error()))
	}
	if try := tryOf(err); try != "" {
		fmt.Fprintln(w, e.paint(w, bold, "Try:"), plainLines(try))
	}
}

// reportProblems prints the problems of a configuration, or of a file of tests.
func (e *Env) reportProblems(w io.Writer, bad *config.InvalidError) {
	problems, count := bad.Problems, "a problem"
	if len(problems) > 1 {
		count = fmt.Sprintf("%d problems", len(problems))
	}
	fmt.Fprintf(w, "%s %s has %s\n\n", e.paint(w, red, "Error:"), plainLines(bad.Of), count)
	for _, p := range problems {
		fmt.Fprintln(w, "  "+e.paint(w, bold, plainLines(p.Error())))
		if p.Excerpt != "" {
			fmt.Fprintln(w, "    "+e.paint(w, dim, strings.ReplaceAll(plainLines(p.Excerpt), "\n", "\n    ")))
		}
		if p.Fix != "" {
			fmt.Fprintln(w, "    Fix: "+plainLines(p.Fix))
		}
		fmt.Fprintln(w)
	}
}
