package auth0

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// ManagerConfig says which tenant a Manager works on, and as whom.
type ManagerConfig struct {
	// Domain and Audience are as in Config.
	Domain, Audience string
	// Token is an access token for the Management API. With one there are no
	// credentials below.
	Token string
	// ClientID and ClientSecret are those of an application that has the scopes.
	ClientID, ClientSecret string
	// RequestTimeout and UserAgent are as in Config.
	RequestTimeout time.Duration
	UserAgent      string
}

// A Manager makes, changes and removes what gapless needs in a tenant:
// applications, their grants and log streams. It keeps its token in memory alone.
// It is safe for concurrent use.
//
// Every method returns an *Error, or the cause of ctx when ctx has ended. A call
// that the rate limit refuses is made again when the headers say so, within ctx; a
// call that a passing fault stops is made again twice, unless it makes something,
// as nobody knows then whether it has. The caller looks before it tries that again.
type Manager struct {
	c     *Client
	given bool // the token, which cannot be renewed
}

// managerTries is how often a call is made at most.
const managerTries = 3

// throttledTries is how often a call is made at most when each is refused by the
// rate limit.
const throttledTries = 10

// NewManager makes a manager. It opens no connection. The error says what is missing
// or wrong.
func NewManager(cfg ManagerConfig, deps Deps) (*Manager, error) {
	cc := Config{
		Domain: cfg.Domain, Audience: cfg.Audience, ClientID: cfg.ClientID, ClientSecret: cfg.ClientSecret,
		RequestTimeout: cfg.RequestTimeout, UserAgent: cfg.UserAgent,
	}
	switch {
	case cfg.Token != "" && (cfg.ClientID != "" || cfg.ClientSecret != ""):
		return nil, errors.New("configure auth0: a token and the credentials of an application are both given: keep one of them")
	case cfg.Token != "":
		if !bearer(cfg.Token) {
			return nil, errors.New("configure auth0: the token has characters that none of Auth0's has, such as a space or a line break: take it once more")
		}
		cc.ClientID, cc.ClientSecret = "(token)", cfg.Token // never sent as such, and blotted out
	case cfg.ClientID == "" || cfg.ClientSecret == "":
		return nil, errors.New("configure auth0: neither a token nor client ID and secret of an application are given")
	}
	deps.TokenCache = nil
	c, err := New(cc, deps)
	if err != nil {
		return nil, err
	}
	m := &Manager{c: c, given: cfg.Token != ""}
	if m.given {
		c.tokens.request = func(context.Context) (token, error) {
			return token{Value: cfg.Token, RenewAt: time.Now().Add(unstatedLife)}, nil
		}
	}
	return m, nil
}

// Close ends the idle connections that the manager opened itself.
func (m *Manager) Close() error { return m.c.Close() }

// Audience is that of the tenant's Management API.
func (m *Manager) Audience() string { return m.c.cfg.Audience }

// Domain is the host of the tenant.
func (m *Manager) Domain() string { return m.c.base.Host }

// SetupScopes returns the scopes that setup needs: to make the application and its
// grant, and, if streams is true, log streams. With keys it makes applications that
// sign instead of having a secret.
func SetupScopes(streams, keys bool) []string {
	scopes := scopesToManage("clients", "client_grants")
	if keys {
		scopes = append(scopes, scopesToManage("client_credentials")...)
	}
	if streams {
		scopes = append(scopes, scopesToManage("log_streams")...)
	}
	return append(scopes, scopeSecrets)
}

// scopeSecrets lets secrets of applications be read back.
const scopeSecrets = "read:client_keys"

func scopesToManage(things ...string) (scopes []string) {
	for _, t := range things {
		for _, verb := range []string{"read", "create", "update", "delete"} {
			scopes = append(scopes, verb+":"+t)
		}
	}
	return scopes
}

// managed is a call of a Manager.
type managed struct {
	tries  string // in errors
	name   string // in metrics
	method string
	path   []string
	query  url.Values
	body   any
	scope  string
	// secrets are blotted out of what an answer says.
	secrets []string
}

// do makes a call and reads the answer into out, unless that is nil.
func (m *Manager) do(ctx context.Context, call managed, out any) error {
	op := operation{name: call.name, tries: call.tries, on400: BadRequest, limiter: m.c.limiter}
	for renewed, faults, refusals := false, 0, 0; ; {
		tok, err := m.c.tokens.get(ctx)
		if err != nil {
			return err
		}
		err = m.once(ctx, op, call, tok, out)
		e, ok := errors.AsType[*Error](err)
		if !ok {
			return err
		}
		switch {
		case e.Kind == Throttled && refusals < throttledTries && e.RetryAfter <= maxWindow:
			refusals++ // the limiter waits
		case e.Kind == Transient && call.method != http.MethodPost && faults < managerTries-1:
			faults++
			if err := rest(ctx, time.Duration(faults)*time.Second); err != nil {
				return err
			}
		case e.Kind == Unauthorized && !m.given && !renewed && m.c.tokens.refused(tok):
			renewed = true
		default:
			return err
		}
		m.c.metrics.retries.WithLabelValues(e.Kind.String()).Inc()
	}
}

