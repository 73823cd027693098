package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/spf13/cobra"

	"github.com/gaplesslogs/gapless/internal/app"
	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/web"
)

// demoListen is where the page of the demo is, if nothing else is asked for.
const demoListen = "127.0.0.1:8080"

// newDemoCommand makes "gapless demo".
func newDemoCommand(env *Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "demo",
		GroupID: groupExport,
		Short:   "Show the whole job on this machine alone, without any account",
		Long: `Starts an emulated Auth0 tenant, an emulated CloudWatch Logs endpoint and the
exporter between them: the same exporter as with run, over real HTTP and on a real
disk. Nothing is installed and nothing leaves the machine. In the end it compares
what the tenant held with what arrived.`,
		Example: "  gapless demo\n  gapless demo --events 50000 --plan unlimited --duration 30s\n  gapless demo --data ./demo --json",
		Args:    noArgs,
	}
	flags := addStageFlags(cmd)
	addr := cmd.Flags().String("listen", demoListen, "address of the page, metrics and health; when it is in use and not given, the next free port")
	asJSON := cmd.Flags().Bool("json", false, "print one line of JSON with the addresses when ready, and no others")
	verbose := cmd.Flags().BoolP("verbose", "v", false, "log what the emulators are asked and what the exporter does")
	cmd.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		if err := flags.check(cmd); err != nil {
			return err
		}
		d := &demo{env: env, flags: flags, asJSON: *asJSON}
		defer func() { err = errors.Join(err, d.close(cmd.Context())) }()
		if err := d.start(cmd.Context(), cmd, *addr, *verbose); err != nil {
			return err
		}
		return d.run(cmd.Context())
	}
	return cmd
}

// A demo is the stage and the exporter on it.
type demo struct {
	env    *Env
	flags  *stageFlags
	asJSON bool
	said   string // the trouble that was said last

	stage   *stage
	app     *app.App
	file    string                        // the configuration, for other commands
	cleanup []func(context.Context) error // backwards
}

// start starts everything.
func (d *demo) start(ctx context.Context, cmd *cobra.Command, addr string, verbose bool) error {
	level := "error"
	if verbose {
		level = "info"
	}
	logger, err := newLogger(d.env.Stderr, level, "text")
	if err != nil {
		return err
	}
	dir, err := d.dataDir()
	if err != nil {
		return err
	}
	if d.stage, err = startStage(ctx, cmd, d.flags, logger); err != nil {
		return err
	}
	d.cleanup = append(d.cleanup, d.stage.close)
	l, err := listen(ctx, cmd, "listen", addr)
	if err != nil {
		return err
	}
	cfg, err := d.config(dir)
	if err == nil {
		err = d.writeConfig(cfg)
	}
	if err != nil {
		return errors.Join(err, l.Close())
	}
	d.app, err = app.New(ctx, app.Options{
		Config: cfg, Logger: logger, Version: build(d.env.Version).Version, Listener: l,
		AWSCredentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "demo", SecretAccessKey: "demo", Source: "demo"}, nil
		}),
	})
	if err != nil {
		return errors.Join(err, l.Close())
	}
	d.cleanup = append(d.cleanup, d.app.Stop)
	return d.app.Start(ctx)
}

// dataDir returns the exporter's directory, a temporary one without --data.
func (d *demo) dataDir() (string, error) {
	if d.flags.data != "" {
		return filepath.Join(d.flags.data, "gapless"), nil
	}
	dir, err := os.MkdirTemp("", "gapless-demo-")
	if err != nil {
		return "", fmt.Errorf("make a temporary directory: %w", err)
	}
	d.cleanup = append(d.cleanup, func(context.Context) error { return os.RemoveAll(dir) })
	return dir, nil
}

