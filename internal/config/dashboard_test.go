package config_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gaplesslogs/gapless/internal/config"
)

const aHash = "$argon2id$v=19$m=65536,t=3,p=4$MIIRqgvgQbgj220jfp0MPA$YfwJSVjtjSU0zzV/P3S9nnQ/USre2wvJMjfCIjrTQbg"

// TestDashboardProblems looks for what is said of a dashboard section.
func TestDashboardProblems(t *testing.T) {
	t.Parallel()
	const users = "users: [{name: ana, password_hash: '" + aHash + "'}]"
	const oidc = "issuer: 'https://login.example.com/', client_id: abc"
	inClear := "dashboard.tls is missing, and passwords and sessions would cross the network in clear"
	for name, c := range map[string]struct {
		listen, section string
		want            string // empty for none
	}{
		"nothing":                     {"0.0.0.0:8080", "", ""},
		"users on loopback":           {"127.0.0.1:8080", users, ""},
		"an operator":                 {"127.0.0.1:8080", "users: [{name: ana, role: operate, password_hash: 'file:/run/hash'}]", ""},
		"bcrypt":                      {"127.0.0.1:8080", "users: [{name: ana, password_hash: '$2b$10$XajjQvNhvvRt5GSeFk1xFeyqRrsxkhBkUiQeg0dt.wU1qD4aFDcga'}]", ""},
		"a password in clear":         {"127.0.0.1:8080", "users: [{name: ana, password_hash: hunter2}]", "dashboard.users.0.password_hash is neither an argon2id nor a bcrypt hash"},
		"no password":                 {"127.0.0.1:8080", "users: [{name: ana}]", "dashboard.users.0.password_hash is missing"},
		"no name":                     {"127.0.0.1:8080", "users: [{password_hash: 'env:H'}]", "dashboard.users.0.name is missing"},
		"an odd name":                 {"127.0.0.1:8080", `users: [{name: "a\nb", password_hash: 'env:H'}]`, `dashboard.users.0.name "a..." is not a name`},
		"a name twice":                {"127.0.0.1:8080", "users: [{name: ana, password_hash: 'env:H'}, {name: ana, password_hash: 'env:H'}]", `dashboard.users.1.name "ana" is there twice`},
		"a role that there is not":    {"127.0.0.1:8080", "users: [{name: ana, role: admin, password_hash: 'env:H'}]", `dashboard.users.0.role "admin" is not a value it can take`},
		"open without TLS":            {"0.0.0.0:8080", users, inClear},
		"open with TLS":               {"0.0.0.0:8080", users + "\n  tls: {cert_file: a, key_file: b}", ""},
		"open behind a proxy":         {"0.0.0.0:8080", users + "\n  public_url: https://gapless.example.com", ""},
		"open and known":              {"0.0.0.0:8080", users + "\n  plaintext: true", ""},
		"a proxy without TLS":         {"0.0.0.0:8080", users + "\n  public_url: http://gapless.example.com", inClear},
		"a proxy without TLS, here":   {"127.0.0.1:8080", users + "\n  public_url: http://gapless.example.com", "dashboard.public_url is of http, and passwords and sessions would cross the network in clear"},
		"plain, and a certificate":    {"127.0.0.1:8080", "plaintext: true\n  tls: {cert_file: a, key_file: b}", "dashboard.plaintext is true, and there is a certificate"},
		"half a certificate":          {"127.0.0.1:8080", "tls: {cert_file: a}", "dashboard.tls has one of cert_file and key_file"},
		"a path":                      {"127.0.0.1:8080", "public_url: https://example.com/gapless", "dashboard.public_url is not scheme and host alone"},
		"a user in the URL":           {"127.0.0.1:8080", "public_url: https://a:b@example.com", "dashboard.public_url is not scheme and host alone"},
		"no network":                  {"127.0.0.1:8080", "trusted_proxies: [proxy]", `dashboard.trusted_proxies holds "proxy", which is no network`},
		"idle for longer than it may": {"127.0.0.1:8080", "session_idle: 48h", "dashboard.session_idle is longer than session_lifetime"},
		"tokens alone":                {"127.0.0.1:8080", "tokens: [{name: a, token: 'env:T'}]", "dashboard.tokens is set, and there is no login"},
		"closed metrics alone":        {"127.0.0.1:8080", "metrics_login: true", "dashboard.metrics_login is true, and there is no login"},
		"tokens":                      {"127.0.0.1:8080", users + "\n  tokens: [{name: a, token: 'env:T'}]\n  metrics_login: true", ""},
		"no token":                    {"127.0.0.1:8080", users + "\n  tokens: [{name: a}]", "dashboard.tokens.0.token is missing"},
		"a provider":                  {"127.0.0.1:8080", "oidc: {" + oidc + ", allow: {emails: [ana@example.com]}}", ""},
		"operators alone":             {"127.0.0.1:8080", "oidc: {" + oidc + ", operate: {claim: {name: r, values: [ops]}}}", ""},
		"nobody allowed":              {"127.0.0.1:8080", "oidc: {" + oidc + "}", "dashboard.oidc.allow names nobody, and neither does operate"},
		"no client":                   {"127.0.0.1:8080", "oidc: {issuer: 'https://login.example.com', allow: {subjects: [a]}}", "dashboard.oidc.client_id is missing"},
		"no issuer":                   {"127.0.0.1:8080", "oidc: {allow: {subjects: [a]}}", "dashboard.oidc.issuer is missing"},
		"a domain as issuer":          {"127.0.0.1:8080", "oidc: {issuer: login.example.com, client_id: a, allow: {subjects: [a]}}", "dashboard.oidc.issuer is not the URL of a provider"},
		"an issuer of http":           {"127.0.0.1:8080", "oidc: {issuer: 'http://login.example.com', client_id: a, allow: {subjects: [a]}}", "dashboard.oidc.issuer is of http, and not on this machine"},
		"an issuer of http, IPv6":     {"127.0.0.1:8080", "oidc: {issuer: 'http://[2001:db8::1]/', client_id: a, allow: {subjects: [a]}}", "dashboard.oidc.issuer is of http, and not on this machine"},
		"an issuer here":              {"127.0.0.1:8080", "oidc: {issuer: 'http://127.0.0.1:4010', client_id: a, allow: {subjects: [a]}}", ""},
		"nowhere to come back to":     {"0.0.0.0:8080", "tls: {cert_file: a, key_file: b}\n  oidc: {" + oidc + ", allow: {subjects: [a]}}", "dashboard.public_url is missing, and the provider needs an address to come back to"},
		"half a claim":                {"127.0.0.1:8080", "oidc: {" + oidc + ", allow: {subjects: [a], claim: {name: x}}}", "dashboard.oidc.allow.claim has one of name and values"},
		"an e-mail that is none":      {"127.0.0.1:8080", "oidc: {" + oidc + ", allow: {emails: ['@example.com']}}", `dashboard.oidc.allow.emails holds "@example.com", which is no e-mail address`},
		"a domain that is none":       {"127.0.0.1:8080", "oidc: {" + oidc + ", allow: {domains: ['*']}}", `dashboard.oidc.allow.domains holds "*", which is no domain`},
		"a domain of everybody's":     {"127.0.0.1:8080", "oidc: {" + oidc + ", allow: {domains: [com]}}", `dashboard.oidc.allow.domains holds "com", which is no domain`},
		"an empty subject":            {"127.0.0.1:8080", "oidc: {" + oidc + ", allow: {subjects: ['']}}", "dashboard.oidc.allow.subjects holds an empty one"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := minimal + "listen: '" + c.listen + "'\n"
			if c.section != "" {
				text += "dashboard:\n  " + c.section + "\n"
			}
			_, err := config.Load(t.Context(), config.LoadOptions{File: "g.yaml", ReadFile: files(map[string]string{"g.yaml": text})})
			var got []string
			for _, p := range problems(t, err) {
				got = append(got, p[strings.Index(p, ": ")+2:])
			}
			var want []string
			if c.want != "" {
				want = []string{c.want}
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func TestProxies(t *testing.T) {
	t.Parallel()
	cfg := mustLoad(t, minimal+"dashboard: {trusted_proxies: [10.0.0.0/8, 127.0.0.1]}\n")
	if got := cfg.Dashboard.Proxies(); len(got) != 2 || got[0].String() != "10.0.0.0/8" || got[1].String() != "127.0.0.1/32" {
		t.Errorf("the proxies are %v", got)
	}
	if cfg.Dashboard.HasLogin() {
		t.Error("proxies alone are a login")
	}
}
