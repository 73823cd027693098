package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gaplesslogs/gapless/internal/cloudwatch"
	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/ledger"
	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/store"
)

// Where AuditLedger finds the ledger; anything else is the URL of a bucket, or the path
// of a file or directory.
const (
	LedgerFromStore      = "store"
	LedgerFromCloudWatch = "cloudwatch"
	LedgerFromS3         = "s3" // where ledger.s3.url says
)

// A LedgerAudit is what AuditLedger compares.
type LedgerAudit struct {
	// Tenant is the name of a configured tenant, and Destination that of one of its
	// destinations; empty for all. MainDestination is the main one.
	Tenant, Destination string
	// Since and Until bound the hours that are compared; the zero times are no bounds.
	Since, Until time.Time
	// From is where the ledger is: one of the constants LedgerFrom…, a URL such as
	// s3://BUCKET/PREFIX, or a file or a directory.
	From string
	// Keys check the signatures. Without any, the key of the configuration does if it can
	// be read.
	Keys []ledger.PublicKey
	// Head is the hash of an entry that must be there; may be empty.
	Head string
	// Patience is how long hours that do not match are read again.
	Patience time.Duration
	// Progress hears of hours; may be nil.
	Progress func(destination string, until time.Time, events int64)
}

// A LedgerReport is what was found of a destination.
type LedgerReport struct {
	Destination string
	Record      ledger.Checked
	Summary     ledger.Summary
	// KeysGiven says that signatures were checked.
	KeysGiven bool
}

// Clean reports whether nothing was found that a person should look at.
func (r *LedgerReport) Clean() bool { return len(r.Record.Problems) == 0 && r.Summary.Unclean == 0 }

// errNoLedger says that there are no entries.
var errNoLedger = errors.New("there is no entry of this tenant and destination")

// AuditLedger checks the ledger of a tenant: its chains, its signatures, and each hour
// against what lies in the destination. emit hears of the hours that do not match. It
// needs neither Auth0 nor, but for LedgerFromStore, the store.
func AuditLedger(ctx context.Context, opts Options, v LedgerAudit, emit func(destination string, r ledger.Result) error) (list []LedgerReport, err error) {
	a := &App{opts: opts, secrets: newSecrets(opts.Secrets)}
	i := slices.IndexFunc(opts.Config.Tenants, func(t config.Tenant) bool { return t.Name == v.Tenant })
	if i < 0 {
		return nil, fmt.Errorf("tenant %s: %w", v.Tenant, errNoDestination)
	}
	t := opts.Config.Tenants[i]
	if len(v.Keys) == 0 {
		key, err := a.signingKey(ctx, opts.Config)
		if err != nil {
			opts.Logger.LogAttrs(ctx, slog.LevelWarn, "signatures are not checked: no key was given, and that of the configuration cannot be read", slog.Any("error", err))
		}
		if key != nil {
			v.Keys = []ledger.PublicKey{key.Public()}
		}
	}
	for _, w := range wantedOf(opts.Config, &t) {
		if v.Destination != "" && v.Destination != nameOf(w.name) {
			continue
		}
		r, err := a.auditOutlet(ctx, &t, w, &v, emit)
		if err != nil {
			return nil, fmt.Errorf("tenant %s, destination %s: %w", t.Name, nameOf(w.name), err)
		}
		list = append(list, r)
	}
	if len(list) == 0 {
		return nil, &pipeline.Error{Op: "verify", Class: pipeline.Misconfigured, Err: fmt.Errorf("%q: %w", v.Destination, errNoDestination), Hint: "Name one of destinations, or " + MainDestination + " for the main one."}
	}
	return list, nil
}

