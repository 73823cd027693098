package app_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	logs "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"

	"github.com/gaplesslogs/gapless/internal/app"
	"github.com/gaplesslogs/gapless/internal/checkup"
	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/emulator"
	"github.com/gaplesslogs/gapless/internal/emulator/cloudwatch"
	"github.com/gaplesslogs/gapless/internal/emulator/sqs"
	"github.com/gaplesslogs/gapless/internal/emulator/tenant"
)

// A clinic is a set-up for the doctor, on real sockets of this machine. It is healthy;
// a case breaks one thing of it.
type clinic struct {
	t       *testing.T
	doctor  app.Doctor
	cfg     *config.Config
	env     map[string]string
	options tenant.Options
	cloud   cloudwatch.Options
	group   logs.CreateLogGroupInput // made before, if it has a name
	days    int32                    // its retention
	stream  string                   // made before, if it has a name
	oldest  time.Duration            // age of the oldest event in the log
	streams []string                 // log streams to make at the tenant
	auth0   *emulator.Faults
	aws     *emulator.Faults
	atAuth0 func(http.Handler) http.Handler // stands in front of the tenant
	atAWS   func(http.Handler) http.Handler
	secure  func(*httptest.Server) // makes the tenant speak TLS
	queue   *sqs.Server
	last    func() // the last word before the examination
	tenant  *tenant.Server
	domain  *httptest.Server
}

// newClinic makes a healthy set-up.
func newClinic(t *testing.T) *clinic {
	t.Helper()
	c := &clinic{
		t: t, cfg: config.Default(), env: map[string]string{"AUTH0_CLIENT_SECRET": "example-secret-of-the-tests"}, auth0: emulator.NewFaults(), aws: emulator.NewFaults(),
		group: logs.CreateLogGroupInput{LogGroupName: aws.String("/auth0/dev-tenant")}, stream: "logs", oldest: 20 * time.Hour,
		options: tenant.Options{ClientID: "example-client", ClientSecret: "example-secret-of-the-tests", Scopes: []string{"read:logs"}, Plan: tenant.Enterprise},
		atAuth0: func(h http.Handler) http.Handler { return h }, atAWS: func(h http.Handler) http.Handler { return h },
	}
	c.cfg.DataDir = filepath.Join(t.TempDir(), "data")
	c.cfg.Listen, c.cfg.AWS.Region, c.cfg.MaxBufferBytes = "127.0.0.1:0", "us-east-1", 16<<20
	tc := config.NewTenant()
	tc.Name, tc.ClientID = "dev-tenant", "example-client"
	tc.ClientSecret = c.secret("env:AUTH0_CLIENT_SECRET")
	c.cfg.Tenants = []config.Tenant{tc}
	c.doctor.Options = app.Options{
		Config: c.cfg, Version: "test",
		Secrets:        config.Resolver{LookupEnv: func(name string) (string, bool) { v, ok := c.env[name]; return v, ok }, ReadFile: config.ReadSecretFile},
		AWSCredentials: instanceRole, Auth0HTTP: &http.Transport{DisableKeepAlives: true},
		AWSHTTP: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}},
	}
	c.doctor.Timeout = 10 * time.Second
	return c
}

// instanceRole gives credentials as those of an instance are.
var instanceRole = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
	return aws.Credentials{
		AccessKeyID: "ASIAEXAMPLE", SecretAccessKey: "example-secret", SessionToken: "example-session", Source: "EC2RoleProvider",
		CanExpire: true, Expires: time.Now().Add(6 * time.Hour),
	}, nil
})

func (c *clinic) secret(text string) config.Secret {
	c.t.Helper()
	s, err := config.ParseSecret(text)
	if err != nil {
		c.t.Fatal(err)
	}
	return s
}

// one is the tenant of the configuration.
func (c *clinic) one() *config.Tenant { return &c.cfg.Tenants[0] }

