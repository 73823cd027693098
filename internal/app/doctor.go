package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/gaplesslogs/gapless/internal/auth0"
	"github.com/gaplesslogs/gapless/internal/checkup"
	"github.com/gaplesslogs/gapless/internal/cloudwatch"
	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/source"
	"github.com/gaplesslogs/gapless/internal/store"
)

// A Doctor looks at everything that an App with the same Options would use, from where
// it would run. It takes no lock, opens no listener for longer than a moment, and
// changes nothing but by WriteTest.
type Doctor struct {
	// Options are those of the App; Logger, Once, Import and the listeners are not used.
	Options
	// WriteTest writes one message to each destination, see cloudwatch.Examine.
	WriteTest bool
	// Timeout bounds each check.
	Timeout time.Duration
	// Tenant names the one to look at; empty for all. What all share is looked at in
	// any case.
	Tenant string

	hosts []string // that log streams send events to
}

// Examine runs all checks and tells what each finds. The error is the cause of ctx when
// that has ended.
func (d *Doctor) Examine(ctx context.Context, tell func(checkup.Result)) error {
	d.Logger = slog.New(slog.DiscardHandler) // what matters is in the findings
	run := func(s ...checkup.Section) error { return checkup.Run(ctx, s, d.Timeout, tell) }
	if err := run(d.settings(), d.dataDir()); err != nil {
		return err
	}
	for i := range d.Config.Tenants {
		t := &d.Config.Tenants[i]
		if d.Tenant != "" && d.Tenant != t.Name {
			continue
		}
		if err := d.examineTenant(ctx, t, run); err != nil {
			return err
		}
	}
	return run(append(d.listeners(), d.channels()...)...)
}

// examineTenant looks at one tenant.
func (d *Doctor) examineTenant(ctx context.Context, t *config.Tenant, run func(...checkup.Section) error) error {
	k, s := d.auth0(ctx, t)
	if err := run(s); err != nil {
		return err
	}
	if k != nil {
		d.hosts = append(d.hosts, k.Endpoints()...)
		if err := k.Close(); err != nil {
			return fmt.Errorf("close the client of %s: %w", t.Name, err)
		}
	}
	if t.SQS.QueueURL != "" {
		if err := run(d.queue(ctx, t)); err != nil {
			return err
		}
	}
	for _, w := range wantedOf(d.Config, t) {
		if err := run(d.destination(ctx, t, w)); err != nil {
			return err
		}
	}
	return nil
}

// one makes a section of a finding that needs no look any more.
func one(s checkup.Section, name string, f checkup.Finding) checkup.Section {
	s.Checks = []checkup.Check{{Name: name, Run: func(context.Context) []checkup.Finding { return checkup.One(f) }}}
	return s
}

// SettingsSection is the title of the section about the configuration.
const SettingsSection = "configuration"

// settings looks at the configuration and its secrets.
func (d *Doctor) settings() checkup.Section {
	return checkup.Section{Title: SettingsSection, Checks: []checkup.Check{
		{Name: "config", Run: func(context.Context) []checkup.Finding { return configFindings(d.Config) }},
		{Name: "secrets", Run: func(ctx context.Context) []checkup.Finding {
			if err := d.Config.CheckSecrets(ctx, d.Secrets, true); err != nil {
				return InvalidFindings(err)
			}
			return checkup.One(checkup.Passed("every secret can be had"))
		}},
	}}
}

// configFindings is about a configuration that is valid.
func configFindings(cfg *config.Config) []checkup.Finding {
	out := problems(cfg.Warnings(), func(fix, text string) checkup.Finding { return checkup.Warned(fix, "%s", text) })
	if out == nil {
		noun := "tenants"
		if len(cfg.Tenants) == 1 {
			noun = "tenant"
		}
		out = checkup.One(checkup.Passed("the configuration is valid: %d %s", len(cfg.Tenants), noun))
	}
	return out
}

// InvalidFindings are the problems of a configuration that is not valid, or of which a
// secret cannot be had: each with the place in the file.
func InvalidFindings(err error) []checkup.Finding {
	failed := func(fix, text string) checkup.Finding {
		return checkup.Failed(checkup.Configuration, fix, "%s", text)
	}
	if bad, ok := errors.AsType[*config.InvalidError](err); ok {
		return problems(bad.Problems, failed)
	}
	return checkup.One(failed("gapless config check", checkup.Clean(err.Error())))
}

// problems makes findings of problems.
func problems(list []*config.Error, finding func(fix, text string) checkup.Finding) (out []checkup.Finding) {
	for _, p := range list {
		fix := p.Fix
		if fix == "" {
			fix = "gapless config check"
		}
		f := finding(fix, p.Error())
		f.Detail = p.Excerpt
		out = append(out, f)
	}
	return out
}

// dataDir looks at the data directory, which the buffers of all tenants and
// destinations share.
func (d *Doctor) dataDir() checkup.Section {
	most := int64(0)
	for i := range d.Config.Tenants {
		most += int64(d.Config.MaxBufferBytes) * int64(1+len(d.Config.Tenants[i].Destinations))
	}
	k := &store.Checkup{Dir: d.Config.DataDir, MaxBytes: most}
	return checkup.Section{Title: "data directory", Checks: k.Checks()}
}

// An auth0Checkup is a checkup and the client that it uses.
type auth0Checkup struct {
	*auth0.Checkup
	client *auth0.Client
	reader *store.Reader // nil without data
}

// Close ends the connections.
func (k *auth0Checkup) Close() error {
	err := k.client.Close()
	if k.reader != nil {
		err = errors.Join(err, k.reader.Close())
	}
	return err
}

