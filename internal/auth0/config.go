package auth0

import (
	"crypto/rsa"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Defaults of Config.
const (
	// DefaultRequestTimeout bounds one request with its whole answer.
	DefaultRequestTimeout = 30 * time.Second
	// DefaultRateShare is the part of the rate limit that gapless uses.
	DefaultRateShare = 0.5
)

// Config says which tenant to read, and as whom. The zero value of a field that
// has a default means the default.
type Config struct {
	// Domain is the tenant's domain, "dev-tenant.us.auth0.com", or a custom
	// domain of it. A URL http(s)://host:port is taken too, for emulators.
	Domain string
	// Audience names the Management API. The default is https://DOMAIN/api/v2/,
	// with the URL's own scheme where Domain is one. With a custom domain it
	// must be set, to the canonical one: https://TENANT.REGION.auth0.com/api/v2/.
	Audience string
	// ClientID is the id of a machine-to-machine application that was granted
	// read:logs on the Management API.
	ClientID string
	// ClientSecret authenticates the application. Either it or PrivateKey is set.
	ClientSecret string
	// PrivateKey is an RSA key in PEM (PKCS #1 or #8) for private_key_jwt.
	PrivateKey string
	// KeyID names the key to Auth0; optional.
	KeyID string
	// SigningAlg is RS256 (default), RS384 or PS256.
	SigningAlg string
	// RequestTimeout bounds one request; the default is 30 seconds.
	RequestTimeout time.Duration
	// RateShare is the part of the rate limit that may be used, above 0 and at
	// most 1; the default is 0.5.
	RateShare float64
	// UserAgent is sent with each request; the default is "gapless".
	UserAgent string
}

// Validate reports every field that cannot work, each with the reason and what
// to write instead. It opens no connection.
func (c Config) Validate() error {
	var errs []error
	if _, err := c.base(); err != nil {
		errs = append(errs, err)
	}
	if c.Audience != "" {
		if u, err := url.Parse(c.Audience); err != nil || u.Scheme == "" {
			errs = append(errs, fmt.Errorf("audience %q is no URL: use https://TENANT.REGION.auth0.com/api/v2/", c.Audience))
		}
	}
	if c.ClientID == "" {
		errs = append(errs, errors.New("client_id is empty: use the client ID of the machine-to-machine application"))
	}
	errs = append(errs, c.validateCredentials())
	if c.RequestTimeout < 0 {
		errs = append(errs, fmt.Errorf("request_timeout is %s: it must be positive, such as 30s", c.RequestTimeout))
	}
	if !(c.RateShare >= 0 && c.RateShare <= 1) { // refuses NaN too
		errs = append(errs, fmt.Errorf("rate_share is %g: it must be above 0 and at most 1, such as 0.5", c.RateShare))
	}
	return errors.Join(errs...)
}

// validateCredentials checks what the application authenticates with.
func (c Config) validateCredentials() error {
	switch {
	case c.ClientSecret == "" && c.PrivateKey == "":
		return errors.New("client_secret is empty and so is private_key: set one of them")
	case c.ClientSecret != "" && c.PrivateKey != "":
		return errors.New("client_secret and private_key are both set: keep the one that the application uses in Auth0")
	case c.PrivateKey == "":
		return nil
	}
	if _, err := c.signingMethod(); err != nil {
		return err
	}
	_, err := c.key()
	return err
}

// signingMethod returns the method that SigningAlg names.
func (c Config) signingMethod() (jwt.SigningMethod, error) {
	switch c.SigningAlg {
	case "", "RS256":
		return jwt.SigningMethodRS256, nil
	case "RS384":
		return jwt.SigningMethodRS384, nil
	case "PS256":
		return jwt.SigningMethodPS256, nil
	default:
		return nil, fmt.Errorf("signing_alg %q is unknown: Auth0 takes RS256, RS384 and PS256", c.SigningAlg)
	}
}

// key reads the private key. The parser's own error is left out: it must not
// quote a secret.
func (c Config) key() (*rsa.PrivateKey, error) {
	key, err := jwt.ParseRSAPrivateKeyFromPEM([]byte(c.PrivateKey))
	if err != nil {
		return nil, errors.New("private_key is no RSA key in PEM: it begins with -----BEGIN PRIVATE KEY----- or -----BEGIN RSA PRIVATE KEY-----")
	}
	return key, nil
}

// base returns the root of the tenant, without a slash at its end.
func (c Config) base() (*url.URL, error) {
	const fix = `use the form "dev-tenant.us.auth0.com"`
	if c.Domain == "" {
		return nil, fmt.Errorf("domain is empty: %s", fix)
	}
	text := c.Domain
	if !strings.Contains(text, "://") {
		text = "https://" + text
	}
	u, err := url.Parse(strings.TrimSuffix(text, "/"))
	switch {
	case err != nil || u.Hostname() == "" || strings.ContainsAny(u.Host, " \t\r\n"):
		return nil, fmt.Errorf("domain %q has no readable host: %s", c.Domain, fix)
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, fmt.Errorf("domain %q has the scheme %q: %s, or a URL with http or https", c.Domain, u.Scheme, fix)
	case u.User != nil || u.Path != "" || u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("domain %q holds more than a host: %s", c.Domain, fix)
	}
	return u, nil
}

// withDefaults fills in the defaults of a valid configuration.
func (c Config) withDefaults(base *url.URL) Config {
	if c.Audience == "" {
		c.Audience = base.String() + "/api/v2/"
	}
	if c.RequestTimeout == 0 {
		c.RequestTimeout = DefaultRequestTimeout
	}
	if c.RateShare == 0 {
		c.RateShare = DefaultRateShare
	}
	if c.UserAgent == "" {
		c.UserAgent = "gapless"
	}
	return c
}

// loopback reports whether a host is this machine.
func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
