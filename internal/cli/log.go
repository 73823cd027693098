package cli

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"

	"github.com/gaplesslogs/gapless/internal/web"
)

// A logHandler writes what gapless says about itself. Its level and its form may change
// while it is in use, also for the loggers that were made from it.
type logHandler struct {
	w      io.Writer
	level  *slog.LevelVar
	isText *atomic.Bool
	text   slog.Handler
	json   slog.Handler
}

// newLogHandler makes one, see newLogger.
func newLogHandler(w io.Writer, level, format string) (*logHandler, error) {
	h := &logHandler{w: w, level: new(slog.LevelVar), isText: new(atomic.Bool)}
	o := &slog.HandlerOptions{Level: h.level, ReplaceAttr: readable}
	h.text = slog.NewTextHandler(w, o)
	h.json = slog.NewJSONHandler(web.PlainJSONWriter{W: w}, o)
	return h, h.set(level, format)
}

// set takes other settings.
func (h *logHandler) set(level, format string) error {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return fmt.Errorf("read log level: %w", err)
	}
	h.level.Set(l)
	h.isText.Store(format == "text" || (format == "auto" && isTerminal(h.w)))
	return nil
}

// Enabled implements slog.Handler.
func (h *logHandler) Enabled(_ context.Context, l slog.Level) bool { return l >= h.level.Level() }

// Handle implements slog.Handler.
func (h *logHandler) Handle(ctx context.Context, r slog.Record) error {
	if h.isText.Load() {
		return h.text.Handle(ctx, r) //nolint:wrapcheck // nobody reads it
	}
	return h.json.Handle(ctx, r) //nolint:wrapcheck // likewise
}

// WithAttrs implements slog.Handler.
func (h *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	next := *h
	next.text, next.json = h.text.WithAttrs(attrs), h.json.WithAttrs(attrs)
	return &next
}

// WithGroup implements slog.Handler.
func (h *logHandler) WithGroup(name string) slog.Handler {
	next := *h
	next.text, next.json = h.text.WithGroup(name), h.json.WithGroup(name)
	return &next
}
