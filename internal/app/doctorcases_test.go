package app_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gaplesslogs/gapless/internal/checkup"
	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/emulator"
)

// brokenHere are faults of the machine and of the settings.
func brokenHere() []broken {
	return []broken{
		{
			name: "the variable of the secret is not set", check: "secrets", status: checkup.Fail, cause: checkup.Configuration,
			summary: "AUTH0_CLIENT_SECRET: the variable does not exist", fix: "Set the variable AUTH0_CLIENT_SECRET",
			harm: func(c *clinic) { delete(c.env, "AUTH0_CLIENT_SECRET") },
		},
		{
			name: "data_dir is a file", check: "data_dir", status: checkup.Fail, cause: checkup.Configuration,
			summary: "is no directory", fix: "Set another data_dir",
			harm: func(c *clinic) {
				if err := os.WriteFile(c.cfg.DataDir, nil, 0o600); err != nil {
					c.t.Fatal(err)
				}
			},
		},
		{
			name: "others can read data_dir", check: "data_dir_rights", status: checkup.Warn,
			summary: "mode 0755", fix: "chmod 0700",
			harm: func(c *clinic) {
				if err := os.Mkdir(c.cfg.DataDir, 0o755); err != nil {
					c.t.Fatal(err)
				}
			},
		},
		{
			name: "the store is another file", check: "store", status: checkup.Fail,
			summary: "cannot be read", fix: "gapless",
			harm: func(c *clinic) {
				if err := os.Mkdir(c.cfg.DataDir, 0o700); err != nil {
					c.t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(c.cfg.DataDir, "gapless.db"), []byte("this is no database, but a text of some length"), 0o600); err != nil {
					c.t.Fatal(err)
				}
			},
		},
		{
			name: "the buffer is larger than the disk", check: "disk_space", status: checkup.Warn,
			summary: "the buffers may take 1 EiB", fix: "smaller max_buffer_bytes",
			harm: func(c *clinic) { c.cfg.MaxBufferBytes = 1 << 60 },
		},
		{
			name: "a hash that nobody can use", check: "dashboard_login", status: checkup.Fail, cause: checkup.Configuration,
			summary: "the login of the page cannot be used", fix: "gapless dashboard hash",
			harm: func(c *clinic) {
				c.env["HASH"] = "hunter2"
				hash, err := config.ParseSecret("env:HASH")
				if err != nil {
					c.t.Fatal(err)
				}
				c.cfg.Dashboard.Users = []config.DashboardUser{{Name: "ana", PasswordHash: hash, Role: "view"}}
			},
		},
		{
			name: "others reach the page", check: "dashboard_login", status: checkup.Warn,
			summary: "it asks for no login", fix: "dashboard.users",
			harm: func(c *clinic) { c.cfg.Dashboard.PublicURL = "https://gapless.example.com" },
		},
		{
			name: "a provider that is not there", check: "dashboard_provider", status: checkup.Fail,
			summary: "nobody can log in by single sign-on", fix: "dashboard.oidc.issuer",
			harm: func(c *clinic) {
				c.cfg.Dashboard.OIDC = config.DashboardOIDC{Issuer: "http://127.0.0.1:1", ClientID: "abc", Name: "single sign-on", Allow: config.DashboardRule{Subjects: []string{"a"}}}
			},
		},
		{
			name: "no certificate of the page", check: "dashboard_certificate", status: checkup.Fail, cause: checkup.Configuration,
			summary: "the certificate of the page cannot be used", fix: "dashboard.tls",
			harm: func(c *clinic) { c.cfg.Dashboard.TLS = config.TLS{CertFile: "/none", KeyFile: "/none"} },
		},
		{
			name: "another program has the port", check: "listen", status: checkup.Fail, cause: checkup.Configuration,
			summary: "another program listens", fix: "Choose another address with listen",
			harm: func(c *clinic) { c.cfg.Listen = occupied(c.t) },
		},
	}
}

