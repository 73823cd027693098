package cli

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/gaplesslogs/gapless/internal/app"
	"github.com/gaplesslogs/gapless/internal/verify"
	"github.com/gaplesslogs/gapless/internal/web"
)

const (
	// mostShown is how many findings of a kind are listed on a terminal.
	mostShown = 20
	// mostCopiesShown is how many copies of an event are.
	mostCopiesShown = 5
)

// A spool keeps findings on disk, however many they are.
type spool struct {
	file *os.File
	to   *bufio.Writer
}

// newSpool makes one.
func newSpool() (*spool, error) {
	f, err := os.CreateTemp("", "gapless-verify-*.jsonl")
	if err != nil {
		return nil, fmt.Errorf("make a temporary file: %w", err)
	}
	return &spool{f, bufio.NewWriter(f)}, nil
}

// add keeps a finding.
func (s *spool) add(f verify.Finding) error { return writeJSONLine(s.to, f) }

// close deletes them.
func (s *spool) close() error { return errors.Join(s.file.Close(), os.Remove(s.file.Name())) }

// of returns the findings of a kind, as often as that is asked for, but not at once.
func (s *spool) of(k verify.Kind) iter.Seq2[verify.Finding, error] {
	return func(yield func(verify.Finding, error) bool) {
		err := s.to.Flush()
		if err == nil {
			_, err = s.file.Seek(0, io.SeekStart)
		}
		dec := json.NewDecoder(bufio.NewReader(s.file))
		for err == nil {
			var f verify.Finding
			if err = dec.Decode(&f); err == nil && f.Kind == k && !yield(f, nil) {
				return
			}
		}
		if !errors.Is(err, io.EOF) {
			yield(verify.Finding{}, fmt.Errorf("read what was found: %w", err))
		}
	}
}

// A verifyOutput is where the outcome goes: to standard output, and to a file.
type verifyOutput struct {
	env    *Env
	asJSON bool
	file   *os.File // nil without one
}

