package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"

	"github.com/gaplesslogs/gapless/internal/access"
	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/web"
)

const (
	// sessionsName is the file of the data directory with the sessions of the page.
	sessionsName = "gapless.sessions.json"
	// maxSessionsFile bounds what is read of it, in bytes.
	maxSessionsFile = 4 << 20
	// shortBearer is the length, in characters, under which a token of the page is refused.
	shortBearer = 20
)

// errShortBearer says that a token of the page could be guessed.
var errShortBearer = fmt.Errorf("it has fewer than %d characters", shortBearer)

// policy reads who may look at the page, all but whether others can reach it.
func (a *App) policy(ctx context.Context, cfg *config.Config) (access.Policy, error) {
	return policyOf(cfg, func(s config.Secret) (string, error) { return a.secrets.resolve(ctx, s) })
}

// policyOf is policy with another way to resolve secrets.
func policyOf(cfg *config.Config, resolve func(config.Secret) (string, error)) (access.Policy, error) {
	d := &cfg.Dashboard
	p := access.Policy{Proxies: d.Proxies(), Idle: d.SessionIdle, Lifetime: d.SessionLifetime, MetricsLogin: d.MetricsLogin}
	if d.PublicURL != "" {
		u, err := url.Parse(d.PublicURL)
		if err != nil {
			return p, misconfigured("read dashboard.public_url", err)
		}
		p.PublicURL = u
	}
	for _, u := range d.Users {
		text, err := resolve(u.PasswordHash)
		if err != nil {
			return p, misconfigured("read the password hash of "+u.Name, err)
		}
		hash, err := access.ParseHash(text)
		if err != nil {
			return p, &pipeline.Error{Op: "read the password hash of " + u.Name, Class: pipeline.Misconfigured, Err: err, Hint: "Make another one with: gapless dashboard hash"}
		}
		p.Users = append(p.Users, access.User{Name: u.Name, Hash: hash, Role: roleOf(u.Role)})
	}
	for _, t := range d.Tokens {
		text, err := resolve(t.Token)
		if err == nil && len(text) < shortBearer {
			err = errShortBearer
		}
		if err != nil {
			return p, &pipeline.Error{Op: "read the token of " + t.Name, Class: pipeline.Misconfigured, Err: err, Hint: "Make another one with: openssl rand -hex 32"}
		}
		p.Tokens = append(p.Tokens, access.NewToken(t.Name, text))
	}
	if d.OIDC.Issuer == "" {
		return p, nil
	}
	o, err := providerOf(&d.OIDC, resolve)
	p.OIDC = o
	return p, err
}

// providerOf reads the OpenID Connect provider.
func providerOf(o *config.DashboardOIDC, resolve func(config.Secret) (string, error)) (*access.OIDC, error) {
	secret, err := resolve(o.ClientSecret)
	if err != nil {
		return nil, misconfigured("read dashboard.oidc.client_secret", err)
	}
	rule := func(r *config.DashboardRule) access.Rule {
		return access.Rule{Subjects: r.Subjects, Emails: r.Emails, Domains: r.Domains, Claim: r.Claim.Name, Values: r.Claim.Values}
	}
	return &access.OIDC{
		Name: o.Name, Issuer: o.Issuer, ClientID: o.ClientID, ClientSecret: secret, Scopes: o.Scopes, Allow: rule(&o.Allow), Operate: rule(&o.Operate),
	}, nil
}

// roleOf reads a role, which has been checked.
func roleOf(name string) access.Role {
	if name == access.Operate.String() {
		return access.Operate
	}
	return access.View
}

// openGate makes the guard of the page, with the sessions from before.
func (a *App) openGate(p access.Policy) (err error) {
	path := filepath.Join(a.Config().DataDir, sessionsName)
	render, err := web.NewLoginRenderer(a.opts.Logger)
	if err != nil {
		return fmt.Errorf("make the page of the login: %w", err)
	}
	a.gate, err = access.New(access.Options{
		Render: render,
		Policy: p, Logger: a.opts.Logger, Registerer: a.registry, Transport: a.opts.OIDCHTTP, Saved: a.readSessions(path),
		Save: func(b []byte) error { return writeSessions(path, b) },
	})
	if err != nil {
		return fmt.Errorf("make the guard of the page: %w", err)
	}
	return nil
}

// readSessions reads the sessions; without them everybody logs in again.
func (a *App) readSessions(path string) []byte {
	b, err := func() ([]byte, error) {
		info, err := os.Stat(path)
		if err != nil {
			return nil, err //nolint:wrapcheck // it names the path
		}
		if !info.Mode().IsRegular() || info.Size() > maxSessionsFile {
			return nil, fmt.Errorf("%s is no file of sessions", path)
		}
		return os.ReadFile(path) //nolint:gosec // of the data directory
	}()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		a.opts.Logger.LogAttrs(context.Background(), slog.LevelWarn, "the sessions from before cannot be read; everybody logs in again", slog.Any("error", err))
	}
	return b
}

// writeSessions puts the sessions in the place of the file, in one step.
func writeSessions(path string, b []byte) error {
	next := path + ".tmp"
	if err := os.WriteFile(next, b, 0o600); err != nil {
		return fmt.Errorf("write sessions: %w", err)
	}
	if err := os.Rename(next, path); err != nil {
		return errors.Join(fmt.Errorf("write sessions: %w", err), os.Remove(next))
	}
	return nil
}

// Locked reports whether people must log in to see the page, by the configuration of the
// moment. Where not, and others can reach the page, it shows figures alone.
func (a *App) Locked() bool { return a.gate != nil && a.gate.Locked() }