// occupied is an address on which something listens.
func occupied(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// brokenWays are faults on the way to Auth0, and of the clocks.
func brokenWays() []broken {
	const secure = "https://dev-tenant.us.auth0.com"
	return []broken{
		{
			name: "the name does not exist", check: "auth0_reach", status: checkup.Fail, cause: checkup.Configuration,
			summary: "DNS: the name dev-tenant.us.auth0.com does not exist", fix: "nslookup dev-tenant.us.auth0.com",
			harm: func(c *clinic) {
				c.one().Domain = secure
				c.doctor.Auth0HTTP = dialing(func(context.Context) (net.Conn, error) {
					return nil, &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "dev-tenant.us.auth0.com", IsNotFound: true}}
				})
			},
		},
		{
			name: "the DNS does not answer", check: "auth0_reach", status: checkup.Fail,
			summary: "DNS: the name dev-tenant.us.auth0.com cannot be looked up", fix: "/etc/resolv.conf",
			harm: func(c *clinic) {
				c.one().Domain = secure
				c.doctor.Auth0HTTP = dialing(func(context.Context) (net.Conn, error) {
					return nil, &net.OpError{Op: "dial", Err: &net.DNSError{Err: "server misbehaving", Name: "dev-tenant.us.auth0.com", IsTemporary: true}}
				})
			},
		},
		{
			name: "the port is closed", check: "auth0_reach", status: checkup.Fail,
			summary: "refuses connections", fix: "Check the port in domain",
			harm: func(c *clinic) {
				s := httptest.NewServer(http.NotFoundHandler())
				c.one().Domain = s.URL
				s.Close()
			},
		},
		{
			name: "a firewall swallows the connection", check: "auth0_reach", status: checkup.Fail,
			summary: "TCP: no connection to dev-tenant.us.auth0.com in time", fix: "a firewall, a security group or a missing route",
			harm: func(c *clinic) {
				c.one().Domain = secure
				over := make(chan struct{})
				c.t.Cleanup(func() { close(over) })
				c.doctor.Auth0HTTP = dialing(func(context.Context) (net.Conn, error) {
					<-over // net/http leaves a dial to itself
					return nil, &net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded}
				})
				c.doctor.Timeout = 500 * time.Millisecond
			},
		},
		{
			name: "the proxy is not there", check: "auth0_reach", status: checkup.Fail,
			summary: "proxy: http://127.0.0.1:", fix: "Correct HTTPS_PROXY, or name dev-tenant.us.auth0.com in NO_PROXY",
			harm: func(c *clinic) {
				c.one().Domain = secure
				s := httptest.NewServer(http.NotFoundHandler())
				c.doctor.Auth0HTTP = proxied(c.t, "http://user:proxy-password@"+s.Listener.Addr().String())
				s.Close()
			},
		},
		{
			name: "the proxy wants a login", check: "auth0_reach", status: checkup.Fail, cause: checkup.Authorization,
			summary: "wants a login", fix: "HTTPS_PROXY=http://USER:PASSWORD@HOST:PORT",
			harm: func(c *clinic) {
				c.one().Domain = secure
				c.doctor.Auth0HTTP = proxied(c.t, "http://"+answering(c.t, http.StatusProxyAuthRequired))
			},
		},
		{
			name: "the proxy refuses the host", check: "auth0_reach", status: checkup.Fail,
			summary: "passes nothing on to dev-tenant.us.auth0.com: Forbidden", fix: "Let the proxy pass connections to dev-tenant.us.auth0.com on",
			harm: func(c *clinic) {
				c.one().Domain = secure
				c.doctor.Auth0HTTP = proxied(c.t, "http://"+answering(c.t, http.StatusForbidden))
			},
		},
		{
			name: "the certificate has expired", check: "auth0_reach", status: checkup.Fail,
			summary: "has expired on ", fix: "must renew its certificate",
			harm: func(c *clinic) {
				pair, _, _ := certified(c.t, -48*time.Hour, -24*time.Hour, []string{"127.0.0.1"}, nil)
				c.speaksTLS(pair, pair.Leaf)
			},
		},
		{
			name: "a private authority", check: "auth0_reach", status: checkup.Fail,
			summary: `signed by "CN=Example Authority"`, fix: "export SSL_CERT_FILE=",
			harm: func(c *clinic) {
				pair, _, _ := certified(c.t, -time.Hour, time.Hour, []string{"127.0.0.1"}, nil)
				c.speaksTLS(pair, nil)
			},
		},
		{
			name: "SSL_CERT_FILE names no file", check: "auth0_reach", status: checkup.Fail,
			summary: "of an authority that this machine does not know", fix: "SSL_CERT_FILE names a file that cannot be read",
			harm: func(c *clinic) {
				c.env["SSL_CERT_FILE"] = "/does/not/exist.pem"
				pair, _, _ := certified(c.t, -time.Hour, time.Hour, []string{"127.0.0.1"}, nil)
				c.speaksTLS(pair, nil)
			},
		},
		{
			name: "the certificate is for another name", check: "auth0_reach", status: checkup.Fail, cause: checkup.Configuration,
			summary: "is for another name", fix: "Correct domain",
			harm: func(c *clinic) {
				pair, _, _ := certified(c.t, -time.Hour, time.Hour, []string{"other.example.com"}, nil)
				c.speaksTLS(pair, pair.Leaf)
			},
		},
		{
			name: "no TLS at all", check: "auth0_reach", status: checkup.Fail, cause: checkup.Configuration,
			summary: "does not speak TLS", fix: "Write domain with http://",
			harm: func(c *clinic) {
				c.last = func() { c.one().Domain = "https://" + c.domain.Listener.Addr().String() }
			},
		},
		{
			name: "TLS where http:// is written", check: "auth0_reach", status: checkup.Fail, cause: checkup.Configuration,
			summary: "speaks TLS alone", fix: "Write domain with https://",
			harm: func(c *clinic) {
				pair, _, _ := certified(c.t, -time.Hour, time.Hour, []string{"127.0.0.1"}, nil)
				s := httptest.NewUnstartedServer(http.NotFoundHandler())
				s.TLS = tlsOf(pair)
				s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
				s.StartTLS()
				c.t.Cleanup(s.Close)
				c.last = func() { c.one().Domain = "http://" + s.Listener.Addr().String() }
			},
		},
		{
			name: "the clock is a minute off", check: "auth0_clock", status: checkup.Warn,
			summary: "1m0s behind that of Auth0", fix: "timedatectl set-ntp true",
			harm: func(c *clinic) { c.atAuth0 = dated(time.Minute) },
		},
		{
			name: "the clock breaks private_key_jwt", check: "auth0_clock", status: checkup.Fail,
			summary: "ahead of that of Auth0: Auth0 refuses the assertions", fix: "timedatectl set-ntp true",
			harm: func(c *clinic) { c.atAuth0 = dated(-6 * time.Minute); c.signs(true) },
		},
	}
}