// rest waits for d.
func rest(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(jitter(d))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}

// once makes a call a single time.
func (m *Manager) once(ctx context.Context, op operation, call managed, tok string, out any) error {
	waited, err := op.limiter.wait(ctx)
	m.c.metrics.waited.Add(waited.Seconds())
	if err != nil {
		return err
	}
	req, err := m.request(ctx, call, tok)
	if err != nil {
		return err
	}
	r, err := m.c.exchange(ctx, op, req)
	if err != nil {
		return err
	}
	m.c.metrics.rate(op.limiter.figures())
	if r.status < 200 || r.status > 299 {
		e := m.failure(op, call, r, tok)
		m.c.metrics.failed(e.Kind)
		return e
	}
	op.limiter.accepted()
	var whatever json.RawMessage
	if out == nil {
		out = &whatever // what is none of the API's has done nothing
	}
	if r.status == http.StatusNoContent && len(r.body) == 0 {
		return nil
	}
	if err := json.Unmarshal(r.body, out); err != nil { // its text may quote what it read
		m.c.metrics.failed(Transient)
		return &Error{Op: op.tries, Status: r.status, Kind: Transient, Err: errNotOurs}
	}
	return nil
}

// errNotOurs is an answer of another form than the API's.
var errNotOurs = errors.New("the answer is none of the Management API's; a proxy may stand between")

// request makes the request of a call.
func (m *Manager) request(ctx context.Context, call managed, tok string) (*http.Request, error) {
	at := m.c.base.JoinPath("/api/v2")
	for _, part := range call.path {
		at = at.JoinPath(url.PathEscape(part))
	}
	at.RawQuery = call.query.Encode()
	var body bytes.Buffer
	if call.body != nil {
		enc := json.NewEncoder(&body)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(call.body); err != nil {
			return nil, fmt.Errorf("write request: %w", err)
		}
	}
	req, err := http.NewRequestWithContext(ctx, call.method, at.String(), &body)
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	if call.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Authorization", "Bearer "+tok)
	return req, nil
}

// failure makes the error of an answer that is no success.
func (m *Manager) failure(op operation, call managed, r reply, tok string) *Error {
	e := m.c.failure(op, r, append(slices.Clone(call.secrets), tok)...)
	switch {
	case e.Kind == Unauthorized && m.given:
		e.Hint = fmt.Sprintf("The token is void, has expired or is for another tenant: take another one for %s (a token of the API Explorer lasts a day).", m.c.base.Host)
	case e.Kind == Forbidden:
		e.Hint = m.hintScope(e.Message, call.scope)
	case r.status == http.StatusNotFound && e.Code+e.Message != "" && e.Message != notAPI:
		e.Kind, e.Hint = NotFound, ""
	case r.status == http.StatusConflict:
		e.Kind = Conflict
		if strings.Contains(e.Message, "maximum number of log streams") {
			e.Hint = "The plan of the tenant has no room for another log stream: remove one that is not needed, or let gapless read alone (push: none)."
		}
	}
	return e
}

// notAPI begins what is said of an answer that is none of Auth0's.
const notAPI = "the answer is none of Auth0's; a proxy may stand between"

// scopeText finds a scope in a message.
var scopeText = regexp.MustCompile(`\b[a-z]+:[a-z_]+\b`)

// hintScope says which scope is missing: the message names it, or else the call does.
func (m *Manager) hintScope(message, scope string) string {
	_, list, found := strings.Cut(message, "expected any of:")
	if scopes := scopeText.FindAllString(list, -1); found && len(scopes) > 0 && !slices.Contains(scopes, scope) {
		scope = scopes[0]
	}
	where := fmt.Sprintf("In the Auth0 Dashboard of %s, add the scope %s to the application (Applications, APIs, Auth0 Management API, Machine to Machine Applications)", m.c.base.Host, scope)
	if m.given {
		return where + " and take a new token: the one given lacks it."
	}
	return where + " and try again."
}

// Hidden is a secret that came from, or goes to, the API. However it is printed or
// encoded it does not show.
type Hidden struct{ text *string }

// Hide returns a text that does not show.
func Hide(text string) Hidden { return Hidden{&text} }

// Reveal returns the text; empty when there is none.
func (h Hidden) Reveal() string {
	if h.text == nil {
		return ""
	}
	return *h.text
}

// String implements fmt.Stringer.
func (Hidden) String() string { return blot }

// GoString implements fmt.GoStringer.
func (Hidden) GoString() string { return blot }

// MarshalText implements encoding.TextMarshaler.
func (Hidden) MarshalText() ([]byte, error) { return []byte(blot), nil }
