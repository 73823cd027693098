package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/gaplesslogs/gapless/internal/app"
	"github.com/gaplesslogs/gapless/internal/web"
)

// A dryRun is a "run --dry-run" under way.
type dryRun struct {
	env    *Env
	once   bool
	asJSON bool
	cancel context.CancelCauseFunc
}

// runDry runs an App that shows what it would send, until it is told to stop or, with
// Once, is caught up. What it found is summed up either way.
func runDry(ctx context.Context, env *Env, opts app.Options, timeout time.Duration, asJSON bool) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	d := &dryRun{env: env, once: opts.Once, asJSON: asJSON, cancel: cancel}
	opts.DryRun = app.NewDryRun(d.show)
	pipe := make(chan os.Signal, 1)
	signal.Notify(pipe, syscall.SIGPIPE) // or a reader like head, which has had enough, would end us before we have tidied up
	defer signal.Stop(pipe)
	a, err := app.New(ctx, opts)
	if err != nil {
		return err
	}
	err = a.Start(ctx)
	if err == nil {
		err = await(ctx, a, opts.Once, timeout, nil)
	}
	if errors.Is(err, errOnceTimeout) {
		err = errDryTimeout
	}
	stopping, end := context.WithTimeout(context.WithoutCancel(ctx), opts.Config.ShutdownTimeout)
	defer end()
	err = errors.Join(err, a.Stop(stopping))
	if failed, ok := errors.AsType[*printError](context.Cause(ctx)); ok { // nobody reads a summary either
		return unlessHadEnough(failed)
	}
	return errors.Join(err, unlessHadEnough(d.summary(opts.DryRun.Report())))
}

// unlessHadEnough returns an error of writing the output, but nil where whoever reads
// it has had enough, as head has.
func unlessHadEnough(err error) error {
	if errors.Is(err, syscall.EPIPE) {
		return nil
	}
	return err
}

// errDryTimeout says that a dry run with --once did not finish in time.
var errDryTimeout = errors.New("not every event was shown in time; nothing was sent, and no cursor has moved")

// A printError says that the output cannot be written.
type printError struct{ err error }

// Error returns the text of the cause.
func (e *printError) Error() string { return "print event: " + e.err.Error() }

// Unwrap returns the cause.
func (e *printError) Unwrap() error { return e.err }

// A shownEvent is a line of "run --dry-run --json".
type shownEvent struct {
	Tenant    string    `json:"tenant"`
	LogID     string    `json:"log_id"`
	Type      string    `json:"type"`
	Date      time.Time `json:"date"`
	Timestamp time.Time `json:"timestamp,omitzero"`
	// Destination is the name of a further destination; empty for the main one.
	Destination string `json:"destination,omitempty"`

	LogGroup  string `json:"log_group"`
	LogStream string `json:"log_stream"`
	Bytes     int    `json:"bytes"`
	// Message is what would be sent; nil for an event that would become a dead letter.
	Message   *string `json:"message"`
	Rejected  string  `json:"rejected,omitempty"`
	Altered   string  `json:"altered,omitempty"`
	Restamped string  `json:"restamped,omitempty"`
}

// show prints an event. Where that fails the run ends.
func (d *dryRun) show(p app.DryEvent) {
	var err error
	if d.asJSON {
		err = writeJSONLine(d.env.Stdout, shownJSON(p))
	} else {
		_, err = fmt.Fprintln(d.env.Stdout, d.line(p))
	}
	if err != nil {
		d.cancel(&printError{err})
	}
}

// shownJSON is an event for programs.
func shownJSON(p app.DryEvent) shownEvent {
	out := shownEvent{
		Tenant: p.Tenant, LogID: p.Event.LogID, Type: p.Event.Type, Date: p.Event.Date,
		Destination: p.Destination.Sink, LogGroup: p.Destination.LogGroup, LogStream: p.Destination.LogStream, Bytes: len(p.Message),
		Rejected: p.Rejected, Altered: p.Altered, Restamped: p.Restamped,
	}
	if p.Rejected == "" {
		message := string(p.Message)
		out.Message, out.Timestamp = &message, p.At
	}
	return out
}