// answering is a server, or proxy, that answers with a status alone.
func answering(t *testing.T, status int) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// signs has the application authenticate with a key, which the tenant knows or not.
func (c *clinic) signs(known bool) {
	c.t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		c.t.Fatal(err)
	}
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		c.t.Fatal(err)
	}
	c.options.PublicKeys = []*rsa.PublicKey{&other.PublicKey}
	if known {
		c.options.PublicKeys = []*rsa.PublicKey{&key.PublicKey}
	}
	c.env["AUTH0_KEY"] = string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))
	c.one().ClientSecret, c.one().PrivateKey = c.secret(""), c.secret("env:AUTH0_KEY")
}

// tokenAnswer has the token endpoint give an answer. Those of Auth0 that the emulated
// tenant does not give are played so.
func (c *clinic) tokenAnswer(status int, body string) {
	c.auth0.Add(emulator.Fault{Match: "POST /oauth/token", Times: -1, Status: status, Header: map[string]string{"Content-Type": "application/json"}, Body: body})
}

// brokenAtAuth0 are faults of the application and its permissions.
func brokenAtAuth0() []broken {
	return []broken{
		{
			name: "a wrong secret", check: "auth0_token", status: checkup.Fail, cause: checkup.Authorization,
			summary: "refuses client_id with client_secret", fix: "copy Client Secret anew",
			harm: func(c *clinic) { c.env["AUTH0_CLIENT_SECRET"] = "wrong-example-secret" },
		},
		{
			name: "a secret with a line break", check: "auth0_token", status: checkup.Fail, cause: checkup.Configuration,
			summary: "white space", fix: "without what was copied along",
			harm: func(c *clinic) { c.env["AUTH0_CLIENT_SECRET"] += "\n" },
		},
		{
			name: "a secret in quotation marks", check: "auth0_token", status: checkup.Fail, cause: checkup.Configuration,
			summary: "client_secret is in quotation marks", fix: "without the quotation marks",
			harm: func(c *clinic) { c.env["AUTH0_CLIENT_SECRET"] = `"` + c.env["AUTH0_CLIENT_SECRET"] + `"` },
		},
		{
			name: "a portal answers in the place of Auth0", check: "auth0_token", status: checkup.Fail,
			summary: "a proxy may stand between", fix: "is of a proxy or a portal: have it let this machine through",
			harm: func(c *clinic) { c.tokenAnswer(200, "<html>sign in</html>") },
		},
		{
			name: "an unknown application", check: "auth0_token", status: checkup.Fail, cause: checkup.Configuration,
			summary: "no application with the client_id example-client", fix: "Correct client_id",
			harm: func(c *clinic) {
				c.tokenAnswer(403, `{"error":"invalid_request","error_description":"Unknown client: example-client"}`)
			},
		},
		{
			name: "a wrong audience", check: "auth0_token", status: checkup.Fail, cause: checkup.Configuration,
			summary: "the audience https://other.us.auth0.com/api/v2/", fix: "Set audience to https://TENANT.REGION.auth0.com/api/v2/",
			harm: func(c *clinic) { c.one().Audience = "https://other.us.auth0.com/api/v2/" },
		},
		{
			name: "the API is not granted", check: "auth0_token", status: checkup.Fail, cause: checkup.Authorization,
			summary: "not granted the Management API", fix: "authorize it for the Auth0 Management API",
			harm: func(c *clinic) {
				c.tokenAnswer(403, `{"error":"access_denied","error_description":"Client is not authorized to access \"https://dev-tenant.us.auth0.com/api/v2/\". You need to create a \"client-grant\" associated to this API."}`)
			},
		},
		{
			name: "the grant type is not ticked", check: "auth0_token", status: checkup.Fail, cause: checkup.Authorization,
			summary: "may not use the grant client_credentials", fix: "tick Client Credentials",
			harm: func(c *clinic) {
				c.tokenAnswer(403, `{"error":"unauthorized_client","error_description":"Grant type 'client_credentials' not allowed for the client."}`)
			},
		},
		{
			name: "a key that Auth0 does not have", check: "auth0_token", status: checkup.Fail, cause: checkup.Authorization,
			summary: "refuses the assertion signed with private_key", fix: "tab Credentials",
			harm: func(c *clinic) { c.signs(false) },
		},
		{
			name: "the domain is no tenant", check: "auth0_token", status: checkup.Fail, cause: checkup.Configuration,
			summary: "does not answer like an Auth0 tenant", fix: "Correct domain",
			harm: func(c *clinic) { c.one().Domain = "http://" + answering(c.t, http.StatusNotFound) },
		},
		{
			name: "no permission", check: "auth0_scopes", status: checkup.Fail, cause: checkup.Authorization,
			summary: "lacks the permission read:logs; it has read:users", fix: "tick read:logs",
			harm: func(c *clinic) { c.options.Scopes = []string{"read:users"} },
		},
		{
			name: "too many permissions", check: "auth0_scopes", status: checkup.Warn,
			summary: "more than it needs: create:users, delete:users", fix: "untick create:users, delete:users",
			harm: func(c *clinic) {
				c.options.Scopes = []string{"read:logs", "create:users", "delete:users"}
			},
		},
		{
			name: "the rate limit is used up", check: "auth0_logs", status: checkup.Fail,
			summary: "the rate limit of the Management API is used up", fix: "Wait for 7s",
			harm: func(c *clinic) {
				c.auth0.Add(emulator.Fault{Match: "GET /api/v2/logs", Times: -1, Status: 429, Header: map[string]string{"Retry-After": "7"}})
			},
		},
		{
			name: "little is left of the rate limit", check: "auth0_rate", status: checkup.Warn,
			summary: "1 of 10 calls are left", fix: "who else uses the Management API",
			harm: func(c *clinic) {
				c.auth0.Add(emulator.Fault{Match: "GET /api/v2/logs", Status: 200, Body: "[]", Header: map[string]string{
					"Content-Type": "application/json", "X-RateLimit-Limit": "10", "X-RateLimit-Remaining": "1", "X-RateLimit-Reset": "30",
				}})
			},
		},
		{
			name: "auth0_retention is too short", check: "auth0_retention", status: checkup.Warn,
			summary: "auth0_retention says 24 hours", fix: "Set auth0_retention: essentials",
			harm: func(c *clinic) { c.oldest = 100 * time.Hour },
		},
		{
			name: "auth0_retention is too long", check: "auth0_retention", status: checkup.Warn,
			summary: "looks like the plan professional, and auth0_retention says 30 days", fix: "Set auth0_retention: professional",
			harm: func(c *clinic) { c.oldest, c.one().Retention = 239*time.Hour, "enterprise" },
		},
	}
}