// open starts the services around.
func (c *clinic) open() {
	c.t.Helper()
	c.options.Faults, c.cloud.Faults = c.auth0, c.aws
	var err error
	if c.tenant, err = tenant.New(c.options); err != nil {
		c.t.Fatal(err)
	}
	cw, err := cloudwatch.New(c.cloud)
	if err != nil {
		c.t.Fatal(err)
	}
	now := time.Now()
	if err := c.tenant.Generate(20, now.Add(-c.oldest), now); err != nil {
		c.t.Fatal(err)
	}
	for _, body := range c.streams {
		if _, err := c.tenant.CreateLogStream([]byte(body)); err != nil {
			c.t.Fatal(err)
		}
	}
	c.furnish(cw)
	c.domain = httptest.NewUnstartedServer(c.atAuth0(c.tenant))
	c.domain.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError) // what a refused handshake says
	if c.secure == nil {
		c.domain.Start()
	} else {
		c.secure(c.domain)
	}
	at := httptest.NewServer(c.atAWS(cw))
	c.t.Cleanup(func() {
		c.domain.Close()
		at.Close()
		if err := errors.Join(c.tenant.Close(), cw.Close()); err != nil {
			c.t.Error(err)
		}
	})
	if c.one().Domain == "" && !c.one().Pushed() {
		c.one().Domain = c.domain.URL
	}
	if c.cfg.AWS.Endpoint == "" {
		c.cfg.AWS.Endpoint = at.URL
	}
	if c.queue != nil {
		q := httptest.NewServer(c.queue)
		c.t.Cleanup(q.Close)
		c.one().SQS.QueueURL = q.URL + "/123456789012/auth0"
		c.one().SQS.Region = "us-east-1"
	}
}

// furnish makes what is there before: the group and its stream.
func (c *clinic) furnish(cw *cloudwatch.Server) {
	c.t.Helper()
	if c.group.LogGroupName == nil {
		return
	}
	key := aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "example-secret"}
	if len(c.cloud.AccessKeys) > 0 {
		key = aws.Credentials{AccessKeyID: "AKIDADMIN", SecretAccessKey: "admin-secret"}
	}
	client := logs.New(logs.Options{
		Region: "us-east-1", BaseEndpoint: aws.String("http://logs.example.com"), HTTPClient: &http.Client{Transport: emulator.Transport(cw)},
		Credentials: credentials.StaticCredentialsProvider{Value: key},
	})
	ctx := c.t.Context()
	_, err := client.CreateLogGroup(ctx, &c.group)
	if c.days > 0 && err == nil {
		_, err = client.PutRetentionPolicy(ctx, &logs.PutRetentionPolicyInput{LogGroupName: c.group.LogGroupName, RetentionInDays: &c.days})
	}
	if c.stream != "" && err == nil {
		_, err = client.CreateLogStream(ctx, &logs.CreateLogStreamInput{LogGroupName: c.group.LogGroupName, LogStreamName: &c.stream})
	}
	if err != nil {
		c.t.Fatal(err)
	}
}

// examine runs the doctor.
func (c *clinic) examine() (all []checkup.Result) {
	c.t.Helper()
	c.open()
	if c.last != nil {
		c.last()
	}
	if err := c.doctor.Examine(c.t.Context(), func(r checkup.Result) { all = append(all, r) }); err != nil {
		c.t.Fatal(err)
	}
	for _, r := range all {
		for _, secret := range []string{"example-secret", "proxy-password", "example-session", "BEGIN", "eyJ"} {
			if text := fmt.Sprint(r); strings.Contains(text, secret) {
				c.t.Errorf("a finding holds a secret: %s", text)
			}
		}
		if (r.Status == checkup.Warn || r.Status == checkup.Fail) && r.Fix == "" {
			c.t.Errorf("%s has no fix: %+v", r.Check, r)
		}
		if strings.Contains(r.Summary, "\n") || r.Summary == "" {
			c.t.Errorf("the summary of %s is not one line: %q", r.Check, r.Summary)
		}
	}
	return all
}

// tokens counts the tokens that the tenant has given.
func (c *clinic) tokens() int { return c.tenant.Stats().Tokens }

// keyed gives the doctor an IAM user with a policy, and the test one who may all.
func (c *clinic) keyed(policy, secret string) {
	c.cloud.AccessKeys = []cloudwatch.AccessKey{{ID: "AKIDEXAMPLE", Secret: "example-secret", User: "gapless", Policy: policy}, {ID: "AKIDADMIN", Secret: "admin-secret"}}
	c.doctor.AWSCredentials = credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", secret, "")
}

// allow is a policy.
func allow(actions ...string) string {
	for i, a := range actions {
		actions[i] = `"logs:` + a + `"`
	}
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":[` + strings.Join(actions, ",") + `],"Resource":"*"}]}`
}

// dated sets the clock of a server off.
func dated(by time.Duration) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Date", time.Now().Add(by).UTC().Format(http.TimeFormat))
			next.ServeHTTP(w, r)
		})
	}
}

// dialing makes a transport whose connections are made by dial.
func dialing(dial func(ctx context.Context) (net.Conn, error)) *http.Transport {
	return &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) }}
}