// line is an event for a person.
func (d *dryRun) line(p app.DryEvent) string {
	e := p.Event
	s := fmt.Sprintf("%s  %s  %-8s  %s  ", p.Tenant, e.Date.UTC().Format("2006-01-02T15:04:05.000Z"), cmp.Or(e.Type, "-"), e.LogID)
	if p.Rejected != "" {
		return web.Plain(s) + d.env.paint(d.env.Stdout, red, "dead letter: "+p.Rejected)
	}
	s += further(p.Destination.Sink) + fmt.Sprintf("%s  %s  %s", p.Destination.LogGroup, p.Destination.LogStream, web.Size(int64(len(p.Message))))
	if p.Altered != "" {
		s += ", altered: " + p.Altered
	}
	if p.Restamped != "" {
		s += fmt.Sprintf(", with the time %s: %s", p.At.UTC().Format(time.RFC3339), p.Restamped)
	}
	return web.Plain(s)
}

// further names a further destination in front of where it is.
func further(name string) string {
	if name == "" {
		return ""
	}
	return name + " -> "
}

// summary prints what a dry run has found.
func (d *dryRun) summary(tenants []app.DryTenant) error {
	if d.asJSON {
		return writeJSONLine(d.env.Stdout, struct {
			Summary []app.DryTenant `json:"summary"`
		}{tenants})
	}
	for _, t := range tenants {
		d.sumUp(d.env.Stdout, t)
	}
	return nil
}

// sumUp prints what a dry run has found of a tenant.
func (d *dryRun) sumUp(w io.Writer, t app.DryTenant) {
	from := "start_from " + t.StartFrom
	if t.Cursor != "" {
		from = "the cursor of the data directory"
	}
	state := "not caught up"
	if t.CaughtUp {
		state = "caught up"
	}
	fmt.Fprintf(w, "\n%s dry run from %s, %s; nothing was sent\n", d.env.paint(w, bold, web.Plain(t.Tenant)), web.Plain(from), state)
	line := func(name, format string, args ...any) {
		fmt.Fprintf(w, "  %-14s %s\n", name, web.Plain(fmt.Sprintf(format, args...)))
	}
	line("would send", "%s, %s, in %s of PutLogEvents", plural(t.Events, "event"), web.Size(t.Bytes), plural(t.Calls, "call"))
	for _, to := range t.Destinations {
		line("", "%s%s  %s  %s, %s, in %s", further(to.Destination), to.LogGroup, to.LogStream, plural(to.Events, "event"), web.Size(to.Bytes), plural(to.Calls, "call"))
	}
	if n := sum(t.LeftOut); n > 0 {
		line("left out", "%s: %s", plural(n, "event"), reasons(t.LeftOut)[2:])
	}
	if n := sum(t.Restamped); n > 0 {
		line("another time", "%s: %s", plural(n, "event"), reasons(t.Restamped)[2:])
	}
	for _, l := range t.Letters {
		line("dead letters", "%s", l)
	}
	if t.Gaps > 0 {
		line("gaps", "%d", t.Gaps)
	}
	d.notShown(line, t)
	for _, x := range t.Troubles {
		line("trouble", "%s: %s", x.Part, x.Message)
	}
}

// notShown says what a dry run leaves out.
func (*dryRun) notShown(line func(name, format string, args ...any), t app.DryTenant) {
	if t.Waiting > 0 {
		line("not shown", "%s in the buffer of the data directory, which the next run sends", plural(t.Waiting, "event"))
	}
	if len(t.NotReceived) > 0 {
		ways := map[string]string{"webhook": "what is pushed to the webhook", "sqs": "messages of the queue, which stay there"}
		var list []string
		for _, way := range t.NotReceived {
			list = append(list, ways[way])
		}
		line("not shown", "%s", strings.Join(list, "; "))
	}
}
