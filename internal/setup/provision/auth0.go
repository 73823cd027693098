package provision

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/gaplesslogs/gapless/internal/auth0"
	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/setup/stack"
)

// Auth0Options are what NewAuth0 takes.
type Auth0Options struct {
	// Owner is the value of the metadatum stack.ManagedBy on applications that are
	// ours.
	Owner string
	// Manager returns what works on a tenant of the configuration, by its name.
	Manager func(ctx context.Context, tenant string) (*auth0.Manager, error)
	// SaveSecret keeps the secret of an application that was just made; nil keeps it
	// not. Auth0 shows it in its Dashboard at any time.
	SaveSecret func(tenant, clientID, secret string) error
}

// An Auth0Login is what setup works on tenants with: an access token for the
// Management API, or the credentials of an application. It is used, and not kept.
type Auth0Login struct {
	Token, ClientID, ClientSecret string
}

// IsZero reports whether there is none.
func (l Auth0Login) IsZero() bool { return l == Auth0Login{} }

// ErrNoAuth0Login says that nothing was given to work on a tenant of Auth0 with.
var ErrNoAuth0Login = errors.New("nothing is there to work on the tenant of Auth0 with: give a token of its Management API, or the credentials of an application")

// Auth0Managers returns the Manager of Auth0Options. login returns what to work on a
// tenant with, by its name in the configuration; it is called once for each.
func Auth0Managers(cfg *config.Config, login func(tenant string) (Auth0Login, error), deps auth0.Deps) func(context.Context, string) (*auth0.Manager, error) {
	var mu sync.Mutex
	made := map[string]*auth0.Manager{}
	return func(_ context.Context, tenant string) (*auth0.Manager, error) {
		mu.Lock()
		defer mu.Unlock()
		if m := made[tenant]; m != nil {
			return m, nil
		}
		i := slices.IndexFunc(cfg.Tenants, func(t config.Tenant) bool { return t.Name == tenant })
		if i < 0 {
			return nil, fmt.Errorf("there is no tenant %q in the configuration", tenant)
		}
		l, err := login(tenant)
		if err != nil {
			return nil, err
		}
		if l.IsZero() {
			return nil, ErrNoAuth0Login
		}
		t := cfg.Tenants[i]
		m, err := auth0.NewManager(auth0.ManagerConfig{ //nolint:contextcheck // it calls nobody
			Domain: t.Domain, Audience: t.Audience, Token: l.Token, ClientID: l.ClientID, ClientSecret: l.ClientSecret,
			RequestTimeout: t.RequestTimeout, UserAgent: "gapless-setup",
		}, deps)
		if err != nil {
			return nil, err
		}
		made[tenant] = m
		return m, nil
	}
}

// An auth0Provider knows applications and log streams of Auth0.
type auth0Provider struct{ o Auth0Options }

// NewAuth0 returns the provider of applications and log streams of Auth0. A log stream
// can bear no mark, so that one of the same name and type is taken for ours.
func NewAuth0(o Auth0Options) Provider { return &auth0Provider{o} }

// Kinds implements Provider.
func (*auth0Provider) Kinds() []stack.Kind {
	return []stack.Kind{stack.KindApplication, stack.KindAuth0Stream}
}

// Find implements Provider.
func (p *auth0Provider) Find(ctx context.Context, want stack.Resource, v Values) (Found, error) {
	switch w := want.(type) {
	case *stack.Application:
		return p.findApplication(ctx, w, v)
	case *stack.Auth0Stream:
		return p.findStream(ctx, w, v)
	default:
		return Found{}, unknownKind(want)
	}
}

// Make implements Provider.
func (p *auth0Provider) Make(ctx context.Context, want stack.Resource, v Values) error {
	switch w := want.(type) {
	case *stack.Application:
		return p.makeApplication(ctx, w, v)
	case *stack.Auth0Stream:
		return p.makeStream(ctx, w, v)
	default:
		return unknownKind(want)
	}
}

// Change implements Provider.
func (p *auth0Provider) Change(ctx context.Context, want stack.Resource, have Found, v Values) error {
	switch w := want.(type) {
	case *stack.Application:
		had, ok := have.Resource.(*stack.Application)
		if !ok {
			return unknownKind(have.Resource)
		}
		return p.changeApplication(ctx, w, had.ClientID)
	case *stack.Auth0Stream:
		return p.changeStream(ctx, w, v)
	default:
		return unknownKind(want)
	}
}