// certified makes a certificate for names, valid between two times from now, signed by
// an authority or by itself when that is nil. The files are PEM.
func certified(t *testing.T, from, to time.Duration, names []string, by *tls.Certificate) (pair tls.Certificate, certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: "example of a test"}, NotBefore: now.Add(from), NotAfter: now.Add(to),
		DNSNames: names, BasicConstraintsValid: true, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if slices.Contains(names, "127.0.0.1") {
		template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	}
	parent, signer := template, any(key)
	if by != nil {
		parent, signer = by.Leaf, by.PrivateKey
	} else {
		template.IsCA, template.Subject.CommonName = true, "Example Authority"
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
	if pair, err = tls.X509KeyPair(certPEM, keyPEM); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	if err := errors.Join(os.WriteFile(certFile, certPEM, 0o600), os.WriteFile(keyFile, keyPEM, 0o600)); err != nil {
		t.Fatal(err)
	}
	return pair, certFile, keyFile
}

// speaksTLS has the tenant show a certificate, and the doctor trust an authority.
func (c *clinic) speaksTLS(pair tls.Certificate, trust *x509.Certificate) {
	pool := x509.NewCertPool()
	if trust != nil {
		pool.AddCert(trust)
	}
	c.doctor.Auth0HTTP = &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: pool}}
	c.secure = func(s *httptest.Server) {
		s.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
		s.StartTLS()
	}
}

// pushes lets the tenant be pushed to as well.
func (c *clinic) pushes(token string) {
	c.t.Helper()
	c.cfg.Webhook.Listen = "127.0.0.1:0"
	c.env["GAPLESS_WEBHOOK_TOKEN"] = token
	c.one().Webhook.Token = c.secret("env:GAPLESS_WEBHOOK_TOKEN")
	c.options.Scopes = []string{"read:logs", "read:log_streams"}
	c.one().Domain = "set by the last word"
	last := c.last
	c.last = func() {
		c.one().Domain = c.domain.URL
		if last != nil {
			last()
		}
	}
}

// webhookToken is long enough.
const webhookToken = "0123456789abcdef0123456789abcdef"

// logStreamTo is a log stream that sends to the webhook of the tenant, with a token.
func logStreamTo(token string) string {
	return fmt.Sprintf(`{"name":"to gapless","type":"http","sink":{"httpEndpoint":"https://hooks.example.com/v1/tenants/dev-tenant/logs","httpAuthorization":%q,"httpContentFormat":"JSONLINES","httpContentType":"application/json"}}`, token)
}

// TestDoctorFindsNothing has a healthy set-up, with a poll, a webhook, a queue and a
// further destination: every check passes, and one token is asked for.
func TestDoctorFindsNothing(t *testing.T) {
	t.Parallel()
	c := newClinic(t)
	c.pushes(webhookToken)
	c.streams = []string{logStreamTo(webhookToken), `{"name":"bridge","type":"eventbridge","sink":{"awsAccountId":"123456789012","awsRegion":"us-east-1"}}`}
	c.queue = sqs.New(sqs.Options{})
	c.queue.Create("auth0", sqs.Queue{MaxReceives: 20, DeadLetters: "dead"})
	c.one().Destinations = []config.Destination{{Name: "audit", CloudWatch: c.one().CloudWatch}}
	c.one().Destinations[0].CloudWatch.LogGroup = "/auth0/{tenant}"
	c.doctor.WriteTest = true
	all := c.examine()
	seen := map[string]bool{}
	for _, r := range all {
		seen[r.Check] = true
		machine := r.Check == "file_system" || r.Check == "disk_sync" || r.Check == "disk_space" // those of whoever runs the test
		if r.Status != checkup.Pass && !machine {
			t.Errorf("%s: %s %s: %s", r.Section, r.Status, r.Check, r.Summary)
		}
	}
	for _, want := range []string{"config", "secrets", "data_dir", "disk_sync", "auth0_reach", "auth0_clock", "auth0_token", "auth0_scopes", "auth0_logs", "auth0_rate", "auth0_retention", "auth0_streams", "sqs_queue", "sqs_ReceiveMessage", "sqs_DeleteMessage", "sqs_ChangeMessageVisibility", "aws_reach", "aws_clock", "aws_credentials", "aws_identity", "log_group", "log_group_class", "log_group_retention", "log_stream", "logs_PutLogEvents", "logs_GetLogEvents", "logs_verify", "write_test", "listen", "webhook_listen", "webhook_token"} {
		if !seen[want] {
			t.Errorf("%s was not looked at", want)
		}
	}
	if n := c.tokens(); n != 1 {
		t.Errorf("%d tokens were asked for", n)
	}
	if _, err := os.Stat(c.cfg.DataDir); err == nil {
		t.Error("the data directory was made")
	}
}

