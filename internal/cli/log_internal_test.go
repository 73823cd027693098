package cli

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

// TestLogChanges gives the log another level and form while it is in use: they hold for
// loggers that were made from it before, too.
func TestLogChanges(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	h, err := newLogHandler(&out, "info", "json")
	if err != nil {
		t.Fatal(err)
	}
	logger := slog.New(h).With(slog.String("tenant", "dev")).WithGroup("g")
	logger.Debug("one")
	logger.Info("two", slog.Int("a", 1))
	if err := h.set("debug", "text"); err != nil {
		t.Fatal(err)
	}
	logger.Debug("three", slog.Int("a", 2))
	if h.set("no level", "text") == nil {
		t.Error("a level that there is not was taken")
	}
	if err := h.set("error", "auto"); err != nil {
		t.Fatal(err)
	}
	logger.Warn("four")
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], `"msg":"two","tenant":"dev","g":{"a":1}`) || !strings.Contains(lines[1], "level=DEBUG msg=three tenant=dev g.a=2") {
		t.Errorf("logged:\n%s", out.String())
	}
}
