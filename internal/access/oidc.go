package access

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

const (
	// providerTimeout bounds one call to the provider.
	providerTimeout = 10 * time.Second
	// providerBytes bounds its answers.
	providerBytes = 1 << 20
	// discoverAgain is the pause after a provider could not be reached.
	discoverAgain = 5 * time.Second
	// clockSkew is by how much the provider's clock may differ.
	clockSkew = time.Minute
)

// An OIDC is an OpenID Connect provider and whom of its people to let in.
type OIDC struct {
	// Name is what the link to it says.
	Name string
	// Issuer is its URL, https but on loopback. A slash at the end may be there or not.
	Issuer       string
	ClientID     string
	ClientSecret string // empty for a public client
	// Scopes are asked for besides openid.
	Scopes []string
	// Allow may look, and Operate may act too.
	Allow, Operate Rule
}

// fingerprint changes with the provider.
func (o *OIDC) fingerprint() string {
	sum := digest("oidc", strings.TrimSuffix(o.Issuer, "/"), o.ClientID)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// claims returns the claims that the rules look at.
func (o *OIDC) claims() []string {
	return slices.DeleteFunc(slices.Compact([]string{o.Allow.Claim, o.Operate.Claim}), func(s string) bool { return s == "" })
}

// The errors of a login by a provider.
var (
	errProvider = errors.New("the provider cannot be used")
	errNoToken  = errors.New("the provider has sent no ID token")
	errNonce    = errors.New("the ID token is of another login: its nonce differs")
	errParty    = errors.New("the ID token is for several clients, and issued to another one")
	errEarly    = errors.New("the ID token is from the future: compare the clocks")
	errInClear  = errors.New("the provider names an address that is not https")
)

// A provider speaks with an OIDC. It looks for the provider's addresses when they are
// first needed, so that a start does not need it.
type provider struct {
	cfg    *OIDC
	client *http.Client

	mu       sync.Mutex
	found    *oidc.Provider
	issuer   string // as the provider writes it
	lastTry  time.Time
	lastFail error
}

// newProvider returns a provider that is asked through a transport.
func newProvider(cfg *OIDC, transport http.RoundTripper) *provider {
	if transport == nil {
		transport = http.DefaultTransport
	}
	return &provider{cfg: cfg, client: &http.Client{
		Transport: bounded{transport}, Timeout: providerTimeout,
		CheckRedirect: func(req *http.Request, via []*http.Request) error {
			if len(via) > 3 || req.URL.Scheme != via[0].URL.Scheme {
				return errInClear
			}
			return nil
		},
	}}
}

// with returns a provider with other settings that has found the same addresses.
func (p *provider) with(cfg *OIDC) *provider {
	p.mu.Lock()
	defer p.mu.Unlock()
	return &provider{cfg: cfg, client: p.client, found: p.found, issuer: p.issuer}
}

// bounded bounds the bodies of answers.
type bounded struct{ http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err //nolint:wrapcheck // the client wraps it
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(resp.Body, providerBytes), resp.Body}
	return resp, nil
}

// discover returns the provider's addresses. What failed is not tried again for a moment,
// whoever asks.
func (p *provider) discover(ctx context.Context) (*oidc.Provider, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.found != nil {
		return p.found, nil
	}
	if p.lastFail != nil && time.Since(p.lastTry) < discoverAgain {
		return nil, p.lastFail
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), providerTimeout) // who waits behind may be somebody else
	defer cancel()
	p.found, p.issuer, p.lastFail = p.look(ctx)
	p.lastTry = time.Now()
	return p.found, p.lastFail
}

// look asks for the addresses.
func (p *provider) look(ctx context.Context) (*oidc.Provider, string, error) {
	ctx = oidc.ClientContext(ctx, p.client)
	issuer := p.cfg.Issuer
	found, err := oidc.NewProvider(ctx, issuer)
	if other, ok := errors.AsType[*oidc.IssuerMismatchError](err); ok && strings.TrimSuffix(other.Discovered, "/") == strings.TrimSuffix(issuer, "/") {
		issuer = other.Discovered // Auth0's ends with a slash, others' do not
		found, err = oidc.NewProvider(ctx, issuer)
	}
	if other, ok := errors.AsType[*oidc.IssuerMismatchError](err); ok {
		return nil, "", fmt.Errorf("%w: it calls itself %q and not %q: set issuer to that, if it is yours", errProvider, printable(other.Discovered), issuer)
	}
	if err != nil {
		return nil, "", fmt.Errorf("%w: ask for its addresses: %s", errProvider, printable(err.Error()))
	}
	var keys struct {
		Keys string `json:"jwks_uri"`
	}
	if err := found.Claims(&keys); err != nil {
		return nil, "", fmt.Errorf("%w: read its addresses: %w", errProvider, err)
	}
	for _, at := range []string{found.Endpoint().AuthURL, found.Endpoint().TokenURL, keys.Keys} {
		if !SecureURL(at) {
			return nil, "", fmt.Errorf("%w: %w: %q", errProvider, errInClear, printable(at))
		}
	}
	return found, issuer, nil
}

// SecureURL reports whether a URL is of https, or of http on this machine.
func SecureURL(text string) bool {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil {
		return false
	}
	return u.Scheme == "https" || u.Scheme == "http" && localHost(u.Host)
}

