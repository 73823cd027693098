package auth0

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// Deps are what a Client works with besides its configuration. Each may be left
// out.
type Deps struct {
	// Logger hears of what a person would want to know; nil discards it.
	Logger *slog.Logger
	// Registerer takes the metrics; nil registers none.
	Registerer prometheus.Registerer
	// TenantName is the label "tenant" of the metrics.
	TenantName string
	// HTTPClient sends the requests, through its Transport; its own timeout and
	// rule on redirects are not used. Nil makes one with its own connections.
	HTTPClient *http.Client
	// TokenCache keeps the access token across restarts; nil keeps it in memory.
	TokenCache TokenCache
	// OnRefused is called when Auth0 refuses the credentials with which a token is
	// asked for. It may look for others and hand them to SetCredentials, and reports
	// whether it did: then the token is asked for once more. Nil has none.
	OnRefused func(ctx context.Context) bool
	// OnRenewed hears whether credentials of SetCredentials have brought a token: nil,
	// or why they have not, in which case the token before them stays in use until its
	// end. May be nil.
	OnRenewed func(ctx context.Context, err error)
}

// A Client reads one tenant. It is safe for concurrent use.
type Client struct {
	cfg     Config // without credentials
	creds   atomic.Pointer[credentials]
	cache   TokenCache // may be nil
	base    *url.URL
	http    *http.Client
	logger  *slog.Logger
	metrics *metrics
	limiter *limiter // of the Management API
	tokens  *tokens
	ops     operations
	ours    bool // the connections are ours to close
}

// operation is one of the calls, and what differs between them.
type operation struct {
	name    string // in metrics
	tries   string // in errors
	on400   Kind
	limiter *limiter
}

// operations are the calls that a client makes.
type operations struct {
	token, logs, search operation
}

// New makes a client. It opens no connection. The error says which field of cfg
// is wrong and what to write instead.
func New(cfg Config, deps Deps) (*Client, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("configure auth0: %w", err)
	}
	base, err := cfg.base()
	if err != nil {
		return nil, fmt.Errorf("configure auth0: %w", err)
	}
	cfg = cfg.withDefaults(base)
	logger := deps.Logger
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	m, err := newMetrics(deps.Registerer, deps.TenantName)
	if err != nil {
		return nil, fmt.Errorf("register metrics of auth0: %w", err)
	}
	if base.Scheme == "http" && !loopback(base.Hostname()) {
		logger.LogAttrs(context.Background(), slog.LevelWarn, "secrets travel in clear: the domain is a plain http URL", slog.String("domain", base.String()))
	}
	c := &Client{cfg: cfg, cache: deps.TokenCache, base: base, logger: logger, metrics: m, limiter: &limiter{share: cfg.RateShare}}
	c.cfg.ClientSecret, c.cfg.PrivateKey = "", ""
	c.http, c.ours = httpClient(deps.HTTPClient, base)
	c.ops = operations{
		token:  operation{"token", "get access token", Unauthorized, &limiter{share: 1}},
		logs:   operation{"logs", "fetch logs", BadCursor, c.limiter},
		search: operation{"search", "search logs", BadRequest, c.limiter},
	}
	c.tokens = &tokens{request: c.requestToken, logger: logger, vault: c.vault, onRefused: deps.OnRefused, onRenewed: deps.OnRenewed}
	if err := c.use(cfg.ClientSecret, cfg.PrivateKey); err != nil {
		return nil, err
	}
	return c, nil
}

// Close ends the idle connections that the client opened itself. Calls under
// way are not touched.
func (c *Client) Close() error {
	if c.ours {
		c.http.CloseIdleConnections()
	}
	return nil
}

// httpClient returns a client that follows redirects within the tenant's host
// alone, so that no credential reaches another.
func httpClient(given *http.Client, base *url.URL) (client *http.Client, ours bool) {
	out := new(http.Client)
	if given != nil {
		out.Transport, out.Jar = given.Transport, given.Jar
	} else {
		out.Transport, ours = ownTransport(), true
	}
	out.CheckRedirect = func(req *http.Request, via []*http.Request) error {
		if len(via) > 3 || req.URL.Scheme != base.Scheme || req.URL.Host != base.Host {
			return http.ErrUseLastResponse
		}
		return nil
	}
	return out, ours
}

// ownTransport returns the standard transport with connections of its own.
func ownTransport() http.RoundTripper {
	if t, ok := http.DefaultTransport.(*http.Transport); ok {
		return t.Clone()
	}
	return &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true}
}

// hintNetwork says what a person can look at when there is no answer at all.
func (c *Client) hintNetwork(err error) string {
	if dns, ok := errors.AsType[*net.DNSError](err); ok && dns.IsNotFound {
		return fmt.Sprintf("Check domain: the name %s does not exist, or this machine's DNS does not know it.", c.base.Hostname())
	}
	return ""
}
