package auth0

import "fmt"

// credentials are what the application authenticates with at a time.
type credentials struct {
	secret     string // or privateKey
	privateKey string
	// before is the secret that this one has replaced: an answer that is under way may
	// quote it.
	before string
	vault  *vault // nil keeps the token in memory alone
}

// SetCredentials takes other credentials, of which one is set as in Config: they were
// rotated. A token is asked for with them at once, that is with the next call, even
// though the one before may still be valid: whether they work must show while it is.
// Until they do, that one stays in use. Credentials that cannot work are refused and
// change nothing; the same ones again do nothing.
func (c *Client) SetCredentials(clientSecret, privateKey string) error {
	if now := c.creds.Load(); now.secret == clientSecret && now.privateKey == privateKey {
		return nil
	}
	if err := c.use(clientSecret, privateKey); err != nil {
		return err
	}
	c.tokens.supersede()
	return nil
}

// use checks credentials and takes them.
func (c *Client) use(clientSecret, privateKey string) error {
	cfg := c.cfg
	cfg.ClientSecret, cfg.PrivateKey = clientSecret, privateKey
	if err := cfg.validateCredentials(); err != nil {
		return fmt.Errorf("configure auth0: %w", err)
	}
	next := &credentials{secret: clientSecret, privateKey: privateKey}
	if now := c.creds.Load(); now != nil {
		next.before = now.secret
	}
	if c.cache != nil {
		var err error
		if next.vault, err = newVault(c.cache, cfg); err != nil {
			return fmt.Errorf("set up token cache: %w", err)
		}
	}
	c.creds.Store(next)
	return nil
}

// vault returns what keeps the token under the credentials of the moment, nil when
// nothing does.
func (c *Client) vault() *vault { return c.creds.Load().vault }

// secrets returns what an answer may quote of the credentials.
func (c *Client) secrets() []string {
	now := c.creds.Load()
	return []string{now.secret, now.before}
}