// config returns the configuration that a person would write for the stage.
func (d *demo) config(dir string) (*config.Config, error) {
	secret, err := config.ParseSecret(stageSecret)
	if err != nil {
		return nil, err
	}
	cfg := config.Default()
	cfg.DataDir = dir
	cfg.AWS.Region, cfg.AWS.Endpoint = stageRegion, d.stage.cloudwatchURL
	t := config.NewTenant()
	t.Name, t.Domain, t.ClientID = stageTenant, d.stage.tenantURL, stageClientID
	t.ClientSecret = secret
	t.CloudWatch.LogGroup, t.CloudWatch.LogStream = stageLogGroup, stageLogStream
	t.CloudWatch.InDoubtWait = 0 // the emulator shows at once what it has taken
	cfg.Tenants = []config.Tenant{t}
	return cfg, nil
}

// writeConfig writes the configuration down beside the data, for the commands that look at
// it from outside.
func (d *demo) writeConfig(cfg *config.Config) error {
	t := &cfg.Tenants[0]
	text := fmt.Sprintf("# What the demo runs with, for gapless status, tail and query.\ndata_dir: %q\naws: {region: %s, endpoint: %q}\ntenants:\n"+
		"  - name: %s\n    domain: %q\n    client_id: %s\n    client_secret: %s\n    cloudwatch: {log_group: %s, log_stream: %s}\n",
		cfg.DataDir, cfg.AWS.Region, cfg.AWS.Endpoint, t.Name, t.Domain, t.ClientID, stageSecret, t.CloudWatch.LogGroup, t.CloudWatch.LogStream)
	if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
		return fmt.Errorf("make the data directory: %w", err)
	}
	d.file = filepath.Join(cfg.DataDir, "gapless.yaml")
	if err := os.WriteFile(d.file, []byte(text), 0o600); err != nil {
		return fmt.Errorf("write the configuration: %w", err)
	}
	return nil
}

// close ends everything and removes what is temporary.
func (d *demo) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	var errs []error
	for _, undo := range slices.Backward(d.cleanup) {
		errs = append(errs, undo(ctx))
	}
	d.cleanup = nil
	return errors.Join(errs...)
}

// run shows what happens until the demo ends, and compares.
func (d *demo) run(ctx context.Context) error {
	if d.flags.duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d.flags.duration)
		defer cancel()
	}
	if d.asJSON {
		if err := d.runJSON(ctx); err != nil {
			return err
		}
		return d.compare(ctx, d.env.Stderr)
	}
	d.introduce(d.env.Stdout)
	d.watch(ctx, func(o web.Tenant) bool { d.line(o); return false })
	fmt.Fprintln(d.env.Stdout)
	return d.compare(ctx, d.env.Stdout)
}

// readyPatience is how long --json waits for the history to be delivered before
// it prints its line all the same.
const readyPatience = 10 * time.Second

