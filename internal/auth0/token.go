package auth0

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Times of tokens.
const (
	// assertionLife is how long a client assertion is valid; Auth0 advises one
	// minute ("Authenticate with Private Key JWT").
	assertionLife = time.Minute
	// unstatedLife is assumed of a token that comes without expires_in.
	unstatedLife = time.Hour
	// renewBefore is how long before its end a token is renewed at the most; of
	// a short one a tenth of its life is enough.
	renewBefore = 5 * time.Minute
	// refusalRest is how long after a token was replaced because the API refused
	// it the next one may be. A fresh token that is refused as well shows that a
	// person must act, and each exchange writes an event into the tenant's log.
	refusalRest = 10 * time.Minute
	// renewalRest is how long after changed credentials have brought no token they are
	// tried again, while the token before them holds; after a refusal it is refusalRest.
	renewalRest = time.Minute
)

// token is an access token for the Management API.
type token struct {
	// Value is what goes behind "Bearer".
	Value string `json:"v"`
	// RenewAt is when to get another one, by this machine's clock.
	RenewAt time.Time `json:"renew_at"`
	// RefusedAt is when a token was last replaced because it was refused; zero
	// when none ever was. It is kept so that restarts do not ask for more.
	RefusedAt time.Time `json:"refused_at,omitzero"`
}

// valid reports whether the token may be used.
func (t token) valid(now time.Time) bool { return t.Value != "" && now.Before(t.RenewAt) }

// tokens keeps the token. Callers that need one at the same time share one
// request, because each writes an event into the log that is exported.
type tokens struct {
	request   func(context.Context) (token, error)
	vault     func() *vault // of the credentials of the moment; may return nil
	logger    *slog.Logger
	onRefused func(context.Context) bool   // see Deps; may be nil
	onRenewed func(context.Context, error) // likewise

	mu        sync.Mutex
	current   token
	changes   int       // how often the credentials have changed
	of        int       // the change of which current is
	renewAt   time.Time // when to try changed credentials, unless current ends before
	refusedAt time.Time // see token.RefusedAt
	loaded    bool      // the vault has been asked
	flight    *flight
}

// flight is a request under way. Its fields may be read once done is closed.
type flight struct {
	done      chan struct{}
	tok       token
	err       error
	abandoned bool // the caller who made the request left before its end
	of        int  // the change of the credentials that it is made with
}

// get returns a valid token, or the error of the request for it.
func (s *tokens) get(ctx context.Context) (string, error) {
	for {
		s.mu.Lock()
		if now := time.Now(); s.current.valid(now) && (s.of == s.changes || now.Before(s.renewAt)) {
			defer s.mu.Unlock()
			return s.current.Value, nil
		}
		f := s.flight
		if f == nil {
			f = &flight{done: make(chan struct{})}
			s.flight = f
			s.mu.Unlock()
			s.fly(ctx, f)
			return f.tok.Value, f.err
		}
		s.mu.Unlock()
		select {
		case <-ctx.Done():
			return "", context.Cause(ctx)
		case <-f.done:
		}
		if !f.abandoned {
			return f.tok.Value, f.err
		}
	}
}

// fly obtains a token for everybody who waits. Changed credentials that bring none
// leave the one that is there.
func (s *tokens) fly(ctx context.Context, f *flight) {
	f.tok, f.err = s.obtain(ctx, f)
	f.abandoned = f.err != nil && ctx.Err() != nil
	failure := f.err
	if renewed := s.land(f); renewed && !f.abandoned && s.onRenewed != nil {
		s.onRenewed(ctx, failure)
	}
}

// land takes in what a flight has brought, and reports whether it was there for
// changed credentials.
func (s *tokens) land(f *flight) (renewed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	renewed = f.of != s.of
	now := time.Now()
	switch {
	case f.err == nil:
		s.current, s.of = f.tok, f.of
		if s.refusedAt.Before(f.tok.RefusedAt) {
			s.refusedAt = f.tok.RefusedAt
		}
	case renewed && s.current.valid(now) && !f.abandoned:
		s.renewAt = now.Add(renewalRest)
		if credentialsRefused(f.err) {
			s.renewAt = now.Add(refusalRest)
		}
		f.tok, f.err = s.current, nil
	}
	s.flight = nil
	close(f.done)
	return renewed
}

// supersede says that the credentials have changed.
func (s *tokens) supersede() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changes++
	s.renewAt = time.Time{}
}

// change returns how often the credentials have changed.
func (s *tokens) change() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changes
}

// credentialsRefused reports whether Auth0 knows the application otherwise.
func credentialsRefused(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Kind == Unauthorized
}

// refused says that the API has refused a token, and reports whether another try
// makes sense: with a token that has replaced it, or with a new one if it is time
// for that. A token may be refused because it is void, or because it lacks a
// permission that was granted after it was issued; a new one mends both.
func (s *tokens) refused(value string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current.Value != value {
		return true
	}
	now := time.Now()
	if age := now.Sub(s.refusedAt); age >= 0 && age < refusalRest { // below zero the clock was set back
		return false
	}
	s.refusedAt = now.UTC()
	s.current = token{}
	return true
}

// lastRefusal returns when a token was last replaced because it was refused.
func (s *tokens) lastRefusal() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refusedAt
}

