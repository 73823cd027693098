package cli

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/gaplesslogs/gapless/internal/app"
	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/web"
)

// newSampleCommand makes "gapless sample".
func newSampleCommand(env *Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "sample",
		GroupID: groupRules,
		Short:   "Show a few events as CloudWatch Logs would get them",
		Long: `Takes a few events of a tenant through all of its rules, and shows of each what would
become of it: whether the filter keeps it, the log group and stream, the timestamp,
and the message, redacted and shaped, as CloudWatch Logs would get it. What is
redacted is not shown. Left out of account is what the configuration does not tell:
the retention of a group that is there already, and how many log streams max_streams
has counted so far.` + trialHelp,
		Example: "  gapless sample --config gapless.yaml\n" +
			"  gapless sample --config gapless.yaml --type fp --last 1\n" +
			"  gapless sample --config gapless.yaml --file events.json.gz --json",
		Args: noArgs,
	}
	flags := addTrialFlags(cmd, lastSample, false)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		t, err := flags.open(cmd, env)
		if err != nil {
			return err
		}
		rules, err := app.NewRules(cmd.Context(), t.tenant, resolver(t.cfg, env))
		if err != nil {
			return err
		}
		s := &sample{trial: t, rules: rules, now: time.Now()}
		if err := t.each(cmd.Context(), tried{event: s.event, piece: s.piece}); err != nil {
			return err
		}
		if s.n == 0 && !*flags.asJSON {
			fmt.Fprintf(env.Stdout, "%s: no event %s\n", web.Plain(t.tenant.Name), web.Plain(t.origin()))
		}
		return t.finish()
	}
	return cmd
}

// A sample shows what becomes of events.
type sample struct {
	*trial

	rules *app.Rules
	now   time.Time
	n     int
}

// A sampledEvent is what --json says of an event. What becomes of it is told by the
// one of left_out, withheld, dead_letter and message that is there.
type sampledEvent struct {
	LogID string    `json:"log_id"`
	Date  time.Time `json:"date"`
	Type  string    `json:"type"`
	// LeftOut is the reason of the filter, Withheld that of redaction, DeadLetter that
	// of the policies for events that CloudWatch Logs does not take.
	LeftOut    string `json:"left_out,omitempty"`
	Withheld   string `json:"withheld,omitempty"`
	DeadLetter string `json:"dead_letter,omitempty"`
	// Kept is what is kept of a withheld event.
	Kept string `json:"kept,omitempty"`

	LogGroup  string     `json:"log_group,omitempty"`
	LogStream string     `json:"log_stream,omitempty"`
	Timestamp *time.Time `json:"timestamp,omitempty"`
	Restamped string     `json:"restamped,omitempty"`
	Altered   string     `json:"altered,omitempty"`
	Message   string     `json:"message,omitempty"`
}

// event shows what becomes of an event.
func (s *sample) event(e event.Event) error {
	s.n++
	o := s.rules.Apply(e, s.source(), s.now)
	x := sampledEvent{
		LogID: o.Event.LogID, Date: o.Event.Date, Type: o.Event.Type,
		LeftOut: o.LeftOut, Withheld: o.Withheld, DeadLetter: o.Preview.Rejected,
		LogGroup: o.Destination.LogGroup, LogStream: o.Destination.LogStream,
		Restamped: o.Preview.Restamped, Altered: o.Preview.Altered, Message: string(o.Preview.Message),
	}
	if o.Withheld != "" {
		x.Kept = string(o.Event.Raw)
	}
	if !o.Preview.At.IsZero() {
		x.Timestamp = &o.Preview.At
	}
	if *s.flags.asJSON {
		return writeJSONLine(s.env.Stdout, x)
	}
	if s.n > 1 {
		fmt.Fprintln(s.env.Stdout)
	}
	w := s.env.Stdout
	fmt.Fprintln(w, s.env.paint(w, bold, eventLine(o.Event, o.Event.LogID)))
	x.print(w)
	return nil
}

// print writes what becomes of an event.
func (x *sampledEvent) print(w io.Writer) {
	switch {
	case x.LeftOut != "":
		fmt.Fprintf(w, "  left out: %s; gapless filter test says why\n", x.LeftOut)
		return
	case x.Withheld != "":
		fmt.Fprintf(w, "  withheld: %s\n  kept as a dead letter: %s\n", web.Plain(x.Withheld), web.Plain(x.Kept))
		return
	}
	fmt.Fprintf(w, "  to %s, stream %s", web.Plain(x.LogGroup), web.Plain(x.LogStream))
	if x.DeadLetter != "" {
		fmt.Fprintf(w, ": not sent, it becomes a dead letter: %s\n", x.DeadLetter)
		return
	}
	fmt.Fprintf(w, ", at %s", x.Timestamp.Format("2006-01-02 15:04:05.000"))
	for _, note := range []struct{ what, reason string }{{"restamped", x.Restamped}, {"altered", x.Altered}} {
		if note.reason != "" {
			fmt.Fprintf(w, ", %s: %s", note.what, note.reason)
		}
	}
	fmt.Fprintf(w, "\n  %s\n", web.Plain(x.Message))
}

// piece tells of one that is no event.
func (s *sample) piece(u event.Unreadable) error {
	fmt.Fprintf(s.env.Stderr, "no event: %s\n", web.Plain(u.Reason))
	return nil
}