// Remove implements Provider.
func (p *auth0Provider) Remove(ctx context.Context, have Found) error {
	switch h := have.Resource.(type) {
	case *stack.Application:
		m, err := p.o.Manager(ctx, h.Tenant)
		if err != nil {
			return err
		}
		return m.DeleteApplication(ctx, h.ClientID)
	case *stack.Auth0Stream:
		return p.removeStream(ctx, h)
	default:
		return unknownKind(have.Resource)
	}
}

// passing reports whether an error leaves open whether something was made.
func passing(err error) bool {
	e, ok := errors.AsType[*auth0.Error](err)
	return ok && e.Kind == auth0.Transient
}

// isAuth0 reports whether an error of Auth0 is of one of the kinds.
func isAuth0(err error, kinds ...auth0.Kind) bool {
	e, ok := errors.AsType[*auth0.Error](err)
	return ok && slices.Contains(kinds, e.Kind)
}

// application returns the application that stands in the place of a wanted one: that
// of the configuration, whoever made it, or else ours. nil when there is none.
func (p *auth0Provider) application(ctx context.Context, m *auth0.Manager, w *stack.Application) (*auth0.Application, error) {
	if w.ClientID != "" {
		app, err := m.Application(ctx, w.ClientID)
		if err == nil {
			return &app, nil
		}
		if !isAuth0(err, auth0.NotFound, auth0.BadRequest) { // the latter of an id that can be none
			return nil, err
		}
	}
	list, err := m.Applications(ctx)
	if err != nil {
		return nil, err
	}
	for i := range list {
		if list[i].Name == w.Name && p.owns(&list[i]) {
			return &list[i], nil
		}
	}
	return nil, nil
}

// owns reports whether an application is ours.
func (p *auth0Provider) owns(a *auth0.Application) bool {
	return a.Metadata[stack.ManagedBy] == p.o.Owner
}

// clientID is the token for the client ID of an application.
func clientID(w *stack.Application) string { return stack.Ref(w.ID().Kind, w.ID().Name, "client_id") }

// findApplication looks for the application, its grant and its keys.
func (p *auth0Provider) findApplication(ctx context.Context, w *stack.Application, v Values) (Found, error) {
	m, err := p.o.Manager(ctx, w.Tenant)
	if err != nil {
		return Found{}, err
	}
	app, err := p.application(ctx, m, w)
	if err != nil || app == nil {
		return Found{}, err
	}
	v[clientID(w)] = app.ClientID
	have := &stack.Application{Tenant: w.Tenant, Name: app.Name, ClientID: app.ClientID, Audience: w.Audience}
	found := Found{Resource: have, Ours: p.owns(app)}
	grants, err := m.Grants(ctx, app.ClientID, w.Audience)
	if err != nil {
		return Found{}, err
	}
	switch {
	case len(grants) == 0:
	case !slices.Contains(app.GrantTypes, auth0.ClientCredentials): // then what it was granted is of no use
		found.Note = "its grant types lack " + auth0.ClientCredentials
	default:
		have.Scopes = grants[0].Scopes
	}
	if have.PublicKey, err = publicKeyOf(ctx, m, app, w.PublicKey); err != nil {
		return Found{}, err
	}
	if !found.Ours && found.Note == "" {
		found.Note = "client_id of the configuration names it, and others made it"
	}
	return found, nil
}

// publicKeyOf returns the public key that an application signs with: the wanted one,
// or what names another.
func publicKeyOf(ctx context.Context, m *auth0.Manager, app *auth0.Application, want string) (string, error) {
	if len(app.KeyIDs) == 0 {
		return "", nil
	}
	keys, err := m.Credentials(ctx, app.ClientID)
	if err != nil {
		return "", err
	}
	kid := ""
	if want != "" {
		if kid, err = auth0.Thumbprint(want); err != nil {
			return "", err
		}
	}
	var others []string
	for _, k := range keys {
		switch {
		case !slices.Contains(app.KeyIDs, k.ID):
		case k.KID == kid && len(app.KeyIDs) == 1:
			return want, nil
		case k.KID != kid:
			others = append(others, k.KID)
		}
	}
	return "kid " + strings.Join(others, ", "), nil
}

// makeApplication makes the application and its grant. What an earlier try has made is
// completed.
func (p *auth0Provider) makeApplication(ctx context.Context, w *stack.Application, v Values) error {
	m, err := p.o.Manager(ctx, w.Tenant)
	if err != nil {
		return err
	}
	app, err := p.application(ctx, m, w)
	if err != nil {
		return err
	}
	if app != nil && !p.owns(app) {
		return fmt.Errorf("an application that others made has the client ID %s of the configuration", app.ClientID)
	}
	if app == nil {
		if app, err = p.createApplication(ctx, m, w); err != nil {
			return err
		}
	}
	v[clientID(w)] = app.ClientID
	return p.changeApplication(ctx, w, app.ClientID)
}

