package cli

import (
	"context"
	"fmt"
)

// Main runs one command and returns its exit code. args are those behind the
// name of the program.
//
// The first signal ends the command's context: run and demo then stop taking
// events, finish what is under way and return. The second makes Main return at
// once; what is on disk is safe at any moment.
func Main(ctx context.Context, args []string, env Env) int {
	root := newRootCommand(&env) //nolint:contextcheck // cobra hands ctx to the commands
	root.SetArgs(args)
	return supervise(ctx, &env, root.ExecuteContext)
}

// supervise runs the work of a command under the signals, reports its error and
// returns the exit code.
func supervise(ctx context.Context, env *Env, work func(context.Context) error) int {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	done := make(chan error, 1)
	go func() { done <- work(ctx) }()
	for asked := false; ; {
		select {
		case err := <-done:
			code := codeOf(ctx, err)
			if code != exitOK {
				env.report(err, code)
			}
			return code
		case <-env.Signals:
			if asked {
				return exitInterrupted
			}
			asked = true
			if isTerminal(env.Stderr) {
				fmt.Fprintln(env.Stderr) // behind the ^C, and the live line of a demo
			}
			fmt.Fprintln(env.Stderr, "Stopping. Once more ends at once.")
			cancel(errInterrupted)
		}
	}
}