// close ends the file.
func (o *verifyOutput) close() error {
	if o.file == nil {
		return nil
	}
	if err := o.file.Close(); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

// writers returns where to write.
func (o *verifyOutput) writers() []io.Writer {
	if o.file == nil {
		return []io.Writer{o.env.Stdout}
	}
	return []io.Writer{o.env.Stdout, o.file}
}

// finding prints a finding at once, for programs.
func (o *verifyOutput) finding(f verify.Finding) error {
	if !o.asJSON {
		return nil
	}
	for _, w := range o.writers() {
		if err := writeJSONLine(w, f); err != nil {
			return err
		}
	}
	return nil
}

// A verifySummary is the last line for programs.
type verifySummary struct {
	Tenant string    `json:"tenant"`
	Clean  bool      `json:"clean"`
	Since  time.Time `json:"since"`
	Until  time.Time `json:"until"`
	// ProvedSince is since when Auth0 surely keeps the log: of what was before nothing
	// can be proved.
	ProvedSince time.Time `json:"proved_since"`
	// AfterRepair says that it is of the comparison after a repair.
	AfterRepair  bool           `json:"after_repair"`
	Held         int64          `json:"auth0_events"`
	Destinations []verifyResult `json:"destinations"`
}

// A verifyResult is a destination of a summary.
type verifyResult struct {
	Destination   string                `json:"destination"`
	Clean         bool                  `json:"clean"`
	KeptSince     time.Time             `json:"kept_since,omitzero"`
	InBoth        int64                 `json:"in_both"`
	Filtered      map[string]int64      `json:"left_out_by_rules"`
	FilteredThere int64                 `json:"left_out_by_rules_and_there"`
	Pushed        int64                 `json:"differs_as_a_push_differs"`
	Enveloped     int64                 `json:"in_an_envelope"`
	Restamped     int64                 `json:"restamped"`
	Gone          int64                 `json:"no_longer_in_auth0"`
	Foreign       int64                 `json:"no_log_events"`
	Found         map[verify.Kind]int64 `json:"found"`
}

// summary prints the outcome.
func (o *verifyOutput) summary(tenant string, sum verify.Summary, found *spool, again bool) error {
	if o.asJSON {
		line := map[string]verifySummary{"summary": summaryJSON(tenant, sum, again)}
		for _, w := range o.writers() {
			if err := writeJSONLine(w, line); err != nil {
				return err
			}
		}
		return nil
	}
	for _, w := range o.writers() {
		most := 0 // all
		if isTerminal(w) {
			most = mostShown
		}
		to := bufio.NewWriter(w)
		if err := errors.Join(writeVerified(to, tenant, sum, found, most), to.Flush()); err != nil {
			return fmt.Errorf("print the report: %w", err)
		}
	}
	return nil
}

// summaryJSON is a summary for programs.
func summaryJSON(tenant string, sum verify.Summary, again bool) verifySummary {
	out := verifySummary{
		Tenant: tenant, Clean: sum.Clean, Since: sum.Span.Since, Until: sum.Span.Until, ProvedSince: sum.ProvedSince,
		AfterRepair: again, Held: sum.Held, Destinations: []verifyResult{},
	}
	for i := range sum.Destinations {
		d := &sum.Destinations[i]
		all := make(map[verify.Kind]int64)
		for _, k := range verify.Kinds() {
			all[k] = d.Found[k]
		}
		out.Destinations = append(out.Destinations, verifyResult{
			Destination: nameOf(d.Destination), Clean: d.Clean(), KeptSince: d.KeptSince, InBoth: d.InBoth,
			Filtered: d.Filtered, FilteredThere: d.FilteredThere, Pushed: d.Pushed, Enveloped: d.Enveloped, Restamped: d.Restamped, Gone: d.Gone, Foreign: d.Foreign, Found: all,
		})
	}
	return out
}

// nameOf is a name of a destination for people.
func nameOf(destination string) string {
	if destination == "" {
		return app.MainDestination
	}
	return destination
}

// verifyWords says what each kind is.
var verifyWords = map[verify.Kind]string{
	verify.Missing:        "missing",
	verify.Twice:          "there more than once",
	verify.NotInAuth0:     "in the destination only, though Auth0 keeps the log of their time",
	verify.WrongTimestamp: "under a timestamp that is not their date",
	verify.Altered:        "with a message that is not what the rules make of the event",
	verify.Elsewhere:      "in a log stream that the configuration does not make",
	verify.DeadLetter:     "dead letters of gapless",
	verify.Waiting:        "waiting in the buffer of gapless",
	verify.NotYet:         "not read by gapless yet",
	verify.Before:         "from before the beginning of the export",
	verify.Expired:        "older than what the log group keeps",
}

// writeVerified writes the outcome for a person, with at most so many findings of a
// kind; 0 is all.
func writeVerified(w io.Writer, tenant string, sum verify.Summary, found *spool, most int) error {
	say := func(format string, args ...any) { fmt.Fprintln(w, web.Plain(fmt.Sprintf(format, args...))) }
	say("%s: %s to %s", tenant, stamp(sum.Span.Since), stamp(sum.Span.Until))
	say("Auth0 holds %s.", plural(sum.Held, "event"))
	if sum.ProvedSince.After(sum.Span.Since) {
		say("Auth0 surely keeps the log since %s alone: what was earlier cannot be proved.", stamp(sum.ProvedSince))
	}
	for i := range sum.Destinations {
		writeResult(say, &sum.Destinations[i])
	}
	for _, k := range verify.Kinds() {
		if err := writeFindings(w, k, found, most); err != nil {
			return err
		}
	}
	return nil
}

// writeResult writes the figures of a destination.
func writeResult(say func(string, ...any), d *verify.Result) {
	verdict := "clean"
	if !d.Clean() {
		verdict = "NOT CLEAN"
	}
	say("")
	say("%s: %s", nameOf(d.Destination), verdict)
	row := func(n int64, what string) {
		if n > 0 {
			say("  %9d  %s", n, what)
		}
	}
	say("  %9d  in both", d.InBoth)
	row(d.Pushed, "of these differ as a push differs from a pull")
	row(d.Enveloped, "of these in the envelope of another shipper, under its timestamps")
	row(d.Restamped, "of these restamped, as the rules say")
	for _, reason := range slices.Sorted(maps.Keys(d.Filtered)) {
		row(d.Filtered[reason], "left out by the rules: "+reason)
	}
	row(d.FilteredThere, "there although the rules leave them out today")
	row(d.Gone, "in the destination, and no longer in Auth0")
	row(d.Foreign, "messages that are no log events of the tenant")
	for _, k := range verify.Kinds() {
		row(d.Found[k], verifyWords[k])
	}
	if !d.KeptSince.IsZero() {
		say("  A log group keeps events since %s: what was earlier cannot be proved.", stamp(d.KeptSince))
	}
}

// writeFindings lists the findings of a kind.
func writeFindings(w io.Writer, k verify.Kind, found *spool, most int) error {
	n := 0
	for f, err := range found.of(k) {
		if err != nil {
			return err
		}
		if n++; most > 0 && n > most {
			continue
		}
		if n == 1 {
			fmt.Fprintf(w, "\n%s:\n", strings.ToUpper(verifyWords[k][:1])+verifyWords[k][1:])
		}
		fmt.Fprintln(w, web.Plain(findingLine(f)))
		for i, c := range f.Copies {
			if i == mostCopiesShown && most > 0 {
				fmt.Fprintf(w, "      and %d more\n", f.AllCopies-i)
				break
			}
			fmt.Fprintln(w, web.Plain(strings.TrimRight(fmt.Sprintf("      %s %s  at %s  %s", c.LogGroup, c.LogStream, stamp(c.Timestamp), c.EventID), " ")))
		}
	}
	if most > 0 && n > most {
		fmt.Fprintf(w, "  and %d more: --report FILE writes all\n", n-most)
	}
	return nil
}

// findingLine is a finding for a person.
func findingLine(f verify.Finding) string {
	line := fmt.Sprintf("  %s  %s", f.LogID, stamp(f.Date))
	if f.Destination != "" {
		line += "  " + f.Destination
	}
	if f.Why != "" {
		line += "  " + f.Why
	}
	return line
}

// stamp writes a time.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// repaired prints what a repair has done.
func (o *verifyOutput) repaired(tenant string, done app.Repaired) error {
	for _, w := range o.writers() {
		if o.asJSON {
			if err := writeJSONLine(w, map[string]app.Repaired{"repair": done}); err != nil {
				return err
			}
			continue
		}
		fmt.Fprintf(w, "\n%s: repaired: %s fetched from Auth0 again and delivered", web.Plain(tenant), plural(done.Stored, "event"))
		for _, x := range []struct {
			n    int64
			what string
		}{{done.Waiting, "waited in the buffer"}, {done.Letters, "are dead letters"}, {done.Gone, "are no longer in Auth0"}} {
			if x.n > 0 {
				fmt.Fprintf(w, ", %d %s", x.n, x.what)
			}
		}
		if _, err := fmt.Fprint(w, "\n\n"); err != nil {
			return fmt.Errorf("print the repair: %w", err)
		}
	}
	return nil
}
