package config_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gaplesslogs/gapless/internal/config"
)

// other returns, for a variable, a value that is valid and not its default.
func other(name string) string {
	endings := []struct{ end, value string }{
		{"VERIFY_SCHEDULE", "every 6h"},
		{"VERIFY_ZONE", "Asia/Tokyo"},
		{"VERIFY_SPAN", "30h"},
		{"VERIFY_JITTER", "3m"},
		{"VERIFY_REPAIR", "true"},
		{"SETUP_READS", "tail"},
		{"SETUP_NAME", "other"},
		{"SETUP_LEAVE_OUT", "alarms"},
		{"DELETION_PROTECTION", "true"},
		{"EXISTING_GROUPS", "change"},
		{"RUN_ON", "ec2"},
		{"PUBLIC_URL", "https://gapless.example.com"},
		{"LEDGER_S3_URL", "s3://other/x"},
		{"PASSWORD_HASH", "env:X"},
		{"DASHBOARD_USERS_0_ROLE", "operate"},
		{"TRUSTED_PROXIES", "192.0.2.0/24"},
		{"SESSION_IDLE", "9m"},
		{"SESSION_LIFETIME", "20h"},
		{"METRICS_LOGIN", "true"},
		{"DASHBOARD_OIDC_ISSUER", "https://oidc.example.com/"},
		{"_EMAILS", "ana@example.com"},
		{"_DOMAINS", "example.com"},
		{"OIDC_PROVIDER", "https://oidc.example.com/id/1"},
		{"SETUP_GITHUB_REPOSITORY", "a/b"},
		{"ALARM_TOPICS", "arn:aws:sns:eu-central-1:123456789012:security"},
		{"SETUP_PUSH", "eventbridge"},
		{"WEBHOOK_URL", "https://logs.example.com"},
		{"SETUP_CATEGORIES", "user.fail"},
		{"PII_FIELDS", "email"},
		{"PII_METHOD", "hash"},
		{"DATA_DIR", "/elsewhere"},
		{"LISTEN", "127.0.0.1:9"},
		{"LOG_LEVEL", "debug"},
		{"LOG_FORMAT", "text"},
		{"MAX_BUFFER_BYTES", "1GiB"},
		{"MAX_DEAD_LETTER_BYTES", "2GiB"},
		{"MAX_BODY_BYTES", "1MiB"},
		{"PLAINTEXT", "true"},
		{"MIN_LEVEL", "3"},
		{"SEVERITIES_ALLOW", "error"},
		{"SEVERITIES_DENY", "critical"},
		{"FILTER_CLIENTS_ALLOW", "My App*"},
		{"FILTER_TYPES_ALLOW", "gd_*"},
		{"FILTER_CATEGORIES_ALLOW", "auth.*"},
		{"FILTER_CONNECTIONS_ALLOW", "con_?"},
		{"FILTER_ORGANIZATIONS_ALLOW", "org_x"},
		{"EXPRESSION", "event.ip == '192.0.2.1'"},
		{"ALLOW", "192.0.2.0/24"},
		{"TOKENS", "env:X"},
		{"TOKEN", "env:X"},
		{"REDACT_PRESETS", "auth0-pii"},
		{"REDACT_KEY", "env:X"},
		{"RULES_0_KIND", "ip"},
		{"RULES_0_KINDS", "ip"},
		{"RULES_0_KEYS", "true"},
		{"RULES_0_ACTION", "mask"},
		{"RULES_0_LENGTH", "9"},
		{"DEDUP_WINDOW", "48h"},
		{"HISTORY_KEEP", "48h"},
		{"HISTORY_MAX_BYTES", "64MiB"},
		{"TIMEOUT", "7s"},
		{"ENDPOINT", "http://127.0.0.1:1"},
		{"ROLE_ARN", "arn:aws:iam::123456789012:role/x"},
		{"QUEUE_URL", "https://sqs.eu-west-1.amazonaws.com/123456789012/other"},
		{"RECEIVERS", "9"},
		{"SQS_SOURCE", "aws.partner/auth0.com/x/auth0.logs"},
		{"OVERLAP_WINDOW", "9s"},
		{"OVERLAP_EVERY", "9"},
		{"AUDIENCE", "https://x.example.com/api/v2/"},
		{"CLIENT_SECRET", "env:X"},
		{"KEY_ALG", "PS256"},
		{"PRIVATE_KEY", "file:x.pem"},
		{"START_FROM", "24h"},
		{"AUTH0_RETENTION", "professional"},
		{"INTERVAL", "9s"},
		{"SHARE", "0.25"},
		{"CREATE", "false"},
		{"RETENTION_DAYS", "30"},
		{"CLASS", "INFREQUENT_ACCESS"},
		{"TAGS", "a=1,b=x=y"},
		{"ALARM_THRESHOLDS", "signups=0,tokens=9"},
		{"MAX_STREAMS", "9"},
		{"WHEN_FULL", "skip"},
		{"_FIELDS", "a=tenant,b=text:x=y"},
		{"_COPY", "a=user_id,b=details.request.ip"},
		{"LINGER", "9ms"},
		{"IN_FLIGHT", "9"},
		{"IN_DOUBT_WAIT", "9s"},
		{"COMPRESSION", "none"},
		{"SECRETS_REFRESH", "45s"},
		{"LEDGER_SIGNING_KEY", "env:X"},
		{"LEDGER_ENABLED", "false"},
		{"LEDGER_SEAL_AFTER", "45m"},
		{"LEDGER_DIRECTORY", "/other"},
		{"LEDGER_CLOUDWATCH", "true"},
		{"SAMPLE_RATIO", "0.25"},
		{"TRACING_HEADERS_0_VALUE", "env:X"},
		{"TOO_OLD", "dead_letter"},
		{"TOO_NEW", "dead_letter"},
		{"TOO_LARGE", "dead_letter"},
	}
	for _, e := range endings {
		if strings.HasSuffix(name, e.end) {
			return e.value
		}
	}
	return "other"
}

