package config_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gaplesslogs/gapless/internal/config"
)

// minimal is the least that is a valid configuration.
const minimal = `data_dir: /data
tenants:
  - name: dev
    domain: dev.example.com
    client_id: abc
    client_secret: s3cr3t
`

// files is a file system of texts for LoadOptions.ReadFile.
func files(texts map[string]string) func(string) ([]byte, error) {
	return func(name string) ([]byte, error) {
		if text, ok := texts[name]; ok {
			return []byte(text), nil
		}
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
}

// load loads a file of the given text.
func load(t *testing.T, text string, environ ...string) (*config.Config, error) {
	t.Helper()
	return config.Load(t.Context(), config.LoadOptions{
		File:     "g.yaml",
		Environ:  environ,
		ReadFile: files(map[string]string{"g.yaml": text}),
	})
}

// mustLoad loads a file that is valid.
func mustLoad(t *testing.T, text string, environ ...string) *config.Config {
	t.Helper()
	cfg, err := load(t, text, environ...)
	if err != nil {
		t.Fatalf("load: %v", err)
	}
	return cfg
}

// problems returns the one-line forms of the problems in an error.
func problems(t *testing.T, err error) []string {
	t.Helper()
	if err == nil {
		return nil
	}
	bad, ok := errors.AsType[*config.InvalidError](err)
	if !ok {
		t.Fatalf("got error %T, want *InvalidError: %v", err, err)
	}
	if !errors.Is(err, config.ErrInvalid) {
		t.Error("the error is not ErrInvalid")
	}
	var out []string
	for _, p := range bad.Problems {
		out = append(out, p.Error())
	}
	return out
}

// equal compares configurations by their values.
var equal = cmpopts.IgnoreUnexported(config.Config{})

func TestDefaults(t *testing.T) {
	t.Parallel()
	got := mustLoad(t, minimal)
	tenant := config.Tenant{
		Name: "dev", Domain: "dev.example.com", ClientID: "abc", ClientSecret: secret(t, "s3cr3t"),
		PrivateKeyAlg: "RS256", StartFrom: "earliest", Retention: "24h",
		PollInterval: time.Second, RateShare: 0.5, RequestTimeout: 30 * time.Second,
		Overlap: config.Overlap{Window: 30 * time.Second, Every: 10},
		SQS:     config.SQS{Receivers: 4},
		Filter:  config.Filter{MinLevel: -1},
		CloudWatch: config.CloudWatch{
			LogGroup: "/auth0/{tenant}", LogStream: "logs", MaxStreams: 200, Create: true,
			Linger: 200 * time.Millisecond, InFlight: 4, Compression: "gzip", InDoubtWait: 15 * time.Second, RequestTimeout: 30 * time.Second,
			TooOld: config.Restamp, TooNew: config.Restamp, TooLarge: config.Trim,
		},
	}
	want := &config.Config{
		DataDir: "/data", Listen: "127.0.0.1:8080", Log: config.Log{Level: "info", Format: "auto"},
		MaxBufferBytes: 10 << 30, MaxLetterBytes: 1 << 30, DedupWindow: 72 * time.Hour, ShutdownTimeout: 20 * time.Second,
		Secrets: config.Secrets{Refresh: 5 * time.Minute},
		Notify: config.Notify{Repeat: 6 * time.Hour, Thresholds: config.NotifyThresholds{
			DeliveryLag: 15 * time.Minute, DeliveryLagCritical: time.Hour, FetchFailing: 5 * time.Minute, DestinationFailing: 10 * time.Minute,
			Quiet: time.Hour, BufferUsed: 0.8, DiskFree: 1 << 30, CertificateEnds: 14 * 24 * time.Hour, RateLimited: 10 * time.Minute,
		}},
		Webhook: config.Webhook{MaxBodyBytes: 8 << 20},
		History: config.History{Keep: 7 * 24 * time.Hour, MaxBytes: 1 << 30},
		Tenants: []config.Tenant{tenant},
		Ledger:  config.Ledger{Enabled: true, SealAfter: time.Hour},
		Tracing: config.Tracing{SampleRatio: 1, ServiceName: "gapless", Timeout: 10 * time.Second},
		Setup: config.Setup{
			Name: "gapless", ExistingGroups: "keep", RunOn: "none", Push: "none", PIIMethod: "mask",
			EKS: config.SetupEKS{Namespace: "gapless", ServiceAccount: "gapless"},
		},
		Dashboard: config.Dashboard{
			OIDC:        config.DashboardOIDC{Name: "single sign-on", Scopes: []string{"profile", "email"}},
			SessionIdle: 8 * time.Hour, SessionLifetime: 24 * time.Hour,
		},
		Verify: config.Verify{Schedule: "02:30", Zone: "UTC", Span: 25 * time.Hour, Jitter: 10 * time.Minute},
	}
	if d := cmp.Diff(want, got, equal); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	tenant.Name, tenant.Domain, tenant.ClientID, tenant.ClientSecret = "", "", "", config.Secret{}
	if d := cmp.Diff(tenant, config.NewTenant()); d != "" {
		t.Errorf("NewTenant (-want +got):\n%s", d)
	}
}

func TestLaterLayersWin(t *testing.T) {
	t.Parallel()
	o := config.LoadOptions{
		File: "g.yaml",
		ReadFile: files(map[string]string{"g.yaml": minimal + `
listen: file:1
log: {level: warn}
dedup_window: 3h
shutdown_timeout: 3s
`}),
		Environ: []string{"GAPLESS_LISTEN=env:2", "GAPLESS_LOG_LEVEL=error", "GAPLESS_DEDUP_WINDOW=4h", "GAPLESS_TENANTS_1_NAME=second", "GAPLESS_TENANTS_1_DOMAIN=b.example.com", "GAPLESS_TENANTS_1_CLIENT_ID=b", "GAPLESS_TENANTS_1_CLIENT_SECRET=c"},
		Sets:    []string{"listen=set:3", "log.level=debug", "tenants[1].client_id=B"},
		Flags:   []config.Flag{{Name: "--listen", Path: "listen", Value: "flag:4"}},
	}
	cfg, err := config.Load(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	got := []string{cfg.Listen, cfg.Log.Level, cfg.DedupWindow.String(), cfg.ShutdownTimeout.String(), cfg.Tenants[1].ClientID, cfg.Tenants[1].CloudWatch.LogStream}
	if d := cmp.Diff([]string{"flag:4", "debug", "4h0m0s", "3s", "B", "logs"}, got); d != "" {
		t.Errorf("values (-want +got):\n%s", d)
	}
	origins := map[string]string{}
	for _, p := range []string{"listen", "log.level", "dedup_window", "shutdown_timeout", "log.format", "tenants.1.name", "tenants.1.client_id"} {
		origins[p] = cfg.Origin(p).String()
	}
	want := map[string]string{
		"listen": "--listen", "log.level": "--set log.level", "dedup_window": "GAPLESS_DEDUP_WINDOW", "shutdown_timeout": "g.yaml:11:1",
		"log.format": "default", "tenants.1.name": "GAPLESS_TENANTS_1_NAME", "tenants.1.client_id": "--set tenants[1].client_id",
	}
	if d := cmp.Diff(want, origins); d != "" {
		t.Errorf("origins (-want +got):\n%s", d)
	}
}

func TestEveryProblemAtOnce(t *testing.T) {
	t.Parallel()
	_, err := load(t, `data_dir: /data
lisen: x
tenants:
  - name: dev
    domian: dev.example.com
    poll_interval: soon
    rate_share: 2
    log_group: /x
    client_id: abc
`, "GAPLESS_LOG_LEVEL=loud", "GAPLESS_LISTENING=1")
	want := []string{
		"g.yaml:2:1: lisen is no known key",
		"g.yaml:5:5: tenants.0.domian is no known key",
		`g.yaml:6:5: tenants.0.poll_interval "soon" is not a duration`,
		"g.yaml:8:5: tenants.0.log_group is no known key here",
		"GAPLESS_LISTENING: stands for no setting",
		`GAPLESS_LOG_LEVEL: log.level "loud" is not a value it can take`,
		"g.yaml:7:5: tenants.0.rate_share 2 is more than the most, 1",
		"g.yaml:4:5: tenants.0.client_secret is missing, and so is private_key",
	}
	if d := cmp.Diff(want, problems(t, err)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestFileProblems(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ text, want, fix string }{
		"syntax":            {"listen: [", "g.yaml:1:9: is not valid YAML: sequence end token ']' not found", ""},
		"twice the key":     {"listen: a:1\nlisten: a:2", `g.yaml:2:1: is not valid YAML: mapping key "listen" already defined at [1:1]`, ""},
		"two documents":     {"listen: a:1\n---\nlisten: a:2", "g.yaml: holds more than one YAML document", "Remove the lines that say ---."},
		"a list on top":     {"- a", "g.yaml:1:1: is not a section", "Write its keys on the lines below it, further to the right: data_dir, listen, log, max_buffer_bytes, max_dead_letter_bytes, dedup_window, shutdown_timeout, aws, secrets, webhook, tenants, setup, history, dashboard, notify, ledger, tracing, verify."},
		"text for section":  {"log: x", "g.yaml:1:1: log is not a section", "Write its keys on the lines below it, further to the right: level, format."},
		"section for text":  {"listen: {a: b}", "g.yaml:1:1: listen is a section or a list where a single value is expected", ""},
		"section for list":  {"tenants: {name: a}", "g.yaml:1:1: tenants is not a list", "Begin each element with a dash: - name: ..."},
		"text as element":   {"tenants: [a]", "g.yaml:1:11: tenants.0 is not a section", "Write its keys on the lines below it, further to the right: name, domain, audience, client_id, client_secret, private_key, private_key_id, private_key_alg, start_from, auth0_retention, poll_interval, rate_share, request_timeout, overlap, webhook, sqs, filter, redact, cloudwatch, destinations."},
		"list for map":      {"tenants: [{cloudwatch: {tags: [a]}}]", "g.yaml:1:25: tenants.0.cloudwatch.tags is not a section of keys and values", "Write each entry on a line of its own, as key: value."},
		"not a size":        {"max_buffer_bytes: big", `g.yaml:1:1: max_buffer_bytes "big" is not a size`, "Write a number of bytes, or one with a unit, such as 500MB or 10GiB."},
		"not a bool":        {"tenants: [{cloudwatch: {create: yes}}]", `g.yaml:1:25: tenants.0.cloudwatch.create "yes" is neither true nor false`, "Write true or false."},
		"not an int":        {"tenants: [{overlap: {every: 1.5}}]", `g.yaml:1:22: tenants.0.overlap.every "1.5" is not a whole number`, "Write a number such as 10."},
		"not a number":      {"tenants: [{rate_share: half}]", `g.yaml:1:12: tenants.0.rate_share "half" is not a number`, "Write a number such as 0.5."},
		"merge of a scalar": {"log: {<<: x}", "g.yaml:1:9: a merge key (<<) needs an alias of a section", "Write <<: *name, with &name at the section to copy."},
		"key nowhere known": {"zzzzzzzzzzz: 1", "g.yaml:1:1: zzzzzzzzzzz is no known key", "Known here: aws, dashboard, data_dir, dedup_window, history, ledger, listen, log, max_buffer_bytes, max_dead_letter_bytes, notify, secrets, setup, shutdown_timeout, tenants, tracing, verify, webhook."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := load(t, c.text, "HOME=/home/u")
			bad, ok := errors.AsType[*config.InvalidError](err)
			if !ok {
				t.Fatalf("got %v, want *InvalidError", err)
			}
			got := bad.Problems[0]
			if got.Error() != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if got.Fix != c.fix {
				t.Errorf("fix: got %q, want %q", got.Fix, c.fix)
			}
		})
	}
}

func TestYAMLForms(t *testing.T) {
	t.Parallel()
	cfg := mustLoad(t, `data_dir: "/data"
listen: ""
shutdown_timeout:
tenants:
  - name: dev
    domain: dev.example.com
    client_id: &id 00123
    client_secret: >-
      folded
    cloudwatch: &cw
      log_group: !!str /auth0/x
      tags: {team: security, "cost.center": 42}
      linger: 1s
  - name: other
    domain: other.example.com
    client_id: *id
    client_secret: abc
    cloudwatch:
      <<: *cw
      linger: 2s
`)
	first, second := cfg.Tenants[0], cfg.Tenants[1]
	if cfg.Listen != "" || cfg.ShutdownTimeout != 20*time.Second {
		t.Errorf("listen %q, shutdown_timeout %s", cfg.Listen, cfg.ShutdownTimeout)
	}
	if first.ClientID != "00123" || second.ClientID != "00123" {
		t.Errorf("client_id %q and %q, want the digits as written", first.ClientID, second.ClientID)
	}
	if !first.ClientSecret.Equal(secret(t, "folded")) {
		t.Error("the folded secret was not read")
	}
	want := first.CloudWatch
	want.Linger = 2 * time.Second
	if d := cmp.Diff(want, second.CloudWatch); d != "" {
		t.Errorf("merged section (-want +got):\n%s", d)
	}
	if d := cmp.Diff(map[string]string{"team": "security", "cost.center": "42"}, first.CloudWatch.Tags); d != "" {
		t.Errorf("tags (-want +got):\n%s", d)
	}
}

func TestAliasWithinItsAnchorEnds(t *testing.T) {
	t.Parallel()
	if _, err := load(t, "log: &a\n  <<: *a\n  level: info\n"); err == nil {
		t.Error("a section that contains itself was taken")
	}
}

func TestWhichFile(t *testing.T) {
	t.Parallel()
	texts := map[string]string{
		"flag.yaml":        minimal + "listen: flag:1",
		"variable.yaml":    minimal + "listen: variable:1",
		config.DefaultFile: minimal + "listen: default:1",
		"large.yaml":       strings.Repeat("#", 2<<20),
	}
	for name, c := range map[string]struct {
		file string
		env  []string
		want string
		err  string
	}{
		"flag":             {file: "flag.yaml", env: []string{"GAPLESS_CONFIG=variable.yaml"}, want: "flag:1"},
		"variable":         {env: []string{"GAPLESS_CONFIG=variable.yaml"}, want: "variable:1"},
		"default":          {want: "default:1"},
		"missing flag":     {file: "no.yaml", err: "no.yaml: the file does not exist"},
		"missing variable": {env: []string{"GAPLESS_CONFIG=no.yaml"}, err: "no.yaml: the file does not exist"},
		"large":            {file: "large.yaml", err: "large.yaml: the file is larger than 1048576 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg, err := config.Load(t.Context(), config.LoadOptions{File: c.file, Environ: c.env, ReadFile: files(texts)})
			if c.err != "" {
				if got := problems(t, err); len(got) != 1 || got[0] != c.err {
					t.Errorf("got %q, want %q", got, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if cfg.Listen != c.want {
				t.Errorf("got the file with %q, want %q", cfg.Listen, c.want)
			}
		})
	}
}

func TestLoadFromDisk(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "g.yaml")
	if err := os.WriteFile(path, []byte(minimal), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := config.Load(t.Context(), config.LoadOptions{File: path}); err != nil {
		t.Errorf("load: %v", err)
	}
	_, err := config.Load(t.Context(), config.LoadOptions{File: filepath.Dir(path)})
	if got := problems(t, err); len(got) != 1 || !strings.Contains(got[0], "cannot be read") {
		t.Errorf("a directory as file: got %q", got)
	}
}

func TestLoadHonoursContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := config.Load(ctx, config.LoadOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

func TestSets(t *testing.T) {
	t.Parallel()
	for set, want := range map[string]string{
		"nonsense":                         "--set (number 1): is not path=value",
		"=x":                               "--set (number 1): is not path=value",
		"lisen=x":                          "--set lisen: lisen is no known key",
		"tenants.x.name=a":                 "--set tenants.x.name: tenants.x.name names no element of the list tenants",
		"tenants.3.name=a":                 "--set tenants.3.name: tenants.3.name would leave a hole: the next free position of tenants is 1",
		"listen.port=1":                    "--set listen.port: listen.port is below listen, which is a value, not a section",
		"log=x":                            "--set log: log is a section, not a value",
		"tenants.0.cloudwatch.tags=a":      "--set tenants.0.cloudwatch.tags: tenants.0.cloudwatch.tags is not a list of key=value",
		"tenants.0.client_secret=********": "--set tenants.0.client_secret: tenants.0.client_secret is the redacted form of a secret, not the secret",
	} {
		t.Run(set, func(t *testing.T) {
			t.Parallel()
			_, err := config.Load(t.Context(), config.LoadOptions{File: "g.yaml", ReadFile: files(map[string]string{"g.yaml": minimal}), Sets: []string{set}})
			if d := cmp.Diff([]string{want}, problems(t, err)); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func TestSetTags(t *testing.T) {
	t.Parallel()
	cfg, err := config.Load(t.Context(), config.LoadOptions{
		File: "g.yaml", ReadFile: files(map[string]string{"g.yaml": minimal}),
		Sets: []string{`tenants.0.cloudwatch.tags=a=1,b=x=y`, "tenants.0.cloudwatch.tags.cost.center=42"},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"a": "1", "b": "x=y", "cost.center": "42"}
	if d := cmp.Diff(want, cfg.Tenants[0].CloudWatch.Tags); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestAWSFor(t *testing.T) {
	t.Parallel()
	cfg := config.Default()
	cfg.AWS = config.AWS{Region: "eu-central-1", Endpoint: "http://a", Profile: "p", RoleARN: "r", ExternalID: "x"}
	for name, c := range map[string]struct {
		override config.CloudWatch
		want     config.AWS
	}{
		"nothing": {want: cfg.AWS},
		"region":  {config.CloudWatch{Region: "us-east-1", Endpoint: "http://b"}, config.AWS{Region: "us-east-1", Endpoint: "http://b", Profile: "p", RoleARN: "r", ExternalID: "x"}},
		"role":    {config.CloudWatch{RoleARN: "other"}, config.AWS{Region: "eu-central-1", Endpoint: "http://a", Profile: "p", RoleARN: "other"}},
		"both":    {config.CloudWatch{RoleARN: "other", ExternalID: "y"}, config.AWS{Region: "eu-central-1", Endpoint: "http://a", Profile: "p", RoleARN: "other", ExternalID: "y"}},
	} {
		if d := cmp.Diff(c.want, cfg.AWSFor(config.Tenant{CloudWatch: c.override})); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
}
