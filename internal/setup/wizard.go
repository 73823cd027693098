package setup

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/gaplesslogs/gapless/internal/config"
)

// The errors of a wizard.
var (
	// ErrNoMoreAnswers says that the input ended before the questions did.
	ErrNoMoreAnswers = errors.New("the input ended before the last question; nothing was written")
	// ErrTooManyTries says that an input that is no terminal answered wrongly again
	// and again.
	ErrTooManyTries = errors.New("no answer was one that can be taken; nothing was written")
)

// maxTries is how often a question is asked of an input that is no terminal, and
// maxAnswer the longest answer in bytes.
const (
	maxTries  = 3
	maxAnswer = 64 << 10
)

// A Wizard asks for answers.
type Wizard struct {
	// In brings the answers, one a line, and Out shows the questions.
	In  io.Reader
	Out io.Writer
	// Patient says that a person answers, who may try as often as it takes.
	Patient bool
	// Defaults are those of the surroundings.
	Defaults Defaults

	lines *bufio.Reader
}

// Ask asks every question whose flag is not in given, with what a has already as the
// default, and returns the answers. It ends early when ctx ends; a read that is under
// way then ends with the next line, or with the process.
func (w *Wizard) Ask(ctx context.Context, a Answers, given map[string]string) (Answers, error) {
	w.lines = bufio.NewReaderSize(w.In, maxAnswer)
	if err := checkFlags(ctx, a, given); err != nil {
		return Answers{}, err
	}
	if _, ok := given["auth"]; !ok {
		a.Auth = authOf(given)
	}
	fmt.Fprint(w.Out, "Each question shows its default in brackets: press Enter to take it, or type ? for help.\n\n")
	for _, q := range Questions() {
		text, fixed := given[q.Flag]
		var err error
		switch {
		case !q.Asked(a) && fixed:
			err = &FlagsError{[]FlagProblem{{q.Flag, misplaced()}}}
		case !q.Asked(a):
		case fixed:
			if err = q.Set(ctx, &a, text); err != nil {
				err = &FlagsError{[]FlagProblem{{q.Flag, err}}}
			}
		default:
			err = w.ask(ctx, &q, &a)
		}
		if err != nil {
			return Answers{}, err
		}
	}
	return a, verify(ctx, a)
}

// ask asks one question until it has an answer.
func (w *Wizard) ask(ctx context.Context, q *Question, a *Answers) error {
	for tries := 0; w.Patient || tries < maxTries; tries++ {
		def := q.Default(*a, w.Defaults)
		w.show(q, def)
		line, err := w.read(ctx)
		if err != nil || !w.Patient {
			fmt.Fprintln(w.Out) // nobody has pressed Enter
		}
		if err != nil {
			return err
		}
		switch line {
		case "?":
			w.help(q)
			tries--
			continue
		case "":
			line = def
		}
		if err = q.Set(ctx, a, line); err == nil {
			return nil
		}
		fmt.Fprintf(w.Out, "  That %s\n", err)
	}
	return fmt.Errorf("%s (--%s): %w", q.Text, q.Flag, ErrTooManyTries)
}

// show writes a question.
func (w *Wizard) show(q *Question, def string) {
	text := q.Text
	if len(q.Choices) > 0 {
		text += " (" + strings.Join(q.Choices, ", ") + ")"
	}
	if def != "" {
		text += " [" + def + "]"
	}
	fmt.Fprint(w.Out, text+": ")
}

// help explains a question.
func (w *Wizard) help(q *Question) {
	text := q.Help
	if q.path != "" {
		d, _ := config.Describe(q.path)
		text += " (" + strings.ReplaceAll(q.path, ".0", "[]") + ": " + d.Doc + ")"
	}
	for _, line := range wrap(text, commentWidth) {
		fmt.Fprintln(w.Out, "  "+line)
	}
}

// read returns the next answer, or the end of ctx. A secret that was pasted in PEM
// counts as one answer.
func (w *Wizard) read(ctx context.Context) (string, error) {
	type answer struct {
		line string
		err  error
	}
	done := make(chan answer, 1)
	go func() {
		line, err := w.line()
		done <- answer{line, err}
	}()
	select {
	case got := <-done:
		return got.line, got.err
	case <-ctx.Done():
		return "", fmt.Errorf("ask: %w", context.Cause(ctx))
	}
}