// otherNotify returns a value for a variable of the section notify that is not its
// default.
func otherNotify(name string) string {
	for end, value := range map[string]string{
		"_EVERY": "9h", "_LAG": "9m", "_LAG_CRITICAL": "9h", "_FAILING": "9m", "_QUIET": "9h", "_ENDS": "9h", "_LIMITED": "9m",
		"_USED": "0.9", "_FREE": "9GiB", "_SEVERITY": "critical", "_TENANTS": "dev", "_KINDS": "gap", "URL": "env:X", "_KEY": "env:X",
		"_VALUE": "env:X", "_SUCCESS": "true", "_AT": "07:30", "_ZONE": "Europe/Berlin", "_ARN": "arn:aws:sns:eu-central-1:123456789012:other", "_METHOD": "POST",
		"EMF_0_EVERY": "9m",
	} {
		if strings.HasSuffix(name, end) && (end != "_EVERY" || !strings.Contains(name, "EMF")) {
			return value
		}
	}
	return "other"
}

// notifyBase returns what a channel needs besides.
func notifyBase(rest string) string {
	kind, _, list := strings.Cut(strings.ToLower(rest), "_0_")
	if !list {
		return ""
	}
	return "notify: {" + kind + ": [" + map[string]string{
		"slack": "{webhook_url: 'env:Y'}", "webhook": "{url: 'env:Y', headers: [{name: Y, value: 'env:Y'}]}",
		"sns": "{topic_arn: 'arn:aws:sns:eu-central-1:123456789012:y'}", "emf": "{namespace: Y}", "heartbeat": "{url: 'env:Y'}",
	}[kind] + "]}\n"
}

