package store

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"
)

// A restoration is what is told of a loss.
type restoration struct {
	At   time.Time `json:"at"`
	What string    `json:"what"`
	// Kept is the name under which the old file is kept; empty when there is none.
	Kept  string   `json:"kept,omitempty"`
	Saved string   `json:"saved,omitempty"`
	From  []string `json:"from,omitempty"`
}

// line says it in a line.
func (r *restoration) line() string {
	parts := []string{r.What}
	if r.Kept != "" {
		parts = append(parts, "kept as "+r.Kept)
	}
	if r.Saved != "" {
		parts = append(parts, r.Saved)
	}
	return strings.Join(append(parts, "what may be missing is read again and looked up in the destination"), "; ")
}

// text is the report.
func (r *restoration) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "gapless restored its store at %s.\n\nWhy: %s\n", r.At.Format(time.RFC3339), r.What)
	if r.Kept != "" {
		fmt.Fprintf(&b, "The old file is kept as %s; gapless never deletes it.\n", r.Kept)
	}
	if r.Saved != "" {
		fmt.Fprintf(&b, "From it: %s.\n", r.Saved)
	}
	b.WriteString("\nReading goes on:\n")
	for _, line := range r.From {
		fmt.Fprintf(&b, "  %s\n", line)
	}
	if len(r.From) == 0 {
		b.WriteString("  nothing is known of the tenants: from as far back as Auth0 and start_from allow\n")
	}
	b.WriteString("\nEvents dated before this moment are looked up in the destination before they are sent, so none arrives twice\n" +
		"where logs:GetLogEvents is allowed. Lost for good is what was in the old file alone: events that Auth0 no longer\n" +
		"keeps, dead letters that could not be read from it, and figures.\n\n" +
		"Delete this file when you have read it: that clears the condition \"" + RestoredPart + "\" of the tenants.\n")
	return b.String()
}

// tell logs a restoration.
func (s *Store) tell(ctx context.Context, r *restoration) {
	s.cfg.Logger.LogAttrs(ctx, slog.LevelError, "the store was restored", slog.String("why", r.What), slog.String("kept", r.Kept),
		slog.String("saved", r.Saved), slog.String("reading_goes_on", strings.Join(r.From, "; ")), slog.String("hint", restoredHint))
}
