package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gaplesslogs/gapless/internal/app"
	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/web"
)

// trialFlags are the flags of the commands with which rules are tried on events.
type trialFlags struct {
	*configFlags

	tenant, file, code string
	last               int
	allOfFile          bool // unless --last is set
	asJSON             *bool
}

// Defaults of --last.
const (
	lastTried  = 100
	lastSample = 5
)

// trialHelp ends the help of the commands that have them.
const trialHelp = `

The events are the newest that Auth0 finds in the tenant's log, or those of a file as
gapless import reads them: JSON lines, an array, an export; plain, or packed with gzip
or zstd. Nothing is kept, sent or counted, no cursor is moved, and gapless may be
running. Without --file an access token is fetched, which Auth0 notes in the log as
it does for every program. The exit code is 5 when the input held pieces that are
no events.`

// addTrialFlags gives cmd the flags. last is the default of --last; of a file all
// events are taken where allOfFile is set.
func addTrialFlags(cmd *cobra.Command, last int, allOfFile bool) *trialFlags {
	f := &trialFlags{configFlags: addConfigFlags(cmd), asJSON: addJSONFlag(cmd), allOfFile: allOfFile}
	fs := cmd.Flags()
	fs.StringVar(&f.tenant, "tenant", "", "name of the `TENANT`; needed if several are configured")
	fs.StringVar(&f.file, "file", "", "take the events of `FILE`, or of standard input for -, in the place of the tenant's log")
	fs.StringVar(&f.code, "type", "", "only events of this `CODE`, such as fp")
	usage := fmt.Sprintf("the last `N` events; of a tenant %d at most", app.MaxRecent)
	if allOfFile {
		usage += "; of a file all unless it is set"
	}
	fs.IntVar(&f.last, "last", last, usage)
	_ = cmd.MarkFlagFilename("file") // fails only for a flag that is not there
	return f
}

// typeForm is what an event code looks like.
var typeForm = regexp.MustCompile(`^[A-Za-z0-9_]*$`)

// A trial is a configured tenant and events to try its rules on.
type trial struct {
	env    *Env
	cfg    *config.Config
	tenant config.Tenant
	flags  *trialFlags
	last   int         // 0 for all
	files  *app.Import // nil for the log of the tenant
	unread int64       // pieces and rests of files that could not be read
}

// errNoLog says that a tenant cannot be asked for events.
var errNoLog = errors.New("has no domain, so that there is no log to fetch events from")

// open reads the configuration and looks at the file.
func (f *trialFlags) open(cmd *cobra.Command, env *Env) (*trial, error) {
	t := &trial{env: env, flags: f, last: f.last}
	switch {
	case !typeForm.MatchString(f.code):
		return nil, usageError(cmd, "--type %q is no event code, such as fp: it has letters, digits and underscores", f.code)
	case f.last < 1 || f.file == "" && f.last > app.MaxRecent:
		return nil, usageError(cmd, "--last is %d: it is from 1 to %d, which is as far as Auth0 searches", f.last, app.MaxRecent)
	case f.file != "" && f.allOfFile && !cmd.Flags().Changed("last"):
		t.last = 0
	}
	var err error
	if t.cfg, err = f.load(cmd.Context(), cmd, env); err != nil {
		return nil, err
	}
	name, err := pickTenant(cmd, t.cfg, f.tenant)
	if err != nil {
		return nil, err
	}
	for i := range t.cfg.Tenants {
		if t.cfg.Tenants[i].Name == name {
			t.tenant = t.cfg.Tenants[i]
			env.printWarnings(env.Stderr, t.cfg, "tenants."+strconv.Itoa(i)+".")
		}
	}
	if f.file != "" {
		t.files, err = openTrialFile(cmd, env, name, f.file)
	} else if !t.tenant.Polls() {
		err = fail(exitUsage, fmt.Sprintf("%s%s --tenant %s --file FILE", cmd.CommandPath(), f.repeated(cmd), name), fmt.Errorf("tenant %s %w", name, errNoLog))
	}
	return t, err
}

// openTrialFile looks at the file.
func openTrialFile(cmd *cobra.Command, env *Env, tenant, file string) (*app.Import, error) {
	if file == app.StandardInput {
		return app.NewImportOf(env.Stdin, tenant), nil
	}
	paths, err := expand(cmd, file)
	if err != nil {
		return nil, err
	}
	im, err := app.NewImport(cmd.Context(), tenant, paths)
	switch {
	case errors.Is(err, app.ErrNotAFile):
		return nil, fail(exitUsage, "Pipe it in: "+cmd.CommandPath()+" --file - < FILE", err)
	case errors.Is(err, app.ErrNotEvents):
		return nil, fail(exitFailure, "Export it as JSON, one event a line or an array of them.", err)
	}
	return im, err
}

