package app

import (
	"context"
	"crypto/tls"
	"net"
	"time"

	"github.com/gaplesslogs/gapless/internal/checkup"
	"github.com/gaplesslogs/gapless/internal/config"
)

// dashboard makes the checks of who may look at the page.
func (d *Doctor) dashboard() []checkup.Check {
	checks := []checkup.Check{{Name: "dashboard_login", Run: d.dashboardLogin}}
	if d.Config.Dashboard.OIDC.Issuer != "" {
		checks = append(checks, checkup.Check{Name: "dashboard_provider", Run: d.dashboardProvider})
	}
	if d.Config.Dashboard.TLS.CertFile != "" {
		checks = append(checks, checkup.Check{Name: "dashboard_certificate", Run: d.dashboardCertificate})
	}
	return checks
}

// dashboardLogin looks at the hashes and tokens, and at whether there is a login where
// there should be one.
func (d *Doctor) dashboardLogin(ctx context.Context) []checkup.Finding {
	cfg := &d.Config.Dashboard
	p, err := policyOf(d.Config, func(s config.Secret) (string, error) { return s.Resolve(ctx, d.Secrets) })
	switch here := loopbackListen(d.Config.Listen); {
	case err != nil:
		return checkup.One(checkup.Failed(checkup.Configuration, "Make another hash with: gapless dashboard hash; another token with: openssl rand -hex 32", "the login of the page cannot be used: %s", checkup.Clean(err.Error())))
	case cfg.HasLogin() && cfg.Plaintext && !here:
		return checkup.One(checkup.Warned("Set dashboard.tls, or put a proxy that ends TLS in front and name it in dashboard.public_url.", "passwords and sessions of the page cross the network in clear (dashboard.plaintext)"))
	case cfg.HasLogin():
		return checkup.One(checkup.Passed("the page asks for a login: %d users, %d tokens, provider: %t", len(p.Users), len(p.Tokens), p.OIDC != nil))
	case here && cfg.PublicURL == "":
		return checkup.One(checkup.Passed("the page is for this machine alone, and asks for no login"))
	default:
		return checkup.One(checkup.Warned("Set dashboard.users (gapless dashboard hash) or dashboard.oidc; or listen on 127.0.0.1.", "others can reach the page and it asks for no login: it shows figures to everybody, and events to nobody"))
	}
}

// dashboardProvider finds out whether the OpenID Connect provider can be used from here.
func (d *Doctor) dashboardProvider(ctx context.Context) []checkup.Finding {
	o, err := providerOf(&d.Config.Dashboard.OIDC, func(s config.Secret) (string, error) { return s.Resolve(ctx, d.Secrets) })
	if err != nil {
		return checkup.One(checkup.Skipped("the client secret of the provider is not known, because secrets failed"))
	}
	if err := o.Reachable(ctx, d.OIDCHTTP); err != nil {
		return checkup.One(checkup.Failed("", "Check dashboard.oidc.issuer, and that this machine may reach it: curl "+o.Issuer+"/.well-known/openid-configuration", "nobody can log in by %s: %s", o.Name, checkup.Clean(err.Error())))
	}
	return checkup.One(checkup.Passed("the provider of the login answers as %s", o.Issuer))
}

// dashboardCertificate looks at the files of the page's certificate.
func (d *Doctor) dashboardCertificate(context.Context) []checkup.Finding {
	files := d.Config.Dashboard.TLS
	const renew = "Put a new certificate and its key into the files of dashboard.tls; gapless reads them again by itself."
	pair, err := tls.LoadX509KeyPair(files.CertFile, files.KeyFile)
	if err != nil {
		return checkup.One(checkup.Failed(checkup.Configuration, "Put a certificate (with its chain) and the key that belongs to it, both in PEM and readable for gapless, into the files of dashboard.tls.", "the certificate of the page cannot be used: %s", checkup.Clean(unwrapped(err))))
	}
	end := pair.Leaf.NotAfter.UTC().Format(time.DateOnly)
	switch left := time.Until(pair.Leaf.NotAfter); {
	case left < 0:
		return checkup.One(checkup.Failed("", renew, "the certificate of the page has ended on %s", end))
	case left < certificateSoon:
		return checkup.One(checkup.Warned(renew, "the certificate of the page ends on %s", end))
	}
	return checkup.One(checkup.Passed("the certificate of the page is valid until %s", end))
}

// loopbackListen reports whether this machine alone reaches an address of the
// configuration.
func loopbackListen(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	ip := net.ParseIP(host)
	return err == nil && (host == "localhost" || ip != nil && ip.IsLoopback())
}
