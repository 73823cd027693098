package app

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/gaplesslogs/gapless/internal/checkup"
	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/store"
)

// certificateSoon is how long before its end a certificate is told of.
const certificateSoon = 14 * 24 * time.Hour

// listeners makes the checks of what others reach: the page, and the webhook where
// somebody pushes.
func (d *Doctor) listeners() []checkup.Section {
	var list []checkup.Section
	if d.Config.Listen != "" {
		list = append(list, checkup.Section{Title: "listener", Checks: append([]checkup.Check{{Name: "listen", Run: func(ctx context.Context) []checkup.Finding {
			return checkup.One(d.bind(ctx, "listen", d.Config.Listen, d.Config.Dashboard.TLS))
		}}}, d.dashboard()...)})
	}
	if d.Config.Webhook.Listen == "" {
		return list
	}
	w := d.Config.Webhook
	checks := []checkup.Check{{Name: "webhook_listen", Run: func(ctx context.Context) []checkup.Finding {
		return checkup.One(d.bind(ctx, "webhook.listen", w.Listen, w.TLS))
	}}}
	if w.TLS.CertFile != "" {
		checks = append(checks, checkup.Check{Name: "webhook_certificate", Run: d.certificate})
	}
	checks = append(checks, checkup.Check{Name: "webhook_token", Run: d.webhookTokens})
	return append(list, checkup.Section{Title: "webhook", Checks: checks})
}

// bind finds out whether an address can be listened on; where something listens it must
// be gapless, and answer.
func (d *Doctor) bind(ctx context.Context, setting, addr string, by config.TLS) checkup.Finding {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err == nil {
		_ = l.Close() // nobody has come
		return checkup.Passed("%s is free for gapless to listen on", addr)
	}
	choose := "Choose another address with " + setting + "."
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		if used, uerr := store.InUse(d.Config.DataDir); uerr != nil || !used {
			return checkup.Failed(checkup.Configuration, choose+" Or end the process that holds this one (ss -ltnp shows it).", "another program listens on %s, and no gapless runs in data_dir", addr)
		}
		return answers(ctx, addr, by)
	case errors.Is(err, fs.ErrPermission):
		return checkup.Failed(checkup.Configuration, "Choose a port above 1023 with "+setting+"; or let the program have it: sudo setcap cap_net_bind_service=+ep \"$(command -v gapless)\"", "this user may not listen on %s", addr)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return checkup.Failed(checkup.Configuration, choose+" 0.0.0.0 is every address of this machine.", "%s is no address of this machine", addr)
	default:
		return checkup.Failed(checkup.Configuration, choose, "%s cannot be listened on: %s", addr, checkup.Clean(err.Error()))
	}
}

// answers asks the listener of a gapless that runs. Any answer will do, by the
// certificate that is in the file.
func answers(ctx context.Context, addr string, by config.TLS) checkup.Finding {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return checkup.Failed(checkup.Configuration, "Write it as HOST:PORT.", "%s is no address", addr)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	scheme, t := "http", &http.Transport{DisableKeepAlives: true}
	if by.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(by.CertFile, by.KeyFile)
		if err != nil || len(pair.Leaf.DNSNames) == 0 {
			return checkup.Skipped("gapless runs and listens on %s; for what it answers with see its certificate below", addr)
		}
		pool := x509.NewCertPool()
		pool.AddCert(pair.Leaf)
		scheme, t.TLSClientConfig = "https", &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool, ServerName: strings.Replace(pair.Leaf.DNSNames[0], "*", "gapless", 1)}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+net.JoinHostPort(host, port)+"/", http.NoBody)
	if err != nil {
		return checkup.Failed(checkup.Configuration, "Write it as HOST:PORT.", "%s is no address", addr)
	}
	resp, err := (&http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Do(req)
	if err != nil {
		return checkup.Failed("", "Look into the log of the gapless that runs; ss -ltnp shows who holds the port.", "something listens on %s while gapless runs, and does not answer as it does: %s", addr, checkup.Clean(unwrapped(err)))
	}
	_ = resp.Body.Close() // it was not read
	return checkup.Passed("the gapless that runs answers on %s", addr)
}

// unwrapped is the innermost text of an error, which names no URL.
func unwrapped(err error) string {
	for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(err) {
		err = inner
	}
	return err.Error()
}