// config is what the login needs of OAuth 2.
func (p *provider) config(found *oidc.Provider, redirect string) *oauth2.Config {
	scopes := []string{oidc.ScopeOpenID}
	for _, s := range p.cfg.Scopes {
		if !slices.Contains(scopes, s) {
			scopes = append(scopes, s)
		}
	}
	return &oauth2.Config{ClientID: p.cfg.ClientID, ClientSecret: p.cfg.ClientSecret, Endpoint: found.Endpoint(), RedirectURL: redirect, Scopes: scopes}
}

// start returns the address of the provider to go to.
func (p *provider) start(ctx context.Context, f flow) (string, error) {
	found, err := p.discover(ctx)
	if err != nil {
		return "", err
	}
	return p.config(found, f.Redirect).AuthCodeURL(f.State, oidc.Nonce(f.Nonce), oauth2.S256ChallengeOption(f.Verifier)), nil
}

// finish exchanges a code and says who has logged in.
func (p *provider) finish(ctx context.Context, f flow, code, issuer string) (person, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*providerTimeout)
	defer cancel()
	found, err := p.discover(ctx)
	if err != nil {
		return person{}, err
	}
	if issuer != "" && issuer != p.issuerName() { // RFC 9207
		return person{}, fmt.Errorf("%w: the answer is of the issuer %q", errProvider, printable(issuer))
	}
	ctx = oidc.ClientContext(ctx, p.client)
	token, err := p.config(found, f.Redirect).Exchange(ctx, code, oauth2.VerifierOption(f.Verifier))
	if err != nil {
		return person{}, exchangeError(err)
	}
	raw, ok := token.Extra("id_token").(string)
	if !ok {
		return person{}, errNoToken
	}
	id, err := found.Verifier(&oidc.Config{ClientID: p.cfg.ClientID, Now: func() time.Time { return time.Now().Add(-clockSkew) }}).Verify(ctx, raw)
	if err != nil {
		return person{}, fmt.Errorf("verify ID token: %s", printable(err.Error()))
	}
	return p.person(id, f)
}

// issuerName is the issuer as the provider writes it.
func (p *provider) issuerName() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.issuer
}

// exchangeError tells what the provider said to a code, and nothing that was sent.
func exchangeError(err error) error {
	if refused, ok := errors.AsType[*oauth2.RetrieveError](err); ok {
		status := 0
		if refused.Response != nil {
			status = refused.Response.StatusCode
		}
		return fmt.Errorf("exchange the code: the provider answers %d %s: %s", status, printable(refused.ErrorCode), printable(refused.ErrorDescription))
	}
	return fmt.Errorf("exchange the code: %s", printable(err.Error()))
}

// person reads a token whose signature, issuer, audience and expiry are well.
func (p *provider) person(id *oidc.IDToken, f flow) (person, error) {
	var is struct {
		Party string `json:"azp"`
		Email string `json:"email"`
		// Some providers write it as a text.
		Verified any `json:"email_verified"`
	}
	var all map[string]json.RawMessage
	if err := errors.Join(id.Claims(&is), id.Claims(&all)); err != nil {
		return person{}, fmt.Errorf("read ID token: %w", err)
	}
	switch {
	case id.Nonce != f.Nonce:
		return person{}, errNonce
	case is.Party != "" && is.Party != p.cfg.ClientID, is.Party == "" && len(id.Audience) > 1:
		return person{}, errParty
	case id.IssuedAt.After(time.Now().Add(5 * time.Minute)):
		return person{}, errEarly
	case id.Subject == "":
		return person{}, errNoToken
	}
	who := person{Name: printable(id.Subject), By: p.cfg.fingerprint(), OIDC: true, Subject: id.Subject}
	if is.Email != "" && (is.Verified == true || is.Verified == "true") {
		who.Email = strings.ToLower(is.Email)
		who.Name = printable(who.Email)
	}
	for _, claim := range p.cfg.claims() {
		for _, v := range claimTexts(all[claim]) {
			if wanted := p.cfg.Allow.Claim == claim && slices.Contains(p.cfg.Allow.Values, v) || p.cfg.Operate.Claim == claim && slices.Contains(p.cfg.Operate.Values, v); wanted {
				who.Values = append(who.Values, claimValue(claim, v))
			}
		}
	}
	return who, nil
}

// claimTexts returns the texts of a claim: one, or a list of them. true and false count
// as texts; numbers and objects do not.
func claimTexts(raw json.RawMessage) []string {
	var one any
	if json.Unmarshal(raw, &one) != nil {
		return nil
	}
	list, ok := one.([]any)
	if !ok {
		list = []any{one}
	}
	var out []string
	for _, v := range list {
		switch v := v.(type) {
		case string:
			out = append(out, v)
		case bool:
			out = append(out, strconv.FormatBool(v))
		}
	}
	return out
}

// Reachable finds out whether the provider can be used, for a check.
func (o *OIDC) Reachable(ctx context.Context, transport http.RoundTripper) error {
	_, _, err := newProvider(o, transport).look(ctx)
	return err
}

// redirect is where the provider sends the browser back to: below PublicURL, or, on a
// listener that this machine alone reaches, where the browser is.
func (p *Policy) redirect(r *http.Request) (string, bool) {
	if p.PublicURL != nil {
		return p.PublicURL.Scheme + "://" + p.PublicURL.Host + pathCallback, true
	}
	if !localHost(r.Host) {
		return "", false
	}
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	return scheme + "://" + r.Host + pathCallback, true
}
