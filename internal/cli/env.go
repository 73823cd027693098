package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// Env is what a command touches of its surroundings.
type Env struct {
	Stdin  io.Reader
	Stdout io.Writer
	Stderr io.Writer
	// Environ holds the environment as os.Environ returns it.
	Environ []string
	// Signals brings the wish to stop: the first ends the command's context,
	// the second ends Main at once. May be nil.
	Signals <-chan os.Signal
	// Reloads begins to bring the wish to read the configuration again, until stop. Nil
	// never brings one.
	Reloads func() (wishes <-chan os.Signal, stop func())
	// Version is the version set by the linker; when empty the one that the Go
	// tool recorded counts.
	Version string

	// colours is what --color says; empty is auto.
	colours string
}

// OS returns the surroundings of the process. It takes over SIGINT and SIGTERM.
func OS() Env {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	return Env{
		Stdin:   os.Stdin,
		Stdout:  os.Stdout,
		Stderr:  os.Stderr,
		Environ: os.Environ(),
		Signals: signals,
		Reloads: hangups,
	}
}

// hangups brings SIGHUP, which until then, and for commands that do not ask for it,
// ends the process as it does any other. Windows has none.
func hangups() (wishes <-chan os.Signal, stop func()) {
	if runtime.GOOS == "windows" {
		return nil, func() {}
	}
	c := make(chan os.Signal, 1) // one that comes while another is served is served once
	signal.Notify(c, syscall.SIGHUP)
	return c, func() { signal.Stop(c) }
}

// LookupEnv returns a variable of Environ, as os.LookupEnv does. The last of two
// counts.
func (e *Env) LookupEnv(name string) (string, bool) {
	for _, kv := range slices.Backward(e.Environ) {
		if value, ok := strings.CutPrefix(kv, name+"="); ok {
			return value, true
		}
	}
	return "", false
}

// isTerminal reports whether a person looks at w.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// The colours of the command line, as SGR parameters.
const (
	bold   = "1"
	red    = "1;31"
	dim    = "2"
	green  = "1;32"
	yellow = "1;33"
)

// paint returns text in a colour if w is a terminal that may show one: NO_COLOR
// (see no-color.org) and TERM=dumb forbid it. What --color says goes before all of that.
func (e *Env) paint(w io.Writer, colour, text string) string {
	if text == "" || !e.colourful(w) {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

// colourful reports whether w gets colours.
func (e *Env) colourful(w io.Writer) bool {
	switch e.colours {
	case "always":
		return true
	case "never":
		return false
	}
	if !isTerminal(w) {
		return false
	}
	if v, ok := e.LookupEnv("NO_COLOR"); ok && v != "" {
		return false
	}
	v, _ := e.LookupEnv("TERM")
	return v != "dumb"
}

// addColourFlag gives cmd the flag --color.
func addColourFlag(cmd *cobra.Command, env *Env) {
	choices := []string{"auto", "always", "never"}
	cmd.Flags().Var(&choice{to: &env.colours, choices: choices}, "color", "colours: `WHEN` is auto (on a terminal, unless NO_COLOR is set), always or never")
	_ = cmd.RegisterFlagCompletionFunc("color", cobra.FixedCompletions(choices, cobra.ShellCompDirectiveNoFileComp)) // fails only for a flag that is not there
}

// A choice is the value of a flag that takes some words; the first is the default.
type choice struct {
	to      *string
	choices []string
}

// String implements pflag.Value.
func (c *choice) String() string {
	if c.to == nil || *c.to == "" {
		return strings.Join(c.choices[:min(1, len(c.choices))], "")
	}
	return *c.to
}

// Type implements pflag.Value.
func (c *choice) Type() string { return "string" }

// Set implements pflag.Value.
func (c *choice) Set(s string) error {
	if !slices.Contains(c.choices, s) {
		return fmt.Errorf("%w %s", errNoChoice, strings.Join(c.choices, ", "))
	}
	*c.to = s
	return nil
}

// errNoChoice says that a flag does not take a word.
var errNoChoice = errors.New("it is one of")

// width returns how many columns the terminal w has; 80 if it does not tell.
func width(w io.Writer) int {
	if f, ok := w.(*os.File); ok {
		if columns, _, err := term.GetSize(int(f.Fd())); err == nil && columns > 0 {
			return columns
		}
	}
	return 80
}

// fit cuts a line to a number of columns.
func fit(line string, columns int) string {
	runes := []rune(line)
	if len(runes) <= columns {
		return line
	}
	return string(runes[:max(0, columns-1)]) + "…"
}