// suspended is a log stream that Auth0 has suspended.
const suspended = `[{"id":"lst_0000000000000001","name":"to gapless","type":"http","status":"suspended","sink":{"httpEndpoint":"https://hooks.example.com/v1/tenants/dev-tenant/logs","httpAuthorization":"` + webhookToken + `"}}]`

// brokenStreams are faults of the log stream that pushes.
func brokenStreams() []broken {
	answer := func(c *clinic, body string) {
		c.auth0.Add(emulator.Fault{Match: "GET /api/v2/log-streams", Status: 200, Header: map[string]string{"Content-Type": "application/json"}, Body: body})
	}
	return []broken{
		{
			name: "the stream is suspended", check: "auth0_streams", status: checkup.Fail,
			summary: "is suspended", fix: "Monitoring, Streams, to gapless, Health",
			harm: func(c *clinic) { c.pushes(webhookToken); answer(c, suspended) },
		},
		{
			name: "the stream is paused", check: "auth0_streams", status: checkup.Fail,
			summary: "is paused", fix: "resume the stream",
			harm: func(c *clinic) {
				c.pushes(webhookToken)
				answer(c, `[{"id":"lst_1","name":"to gapless","type":"http","status":"paused","sink":{"httpEndpoint":"https://hooks.example.com/v1/tenants/dev-tenant/logs"}}]`)
			},
		},
		{
			name: "the stream has another token", check: "auth0_streams", status: checkup.Fail, cause: checkup.Authorization,
			summary: "with another token than webhook.token", fix: "write into Authorization Token",
			harm: func(c *clinic) {
				c.pushes(webhookToken)
				c.streams = []string{logStreamTo("another-token-of-some-length")}
			},
		},
		{
			name: "no stream leads here", check: "auth0_streams", status: checkup.Warn,
			summary: "none of 0 log streams sends to /v1/tenants/dev-tenant/logs", fix: "make a Custom Webhook",
			harm: func(c *clinic) { c.pushes(webhookToken) },
		},
		{
			name: "the stream cannot be seen", check: "auth0_streams", status: checkup.Skip,
			summary: "the application would need read:log_streams",
			harm:    func(c *clinic) { c.pushes(webhookToken); c.options.Scopes = []string{"read:logs"} },
		},
	}
}
