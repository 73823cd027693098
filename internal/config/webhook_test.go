package config_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gaplesslogs/gapless/internal/config"
)

// pushed is a configuration of a tenant that is pushed to alone.
const pushed = `data_dir: /data
webhook: {listen: "127.0.0.1:8443"}
tenants:
  - name: dev
    webhook:
      token: s3cr3t
`

// TestWebhookProblems changes a valid webhook and looks for what is said.
func TestWebhookProblems(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		from, to string
		want     string // empty for none
	}{
		"nothing":                 {"", "", ""},
		"no listen":               {`webhook: {listen: "127.0.0.1:8443"}`, "", "webhook.listen is missing, and tenants.0.webhook has a token"},
		"no token":                {"      token: s3cr3t", "    domain: dev.example.com\n    client_id: a\n    client_secret: b", "webhook.listen is set, and no tenant has a webhook.token"},
		"neither domain nor push": {"      token: s3cr3t", "", "tenants.0.domain is missing"},
		"listen without a port":   {`"127.0.0.1:8443"`, "localhost", `webhook.listen "localhost" is not host:port`},
		"the port of listen":      {`"127.0.0.1:8443"`, `"127.0.0.1:8080"`, "webhook.listen is the address of listen too"},
		"listen on every address": {`"127.0.0.1:8443"`, `":8080", plaintext: true`, "webhook.listen is the address of listen too"},
		"another address":         {`"127.0.0.1:8443"`, `"127.0.0.2:8080"`, ""},
		"open without TLS":        {`"127.0.0.1:8443"`, `":8443"`, "webhook.tls is missing, and other machines can reach webhook.listen"},
		"a name without TLS":      {`"127.0.0.1:8443"`, `"logs.example.com:8443"`, "webhook.tls is missing, and other machines can reach webhook.listen"},
		"loopback of IPv6":        {`"127.0.0.1:8443"`, `"[::1]:8443"`, ""},
		"behind a proxy":          {`"127.0.0.1:8443"`, `":8443", plaintext: true`, ""},
		"with TLS":                {`"127.0.0.1:8443"`, `":8443", tls: {cert_file: a, key_file: b}`, ""},
		"both":                    {`"127.0.0.1:8443"`, `":8443", plaintext: true, tls: {cert_file: a, key_file: b}`, "webhook.plaintext is true, and there is a certificate"},
		"half a certificate":      {`"127.0.0.1:8443"`, `"127.0.0.1:8443", tls: {cert_file: a}`, "webhook.tls has one of cert_file and key_file"},
		"networks":                {`"127.0.0.1:8443"`, `"127.0.0.1:8443", allow: [192.0.2.1, "2001:db8::/32"]`, ""},
		"no network":              {`"127.0.0.1:8443"`, `"127.0.0.1:8443", allow: [192.0.2.0/24, auth0.com]`, `webhook.allow holds "auth0.com", which is no network`},
		"small body":              {`"127.0.0.1:8443"`, `"127.0.0.1:8443", max_body_bytes: 1KiB`, "webhook.max_body_bytes 1KiB is less than the least, 64KiB"},
		"two tokens":              {"token: s3cr3t", "tokens: [s3cr3t, env:NEW]", ""},
		"three tokens":            {"token: s3cr3t", "tokens: [a, b, c]", "tenants.0.webhook.tokens holds 3 tokens; 2 are taken"},
		"token and tokens":        {"token: s3cr3t", "token: s3cr3t\n      tokens: [b]", "tenants.0.webhook.tokens is set, and so is token"},
		"empty token":             {"token: s3cr3t", `tokens: [a, ""]`, "tenants.0.webhook.tokens holds an empty token"},
		"a bad reference":         {"token: s3cr3t", "tokens: [s3cr3t, \"env:\"]", `tenants.0.webhook.tokens is not a well-formed secret reference: nothing usable stands behind "env:"`},
		"a section as token":      {"token: s3cr3t", "tokens: [{a: s3cr3t}]", "tenants.0.webhook.tokens holds a section or a list where a single value is expected"},
		"client without domain":   {"    webhook:", "    client_id: abc\n    client_secret: x\n    webhook:", "tenants.0.domain is missing"},
		"domain without client":   {"    webhook:", "    domain: dev.example.com\n    client_secret: x\n    webhook:", "tenants.0.client_id is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := config.Load(t.Context(), config.LoadOptions{
				File: "g.yaml", ReadFile: files(map[string]string{"g.yaml": strings.Replace(pushed, c.from, c.to, 1)}),
			})
			got := problems(t, err)
			for i := range got {
				if _, after, ok := strings.Cut(got[i], ": "); ok && strings.HasPrefix(got[i], "g.yaml:") {
					got[i] = after
				}
				if strings.Contains(got[i], "s3cr3t") {
					t.Errorf("a problem shows the token: %q", got[i])
				}
			}
			if c.want == "" && len(got) > 0 || c.want != "" && (len(got) == 0 || got[0] != c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// TestLists reads lists from each layer, and what is printed again.
func TestLists(t *testing.T) {
	t.Parallel()
	file := strings.Replace(pushed, "token: s3cr3t", "tokens: [\"s3cr3t,1\", file:/new]", 1)
	cfg := mustLoad(t, file, "GAPLESS_WEBHOOK_ALLOW=192.0.2.7, 2001:db8::/33")
	if diff := cmp.Diff([]string{"192.0.2.7", "2001:db8::/33"}, cfg.Webhook.Allow); diff != "" {
		t.Errorf("allow (-want +got):\n%s", diff)
	}
	nets := cfg.Webhook.Networks()
	if len(nets) != 2 || nets[0].String() != "192.0.2.7/32" || nets[1].String() != "2001:db8::/33" {
		t.Errorf("networks %v", nets)
	}
	all := cfg.Tenants[0].Webhook.All()
	if len(all) != 2 || !all[0].Equal(secret(t, "s3cr3t,1")) || !all[1].Equal(secret(t, "file:/new")) {
		t.Errorf("tokens %v", all)
	}
	var out strings.Builder
	if err := cfg.Print(&out, false); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`allow: ["192.0.2.7", "2001:db8::/33"]`, `tokens: ["********", file:/new]`} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("printed without %s:\n%s", want, out.String())
		}
	}
	asJSON, err := cfg.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(asJSON), `"tokens":["********","file:/new"]`) || strings.Contains(string(asJSON), "s3cr3t") {
		t.Errorf("JSON: %s", asJSON)
	}
}

