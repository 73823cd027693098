package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gaplesslogs/gapless/internal/auth0"
	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/setup/provision"
	"github.com/gaplesslogs/gapless/internal/setup/stack"
)

// maxToken bounds what is read from standard input, in bytes.
const maxToken = 64 << 10

// tenantMark stands for the name of a tenant in --auth0-secret-file.
const tenantMark = "{tenant}"

// auth0Flags say what setup works on tenants of Auth0 with. Nothing of it is kept.
type auth0Flags struct {
	tokens       []string
	clientID     string
	clientSecret string
	secretFile   string // of apply alone
	saved        []string
}

// add gives a command the flags.
func (f *auth0Flags) add(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.StringArrayVar(&f.tokens, "auth0-token", nil, "token of Auth0's Management API, as `REF`: env:NAME, file:PATH or - for standard input; TENANT=REF for one of several tenants. It is used and not kept")
	fs.StringVar(&f.clientID, "auth0-client-id", "", "in the place of a token, the client `ID` of an application that may manage others")
	fs.StringVar(&f.clientSecret, "auth0-client-secret", "", "its secret, as `REF` likewise")
}

// given reports whether there is anything to work with.
func (f *auth0Flags) given() bool { return len(f.tokens) > 0 || f.clientID != "" }

// read returns the secret that a reference leads to.
func (r *setupRun) read(ctx context.Context, cfg *config.Config, flag, ref string) (string, error) {
	if ref == "-" {
		text, err := io.ReadAll(io.LimitReader(r.env.Stdin, maxToken))
		if err != nil {
			return "", fmt.Errorf("read %s from standard input: %w", flag, err)
		}
		return strings.TrimSpace(string(text)), nil
	}
	secret, err := config.ParseSecret(ref)
	if err != nil || !strings.Contains(ref, ":") || secret.String() == config.Redacted {
		return "", usageError(r.cmd, "%s is no reference: write env:NAME, file:PATH or - for standard input, as a value here is seen by others of the machine", flag)
	}
	value, err := secret.Resolve(ctx, resolver(cfg, r.env))
	if err != nil {
		return "", fail(exitUsage, r.cmd.CommandPath()+" --help", fmt.Errorf("read %s: %w", flag, err))
	}
	return strings.TrimSpace(value), nil
}

// logins reads what to work on each tenant with, by its name; that without one is for
// all.
func (r *setupRun) logins(ctx context.Context, cfg *config.Config) (map[string]provision.Auth0Login, error) {
	f, out := &r.auth0, map[string]provision.Auth0Login{}
	if f.clientID != "" || f.clientSecret != "" {
		if f.clientID == "" || f.clientSecret == "" || len(f.tokens) > 0 {
			return nil, usageError(r.cmd, "--auth0-client-id and --auth0-client-secret go together, and without --auth0-token")
		}
		secret, err := r.read(ctx, cfg, "--auth0-client-secret", f.clientSecret)
		if err != nil {
			return nil, err
		}
		out[""] = provision.Auth0Login{ClientID: f.clientID, ClientSecret: secret}
	}
	for _, given := range f.tokens {
		tenant, ref, one := strings.Cut(given, "=")
		if !one {
			tenant, ref = "", given
		} else if !slices.ContainsFunc(cfg.Tenants, func(t config.Tenant) bool { return t.Name == tenant }) {
			return nil, usageError(r.cmd, "--auth0-token is for a tenant that the configuration does not have")
		}
		token, err := r.read(ctx, cfg, "--auth0-token", ref)
		if err != nil {
			return nil, err
		}
		out[tenant] = provision.Auth0Login{Token: token}
	}
	return out, nil
}

// withoutAuth0 leaves out what is made in Auth0 when there is nothing to work on it
// with, and says so.
func (r *setupRun) withoutAuth0(cfg *config.Config) {
	if r.auth0.given() || slices.Contains(cfg.Setup.LeaveOut, stack.PartAuth0) {
		return
	}
	left := "Auth0"
	cfg.Setup.LeaveOut = append(cfg.Setup.LeaveOut, stack.PartAuth0)
	noSource := func(t config.Tenant) bool { return t.Polls() && t.SQS.Source == "" }
	if cfg.Setup.Push == stack.PushEventBridge && slices.ContainsFunc(cfg.Tenants, noSource) {
		left = "Auth0, and the queue that its log stream fills,"
		cfg.Setup.LeaveOut = append(cfg.Setup.LeaveOut, stack.PartQueue)
	}
	fmt.Fprintln(r.env.Stderr, left+" is left out: give a token of its Management API with --auth0-token (docs/setup-auth0.md).")
}

// auth0Provider makes the provider of what is in Auth0.
func (r *setupRun) auth0Provider() provision.Provider {
	o := provision.Auth0Options{Owner: r.cfg.Setup.Name, Manager: provision.Auth0Managers(r.cfg, func(tenant string) (provision.Auth0Login, error) {
		if l, ok := r.login[tenant]; ok {
			return l, nil
		}
		return r.login[""], nil
	}, auth0.Deps{})}
	if r.auth0.secretFile != "" {
		o.SaveSecret = r.auth0.save
	}
	return provision.NewAuth0(o)
}

// checkSecretFile refuses a place for secrets that cannot be used, before anything is
// made.
func (r *setupRun) checkSecretFile(p provision.Plan) error {
	made := 0
	for _, s := range p.Pending() {
		if app, ok := s.Resource.(*stack.Application); ok && s.Action == provision.ActionCreate && app.PublicKey == "" {
			made++
			path := strings.ReplaceAll(r.auth0.secretFile, tenantMark, app.Tenant)
			if _, err := os.Lstat(path); path != "" && err == nil {
				return usageError(r.cmd, "--auth0-secret-file names %s, which is there already", path)
			}
		}
	}
	if made > 1 && r.auth0.secretFile != "" && !strings.Contains(r.auth0.secretFile, tenantMark) {
		return usageError(r.cmd, "--auth0-secret-file must hold %s, as several applications are made", tenantMark)
	}
	return nil
}

// save writes the secret of an application to a new file, readable for its owner
// alone.
func (f *auth0Flags) save(tenant, _, secret string) error {
	path := strings.ReplaceAll(f.secretFile, tenantMark, tenant)
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // the path is the operator's own
	if err != nil {
		return fmt.Errorf("make file for the client secret: %w", err)
	}
	_, err = fmt.Fprintln(file, secret)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return fmt.Errorf("write client secret: %w", err)
	}
	f.saved = append(f.saved, path)
	return nil
}

// explainAuth0 gives an error of Auth0 its exit code and says what to do about it;
// false when it is none.
func explainAuth0(err error) (error, bool) {
	e, ok := errors.AsType[*auth0.Error](err)
	if !ok {
		return err, false
	}
	code := exitFailure
	if e.Kind == auth0.Unauthorized || e.Kind == auth0.Forbidden {
		code = exitAuthorization
	}
	return fail(code, e.Hint, err), true
}
