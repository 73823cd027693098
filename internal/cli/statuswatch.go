package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/gaplesslogs/gapless/internal/web"
)

// What a terminal is told by --watch (ECMA-48, and xterm for the other screen).
const (
	otherScreen  = "\x1b[?1049h\x1b[?25l" // and no cursor
	formerScreen = "\x1b[?25h\x1b[?1049l"
	toTop        = "\x1b[H"
	restOfLine   = "\x1b[K"
	restOfScreen = "\x1b[J"
)

// sizeEvery is how often the size of the terminal is looked at.
const sizeEvery = 200 * time.Millisecond

// A watching shows the status over and over.
type watching struct {
	env      *Env
	read     func(context.Context) (web.Overview, error)
	asJSON   bool
	interval time.Duration
	// size returns how large a terminal is; ok is false for what is none. Nil asks the
	// system.
	size func() (columns, rows int, ok bool)
}

// run shows it until ctx ends. A data directory that is not there, or cannot be read, is
// an error at first; later it is shown and tried again.
func (w *watching) run(ctx context.Context) error {
	if w.size == nil {
		w.size = func() (int, int, bool) { return screenSize(w.env.Stdout) }
	}
	o, err := w.read(ctx)
	if err != nil {
		return ended(ctx, err)
	}
	if _, _, ok := w.size(); ok && !w.asJSON {
		return w.inPlace(ctx, o)
	}
	return w.below(ctx, o)
}

// every returns the interval.
func (w *watching) every(usual time.Duration) time.Duration {
	if w.interval > 0 {
		return w.interval
	}
	return usual
}

// below writes one report below the other.
func (w *watching) below(ctx context.Context, o web.Overview) error {
	tick := time.NewTicker(w.every(10 * time.Second))
	defer tick.Stop()
	var err error
	for {
		switch {
		case err != nil:
			fmt.Fprintln(w.env.Stderr, "Error:", plainLines(err.Error()))
		case w.asJSON:
			if err := writeJSONLine(w.env.Stdout, o); err != nil {
				return err
			}
		default:
			fmt.Fprintln(w.env.Stdout, strings.Join(w.env.viewOverview(w.env.Stdout, o), "\n")+"\n")
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if o, err = w.read(ctx); err != nil && ctx.Err() != nil {
			return nil
		}
	}
}

// inPlace draws the report again and again on the other screen of the terminal, which
// comes back as it was.
func (w *watching) inPlace(ctx context.Context, o web.Overview) (err error) {
	out := w.env.Stdout
	if _, err := io.WriteString(out, otherScreen); err != nil {
		return fmt.Errorf("write to the terminal: %w", err)
	}
	defer func() {
		_, werr := io.WriteString(out, formerScreen)
		err = errors.Join(err, werr)
	}()
	tick, sizes := time.NewTicker(w.every(2*time.Second)), time.NewTicker(sizeEvery)
	defer tick.Stop()
	defer sizes.Stop()
	lines := w.env.viewOverview(out, o)
	columns, rows := 0, 0
	for draw := true; ; {
		if c, r, ok := w.size(); ok && (draw || c != columns || r != rows) {
			columns, rows, draw = c, r, false
			if _, err := io.WriteString(out, frame(lines, columns, rows)); err != nil {
				return fmt.Errorf("write to the terminal: %w", err)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-sizes.C:
		case <-tick.C:
			draw = true
			o, err := w.read(ctx)
			switch {
			case ctx.Err() != nil:
				return nil
			case err != nil:
				lines = strings.Split(w.env.paint(out, red, "Error:")+" "+plainLines(err.Error()), "\n")
			default:
				lines = w.env.viewOverview(out, o)
			}
		}
	}
}

// frame is what draws lines on a screen of a size: those that do not fit are cut, and the
// last line says how many are left out.
func frame(lines []string, columns, rows int) string {
	if over := len(lines) - rows; over > 0 && rows > 0 {
		lines = append(lines[:rows-1:rows-1], fmt.Sprintf("… %d more lines; a taller window shows them", over+1))
	}
	var b strings.Builder
	b.WriteString(toTop)
	for i, line := range lines {
		if i > 0 {
			b.WriteString("\n")
		}
		b.WriteString(clip(line, columns) + restOfLine)
	}
	return b.String() + restOfScreen
}

// screenSize returns the size of a terminal.
func screenSize(w io.Writer) (columns, rows int, ok bool) {
	f, isFile := w.(*os.File)
	if !isFile || !term.IsTerminal(int(f.Fd())) {
		return 0, 0, false
	}
	columns, rows, err := term.GetSize(int(f.Fd()))
	if err != nil || columns <= 0 || rows <= 0 {
		return 80, 24, true
	}
	return columns, rows, true
}