// line reads one answer.
func (w *Wizard) line() (string, error) {
	line, err := w.oneLine()
	for pem := strings.HasPrefix(line, "-----BEGIN"); pem && err == nil; {
		var more string
		more, err = w.oneLine()
		pem = !strings.HasPrefix(more, "-----END")
	}
	return line, err
}

// oneLine reads a line without its end. The last may lack one.
func (w *Wizard) oneLine() (string, error) {
	line, err := w.lines.ReadSlice('\n')
	text := strings.TrimSpace(string(line))
	switch {
	case err == nil || errors.Is(err, io.EOF) && text != "":
		return text, nil
	case errors.Is(err, io.EOF):
		return "", ErrNoMoreAnswers
	case errors.Is(err, bufio.ErrBufferFull):
		return "", fmt.Errorf("an answer is longer than %d bytes; %w", maxAnswer, ErrNoMoreAnswers)
	default:
		return "", fmt.Errorf("read answer: %w", err)
	}
}

// A FlagProblem is what is wrong with the answer of a flag.
type FlagProblem struct {
	// Flag is the name of the flag, without dashes.
	Flag string
	// Err is a *AnswerError, or says something about the flag itself.
	Err error
}

// FlagsError holds what is wrong with the answers of flags; never empty.
type FlagsError struct{ Problems []FlagProblem }

// Error lists all problems, one a line.
func (e *FlagsError) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = "--" + p.Flag + " " + p.Err.Error()
	}
	if len(lines) == 1 {
		return lines[0]
	}
	return fmt.Sprintf("%d answers are missing or wrong\n  %s", len(lines), strings.Join(lines, "\n  "))
}

// Take answers every question without asking: by the flags given, what a has
// already, or the default. Its error is a *FlagsError with all that is missing or
// wrong.
func Take(ctx context.Context, a Answers, given map[string]string, d Defaults) (Answers, error) {
	if _, ok := given["auth"]; !ok {
		a.Auth = authOf(given)
	}
	wrong := map[string]error{} // by flag
	for _, q := range Questions() {
		text, fixed := given[q.Flag]
		switch {
		case !q.Asked(a) && !fixed:
			continue
		case !q.Asked(a):
			wrong[q.Flag] = misplaced()
			continue
		case !fixed:
			text = q.Default(a, d)
		}
		next, p := q.put(a, text)
		switch {
		case text == "" && q.Flag == "name" && wrong["domain"] != nil:
			// It will be made of the domain.
		case text == "":
			wrong[q.Flag] = &AnswerError{"is missing: " + q.Text, q.Help}
		case p != nil:
			wrong[q.Flag] = p
		default:
			a = next
		}
	}
	found := problemsOf(ctx, a)
	var bad []FlagProblem
	for _, q := range Questions() {
		err := wrong[q.Flag]
		if p := found[q.path]; err == nil && p != nil && q.path != "" && q.Asked(a) {
			err = p
		}
		if err != nil {
			bad = append(bad, FlagProblem{q.Flag, err})
		}
	}
	if len(bad) > 0 {
		return Answers{}, &FlagsError{bad}
	}
	return a, verify(ctx, a)
}

// misplaced is what is said of a flag whose question does not arise.
func misplaced() *AnswerError {
	return &AnswerError{"does not go with the other answers", "Leave it out, or change --auth or --webhook-tls."}
}

// checkFlags tells of wrong flags before the first question is asked.
func checkFlags(ctx context.Context, a Answers, given map[string]string) error {
	var bad []FlagProblem
	for _, q := range Questions() {
		if text, ok := given[q.Flag]; ok {
			if err := q.Set(ctx, &a, text); err != nil {
				bad = append(bad, FlagProblem{q.Flag, err})
			}
		}
	}
	if len(bad) > 0 {
		return &FlagsError{bad}
	}
	return nil
}

// authOf tells from other flags how the events are had; empty when they do not say.
func authOf(given map[string]string) string {
	for _, hint := range []struct{ flag, auth string }{
		{"client-secret", AuthSecret}, {"private-key", AuthKey}, {"webhook-token", AuthWebhook},
	} {
		if _, ok := given[hint.flag]; ok {
			return hint.auth
		}
	}
	return ""
}

// verify holds the answers together against the checks of the configuration.
func verify(ctx context.Context, a Answers) error {
	_, err := load(ctx, a.File())
	return err
}