// TestEveryVariableRoundTrips sets every variable that the documentation names
// and looks for it, and for its name as the origin, in what is printed.
func TestEveryVariableRoundTrips(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, name := range config.EnvNames() {
		if seen[name] {
			t.Errorf("%s stands for two settings", name)
		}
		seen[name] = true
		if !strings.Contains(config.Markdown(), "`"+name+"`") {
			t.Errorf("%s is not documented", name)
		}
		value := other(name)
		base := minimal
		if name == "GAPLESS_TENANTS_0_PRIVATE_KEY" {
			base = strings.ReplaceAll(base, "    client_secret: s3cr3t\n", "")
		}
		switch {
		case strings.HasPrefix(name, "GAPLESS_DASHBOARD_TLS"):
			base += "dashboard: {tls: {cert_file: a, key_file: b}}\n"
		case strings.HasPrefix(name, "GAPLESS_DASHBOARD"):
			base += "dashboard:\n  users: [{name: ana, password_hash: 'env:HASH'}]\n  tokens: [{name: prometheus, token: 'env:TOKEN'}]\n" +
				"  oidc: {issuer: 'https://login.example.com/', client_id: abc, allow: {claim: {name: a, values: [b]}}, operate: {claim: {name: a, values: [c]}}}\n"
		case strings.HasPrefix(name, "GAPLESS_WEBHOOK_TLS"):
			base += "    webhook: {token: s3cr3t}\nwebhook: {listen: \"0.0.0.0:1\", tls: {cert_file: a, key_file: b}}\n"
		case strings.HasPrefix(name, "GAPLESS_WEBHOOK"):
			base += "    webhook: {token: s3cr3t}\nwebhook: {listen: \"127.0.0.1:1\"}\n"
		case strings.HasPrefix(name, "GAPLESS_TENANTS_0_WEBHOOK"):
			base += "webhook: {listen: \"127.0.0.1:1\"}\n"
		case strings.HasPrefix(name, "GAPLESS_TENANTS_0_SQS_"):
			base += "    sqs: {queue_url: 'https://sqs.eu-central-1.amazonaws.com/123456789012/auth0'}\n"
		}
		if rest, ok := strings.CutPrefix(name, "GAPLESS_TENANTS_0_DESTINATIONS_0_"); ok {
			base += destinationBase(rest)
		}
		if rest, ok := strings.CutPrefix(name, "GAPLESS_TENANTS_0_REDACT_"); ok {
			base += redactBase(rest)
		}
		if rest, ok := strings.CutPrefix(name, "GAPLESS_NOTIFY_"); ok {
			base += notifyBase(rest)
			value = otherNotify(name)
		}
		if strings.HasPrefix(name, "GAPLESS_TRACING_HEADERS") {
			base += "tracing: {headers: [{name: Y, value: 'env:Y'}]}\n"
		}
		cfg := mustLoad(t, base, name+"="+value)
		var out strings.Builder
		if err := cfg.Print(&out, true); err != nil {
			t.Fatal(err)
		}
		printed := linesEnding(out.String(), "# "+name)
		isMap := strings.HasSuffix(name, "TAGS") || strings.HasSuffix(name, "_FIELDS") || strings.HasSuffix(name, "_COPY") ||
			strings.HasSuffix(name, "_THRESHOLDS")
		if want := value; !isMap && !strings.Contains(printed, want) {
			t.Errorf("%s=%s: printed %q", name, value, printed)
		}
		again := mustLoad(t, strings.ReplaceAll(out.String(), config.Redacted, "s3cr3t"))
		if d := cmp.Diff(cfg, again, equal); d != "" {
			t.Errorf("%s: printed and read again (-want +got):\n%s", name, d)
		}
	}
	if len(seen) < 40 {
		t.Errorf("only %d variables", len(seen))
	}
}

// destinationBase is the section of destinations to which a variable adds a sound
// value.
func destinationBase(rest string) string {
	base := "    destinations:\n      - name: audit\n        region: us-west-1\n        log_group: /audit\n"
	if rest, ok := strings.CutPrefix(rest, "REDACT_"); ok {
		return base + "    " + redactBase(rest)
	}
	return base
}

// redactBase is the section to which a variable of redaction adds a sound value.
func redactBase(rest string) string {
	rule := map[string]string{
		"RULES_0_PATH": "action: drop", "RULES_0_PATHS": "action: drop", "RULES_0_KIND": "action: drop", "RULES_0_KINDS": "action: drop",
		"RULES_0_KEYS": "kind: ip, action: drop", "RULES_0_TYPES": "kind: ip, action: drop", "RULES_0_ACTION": "kind: ip",
		"RULES_0_LENGTH": "kind: ip, action: truncate", "RULES_0_WITH": "kind: ip, action: replace",
	}[rest]
	if rule == "" {
		return "    redact: {presets: [no-secrets]}\n"
	}
	return "    redact: {rules: [{" + rule + "}]}\n"
}

// linesEnding returns the lines of a text that end so.
func linesEnding(text, end string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if strings.HasSuffix(line, end+"\n") {
			b.WriteString(line)
		}
	}
	return b.String()
}