// certificate looks at the files of the webhook's certificate.
func (d *Doctor) certificate(context.Context) []checkup.Finding {
	files := d.Config.Webhook.TLS
	const renew = "Get a certificate of a public authority for the name (certbot, acme.sh, lego) and put it and its key into the files of webhook.tls; gapless reads them again by itself."
	for _, path := range []string{files.CertFile, files.KeyFile} {
		if _, err := os.ReadFile(path); err != nil { //nolint:gosec // the operator's own setting
			return checkup.One(checkup.Failed(checkup.Configuration, "Correct webhook.tls, and let the user that gapless runs as read the file.", "%s cannot be read: %s", path, unwrapped(err)))
		}
	}
	pair, err := tls.LoadX509KeyPair(files.CertFile, files.KeyFile)
	if err != nil {
		return checkup.One(checkup.Failed(checkup.Configuration, "Put a certificate (with its chain) and the key that belongs to it, both in PEM, into the files of webhook.tls.", "the certificate and the key of webhook.tls do not work together: %s", checkup.Clean(err.Error())))
	}
	leaf := pair.Leaf
	end := leaf.NotAfter.UTC().Format(time.DateOnly)
	switch now := time.Now(); {
	case now.After(leaf.NotAfter):
		return checkup.One(checkup.Failed("", renew, "the certificate of the webhook has ended on %s: Auth0 refuses it", end))
	case now.Before(leaf.NotBefore):
		return checkup.One(checkup.Failed("", checkup.ClockFix, "the certificate of the webhook is valid from %s on", leaf.NotBefore.UTC().Format(time.DateOnly)))
	case leaf.CheckSignatureFrom(leaf) == nil || string(leaf.RawIssuer) == string(leaf.RawSubject):
		return checkup.One(checkup.Failed("", renew, "the certificate of the webhook is self-signed: Auth0 refuses it"))
	}
	for _, host := range d.hosts {
		if leaf.VerifyHostname(host) != nil {
			return checkup.One(checkup.Failed("", renew+" If a proxy in front ends TLS, its certificate counts, and webhook.plaintext: true is meant.", "the certificate of the webhook is for %s, and the log stream sends to %s", strings.Join(leaf.DNSNames, ", "), host))
		}
	}
	if err := chain(pair); err != nil {
		return checkup.One(checkup.Warned("Put the whole chain into cert_file (fullchain.pem, not cert.pem). Auth0 takes certificates of public authorities alone.", "the certificate of the webhook leads to no authority that this machine knows: %s", checkup.Clean(err.Error())))
	}
	if time.Until(leaf.NotAfter) < certificateSoon {
		return checkup.One(checkup.Warned(renew, "the certificate of the webhook ends on %s", end))
	}
	return checkup.One(checkup.Passed("the certificate of the webhook, for %s, is valid until %s", strings.Join(leaf.DNSNames, ", "), end))
}

// chain verifies a certificate with what its file brings.
func chain(pair tls.Certificate) error {
	between := x509.NewCertPool()
	for _, der := range pair.Certificate[1:] {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return fmt.Errorf("read chain: %w", err)
		}
		between.AddCert(c)
	}
	_, err := pair.Leaf.Verify(x509.VerifyOptions{Intermediates: between})
	if err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	return nil
}

// webhookTokens looks at the tokens of the tenants that are pushed to.
func (d *Doctor) webhookTokens(ctx context.Context) []checkup.Finding {
	var out []checkup.Finding
	count := 0
	for _, t := range d.Config.Tenants {
		for _, s := range t.Webhook.All() {
			count++
			out = append(out, d.webhookToken(ctx, t.Name, s)...)
		}
	}
	if out == nil {
		return checkup.One(checkup.Passed("%d configured, each long enough", count))
	}
	return out
}

// webhookToken looks at a token; nothing is well.
func (d *Doctor) webhookToken(ctx context.Context, tenant string, s config.Secret) []checkup.Finding {
	token, err := s.Resolve(ctx, d.Secrets)
	switch {
	case err != nil:
		return checkup.One(checkup.Skipped("the token of %s is not known, because secrets failed", tenant))
	case len(token) < shortToken:
		return checkup.One(checkup.Warned("Make another with: openssl rand -hex 32, and put it into webhook.token and the log stream.", "the token of %s has %d characters, and could be guessed", tenant, len(token)))
	default:
		return nil
	}
}
