package cli

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/gaplesslogs/gapless/internal/emulator/cloudwatch"
	"github.com/gaplesslogs/gapless/internal/emulator/tenant"
)

// What the emulated tenant and its destination are called. They hold nothing
// worth protecting and listen on loopback, so the credentials are fixed: the
// same commands work after each start.
const (
	stageTenant    = "dev-tenant"
	stageClientID  = "demo-client-id"
	stageSecret    = "demo-client-secret" //nolint:gosec // opens an emulator only
	stageAdminID   = "demo-admin-id"
	stageAdminKey  = "demo-admin-secret"
	stageRegion    = "us-east-1"
	stageLogGroup  = "/auth0/" + stageTenant
	stageLogStream = "logs"
)

// historySpan is how far back the generated history goes: within the retention
// of the smallest plan, and within a day for `aws logs tail --since 1d`.
const historySpan = 12 * time.Hour

// portsToTry is how many ports are tried behind a default one that is in use.
const portsToTry = 50

// stageFlags say what the emulators are like.
type stageFlags struct {
	tenantListen, cloudwatchListen string
	events                         int
	rate                           float64
	data, plan                     string
	seed                           uint64
	duration                       time.Duration

	// Of emulate alone.
	accessKeys []string
	tenantCert string
	streamHTTP bool
}

// addEmulateFlags gives cmd the flags that make the emulators stricter towards
// their clients than a demo needs.
func (f *stageFlags) addEmulateFlags(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.StringArrayVar(&f.accessKeys, "access-key", nil, "check the signature of each call to CloudWatch Logs against this key, as `ID:SECRET`; may be repeated")
	fs.StringVar(&f.tenantCert, "tenant-cert", "", "serve the tenant over HTTPS, and write the certificate of the authority that it is signed by to `FILE`, for SSL_CERT_FILE and the like")
	fs.BoolVar(&f.streamHTTP, "stream-http", false, "let log streams push to http:// on loopback too; Auth0 takes https:// alone")
}

// addStageFlags gives cmd the flags of the emulators.
func addStageFlags(cmd *cobra.Command) *stageFlags {
	f := &stageFlags{}
	fs := cmd.Flags()
	fs.StringVar(&f.tenantListen, "tenant-listen", "127.0.0.1:4010", "address of the emulated tenant; when it is in use and not given, the next free port")
	fs.StringVar(&f.cloudwatchListen, "cloudwatch-listen", "127.0.0.1:4566", "address of the emulated CloudWatch Logs endpoint; likewise")
	fs.IntVar(&f.events, "events", 2000, "events of history that a new tenant begins with")
	fs.Float64Var(&f.rate, "rate", 5, "new events a second; 0 for none")
	fs.StringVar(&f.data, "data", "", "directory to keep everything in; without it everything is gone in the end")
	fs.StringVar(&f.plan, "plan", string(tenant.Enterprise), "Auth0 plan whose rate limits and retention apply: "+strings.Join(planNames(), ", "))
	fs.Uint64Var(&f.seed, "seed", 1, "seed of the generated traffic")
	fs.DurationVar(&f.duration, "duration", 0, "end after this long; 0 goes on until stopped")
	return f
}

// check refuses values that make no sense.
func (f *stageFlags) check(cmd *cobra.Command) error {
	switch {
	case f.events < 0:
		return usageError(cmd, "--events is %d: it cannot be negative", f.events)
	case !(f.rate >= 0 && f.rate <= 10_000): // refuses NaN too
		return usageError(cmd, "--rate is %v: it must be from 0 to 10000", f.rate)
	case f.duration < 0:
		return usageError(cmd, "--duration is %v: it cannot be negative", f.duration)
	case !slices.Contains(planNames(), f.plan):
		return usageError(cmd, "--plan is %q: it must be one of %s", f.plan, strings.Join(planNames(), ", "))
	}
	for _, key := range f.accessKeys {
		if id, secret, _ := strings.Cut(key, ":"); id == "" || secret == "" {
			return usageError(cmd, "--access-key must be ID:SECRET") // without the value: it may be a secret
		}
	}
	return nil
}

// keys returns the access keys to check signatures against.
func (f *stageFlags) keys() []cloudwatch.AccessKey {
	var keys []cloudwatch.AccessKey
	for _, key := range f.accessKeys {
		id, secret, _ := strings.Cut(key, ":")
		keys = append(keys, cloudwatch.AccessKey{ID: id, Secret: secret})
	}
	return keys
}

