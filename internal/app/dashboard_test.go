package app_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/argon2"

	"github.com/gaplesslogs/gapless/internal/app"
	"github.com/gaplesslogs/gapless/internal/config"
)

// hashed hashes a password at the least cost.
func hashed(password string) string {
	salt, enc := []byte("0123456789abcdef"), base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=19$m=7168,t=1,p=1$%s$%s", enc(salt), enc(argon2.IDKey([]byte(password), salt, 1, 7168, 1, 32)))
}

// withUser lets somebody log in.
func withUser(t *testing.T, cfg *config.Config, password string) {
	t.Helper()
	hash, err := config.ParseSecret(hashed(password))
	if err != nil {
		t.Fatal(err)
	}
	cfg.Dashboard.Users = []config.DashboardUser{{Name: "vera", PasswordHash: hash, Role: "operate"}}
}

// A pages is an App with its page, seen by one browser.
type pages struct {
	t      *testing.T
	app    *app.App
	client *http.Client
	scheme string
	log    bytes.Buffer
}

func openPages(t *testing.T, dir string, change func(*config.Config)) *pages {
	t.Helper()
	cfg := config.Default()
	cfg.DataDir, cfg.Listen, cfg.AWS.Region = dir, "127.0.0.1:0", "us-east-1"
	change(cfg)
	p := &pages{t: t, scheme: "http"}
	var err error
	if p.app, err = app.New(t.Context(), app.Options{Config: cfg, Logger: slog.New(slog.NewTextHandler(&p.log, nil))}); err != nil {
		t.Fatal(err)
	}
	if err := p.app.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	p.client = &http.Client{
		Jar: jar, Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return p
}

func (p *pages) stop() {
	p.t.Helper()
	if err := p.app.Stop(context.WithoutCancel(p.t.Context())); err != nil {
		p.t.Error(err)
	}
}

// ask sends a request and returns the status, where it leads and the body.
func (p *pages) ask(method, path string, form url.Values) (int, string, string) {
	p.t.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	req, err := http.NewRequestWithContext(p.t.Context(), method, p.scheme+"://"+p.app.Addr()+path, body)
	if err != nil {
		p.t.Fatal(err)
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := p.client.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	text, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil {
		p.t.Fatal(err)
	}
	return resp.StatusCode, resp.Header.Get("Location"), string(text)
}

// login fills in the form.
func (p *pages) login(password string) int {
	p.t.Helper()
	_, _, form := p.ask(http.MethodGet, "/login", nil)
	token := regexp.MustCompile(`name="csrf" value="([^"]+)"`).FindStringSubmatch(form)
	if token == nil {
		p.t.Fatalf("no form: %s", form)
	}
	status, _, _ := p.ask(http.MethodPost, "/login", url.Values{"username": {"vera"}, "password": {password}, "csrf": {token[1]}})
	return status
}

// reload reads another configuration.
func (p *pages) reload(change func(*config.Config)) (app.Changes, error) {
	next := *p.app.Config()
	change(&next)
	return p.app.Reload(p.t.Context(), func(context.Context) (*config.Config, config.Resolver, error) { return &next, config.Resolver{}, nil })
}

// TestLoginKeepsStrangersOut asks the listener as a stranger, logs in, and stays logged in
// after a restart.
func TestLoginKeepsStrangersOut(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := openPages(t, dir, func(c *config.Config) { withUser(t, c, "the password") })
	for path, want := range map[string]int{"/": 303, "/api/v1/status": 401, "/healthz": 200, "/readyz": 200, "/metrics": 200} {
		if got, _, text := p.ask(http.MethodGet, path, nil); got != want || want == 303 && strings.Contains(text, "tenant") {
			t.Errorf("%s of a stranger: %d, want %d", path, got, want)
		}
	}
	if got := p.login("another"); got != http.StatusForbidden {
		t.Errorf("a wrong password: %d", got)
	}
	if _, err := os.Stat(filepath.Join(dir, "gapless.sessions.json")); err == nil {
		t.Error("there is a file of sessions before anybody has logged in")
	}
	if got := p.login("the password"); got != http.StatusSeeOther {
		t.Errorf("the right one: %d", got)
	}
	if got, _, _ := p.ask(http.MethodGet, "/api/v1/status", nil); got != http.StatusOK {
		t.Errorf("logged in: %d", got)
	}
	if _, _, metrics := p.ask(http.MethodGet, "/metrics", nil); !strings.Contains(metrics, `gapless_logins_total{outcome="ok"} 1`) || !strings.Contains(metrics, `gapless_logins_total{outcome="wrong"} 1`) {
		t.Errorf("the metrics do not count logins: %s", metrics)
	}
	p.stop()
	if info, err := os.Stat(filepath.Join(dir, "gapless.sessions.json")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file of the sessions: %v, %v", info, err)
	}
	if strings.Contains(p.log.String(), "the password") {
		t.Error("the log holds the password")
	}
	addr, jar := p.app.Addr(), p.client.Jar
	again := openPages(t, dir, func(c *config.Config) { withUser(t, c, "the password"); c.Listen = addr })
	defer again.stop()
	again.client.Jar = jar
	if got, _, _ := again.ask(http.MethodGet, "/", nil); got != http.StatusOK {
		t.Errorf("after a restart: %d", got)
	}
}

// TestDashboardAcrossReloads turns the login on, changes the password and turns it off.
func TestDashboardAcrossReloads(t *testing.T) {
	t.Parallel()
	p := openPages(t, t.TempDir(), func(*config.Config) {})
	defer p.stop()
	if got, _, _ := p.ask(http.MethodGet, "/", nil); got != http.StatusOK || p.app.Locked() {
		t.Errorf("loopback without a login: %d", got)
	}
	if _, err := p.reload(func(c *config.Config) { withUser(t, c, "the password") }); err != nil || !p.app.Locked() {
		t.Fatal(err)
	}
	if got, to, _ := p.ask(http.MethodGet, "/", nil); got != http.StatusSeeOther || to != "/login" {
		t.Errorf("with a login: %d %s", got, to)
	}
	if got := p.login("the password"); got != http.StatusSeeOther {
		t.Errorf("login: %d", got)
	}
	bad, err := config.ParseSecret("$argon2id$v=19$m=4194304,t=9,p=1$MDEyMzQ1Njc4OWFiY2RlZg$MDEyMzQ1Njc4OWFiY2RlZg")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.reload(func(c *config.Config) {
		c.Dashboard.Users = []config.DashboardUser{{Name: "vera", PasswordHash: bad, Role: "view"}}
	}); err == nil || !strings.Contains(err.Error(), "cost out of bounds") {
		t.Errorf("a hash bomb: %v", err)
	}
	if got, _, _ := p.ask(http.MethodGet, "/", nil); got != http.StatusOK {
		t.Errorf("after a reload that was refused: %d", got)
	}
	if _, err := p.reload(func(c *config.Config) { withUser(t, c, "another password") }); err != nil {
		t.Fatal(err)
	}
	if got, _, _ := p.ask(http.MethodGet, "/", nil); got != http.StatusSeeOther {
		t.Errorf("after the password was changed: %d", got)
	}
	changes, err := p.reload(func(c *config.Config) {
		c.Dashboard.Users = nil
		c.Dashboard.TLS = config.TLS{CertFile: "/none", KeyFile: "/none"}
	})
	if err != nil || len(changes.NeedsRestart) != 1 || changes.NeedsRestart[0] != "dashboard" || !p.app.Locked() {
		t.Errorf("TLS on the same address: %v, %v", changes.NeedsRestart, err)
	}
	if _, err := p.reload(func(c *config.Config) { c.Dashboard.Users = nil }); err != nil || p.app.Locked() {
		t.Errorf("the login is not off: %v", err)
	}
}

// TestPageIsClosedWhereOthersReachIt moves the page to an address that others reach, and
// back, with nobody to log in.
func TestPageIsClosedWhereOthersReachIt(t *testing.T) {
	t.Parallel()
	p := openPages(t, t.TempDir(), func(*config.Config) {})
	defer p.stop()
	if _, err := p.reload(func(c *config.Config) { c.Dashboard.PublicURL = "https://gapless.example.com" }); err != nil {
		t.Fatal(err)
	}
	if got, _, _ := p.ask(http.MethodGet, "/", nil); got != http.StatusOK {
		t.Errorf("the figures: %d", got)
	}
	got, _, text := p.ask(http.MethodPost, "/replay", url.Values{"csrf": {""}})
	if got != http.StatusForbidden || !strings.Contains(text, "asks for no login") {
		t.Errorf("an operation: %d %s", got, text)
	}
}

// TestPageSpeaksTLS logs in over TLS, and takes another certificate while it runs.
func TestPageSpeaksTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	pair(t, "one", cert, key)
	p := openPages(t, t.TempDir(), func(c *config.Config) {
		withUser(t, c, "the password")
		c.Dashboard.TLS = config.TLS{CertFile: cert, KeyFile: key}
	})
	defer p.stop()
	p.scheme = "https"
	if got := p.login("the password"); got != http.StatusSeeOther {
		t.Errorf("login: %d", got)
	}
	u := &url.URL{Scheme: "https", Host: p.app.Addr()}
	var names []string
	for _, c := range p.client.Jar.Cookies(u) {
		names = append(names, c.Name)
	}
	if !slices.Contains(names, "__Host-gapless-session") {
		t.Errorf("the cookies are %s", names)
	}
	if _, _, metrics := p.ask(http.MethodGet, "/metrics", nil); !strings.Contains(metrics, "gapless_dashboard_certificate_not_after_seconds") {
		t.Error("the metrics do not tell when the certificate ends")
	}
	otherCert, otherKey := filepath.Join(dir, "c2.pem"), filepath.Join(dir, "k2.pem")
	pair(t, "two", otherCert, otherKey)
	if _, err := p.reload(func(c *config.Config) { c.Dashboard.TLS = config.TLS{CertFile: otherCert, KeyFile: otherKey} }); err != nil {
		t.Fatal(err)
	}
	conn, err := (&tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}}).DialContext(t.Context(), "tcp", p.app.Addr())
	if err != nil {
		t.Fatal(err)
	}
	c, ok := conn.(*tls.Conn)
	if !ok || c.ConnectionState().PeerCertificates[0].DNSNames[0] != "two" {
		t.Error("the page has the old certificate")
	}
	_ = conn.Close()
	if got, _, _ := p.ask(http.MethodGet, "/", nil); got != http.StatusOK {
		t.Errorf("the session across the certificates: %d", got)
	}
}