func TestVariablesAlone(t *testing.T) {
	t.Parallel()
	cfg, err := config.Load(t.Context(), config.LoadOptions{
		ReadFile: files(nil),
		Environ: []string{
			"HOME=/home/u", "PATH=/bin", "broken",
			"GAPLESS_TENANT_NAME=dev", "GAPLESS_TENANT_DOMAIN=dev.example.com", "GAPLESS_TENANT_CLIENT_ID=abc",
			"GAPLESS_TENANT_CLIENT_SECRET=env:GAPLESS_MY_SECRET", "GAPLESS_MY_SECRET=x",
			"GAPLESS_TENANT_CLOUDWATCH_LOG_GROUP=/x", "GAPLESS_LISTEN=",
			// What Kubernetes adds for Services called gapless and gapless-metrics.
			"GAPLESS_SERVICE_HOST=10.0.0.1", "GAPLESS_SERVICE_PORT=8080", "GAPLESS_SERVICE_PORT_HTTP=8080", "GAPLESS_PORT=tcp://10.0.0.1:8080",
			"GAPLESS_PORT_8080_TCP=tcp://10.0.0.1:8080", "GAPLESS_PORT_8080_TCP_ADDR=10.0.0.1", "GAPLESS_METRICS_SERVICE_HOST=10.0.0.2",
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	got := []string{cfg.Listen, cfg.Tenants[0].Name, cfg.Tenants[0].CloudWatch.LogGroup, cfg.Origin("tenants.0.name").String()}
	if d := cmp.Diff([]string{"", "dev", "/x", "GAPLESS_TENANT_NAME"}, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestVariableProblems(t *testing.T) {
	t.Parallel()
	second := "  - {name: b, domain: b.example.com, client_id: b, client_secret: b}\n"
	for name, c := range map[string]struct {
		file string
		env  []string
		want string
		fix  string
	}{
		"typo":          {minimal, []string{"GAPLESS_LISTNE=x"}, "GAPLESS_LISTNE: stands for no setting", "Did you mean GAPLESS_LISTEN?"},
		"typo in third": {minimal, []string{"GAPLESS_TENANTS_2_DOMIAN=x"}, "GAPLESS_TENANTS_2_DOMIAN: stands for no setting", "Did you mean GAPLESS_TENANTS_2_DOMAIN?"},
		"typo in short": {minimal, []string{"GAPLESS_TENANT_DOMIAN=x"}, "GAPLESS_TENANT_DOMIAN: stands for no setting", "Did you mean GAPLESS_TENANT_DOMAIN?"},
		"far from all":  {minimal, []string{"GAPLESS_Q=x"}, "GAPLESS_Q: stands for no setting", "Remove it, or see docs/config.md for the names of all variables."},
		"section":       {minimal, []string{"GAPLESS_TENANTS_0=x"}, "GAPLESS_TENANTS_0: stands for no setting", "Did you mean GAPLESS_TENANTS_0_NAME?"},
		"no position":   {minimal, []string{"GAPLESS_TENANTS_A_NAME=x"}, "GAPLESS_TENANTS_A_NAME: stands for no setting", "Did you mean GAPLESS_TENANTS_0_NAME?"},
		"hole":          {minimal, []string{"GAPLESS_TENANTS_7_NAME=x"}, "GAPLESS_TENANTS_7_NAME: tenants.7.name would leave a hole: the next free position of tenants is 1", "Positions count from 0, without holes."},
		"both":          {minimal, []string{"GAPLESS_TENANT_NAME=x", "GAPLESS_TENANTS_0_NAME=y"}, "GAPLESS_TENANT_NAME: means the same as GAPLESS_TENANTS_0_NAME, which is set too", "Remove one of the two."},
		"several":       {minimal + second, []string{"GAPLESS_TENANT_NAME=x"}, "GAPLESS_TENANT_NAME: is for a single tenant, and the file has more", "Name the tenant by its position, such as GAPLESS_TENANTS_0_NAME."},
		"empty number":  {minimal, []string{"GAPLESS_DEDUP_WINDOW="}, `GAPLESS_DEDUP_WINDOW: dedup_window "" is not a duration`, "Write a number with a unit, such as 200ms, 30s, 5m, 72h or 7d."},
		"empty choice":  {minimal, []string{"GAPLESS_LOG_LEVEL="}, "GAPLESS_LOG_LEVEL: log.level is empty", "Use one of: debug, info, warn, error."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := load(t, c.file, c.env...)
			if d := cmp.Diff([]string{c.want}, problems(t, err)); d != "" {
				t.Fatalf("(-want +got):\n%s", d)
			}
			if fix := fixOf(err); fix != c.fix {
				t.Errorf("fix: got %q, want %q", fix, c.fix)
			}
		})
	}
}
