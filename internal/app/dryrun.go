package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/gaplesslogs/gapless/internal/cloudwatch"
	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/source"
	"github.com/gaplesslogs/gapless/internal/store"
	"github.com/gaplesslogs/gapless/internal/web"
)

// A DryRun makes an App that reads and applies the rules as always, and shows what
// would be sent in the place of sending it. It has a store of its own in a temporary
// directory, and begins where the store of data_dir stands, of which it changes
// nothing; a process may be working there. It calls AWS for nothing but the secrets
// that are kept there, opens no listener, and takes nothing from queues: a message
// that it received would be hidden from the export.
//
// A DryRun is for one App.
type DryRun struct {
	show func(DryEvent)

	mu        sync.Mutex
	standings map[string]store.Standing
	from      map[string]config.Tenant // as configured
	sums      map[string]map[pipeline.Destination]*DryDestination
	restamped map[string]map[string]int64 // by tenant and reason; the store does not count it
	report    []DryTenant
}

// DryEvent is what would become of an event of a tenant.
type DryEvent struct {
	cloudwatch.DryEvent

	Tenant      string
	Destination pipeline.Destination
}

// NewDryRun makes a dry run. show hears of each event that passes the filter, of
// one at a time.
func NewDryRun(show func(DryEvent)) *DryRun {
	return &DryRun{
		show: show, standings: make(map[string]store.Standing), from: make(map[string]config.Tenant),
		sums: make(map[string]map[pipeline.Destination]*DryDestination), restamped: make(map[string]map[string]int64),
	}
}

// A DryTenant is what a dry run has found of a tenant. Bytes are those of messages;
// an event that would be sent to several destinations counts for each.
type DryTenant struct {
	Tenant string `json:"tenant"`
	// Cursor is where it began to read: after this log_id, or at StartFrom when
	// empty.
	Cursor    string `json:"cursor,omitempty"`
	StartFrom string `json:"start_from"`
	// CaughtUp says that Auth0 had nothing more.
	CaughtUp     bool             `json:"caught_up"`
	Events       int64            `json:"events"`
	Bytes        int64            `json:"bytes"`
	Calls        int64            `json:"put_log_events_calls"`
	Destinations []DryDestination `json:"destinations"`
	// LeftOut counts the events that would not be sent on purpose, by reason, and
	// Restamped those that would be with another timestamp than their date.
	LeftOut   map[string]int64 `json:"left_out"`
	Restamped map[string]int64 `json:"restamped"`
	// Letters are the dead letters that there would be.
	Letters []web.Letters `json:"dead_letters"`
	// Gaps is how many spans could not be read any more.
	Gaps int `json:"gaps"`
	// Waiting is how many events wait in the buffer of data_dir. They are not shown.
	Waiting int64 `json:"waiting_in_buffer"`
	// NotReceived are the ways on which events come that a dry run leaves alone.
	NotReceived []string      `json:"not_received"`
	Troubles    []web.Trouble `json:"troubles"`
}

// A DryDestination is what would be sent to a log stream.
type DryDestination struct {
	// Destination is the name of a further destination; empty for the main one.
	Destination string `json:"destination,omitempty"`

	LogGroup  string `json:"log_group"`
	LogStream string `json:"log_stream"`
	Events    int64  `json:"events"`
	Bytes     int64  `json:"bytes"`
	Calls     int64  `json:"put_log_events_calls"`
}

// Report returns what the dry run has found, by tenant, in the order of the
// configuration. It is there when the App has stopped.
func (d *DryRun) Report() []DryTenant {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.report
}

// errNothingToShow says that a dry run has nothing to do.
var errNothingToShow = errors.New("no tenant has a domain to read from, and a dry run receives neither pushes nor messages of a queue")

// dryBuffer bounds what a dry run keeps on disk. It is there while whoever reads the
// output is slow.
const dryBuffer = 256 << 20

// prepareDryRun turns the options into those of a dry run: it looks where the
// tenants stand, and makes the temporary directory.
func (a *App) prepareDryRun(ctx context.Context) error {
	d := a.opts.DryRun
	if d == nil {
		return nil
	}
	if !slices.ContainsFunc(a.opts.Config.Tenants, func(t config.Tenant) bool { return t.Polls() }) {
		return &pipeline.Error{Op: "run dry", Class: pipeline.Misconfigured, Err: errNothingToShow, Hint: "Write cases for `gapless config test`, to see what the rules make of events."}
	}
	if err := d.look(ctx, a.opts.Config); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "gapless-dry-run-")
	if err != nil {
		return fmt.Errorf("make a directory for the dry run: %w", err)
	}
	a.onStop("temporary directory", func(context.Context) error { return os.RemoveAll(dir) })
	cfg := *a.opts.Config
	cfg.DataDir, cfg.Listen, cfg.MaxBufferBytes = dir, "", min(cfg.MaxBufferBytes, dryBuffer)
	cfg.Tenants = slices.Clone(cfg.Tenants)
	for i := range cfg.Tenants {
		t := &cfg.Tenants[i]
		d.from[t.Name] = *t
		t.Webhook, t.SQS.QueueURL = config.TenantWebhook{}, ""
		t.Overlap.Window = 0 // what it finds again has been sent
	}
	a.opts.Config = &cfg
	return nil
}

