package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/gaplesslogs/gapless/internal/access"
)

// newDashboardCommand makes "gapless dashboard".
func newDashboardCommand(env *Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "dashboard",
		GroupID: groupOther,
		Short:   "Prepare the login of the page",
		Example: "  gapless dashboard hash",
		Args:    cobra.ArbitraryArgs,
		RunE:    showHelp,
	}
	cmd.AddCommand(newDashboardHashCommand(env))
	return cmd
}

// The errors of a password that cannot be taken.
var (
	errPasswordsDiffer = errors.New("the two passwords are not the same")
	errNoPassword      = errors.New("no password was given")
)

// newDashboardHashCommand makes "gapless dashboard hash".
func newDashboardHashCommand(env *Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "hash",
		Short: "Make the hash of a password for dashboard.users",
		Long: `Asks for a password, twice and without showing it, and prints its hash by argon2id for
dashboard.users[].password_hash. Where standard input is no terminal its first line is
the password. It is never an argument: those stand in the list of processes and in the
history of the shell.

In a YAML file the hash needs no quotes; in a shell or an environment file put it into
single quotes, as it holds $ signs.`,
		Example: "  gapless dashboard hash\n  printf '%s\\n' 'correct horse battery staple' | gapless dashboard hash",
		Args:    noArgs,
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		password, err := readPassword(cmd.Context(), env)
		if err != nil {
			return fail(exitFailure, "gapless dashboard hash", err)
		}
		hash, err := access.NewHash(password)
		if err != nil {
			return fail(exitFailure, "gapless dashboard hash", fmt.Errorf("hash password: %w", err))
		}
		fmt.Fprintln(env.Stdout, hash)
		return nil
	}
	return cmd
}

// readPassword asks for a password, or takes the first line of standard input. A signal
// ends the wait, and gives the terminal its echo back.
func readPassword(ctx context.Context, env *Env) (string, error) {
	type answer struct {
		text string
		err  error
	}
	in, isFile := env.Stdin.(*os.File)
	ask := func() (string, error) { return firstLine(env.Stdin) }
	restore := func() error { return nil }
	if isFile && term.IsTerminal(int(in.Fd())) {
		before, err := term.GetState(int(in.Fd()))
		if err != nil {
			return "", fmt.Errorf("look at the terminal: %w", err)
		}
		restore = func() error { return term.Restore(int(in.Fd()), before) }
		ask = func() (string, error) { return twice(env.Stderr, int(in.Fd())) }
	}
	got := make(chan answer, 1)
	go func() { // a read cannot be ended; it ends with the next line, or with the process
		text, err := ask()
		got <- answer{text, err}
	}()
	select {
	case a := <-got:
		return a.text, a.err
	case <-ctx.Done():
		return "", errors.Join(context.Cause(ctx), restore())
	}
}

// twice asks for a password on a terminal.
func twice(w io.Writer, fd int) (string, error) {
	var typed [2][]byte
	for i, prompt := range []string{"Password: ", "Again: "} {
		fmt.Fprint(w, prompt)
		var err error
		typed[i], err = term.ReadPassword(fd)
		fmt.Fprintln(w)
		if err != nil {
			return "", fmt.Errorf("read password: %w", err)
		}
	}
	if string(typed[0]) != string(typed[1]) {
		return "", errPasswordsDiffer
	}
	return string(typed[0]), nil
}

// firstLine reads a line, or what there is without a line break. What could be no
// password is not read whole.
func firstLine(r io.Reader) (string, error) {
	const most = 64 << 10
	line, err := bufio.NewReader(io.LimitReader(r, most)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read password: %w", err)
	}
	line = strings.TrimRight(line, "\r\n")
	if line == "" {
		return "", errNoPassword
	}
	return line, nil
}