// TestTokensAreResolved looks up each of the tokens.
func TestTokensAreResolved(t *testing.T) {
	t.Parallel()
	cfg := mustLoad(t, strings.Replace(pushed, "token: s3cr3t", "tokens: [env:OLD, env:NEW]", 1))
	r := config.Resolver{LookupEnv: func(name string) (string, bool) { return "x", name == "OLD" }}
	got := problems(t, cfg.CheckSecrets(t.Context(), r, false))
	if len(got) != 1 || !strings.HasSuffix(got[0], "tenants.0.webhook.tokens cannot be resolved: env:NEW: the variable does not exist") {
		t.Errorf("got %q", got)
	}
}

// TestPollIntervalBesideAPush holds that the default is a longer one where the
// poll is the check of a push, and that a value which is set wins.
func TestPollIntervalBesideAPush(t *testing.T) {
	t.Parallel()
	file := `data_dir: /data
webhook: {listen: "127.0.0.1:8443"}
aws: {region: eu-central-1}
tenants:
  - {name: both, domain: a.example.com, client_id: a, client_secret: b, webhook: {token: s3cr3t}}
  - {name: polled, domain: b.example.com, client_id: a, client_secret: b}
  - {name: quick, domain: c.example.com, client_id: a, client_secret: b, poll_interval: 1s, webhook: {tokens: [s3cr3t]}}
  - {name: set, domain: d.example.com, client_id: a, client_secret: b, webhook: {token: s3cr3t}}
`
	cfg, err := config.Load(t.Context(), config.LoadOptions{
		File: "g.yaml", ReadFile: func(string) ([]byte, error) { return []byte(file), nil },
		Environ: []string{"GAPLESS_TENANTS_3_POLL_INTERVAL=5s"},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []time.Duration{config.PushedPollInterval, time.Second, time.Second, 5 * time.Second}
	for i, c := range cfg.Tenants {
		if c.PollInterval != want[i] {
			t.Errorf("%s: %v, want %v", c.Name, c.PollInterval, want[i])
		}
	}
	var out strings.Builder
	if err := cfg.Print(&out, true); err != nil || !strings.Contains(out.String(), "poll_interval: 30s  # default") {
		t.Errorf("printed, with error %v:\n%s", err, out.String())
	}
}
