package cli

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/gaplesslogs/gapless/internal/app"
	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/web"
)

// backfillProgress says how far a backfill is, and how long it may still take.
func backfillProgress(s *app.BackfillState, now time.Time) string {
	if s.Trouble != nil {
		return "trying again: " + s.Trouble.Message
	}
	switch s.Phase {
	case app.BackfillWaiting:
		return "waiting for its turn"
	case app.BackfillLooking:
		line := "reading what the destination holds"
		if !s.Reached.IsZero() {
			line += ", up to " + s.Reached.UTC().Format(time.RFC3339)
		}
		return line
	case app.BackfillSending:
		return plural(s.Counts.Stored, "event") + " stored, delivering the last of them"
	case app.BackfillReading, app.BackfillDone, app.BackfillCancelled:
	}
	line := fmt.Sprintf("%s read, %d there already, %d stored", plural(s.Counts.Read, "event"), s.Counts.There, s.Counts.Stored)
	if whole, done := s.Until.Sub(s.Since), s.Reached.Sub(s.Since); done > 0 && whole > 0 {
		line += fmt.Sprintf(", %.0f%% of the span", min(100, 100*float64(done)/float64(whole)))
	}
	if left := s.Left(now); left > 0 {
		line += ", " + web.Short(left) + " left"
	}
	return line
}

// backfillLine says in a line what a backfill is, and how far.
func backfillLine(s *app.BackfillState, now time.Time) string {
	line := fmt.Sprintf("%s  %s  %s to %s  %s", s.ID, s.Tenant, s.Since.UTC().Format(time.RFC3339), s.Until.UTC().Format(time.RFC3339), s.Phase)
	if s.LogGroup != "" {
		line += fmt.Sprintf("  to %s/%s", s.LogGroup, s.LogStream)
	}
	if s.Phase != app.BackfillWaiting {
		line += "  " + backfillProgress(&app.BackfillState{BackfillRequest: s.BackfillRequest, Phase: app.BackfillReading, Counts: s.Counts, Began: s.Began, BeganAt: s.BeganAt, Trouble: s.Trouble}, now)
	}
	return web.Plain(line)
}

// report prints what a backfill has done.
func (b *backfilling) report(s *app.BackfillState, would string) error {
	if b.asJSON {
		return writeJSON(b.env.Stdout, s)
	}
	w, c := b.env.Stdout, s.Counts
	fmt.Fprintf(w, "Tenant %s, %s to %s: %s\n", s.Tenant, s.Since.UTC().Format(time.RFC3339), s.Until.UTC().Format(time.RFC3339), s.Phase)
	for _, l := range []struct {
		n    int64
		text string
		all  bool // also when there are none
	}{
		{c.Read, "read from Auth0", true},
		{c.LeftOut, "left out by the rules", false},
		{c.There, "in the destination already", true},
		{c.Waiting, "in the buffer already", false},
		{c.Letters, "dead letters already", false},
		{c.Left, "left to the export, which reads them itself", false},
		{c.Stored, would + "delivered", true},
		{c.TooOld, "of these older than CloudWatch Logs takes: " + policies(b.cfg, s), false},
		{s.Rejected, "became dead letters", false},
		{c.Unreadable, "could not be read or redacted, and " + would + "kept as dead letters", false},
	} {
		if l.n > 0 || l.all {
			fmt.Fprintf(w, "  %8d  %s\n", l.n, l.text)
		}
	}
	if s.HeldSince.After(s.Since) {
		fmt.Fprintf(w, "Auth0 surely keeps everything since %s. What was before and is not listed here cannot be had any more.\n", s.HeldSince.UTC().Format(time.RFC3339))
	}
	if s.Trouble != nil {
		fmt.Fprintln(w, web.Plain("In trouble: "+s.Trouble.Message+"\n"+s.Trouble.Hint))
	}
	return nil
}

// policies says what becomes of events that are too old.
func policies(cfg *config.Config, s *app.BackfillState) string {
	texts := map[string]string{"restamp": "they get the oldest timestamp that it takes", "dead_letter": "they become dead letters"}
	list := app.BackfillPolicies(cfg, s.BackfillRequest)
	out := ""
	for _, name := range slices.Sorted(maps.Keys(list)) {
		if out != "" {
			out += "; "
		}
		if len(list) > 1 {
			out += name + ": "
		}
		out += texts[list[name]]
	}
	return out
}