// look reads where the tenants stand.
func (d *DryRun) look(ctx context.Context, cfg *config.Config) (err error) {
	r, err := store.OpenUntouched(ctx, cfg.DataDir)
	if errors.Is(err, store.ErrNoData) {
		return nil
	}
	if err != nil {
		return err // it says what was tried
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	for _, t := range cfg.Tenants {
		if d.standings[t.Name], err = r.Standing(ctx, t.Name); err != nil {
			return err
		}
	}
	return nil
}

// begin begins to sum up what is shown of a tenant.
func (d *DryRun) begin(tenant string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sums[tenant], d.restamped[tenant] = make(map[pipeline.Destination]*DryDestination), make(map[string]int64)
}

// sink makes what takes the place of a sink of a tenant.
func (d *DryRun) sink(tenant string, c cloudwatch.Config) (pipeline.Sink, error) {
	return cloudwatch.NewDrySink(c, func(b cloudwatch.DryBatch) { d.heard(tenant, b) })
}

// heard sums up a batch and shows its events.
func (d *DryRun) heard(tenant string, b cloudwatch.DryBatch) {
	d.mu.Lock()
	defer d.mu.Unlock()
	sum := d.sums[tenant][b.Destination]
	if sum == nil && b.Calls > 0 { // else nothing would go there
		sum = &DryDestination{Destination: b.Destination.Sink, LogGroup: b.Destination.LogGroup, LogStream: b.Destination.LogStream}
		d.sums[tenant][b.Destination] = sum
	}
	for _, e := range b.Events {
		if e.Rejected == "" {
			sum.Events++
			sum.Bytes += int64(len(e.Message))
		}
		if e.Restamped != "" {
			d.restamped[tenant][e.Restamped]++
		}
		d.show(DryEvent{DryEvent: e, Tenant: tenant, Destination: b.Destination})
	}
	if sum != nil {
		sum.Calls += int64(b.Calls)
	}
}

// finishDryRun makes the report, once nothing is under way any more.
func (a *App) finishDryRun(ctx context.Context) error {
	o, err := a.Overview(ctx)
	if err != nil {
		return fmt.Errorf("read the outcome: %w", err)
	}
	d, tenants := a.opts.DryRun, a.running()
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, v := range o.Tenants {
		i := slices.IndexFunc(tenants, func(t *tenant) bool { return t.name == v.Name })
		if i < 0 {
			continue // it could not be set up
		}
		d.report = append(d.report, d.tenantReport(v, tenants[i].isCaughtUp()))
	}
	return nil
}

// tenantReport makes the report of a tenant. The caller holds mu.
func (d *DryRun) tenantReport(v web.Tenant, caughtUp bool) DryTenant {
	from, standing := d.from[v.Name], d.standings[v.Name]
	out := DryTenant{
		Tenant: v.Name, Cursor: string(standing.Cursors[source.PollName]), StartFrom: from.StartFrom, CaughtUp: caughtUp && delivered(v),
		Destinations: []DryDestination{}, LeftOut: v.Skipped, Restamped: d.restamped[v.Name],
		Letters: v.Letters, Gaps: len(v.Gaps), Waiting: standing.Waiting, NotReceived: []string{}, Troubles: v.Troubles,
	}
	for _, sum := range d.sums[v.Name] {
		out.Destinations = append(out.Destinations, *sum)
		out.Events, out.Bytes, out.Calls = out.Events+sum.Events, out.Bytes+sum.Bytes, out.Calls+sum.Calls
	}
	slices.SortFunc(out.Destinations, func(a, b DryDestination) int {
		return cmp.Or(strings.Compare(a.Destination, b.Destination), strings.Compare(a.LogGroup, b.LogGroup), strings.Compare(a.LogStream, b.LogStream))
	})
	if len(from.Webhook.All()) > 0 {
		out.NotReceived = append(out.NotReceived, "webhook")
	}
	if from.SQS.QueueURL != "" {
		out.NotReceived = append(out.NotReceived, "sqs")
	}
	return out
}

// delivered reports whether nothing waits for any destination of a tenant.
func delivered(v web.Tenant) bool {
	return v.Buffered == 0 && !slices.ContainsFunc(v.Destinations, func(d web.Destination) bool { return d.Buffered > 0 })
}

// isCaughtUp reports whether each source had nothing more.
func (t *tenant) isCaughtUp() bool {
	select {
	case <-t.caughtUp:
		return true
	default:
		return false
	}
}