// createApplication makes the application, and saves its secret. Where the answer was
// lost it looks for what may be there.
func (p *auth0Provider) createApplication(ctx context.Context, m *auth0.Manager, w *stack.Application) (*auth0.Application, error) {
	made, err := m.CreateApplication(ctx, auth0.NewApplication{
		Name: w.Name, Description: "Reads the tenant log for gapless (tenant " + w.Tenant + ").",
		Metadata: map[string]string{stack.ManagedBy: p.o.Owner}, PublicKey: w.PublicKey, KeyName: w.Name,
	})
	app := &made
	if passing(err) {
		there, lookErr := p.application(ctx, m, w)
		if lookErr != nil || there == nil {
			return nil, errors.Join(err, lookErr)
		}
		if there.Secret, lookErr = m.ApplicationSecret(ctx, there.ClientID); lookErr != nil {
			return nil, lookErr
		}
		app, err = there, nil
	}
	if err != nil {
		return nil, err
	}
	secret := app.Secret.Reveal()
	if w.PublicKey != "" || secret == "" || p.o.SaveSecret == nil {
		return app, nil
	}
	if err := p.o.SaveSecret(w.Tenant, app.ClientID, secret); err != nil {
		return nil, fmt.Errorf("keep the secret of application %s, which the Auth0 Dashboard shows: %w", app.ClientID, err)
	}
	return app, nil
}

// changeApplication gives an application of ours the grant type, the scopes and the
// key that are wanted.
func (p *auth0Provider) changeApplication(ctx context.Context, w *stack.Application, id string) error {
	m, err := p.o.Manager(ctx, w.Tenant)
	if err != nil {
		return err
	}
	app, err := m.Application(ctx, id)
	if err != nil {
		return err
	}
	if !slices.Contains(app.GrantTypes, auth0.ClientCredentials) {
		if err := m.AllowClientCredentials(ctx, app); err != nil {
			return err
		}
	}
	if err := setGrant(ctx, m, w, id); err != nil {
		return err
	}
	return setKey(ctx, m, &app, w.PublicKey, w.Name)
}

// setGrant grants the scopes that are wanted and no others.
func setGrant(ctx context.Context, m *auth0.Manager, w *stack.Application, id string) error {
	for again := false; ; again = true {
		grants, err := m.Grants(ctx, id, w.Audience)
		if err != nil {
			return err
		}
		if len(grants) > 0 {
			if sameTexts(grants[0].Scopes, w.Scopes) {
				return nil
			}
			return m.SetGrant(ctx, grants[0].ID, w.Scopes)
		}
		err = m.CreateGrant(ctx, id, w.Audience, w.Scopes)
		if again || !isAuth0(err, auth0.Conflict, auth0.Transient) { // it may be there now
			return err
		}
	}
}

// sameTexts compares two lists whose order does not matter.
func sameTexts(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

// setKey lets an application sign with the key, or use its secret where there is none.
// The new key is in use before the old one goes.
func setKey(ctx context.Context, m *auth0.Manager, app *auth0.Application, publicKey, name string) error {
	if publicKey == "" && len(app.KeyIDs) == 0 {
		return nil
	}
	has, err := publicKeyOf(ctx, m, app, publicKey)
	if err != nil || has == publicKey {
		return err
	}
	keys, err := m.Credentials(ctx, app.ClientID)
	if err != nil {
		return err
	}
	keep := ""
	if publicKey == "" {
		err = m.UseSecret(ctx, app.ClientID)
	} else if keep, err = addKey(ctx, m, app.ClientID, keys, publicKey, name); err == nil {
		err = m.SignWith(ctx, app.ClientID, keep)
	}
	for _, k := range keys {
		if err == nil && k.ID != keep {
			err = m.DeleteCredential(ctx, app.ClientID, k.ID)
		}
	}
	return err
}

// addKey returns the id of the credential of a key, which is made if it is missing.
func addKey(ctx context.Context, m *auth0.Manager, id string, keys []auth0.Credential, publicKey, name string) (string, error) {
	kid, err := auth0.Thumbprint(publicKey)
	if err != nil {
		return "", err
	}
	if i := slices.IndexFunc(keys, func(k auth0.Credential) bool { return k.KID == kid }); i >= 0 {
		return keys[i].ID, nil
	}
	added, err := m.AddCredential(ctx, id, name, publicKey)
	return added.ID, err
}