// whichKeys says which access keys are taken.
func (f *stageFlags) whichKeys() string {
	var ids []string
	for _, key := range f.keys() {
		ids = append(ids, key.ID)
	}
	if ids == nil {
		return "any access key"
	}
	return "access key " + strings.Join(ids, " or ")
}

// secure wraps the listener of the tenant in TLS, if it is to be. The certificate
// is for the host that the listener has, and for loopback.
func (f *stageFlags) secure(l net.Listener) (_ net.Listener, scheme string, err error) {
	if f.tenantCert == "" {
		return l, "http", nil
	}
	host, _, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return nil, "", fmt.Errorf("read address of the tenant: %w", err)
	}
	certificate, authority, err := tenant.SelfSigned(host, "127.0.0.1", "::1", "localhost")
	if err != nil {
		return nil, "", fmt.Errorf("make certificate: %w", err)
	}
	if err := os.WriteFile(f.tenantCert, authority, 0o644); err != nil { //nolint:gosec // a certificate is for everybody
		return nil, "", fail(exitFailure, "Name a file with --tenant-cert that can be written.", fmt.Errorf("write certificate: %w", err))
	}
	return tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}), "https", nil
}

// A stage is the two emulators under way.
type stage struct {
	tenant        *tenant.Server
	cloudwatch    *cloudwatch.Server
	tenantURL     string
	cloudwatchURL string

	servers []*http.Server
	cancel  context.CancelFunc
	work    sync.WaitGroup
}

// startStage starts the emulators. The caller must close the stage.
func startStage(ctx context.Context, cmd *cobra.Command, f *stageFlags, logger *slog.Logger) (_ *stage, err error) {
	s := &stage{}
	live, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s.cancel = cancel
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close(ctx))
		}
	}()
	tl, err := listen(ctx, cmd, "tenant-listen", f.tenantListen)
	if err != nil {
		return nil, err
	}
	secured, scheme, err := f.secure(tl)
	if err != nil {
		return nil, errors.Join(err, tl.Close())
	}
	tl, s.tenantURL = secured, scheme+"://"+tl.Addr().String()
	cl, err := listen(ctx, cmd, "cloudwatch-listen", f.cloudwatchListen)
	if err != nil {
		return nil, errors.Join(err, tl.Close())
	}
	s.cloudwatchURL = "http://" + cl.Addr().String()
	if err := s.make(f, logger); err != nil { //nolint:contextcheck // it reads local files only
		return nil, errors.Join(err, tl.Close(), cl.Close())
	}
	s.serve(tl, s.tenant)
	s.serve(cl, s.cloudwatch)
	if s.tenant.Len() == 0 { // history added later would lie behind the cursors of its readers
		now := time.Now()
		if err := s.tenant.Generate(f.events, now.Add(-historySpan), now); err != nil {
			return nil, fmt.Errorf("generate history: %w", err)
		}
	}
	if f.rate > 0 {
		s.work.Go(func() { _ = s.tenant.Run(live, f.rate) }) // ends with its context
	}
	return s, nil
}

// make makes the emulators, with or without a directory.
func (s *stage) make(f *stageFlags, logger *slog.Logger) (err error) {
	dir := func(name string) string {
		if f.data == "" {
			return ""
		}
		return filepath.Join(f.data, name)
	}
	s.tenant, err = tenant.New(tenant.Options{
		TenantName: stageTenant, ClientID: stageClientID, ClientSecret: stageSecret,
		Plan: planOf(f.plan), Seed: f.seed, DataDir: dir("tenant"), Logger: part(logger, "tenant"),
		Applications: []tenant.Application{{Name: "Setup", ClientID: stageAdminID, ClientSecret: stageAdminKey, Scopes: tenant.SetupScopes()}},
		Streams:      tenant.StreamOptions{LoopbackHTTP: f.streamHTTP},
	})
	if err != nil {
		return f.dataError(fmt.Errorf("start the tenant: %w", err))
	}
	s.cloudwatch, err = cloudwatch.New(cloudwatch.Options{DataDir: dir("cloudwatch"), Region: stageRegion, AccessKeys: f.keys(), Logger: part(logger, "cloudwatch")})
	if err != nil {
		return f.dataError(fmt.Errorf("start CloudWatch Logs: %w", err))
	}
	return nil
}