// A broken set-up: what is broken, and what the doctor must say.
type broken struct {
	name         string
	harm         func(c *clinic)
	check        string
	status       checkup.Status
	summary, fix string // parts of them
	cause        checkup.Cause
	also         []string // further checks that may fail for the same reason
}

// TestDoctor breaks one thing after another. The check that it is about says so, with
// the fix, and no other check fails.
func TestDoctor(t *testing.T) {
	t.Parallel()
	cases := slices.Concat(brokenHere(), brokenWays(), brokenAtAuth0(), brokenStreams(), brokenAtAWS(), brokenGroups(), brokenQueues(), brokenWebhooks())
	for _, b := range cases {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			c := newClinic(t)
			b.harm(c)
			all := c.examine()
			i := slices.IndexFunc(all, func(r checkup.Result) bool {
				return r.Check == b.check && r.Status == b.status && strings.Contains(r.Summary, b.summary)
			})
			if i < 0 {
				for _, r := range all {
					t.Logf("%s %s: %s [%s]", r.Status, r.Check, r.Summary, r.Fix)
				}
				t.Fatalf("%s does not %s with %q", b.check, b.status, b.summary)
			}
			if r := all[i]; !strings.Contains(r.Fix, b.fix) || r.Cause != b.cause {
				t.Errorf("fix %q of cause %q, want %q of %q", r.Fix, r.Cause, b.fix, b.cause)
			}
			for _, r := range all {
				if r.Status == checkup.Fail && r.Check != b.check && !slices.Contains(b.also, r.Check) {
					t.Errorf("%s fails too: %s", r.Check, r.Summary)
				}
			}
		})
	}
	if len(cases) < 50 {
		t.Errorf("%d set-ups", len(cases))
	}
}

// proxied makes a transport that goes through a proxy.
func proxied(t *testing.T, proxy string) *http.Transport {
	t.Helper()
	u, err := url.Parse(proxy)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Transport{DisableKeepAlives: true, Proxy: http.ProxyURL(u)}
}

// infrequent is a class that cannot be read back.
const infrequent = types.LogGroupClassInfrequentAccess

// tlsOf makes the settings of a server that shows a certificate.
func tlsOf(pair tls.Certificate) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{pair}}
}

// TestDoctorBesideARun examines a set-up while gapless works in it: the token that it
// keeps is used, no other is asked for, the lock is left alone, and its listener
// answers.
func TestDoctorBesideARun(t *testing.T) {
	t.Parallel()
	c := newClinic(t)
	c.pushes(webhookToken)
	c.streams = []string{logStreamTo(webhookToken)}
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c.cfg.Webhook.Listen = l.Addr().String()
	c.last = func() {
		c.one().Domain = c.domain.URL
		opts := c.doctor.Options
		opts.Logger = slog.New(slog.DiscardHandler)
		opts.ListenWebhook = func(context.Context, string) (net.Listener, error) { return l, nil }
		a, err := app.New(t.Context(), opts)
		if err == nil {
			err = a.Start(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := a.Stop(context.WithoutCancel(t.Context())); err != nil {
				t.Error(err)
			}
		})
		for stored := int64(0); stored == 0; <-time.After(10 * time.Millisecond) { // then the token is kept
			o, err := a.Overview(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			stored = o.Tenants[0].Stored
		}
	}
	want := map[string]string{
		"data_dir_in_use": "in use by process ", "store": "can be read",
		"auth0_token": "the token that gapless keeps", "webhook_listen": "the gapless that runs answers on ",
	}
	for _, r := range c.examine() {
		if words, ok := want[r.Check]; ok && strings.Contains(r.Summary, words) && r.Status == checkup.Pass {
			delete(want, r.Check)
		}
		if r.Status == checkup.Fail {
			t.Errorf("%s: %s", r.Check, r.Summary)
		}
	}
	if len(want) > 0 {
		t.Errorf("not found: %v", want)
	}
	if n := c.tokens(); n != 1 {
		t.Errorf("%d tokens were asked for", n)
	}
}

// TestDoctorOfOneTenant leaves the others alone.
func TestDoctorOfOneTenant(t *testing.T) {
	t.Parallel()
	c := newClinic(t)
	other := config.NewTenant()
	other.Name, other.Domain, other.ClientID = "other", "http://127.0.0.1:1", "example-client"
	other.ClientSecret = c.secret("env:AUTH0_CLIENT_SECRET")
	c.cfg.Tenants = append(c.cfg.Tenants, other)
	c.doctor.Tenant = "dev-tenant"
	for _, r := range c.examine() {
		if r.Tenant == "other" || r.Status == checkup.Fail {
			t.Errorf("%s: %s %s: %s", r.Section, r.Status, r.Check, r.Summary)
		}
	}
}