// obtain takes the token of an earlier run, or asks for a new one and keeps it.
// Only one caller at a time is in here.
func (s *tokens) obtain(ctx context.Context, f *flight) (token, error) {
	f.of = s.change()
	if v := s.vault(); v != nil && !s.loaded {
		s.loaded = true
		t, err := v.load(ctx)
		if err == nil && t.valid(time.Now()) {
			return t, nil
		}
		if err != nil && ctx.Err() == nil {
			s.logger.LogAttrs(ctx, slog.LevelInfo, "kept access token is of no use, getting another", slog.Any("error", err))
		}
	}
	t, err := s.request(ctx)
	if credentialsRefused(err) && ctx.Err() == nil && s.onRefused != nil && s.onRefused(ctx) {
		f.of = s.change()
		t, err = s.request(ctx)
	}
	t.RefusedAt = s.lastRefusal()
	v := s.vault()
	if err != nil || v == nil {
		return t, err
	}
	if err := v.save(ctx, t); err != nil {
		// The token works; the next start will ask for another one.
		s.logger.LogAttrs(ctx, slog.LevelWarn, "access token could not be kept", slog.Any("error", err))
	}
	return t, nil
}

// requestToken asks for a token (POST /oauth/token, grant client_credentials).
//
// An assertion is valid for a minute by Auth0's clock. Where this machine's is
// wrong, the refusal tells by how much, and the second try is right.
func (c *Client) requestToken(ctx context.Context) (token, error) {
	t, skew, err := c.requestTokenOnce(ctx, 0)
	if err == nil || c.creds.Load().privateKey == "" || skew.Abs() < assertionLife/2 || ctx.Err() != nil {
		return t, err
	}
	c.logger.LogAttrs(ctx, slog.LevelWarn, "clock of this machine differs from Auth0's", slog.Duration("by", skew))
	c.metrics.retries.WithLabelValues(Unauthorized.String()).Inc()
	t, _, err = c.requestTokenOnce(ctx, skew)
	return t, err
}

// requestTokenOnce makes one request, with the clock set right by skew. After a
// refusal of the credentials it returns how far the clock is off.
func (c *Client) requestTokenOnce(ctx context.Context, skew time.Duration) (t token, off time.Duration, err error) {
	if _, err := c.ops.token.limiter.wait(ctx); err != nil {
		return token{}, 0, err
	}
	creds := c.creds.Load()
	form, err := c.tokenForm(creds, time.Now().Add(skew))
	if err != nil {
		return token{}, 0, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base.JoinPath("/oauth/token").String(), strings.NewReader(form.Encode()))
	if err != nil {
		return token{}, 0, fmt.Errorf("make request: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	c.metrics.tokens.Inc()
	r, err := c.exchange(ctx, c.ops.token, req)
	if err != nil {
		return token{}, 0, err
	}
	if r.status != http.StatusOK {
		e := c.failure(c.ops.token, r, form.Get("client_assertion"), creds.secret)
		c.metrics.failed(e.Kind)
		if e.Kind == Unauthorized {
			off = serverTime(r.header, r.received).Sub(r.received)
		}
		return token{}, off, e
	}
	c.ops.token.limiter.accepted()
	if t, err = readToken(r); err != nil {
		c.metrics.failed(Transient)
		return token{}, 0, &Error{Op: c.ops.token.tries, Status: r.status, Kind: Transient, Err: err}
	}
	return t, 0, nil
}

// tokenForm makes the body of the request for a token.
func (c *Client) tokenForm(creds *credentials, now time.Time) (url.Values, error) {
	form := url.Values{
		"grant_type": {"client_credentials"},
		"client_id":  {c.cfg.ClientID},
		"audience":   {c.cfg.Audience},
	}
	if creds.secret != "" {
		form.Set("client_secret", creds.secret)
		return form, nil
	}
	assertion, err := c.assertion(creds, now)
	if err != nil {
		return nil, err
	}
	form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
	form.Set("client_assertion", assertion)
	return form, nil
}

// assertion makes and signs the JWT of private_key_jwt. Each is used once. It
// has no iat: with a clock ahead of Auth0's it would be refused.
func (c *Client) assertion(creds *credentials, now time.Time) (string, error) {
	cfg := c.cfg
	cfg.PrivateKey = creds.privateKey
	method, err := cfg.signingMethod()
	if err != nil {
		return "", err
	}
	key, err := cfg.key()
	if err != nil {
		return "", err
	}
	t := jwt.NewWithClaims(method, jwt.MapClaims{
		"iss": c.cfg.ClientID,
		"sub": c.cfg.ClientID,
		"aud": c.base.String() + "/",
		"exp": now.Add(assertionLife).Unix(),
		"jti": rand.Text(),
	})
	if c.cfg.KeyID != "" {
		t.Header["kid"] = c.cfg.KeyID
	}
	signed, err := t.SignedString(key)
	if err != nil {
		return "", fmt.Errorf("sign client assertion: %w", err)
	}
	return signed, nil
}

// errNoToken is an answer to a token request that holds no token.
var errNoToken = errors.New("the answer holds no access token; a proxy may stand between")

// readToken reads the answer to a request for a token. The parser's error is
// left out: it may quote what it read.
func readToken(r reply) (token, error) {
	var said struct {
		Token     string          `json:"access_token"`
		ExpiresIn json.RawMessage `json:"expires_in"`
	}
	if err := json.Unmarshal(r.body, &said); err != nil || !bearer(said.Token) {
		return token{}, errNoToken
	}
	life := unstatedLife
	if s, err := strconv.ParseFloat(strings.Trim(string(said.ExpiresIn), `"`), 64); err == nil && s > 0 && s < 1e9 {
		life = time.Duration(s * float64(time.Second))
	}
	return token{Value: said.Token, RenewAt: r.received.Add(life - min(renewBefore, life/10)).UTC()}, nil
}

// bearer reports whether a token can stand in a header: visible ASCII alone. Any
// other would be kept for a day, and each request fail.
func bearer(s string) bool {
	return s != "" && strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) < 0
}