// origin says in words which events are tried.
func (t *trial) origin() string {
	if t.files == nil {
		return "of " + t.tenant.Domain
	}
	if t.flags.file == app.StandardInput {
		return "of standard input"
	}
	return "of " + t.flags.file
}

// source is what brings the events.
func (t *trial) source() string {
	if t.files == nil {
		return app.FromTenant
	}
	return app.FromFile
}

// A tried hears of what is read, in its order.
type tried struct {
	event func(event.Event) error
	piece func(event.Unreadable) error // that is no event
}

// each tells to of the events. The error is what stopped it.
func (t *trial) each(ctx context.Context, to tried) error {
	if t.files == nil {
		level := t.cfg.Log.Level
		if level == "info" {
			level = "warn" // the output says the rest
		}
		logger, err := newLogger(t.env.Stderr, level, t.cfg.Log.Format)
		if err != nil {
			return err
		}
		page, err := app.Recent(ctx, app.Options{
			Config: t.cfg, Logger: logger, Version: build(t.env.Version).Version, Secrets: resolver(t.cfg, t.env),
		}, t.tenant, t.last, t.flags.code)
		if err != nil {
			return fmt.Errorf("fetch the last events of %s: %w", t.tenant.Name, err)
		}
		return t.page(page, to)
	}
	if t.last == 0 {
		return t.files.ReadEvents(ctx, func(p event.Page) error { return t.page(p, to) })
	}
	kept := lastEvents{most: t.last}
	err := t.files.ReadEvents(ctx, func(p event.Page) error {
		return t.page(p, tried{event: kept.add, piece: to.piece})
	})
	if err != nil {
		return err
	}
	return t.page(event.Page{Events: kept.all()}, to)
}

// page tells to of the events of a page that are of the type that was asked for.
func (t *trial) page(p event.Page, to tried) error {
	for _, u := range p.Unreadable {
		t.unread++
		if err := to.piece(u); err != nil {
			return err
		}
	}
	for _, e := range p.Events {
		if t.flags.code != "" && e.Type != t.flags.code {
			continue
		}
		if err := to.event(e); err != nil {
			return err
		}
	}
	return nil
}

// finish tells of files that could not be read to their end, and makes the error
// for pieces that are no events.
func (t *trial) finish() error {
	if t.files != nil {
		for _, p := range t.files.Progress().Problems {
			if p.Rest {
				t.unread++
				fmt.Fprintf(t.env.Stderr, "%s:%d: %s; the rest was not read\n", web.Plain(p.File), p.Line, web.Plain(p.Reason))
			}
		}
	}
	if t.unread > 0 {
		return fail(exitNotClean, "Look at the lines that say so: an export holds one event a line, or an array of them.", fmt.Errorf("%s could not be read", plural(t.unread, "piece")))
	}
	return nil
}

// lastEvents keeps the last of many events.
type lastEvents struct {
	most, next int
	ring       []event.Event
}

// add takes an event in, in the place of the oldest one if there are enough.
func (l *lastEvents) add(e event.Event) error {
	e.Raw = append([]byte(nil), e.Raw...) // the page goes
	if len(l.ring) < l.most {
		l.ring = append(l.ring, e)
		return nil
	}
	l.ring[l.next] = e
	l.next = (l.next + 1) % l.most
	return nil
}

// all returns what is kept, in its order.
func (l *lastEvents) all() []event.Event {
	return append(append([]event.Event(nil), l.ring[l.next:]...), l.ring[:l.next]...)
}

// eventTime writes the time of an event, in UTC.
func eventTime(e event.Event) string { return e.Date.UTC().Format("2006-01-02 15:04:05.000") }

// eventLine describes an event without a word of what is in it: its time, its type,
// the title of the type, its id.
func eventLine(e event.Event, id string) string {
	parts := []string{eventTime(e)}
	if e.Type != "" {
		parts = append(parts, web.Plain(e.Type))
		if title := event.Lookup(e.Type).Title; title != e.Type {
			parts = append(parts, title)
		}
	}
	if id != "" {
		parts = append(parts, web.Plain(id))
	}
	return strings.Join(parts, "  ")
}

// shortID returns what tells an id from its neighbours: of those of Auth0 the end.
func shortID(id string) string {
	const longest, shown = 20, 16
	r := []rune(id)
	if len(r) <= longest {
		return id
	}
	return "…" + string(r[len(r)-shown:])
}

// printWarnings tells of what in the configuration is likely a mistake, of the
// settings below a path.
func (e *Env) printWarnings(w io.Writer, cfg *config.Config, path string) {
	for _, p := range cfg.Warnings() {
		if !strings.HasPrefix(p.Path, path) {
			continue
		}
		fmt.Fprintln(w, e.paint(w, bold, "warning:"), plainLines(p.Error()))
		if p.Fix != "" {
			fmt.Fprintln(w, "    "+plainLines(p.Fix))
		}
	}
}