// runJSON prints the line of addresses once the history has arrived.
func (d *demo) runJSON(ctx context.Context) error {
	early, cancel := context.WithTimeout(ctx, readyPatience)
	defer cancel()
	d.watch(early, func(t web.Tenant) bool {
		return t.Delivered > 0 && t.Stored >= int64(d.flags.events) && t.Buffered == 0
	})
	line := d.stage.ready()
	line.Dashboard = "http://" + d.app.Addr()
	if err := writeJSONLine(d.env.Stdout, line); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// watch hands the figures to see, over and over, until it returns true or ctx
// ends.
func (d *demo) watch(ctx context.Context, see func(web.Tenant) bool) {
	every := 500 * time.Millisecond
	if !d.asJSON && !isTerminal(d.env.Stdout) {
		every = 5 * time.Second
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		o, err := d.app.Overview(ctx)
		if err != nil && ctx.Err() == nil {
			fmt.Fprintln(d.env.Stderr, "Error:", plainLines(err.Error()))
			return
		}
		if err == nil && see(o.Tenants[0]) {
			return
		}
	}
}

// line writes the live line: over itself on a terminal, one below the other
// elsewhere. Trouble is said in full, on a terminal once and above the line.
func (d *demo) line(t web.Tenant) {
	now, w := time.Now(), d.env.Stdout
	state, said := "lag "+web.Short(t.DeliveryLag(now)), ""
	if len(t.Troubles) > 0 {
		state, said = t.Headline(now), t.Words(now)
	}
	figures := fmt.Sprintf("tenant %d · stored %d · delivered %d · waiting %d · ", d.stage.tenant.Len(), t.Stored, t.Delivered, t.Buffered)
	if !isTerminal(w) {
		fmt.Fprintln(w, figures+cmp.Or(said, state))
		return
	}
	if said != "" && said != d.said {
		fmt.Fprintln(w, anew+said)
	}
	d.said = said
	fmt.Fprint(w, anew+fit(figures+state, width(w)-3)) // what wraps cannot be written over; ^C wants room too
}

// introduce says what runs where, and what to try.
func (d *demo) introduce(w io.Writer) {
	title := func(s string) string { return d.env.paint(w, bold, s) }
	fmt.Fprintf(w, `An Auth0 tenant and a CloudWatch Logs endpoint, both emulated, and gapless between
them. Nothing leaves this machine.

  %s  %s  %d events, then %g a second
  %s  %s  log group %s, stream %s
  %s  http://%s

`, title("tenant    "), d.stage.tenantURL, d.stage.tenant.Len(), d.flags.rate, title("CloudWatch"), d.stage.cloudwatchURL, stageLogGroup, stageLogStream, title("page      "), d.app.Addr())
	read := fmt.Sprintf("AWS_ACCESS_KEY_ID=demo AWS_SECRET_ACCESS_KEY=demo aws logs filter-log-events --log-group-name %s --region %s --endpoint-url %s",
		stageLogGroup, stageRegion, d.stage.cloudwatchURL)
	fmt.Fprintf(w, `%s
  %s --query 'events[-3:].message'

%s
  TOKEN=$(curl -s %s/oauth/token -d grant_type=client_credentials -d client_id=%s -d client_secret=%s -d audience=%s/api/v2/ | cut -d'"' -f4)
  curl -s %s/api/v2/users -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' -d '{"connection":"Username-Password-Authentication","email":"new.user@example.com","password":"correct horse battery staple"}'

%s
  %s --filter-pattern '{ $.details.request.body.email = "new.user@example.com" }' --query 'events[].message'

%s
  export AWS_ACCESS_KEY_ID=demo AWS_SECRET_ACCESS_KEY=demo GAPLESS_CONFIG=%s
  gapless status --watch
  gapless tail --follow
  gapless query blocked

%s

`, title("Read the last events, with the AWS CLI:"), read,
		title("Create a user:"), d.stage.tenantURL, stageClientID, stageSecret, d.stage.tenantURL, d.stage.tenantURL,
		title("Find the event of it, a second later:"), read,
		title("Look at it with gapless, in another terminal; the last asks who was locked out, and from where:"), shellWord(d.file),
		title("Ctrl-C ends it."))
}

// errNotEqual is the outcome of a demo that did not carry every event once.
var errNotEqual = errors.New("what arrived is not what the tenant held")

// comparePatience is how long the last events may take to arrive.
const comparePatience = 5 * time.Second

// compare counts, in the end, what the tenant held and what arrived. An event that
// is not there although it was read and waits nowhere is lost; one that the demo
// was too short for is not.
func (d *demo) compare(ctx context.Context, w io.Writer) error {
	d.stage.cancel() // no new events
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), comparePatience)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	var diff difference
	for late := false; !late; {
		o, err := d.app.Overview(context.WithoutCancel(ctx))
		if err != nil {
			return fmt.Errorf("read the outcome: %w", err)
		}
		if diff = d.difference(o.Tenants[0]); diff.arrived == diff.held {
			break
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			late = true
		}
	}
	fmt.Fprintln(w, diff)
	switch {
	case diff.missing > 0:
		return fail(exitNotClean, "Report it, with --data and what was done: this must not happen.", errNotEqual)
	case diff.twice > 0:
		return fail(exitNotClean, "If it was killed before, a batch may have been sent again: see the README, What you can rely on.", errNotEqual)
	default:
		return nil
	}
}