// auth0 makes the checks of a tenant's side at Auth0.
func (d *Doctor) auth0(ctx context.Context, t *config.Tenant) (*auth0Checkup, checkup.Section) {
	s := checkup.Section{Title: "tenant " + t.Name + ": Auth0", Tenant: t.Name}
	if !t.Polls() {
		return nil, one(s, "auth0", checkup.Skipped("the tenant is not read but pushed to alone: it has no domain, so that nothing heals what a push misses"))
	}
	k := &auth0Checkup{}
	var err error
	if k.reader, err = store.OpenUntouched(ctx, d.Config.DataDir); err != nil {
		k.reader = nil // there is no data yet, or data_dir tells
	}
	a := &App{opts: d.Options, secrets: newSecrets(d.Secrets)}
	if k.client, err = a.auth0Client(ctx, *t, keptTokens{k.reader, t.Name}, a.newTenant(d.Config, *t)); err != nil {
		if k.reader != nil {
			_ = k.reader.Close() // it has only read
		}
		return nil, one(s, "auth0", d.notSetUp(err))
	}
	want := auth0.Examine{LookupEnv: d.Secrets.LookupEnv, PartnerSource: t.SQS.Source, Queue: t.SQS.QueueURL != ""}
	want.Retention, _ = config.ParseRetention(t.Retention) // it is valid
	if len(t.Webhook.All()) > 0 {
		want.WebhookPath = "/v1/tenants/" + t.Name + "/logs"
		for _, token := range t.Webhook.All() {
			if v, err := token.Resolve(ctx, d.Secrets); err == nil { // or secrets has told
				want.Tokens = append(want.Tokens, v)
			}
		}
	}
	k.Checkup = auth0.NewCheckup(k.client, want)
	s.Checks = k.Checks()
	return k, s
}

// notSetUp is about a part that cannot be built: for want of a secret, of which the
// first section tells, or for what is written.
func (d *Doctor) notSetUp(err error) checkup.Finding {
	e, ok := errors.AsType[*pipeline.Error](err)
	if ok && strings.HasPrefix(e.Op, "read ") {
		return checkup.Skipped("not looked at, because secrets failed")
	}
	fix := pipeline.Classify(err).Hint
	if fix == "" {
		fix = "gapless config check"
	}
	return checkup.Failed(checkup.Configuration, fix, "%s", checkup.Clean(err.Error()))
}

// keptTokens shows the tokens that gapless keeps, and keeps none.
type keptTokens struct {
	reader *store.Reader // nil when there are none
	tenant string
}

// Load implements auth0.TokenCache.
func (k keptTokens) Load(ctx context.Context, key string) ([]byte, error) {
	if k.reader == nil {
		return nil, nil
	}
	return k.reader.Saved(ctx, k.tenant, key)
}

// Save implements auth0.TokenCache. The file is of the process that runs.
func (keptTokens) Save(context.Context, string, []byte) error { return nil }

// destination makes the checks of a destination.
func (d *Doctor) destination(ctx context.Context, t *config.Tenant, w wanted) checkup.Section {
	s := checkup.Section{Title: "tenant " + t.Name + ": CloudWatch Logs", Tenant: t.Name, Destination: w.name}
	if w.name != "" {
		s.Title = "tenant " + t.Name + ": destination " + w.name
	}
	name := func(template string) string { return strings.ReplaceAll(template, "{tenant}", t.Name) }
	k, err := cloudwatch.NewCheckup(ctx, w.config(), cloudwatch.Deps{
		Logger: d.Logger, HTTPClient: d.AWSHTTP, Credentials: d.AWSCredentials, Tenant: t.Name, Destination: w.name,
	}, cloudwatch.Examine{
		Destination: pipeline.Destination{LogGroup: name(w.cw.LogGroup), LogStream: name(w.cw.LogStream)},
		WriteTest:   d.WriteTest, Verify: d.Config.Verify.Schedule != "off" && t.Polls(), LookupEnv: d.Secrets.LookupEnv,
	})
	if err != nil {
		return one(s, "aws", cloudwatch.ExplainSetUp(err, d.Secrets.LookupEnv))
	}
	s.Checks = k.Checks()
	return s
}

// queue makes the checks of a tenant's queue.
func (d *Doctor) queue(ctx context.Context, t *config.Tenant) checkup.Section {
	s := checkup.Section{Title: "tenant " + t.Name + ": queue", Tenant: t.Name}
	reach := d.Config.AWSForSQS(*t)
	cfg, err := cloudwatch.LoadAWS(ctx, cloudwatch.Config{
		Region: reach.Region, Profile: reach.Profile, RoleARN: reach.RoleARN, ExternalID: reach.ExternalID, RequestTimeout: d.Timeout,
	}, cloudwatch.Deps{Logger: d.Logger, HTTPClient: d.AWSHTTP, Credentials: d.AWSCredentials, Tenant: t.Name})
	if err != nil {
		return one(s, "sqs", cloudwatch.ExplainSetUp(err, d.Secrets.LookupEnv))
	}
	k := &source.SQSCheckup{
		URL: t.SQS.QueueURL, Endpoint: reach.Endpoint, API: source.NewSQSClient(cfg, t.SQS.QueueURL, reach.Endpoint),
		Client: cfg.HTTPClient, Proxy: cloudwatch.ProxyOf(cfg.HTTPClient), LookupEnv: d.Secrets.LookupEnv, Explain: cloudwatch.ExplainAWS,
	}
	s.Checks = k.Checks()
	return s
}
