package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gaplesslogs/gapless/internal/web"
)

// addJSONFlag gives cmd the flag --json.
func addJSONFlag(cmd *cobra.Command) *bool {
	return cmd.Flags().Bool("json", false, "print JSON for programs")
}

// writeJSON prints a value as indented JSON with a line break at its end.
func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(web.PlainJSONWriter{W: w})
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("print JSON: %w", err)
	}
	return nil
}

// writeJSONLine prints a value as JSON on one line.
func writeJSONLine(w io.Writer, v any) error {
	e := json.NewEncoder(web.PlainJSONWriter{W: w})
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("print JSON: %w", err)
	}
	return nil
}

// readable writes durations as people do, such as 1.5s: JSON would have them as
// nanoseconds. An empty text is left out.
func readable(_ []string, a slog.Attr) slog.Attr {
	switch {
	case a.Value.Kind() == slog.KindDuration:
		return slog.String(a.Key, a.Value.Duration().String())
	case a.Key == "hint" && a.Value.Kind() == slog.KindString && a.Value.String() == "":
		return slog.Attr{}
	default:
		return a
	}
}

// newLogger makes the logger of the program. level and format are the settings
// log.level and log.format; format auto is text if w is a terminal and JSON
// elsewhere.
func newLogger(w io.Writer, level, format string) (*slog.Logger, error) {
	h, err := newLogHandler(w, level, format)
	if err != nil {
		return nil, err
	}
	return slog.New(h), nil
}

// plainLines makes text fit for a terminal but for its line breaks and tabs; see
// web.Plain.
func plainLines(s string) string {
	var b strings.Builder
	for {
		i := strings.IndexAny(s, "\n\t")
		if i < 0 {
			return b.String() + web.Plain(s)
		}
		b.WriteString(web.Plain(s[:i]) + s[i:i+1])
		s = s[i+1:]
	}
}