// auditOutlet checks the ledger of one destination.
func (a *App) auditOutlet(ctx context.Context, t *config.Tenant, w wanted, v *LedgerAudit, emit func(string, ledger.Result) error) (r LedgerReport, err error) {
	r.Destination, r.KeysGiven = nameOf(w.name), len(v.Keys) > 0
	o := &outlet{logger: a.opts.Logger, tenant: a.newTenant(a.opts.Config, *t)}
	if _, err := (&App{opts: readingOptions(a.opts)}).sink(ctx, t.Name, w, o); err != nil {
		return r, err
	}
	record := &ledger.Record{Tenant: t.Name, Destination: r.Destination, Keys: v.Keys, Since: v.Since, Until: v.Until}
	if err := a.readLedger(ctx, t.Name, w, v.From, o.sink, record); err != nil {
		return r, err
	}
	r.Record = record.Check(v.Head, v.From != LedgerFromCloudWatch)
	if len(r.Record.Entries)+len(r.Record.Problems) == 0 {
		return r, &pipeline.Error{Op: "read the ledger", Class: pipeline.Misconfigured, Err: errNoLedger, Hint: "Say where it is with --from: store, cloudwatch, s3://BUCKET/PREFIX, or a file or directory. `gapless ledger list` shows what the store has."}
	}
	audit := ledger.Audit{
		Record: &r.Record, Destination: &auditedPlace{sink: o.sink, logger: a.opts.Logger}, Since: v.Since, Until: v.Until, Patience: v.Patience, Wait: pipeline.Wait,
		Progress: func(until time.Time, events int64) {
			if v.Progress != nil {
				v.Progress(r.Destination, until, events)
			}
		},
	}
	r.Summary, err = audit.Run(ctx, func(x ledger.Result) error { return emit(r.Destination, x) })
	return r, err
}

// readLedger reads the entries.
func (a *App) readLedger(ctx context.Context, tenant string, w wanted, from string, sink *cloudwatch.Sink, record *ledger.Record) error {
	switch from {
	case LedgerFromStore:
		return eachEntry(ctx, a.opts.Config, tenant, w.name, func(line []byte) error { record.Add(line); return nil })
	case LedgerFromCloudWatch:
		group := a.opts.Config.Ledger.DigestGroup(tenant, w.cw)
		place := &auditedPlace{sink: sink, logger: a.opts.Logger}
		g, err := place.group(ctx, group)
		if err != nil {
			return err
		}
		const ahead = 3 * time.Hour // the clock of the exporter, at the most that CloudWatch Logs takes
		return sink.Read(ctx, g, cloudwatch.Streams{Name: config.DigestStream}, time.UnixMilli(0), time.Now().Add(ahead), func(e cloudwatch.Stored) error {
			record.Add(e.Message)
			return nil
		})
	}
	if from == LedgerFromS3 {
		from = a.opts.Config.Ledger.S3.URL
		if from == "" {
			return &pipeline.Error{Op: "read the ledger", Class: pipeline.Misconfigured, Err: errNoBucket, Hint: "Name the bucket: --from s3://BUCKET/PREFIX."}
		}
	}
	if strings.HasPrefix(from, "s3://") {
		b, err := a.newLedgerBucket(ctx, a.opts.Config, from, tenant, nameOf(w.name))
		if err != nil {
			return err
		}
		return b.read(ctx, a.opts.Logger, record.Add)
	}
	return readLedgerFiles(from, tenant, nameOf(w.name), record)
}

// errNoBucket says that no bucket is configured.
var errNoBucket = errors.New("ledger.s3.url is not set")

// readLedgerFiles reads a file, or what a directory has of a destination: the file that
// ledger.directory gets, and a copy of a bucket.
func readLedgerFiles(path, tenant, destination string, record *ledger.Record) error {
	if info, err := os.Stat(path); err != nil || !info.IsDir() {
		return readLedgerFile(path, record)
	}
	below := filepath.Join(path, tenant, destination)
	if _, err := os.Stat(below + ".jsonl"); err == nil {
		if err := readLedgerFile(below+".jsonl", record); err != nil {
			return err
		}
	}
	err := filepath.WalkDir(below, func(name string, d fs.DirEntry, err error) error {
		switch {
		case name == below && errors.Is(err, fs.ErrNotExist):
			return fs.SkipAll
		case err != nil:
			return err
		case d.IsDir() || filepath.Ext(name) != ".json":
			return nil
		}
		return readLedgerFile(name, record)
	})
	if err != nil {
		return fmt.Errorf("read the ledger: %w", err)
	}
	return nil
}

