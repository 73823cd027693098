package cli

import (
	"context"
	"errors"
	"io"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/gaplesslogs/gapless/internal/emulator/tenant"
)

// Root is the whole tree of commands.
func Root() *cobra.Command { return newRootCommand(&Env{}) }

// CodeOf is codeOf.
func CodeOf(ctx context.Context, err error) int { return codeOf(ctx, err) }

// TryOf is tryOf.
func TryOf(err error) string { return tryOf(err) }

// Fail is fail.
func Fail(code int, try string, err error) error { return fail(code, try, err) }

// ErrInterrupted is errInterrupted.
func ErrInterrupted() error { return errInterrupted }

// ExitCodes are the codes of the table.
func ExitCodes() []int {
	var codes []int
	for _, c := range exitCodes() {
		codes = append(codes, c.code)
	}
	return codes
}

// NewLogger is newLogger.
func NewLogger(w io.Writer, level, format string) (*slog.Logger, error) {
	return newLogger(w, level, format)
}

// Pages returns the generated pages by their name.
func Pages() map[string]string {
	out := map[string]string{}
	for _, p := range pages(Root()) {
		out[p.name] = p.text
	}
	return out
}

// Paint is Env.paint.
func Paint(e Env, w io.Writer, text string) string { return e.paint(w, bold, text) }

// Supervise is supervise.
func Supervise(ctx context.Context, env *Env, work func(context.Context) error) int {
	return supervise(ctx, env, work)
}

// Fit is fit.
func Fit(line string, columns int) string { return fit(line, columns) }

// ShellWord is shellWord.
func ShellWord(s string) string { return shellWord(s) }

// StagedTenant makes what emulate runs, with --stream-http or without, and hands
// the tenant to use before it ends it.
func StagedTenant(streamHTTP bool, use func(*tenant.Server)) error {
	s := &stage{}
	err := s.make(&stageFlags{plan: unlimited, streamHTTP: streamHTTP}, nil)
	if err == nil {
		use(s.tenant)
	}
	s.cancel = func() {}
	return errors.Join(err, s.close(context.Background()))
}