// dataError says of an emulator that does not start what to do about --data,
// which is all that can be wrong with it once the flags have been checked.
func (f *stageFlags) dataError(err error) error {
	switch {
	case f.data == "":
		return err
	case errors.Is(err, tenant.ErrInUse):
		return fail(exitFailure, "End the other process, or name another directory with --data.", fmt.Errorf("use --data %s: another demo or emulate works in it", f.data))
	default:
		return fail(exitFailure, "Name a directory with --data that can be made and written to.", fmt.Errorf("use --data %s: %w", f.data, err))
	}
}

// part returns the logger of a part of the stage; nil stays nil.
func part(logger *slog.Logger, name string) *slog.Logger {
	if logger == nil {
		return nil
	}
	return logger.With(slog.String("part", name))
}

// serve answers the requests on a listener until close.
func (s *stage) serve(l net.Listener, h http.Handler) {
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute}
	s.servers = append(s.servers, srv)
	s.work.Go(func() { _ = srv.Serve(l) }) // ends with Close
}

// close ends the emulators; what they keep on disk is whole afterwards.
func (s *stage) close(ctx context.Context) error {
	s.cancel()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	var errs []error
	for _, srv := range s.servers {
		if srv.Shutdown(ctx) != nil {
			errs = append(errs, srv.Close())
		}
	}
	s.work.Wait()
	if s.tenant != nil {
		errs = append(errs, s.tenant.Close())
	}
	if s.cloudwatch != nil {
		errs = append(errs, s.cloudwatch.Close())
	}
	return errors.Join(errs...)
}

// listen opens a listener. When the address is a default that is in use, it
// takes the next free port.
func listen(ctx context.Context, cmd *cobra.Command, flag, addr string) (net.Listener, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", addr)
	if err == nil {
		return l, nil
	}
	if cmd.Flags().Changed(flag) {
		return nil, listenError(cmd, flag, addr, err)
	}
	host, port, serr := net.SplitHostPort(addr)
	first, cerr := strconv.Atoi(port)
	if serr != nil || cerr != nil {
		return nil, err
	}
	for p := first + 1; p <= first+portsToTry; p++ {
		if l, lerr := lc.Listen(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(p))); lerr == nil {
			return l, nil
		}
	}
	return nil, fail(exitFailure, anyPort(cmd, flag), fmt.Errorf("listen on %s and the %d ports behind it: %w", addr, portsToTry, err))
}

// listenError says why nothing can listen on an address that was asked for. It is
// the fault of the command line unless the system refused it.
func listenError(cmd *cobra.Command, flag, addr string, err error) error {
	code := exitUsage
	if op, ok := errors.AsType[*net.OpError](err); ok {
		err = op.Err // the rest of the text is the address once more
	}
	if refused, ok := errors.AsType[*os.SyscallError](err); ok {
		code, err = exitFailure, refused.Err
	}
	return fail(code, anyPort(cmd, flag), fmt.Errorf("listen on --%s %s: %w", flag, addr, err))
}

// anyPort is the command that takes whatever port is free.
func anyPort(cmd *cobra.Command, flag string) string {
	return fmt.Sprintf("%s --%s 127.0.0.1:0", cmd.CommandPath(), flag)
}

// readyLine is what demo and emulate print with --json once they are ready.
type readyLine struct {
	Dashboard    string `json:"dashboard,omitempty"`
	Tenant       string `json:"tenant"`
	CloudWatch   string `json:"cloudwatch"`
	LogGroup     string `json:"log_group"`
	LogStream    string `json:"log_stream"`
	ClientID     string `json:"client_id"`
	ClientSecret string `json:"client_secret"`

	// Of emulate alone: an application that may manage others, and log streams.
	AdminClientID     string `json:"admin_client_id,omitempty"`
	AdminClientSecret string `json:"admin_client_secret,omitempty"`
}

// ready returns the line for a stage.
func (s *stage) ready() readyLine {
	return readyLine{
		Tenant: s.tenantURL, CloudWatch: s.cloudwatchURL, LogGroup: stageLogGroup, LogStream: stageLogStream,
		ClientID: stageClientID, ClientSecret: stageSecret,
	}
}

// unlimited is what --plan calls tenant.Unlimited, which has no name.
const unlimited = "unlimited"

// planNames returns what --plan takes.
func planNames() []string {
	var names []string
	for _, p := range tenant.Plans() {
		if p != tenant.Unlimited {
			names = append(names, string(p))
		}
	}
	return append(names, unlimited)
}

// planOf returns the plan that --plan names.
func planOf(name string) tenant.Plan {
	if name == unlimited {
		return tenant.Unlimited
	}
	return tenant.Plan(name)
}