// readLedgerFile reads the entries of a file.
func readLedgerFile(path string, record *ledger.Record) (err error) {
	f, err := os.Open(filepath.Clean(path))
	if errors.Is(err, fs.ErrNotExist) {
		return &pipeline.Error{Op: "read the ledger", Class: pipeline.Misconfigured, Err: err, Hint: "--from takes store, cloudwatch, s3, s3://BUCKET/PREFIX, or the path of a file of JSON lines or of a directory."}
	}
	if err != nil {
		return fmt.Errorf("read the ledger: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return readLines(f, record.Add)
}

// eachEntry calls each for the entries in the store.
func eachEntry(ctx context.Context, cfg *config.Config, tenant, outlet string, each func([]byte) error) error {
	return reading(ctx, cfg, func(r *store.Reader) error { return r.LedgerEntries(ctx, tenant, outlet, each) })
}

// LedgerEntries calls each for the lines of the ledger of a tenant and destination in the
// store. The bytes are good until it returns.
func LedgerEntries(ctx context.Context, cfg *config.Config, tenant, destination string, each func([]byte) error) error {
	if destination == MainDestination {
		destination = ""
	}
	return eachEntry(ctx, cfg, tenant, destination, each)
}

// A LedgerHead is where the ledger of a tenant and destination stands.
type LedgerHead struct {
	Tenant      string      `json:"tenant"`
	Destination string      `json:"destination"`
	Head        ledger.Head `json:"head"`
	SealedUntil time.Time   `json:"sealed_until,omitzero"`
	Entries     int64       `json:"entries"`
}

// LedgerHeads returns where the ledgers in the store stand.
func LedgerHeads(ctx context.Context, cfg *config.Config) (list []LedgerHead, err error) {
	err = reading(ctx, cfg, func(r *store.Reader) error {
		all, err := r.Ledgers(ctx)
		for _, s := range all {
			list = append(list, LedgerHead{s.Tenant, nameOf(s.Sink), s.Head, s.SealedUntil, s.Entries})
		}
		return err
	})
	return list, err
}

// LedgerKey returns the key that the configuration signs with; nil when there is none.
func LedgerKey(ctx context.Context, cfg *config.Config, secrets config.Resolver) (*ledger.Key, error) {
	return (&App{secrets: newSecrets(secrets)}).signingKey(ctx, cfg)
}

// An auditedPlace is a ledger.Destination in CloudWatch Logs.
type auditedPlace struct {
	sink   *cloudwatch.Sink
	logger *slog.Logger
	groups map[string]cloudwatch.Group
}

// group looks at a log group, once.
func (p *auditedPlace) group(ctx context.Context, name string) (cloudwatch.Group, error) {
	if g, ok := p.groups[name]; ok {
		return g, nil
	}
	g := cloudwatch.Group{Name: name}
	found, err := p.sink.Groups(ctx, name)
	switch {
	case err != nil && pipeline.Classify(err).Class == pipeline.Unauthorized:
		p.logger.LogAttrs(ctx, slog.LevelDebug, "not allowed to look at the log group; taken for one of the class STANDARD that keeps everything", slog.Any("error", err))
	case err != nil:
		return g, err
	}
	for _, x := range found {
		if x.Name == name {
			g = x
		}
	}
	if p.groups == nil {
		p.groups = make(map[string]cloudwatch.Group)
	}
	p.groups[name] = g
	return g, nil
}

// KeptSince is since when a log group keeps events.
func (p *auditedPlace) KeptSince(ctx context.Context, name string) (time.Time, error) {
	g, err := p.group(ctx, name)
	if err != nil || g.Retention == 0 {
		return time.Time{}, err
	}
	return time.Now().Add(-g.Retention), nil
}

// fewStreams is up to how many log streams of a group are read one by one.
const fewStreams = 3

// Read reads log groups and streams. Many streams of a group are read with it.
func (p *auditedPlace) Read(ctx context.Context, places [][2]string, from, to time.Time, each func(ledger.Found) error) error {
	streams := make(map[string][]string)
	for _, x := range places {
		streams[x[0]] = append(streams[x[0]], x[1])
	}
	for name, list := range streams {
		g, err := p.group(ctx, name)
		if err != nil {
			return err
		}
		found := func(e cloudwatch.Stored) error {
			return each(ledger.Found{At: e.At, Place: [2]string{name, e.Stream}, ID: e.ID, Message: e.Message})
		}
		anyStream := slices.Contains(list, ledger.AnyStream)
		if len(list) > fewStreams || anyStream {
			err := p.sink.Read(ctx, g, cloudwatch.Streams{}, from, to, func(e cloudwatch.Stored) error {
				if e.Stream == config.DigestStream || !anyStream && !slices.Contains(list, e.Stream) {
					return nil
				}
				return found(e)
			})
			if err != nil {
				return err
			}
			continue
		}
		for _, s := range list {
			if err := p.sink.Read(ctx, g, cloudwatch.Streams{Name: s}, from, to, found); err != nil {
				return err
			}
		}
	}
	return nil
}
