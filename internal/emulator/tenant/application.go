package tenant

import (
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// An Application is one that gets tokens from the start, beside that of ClientID.
type Application struct {
	Name, ClientID, ClientSecret string
	// Scopes are what it is granted on the Management API.
	Scopes []string
}

// SetupScopes returns the scopes that manage applications, their grants and log
// streams.
func SetupScopes() []string {
	var scopes []string
	for _, what := range []string{"clients", "client_credentials", "client_grants", "log_streams"} {
		for _, verb := range []string{"create", "read", "update", "delete"} {
			scopes = append(scopes, verb+":"+what)
		}
	}
	return append(scopes, "read:client_keys")
}

// How applications authenticate to /oauth/token.
const (
	authPost  = "client_secret_post"
	authBasic = "client_secret_basic"
)

// grantClientCredentials is the grant type of machine-to-machine applications.
const grantClientCredentials = "client_credentials"

// client is an application as the API shows it, with what it never shows.
type client struct {
	Name          string            `json:"name"`
	Description   string            `json:"description,omitempty"`
	ClientID      string            `json:"client_id"`
	ClientSecret  string            `json:"client_secret,omitempty"`
	AppType       string            `json:"app_type,omitempty"`
	IsFirstParty  bool              `json:"is_first_party"`
	OIDCConform   bool              `json:"oidc_conformant"`
	JWT           jwtConfiguration  `json:"jwt_configuration"`
	SSODisabled   bool              `json:"sso_disabled"`
	GrantTypes    []string          `json:"grant_types"`
	AuthMethod    string            `json:"token_endpoint_auth_method,omitempty"`
	Methods       *authMethods      `json:"client_authentication_methods,omitempty"`
	Metadata      map[string]string `json:"client_metadata,omitempty"`
	Tenant        string            `json:"tenant,omitempty"`
	Global        bool              `json:"global"`
	CustomLoginOn bool              `json:"custom_login_page_on"`

	credentials []credential
	keys        []*rsa.PublicKey // of Options.PublicKeys, which are no credentials
}

type jwtConfiguration struct {
	Alg           string `json:"alg,omitempty"`
	SecretEncoded bool   `json:"secret_encoded"`
}

// authMethods says that an application signs, and with which credentials.
type authMethods struct {
	PrivateKeyJWT struct {
		Credentials []credentialRef `json:"credentials"`
	} `json:"private_key_jwt"`
}

type credentialRef struct {
	ID string `json:"id"`
}

// credential is a public key of an application as the API shows it.
type credential struct {
	ID        string `json:"id"`
	Name      string `json:"name,omitempty"`
	KID       string `json:"kid"`
	Type      string `json:"credential_type"`
	Alg       string `json:"alg"`
	CreatedAt string `json:"created_at"`
	UpdatedAt string `json:"updated_at"`

	pem string
	key *rsa.PublicKey
}

// clientGrant is what an application may do with an API.
type clientGrant struct {
	ID          string   `json:"id"`
	ClientID    string   `json:"client_id"`
	Audience    string   `json:"audience"`
	Scope       []string `json:"scope"`
	SubjectType string   `json:"subject_type"`
}

// firstClients returns the applications of the options, with their grants.
func (s *Server) firstClients() {
	apps := append([]Application{{Name: clientName, ClientID: s.opts.ClientID, ClientSecret: s.opts.ClientSecret, Scopes: s.opts.Scopes}}, s.opts.Applications...)
	for i, app := range apps {
		c := &client{
			Name: app.Name, ClientID: app.ClientID, ClientSecret: app.ClientSecret, AppType: "non_interactive", IsFirstParty: true,
			OIDCConform: true, JWT: jwtConfiguration{Alg: "RS256"}, GrantTypes: []string{grantClientCredentials}, AuthMethod: authPost,
			Tenant: s.opts.TenantName, CustomLoginOn: true,
		}
		if i == 0 {
			c.keys = s.opts.PublicKeys
		}
		s.clients = append(s.clients, c)
		s.grants = append(s.grants, &clientGrant{
			ID: s.newID("cgr_", "grant of "+app.ClientID), ClientID: app.ClientID, Audience: s.managementAudience(), Scope: app.Scopes, SubjectType: "client",
		})
	}
}

// managementAudience names the Management API.
func (s *Server) managementAudience() string { return "https://" + s.opts.Domain + apiPath }

// newID makes an id out of the seed and what it is for.
func (s *Server) newID(prefix, of string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %s", s.opts.Seed, of))
	rng := rand.New(rand.NewPCG(s.opts.Seed, new(big.Int).SetBytes(sum[:8]).Uint64())) //nolint:gosec // made-up ids of an emulator, the same for the same seed
	return prefix + randomText(rng, 16)
}

// findClient returns the application with the id, or nil. s.mu is held.
func (s *Server) findClient(id string) *client {
	i := slices.IndexFunc(s.clients, func(c *client) bool { return c.ClientID == id })
	if i < 0 {
		return nil
	}
	return s.clients[i]
}

// findGrant returns the grant of an application on the Management API, or nil.
// s.mu is held.
func (s *Server) findGrant(clientID string) *clientGrant {
	i := slices.IndexFunc(s.grants, func(g *clientGrant) bool { return g.ClientID == clientID && g.SubjectType == "client" })
	if i < 0 {
		return nil
	}
	return s.grants[i]
}

// signsWith returns the keys that verify the assertions of an application.
func (c *client) signsWith() []*rsa.PublicKey {
	keys := slices.Clone(c.keys)
	if c.Methods == nil {
		return keys
	}
	for _, ref := range c.Methods.PrivateKeyJWT.Credentials {
		for _, cred := range c.credentials {
			if cred.ID == ref.ID {
				keys = append(keys, cred.key)
			}
		}
	}
	return keys
}

// errKey is a text that is no public key.
var errKey = errors.New("no RSA public key in PEM")

// newCredential makes a credential of a public key. Its kid is the thumbprint of the
// key (RFC 7638), as recorded answers show.
func (s *Server) newCredential(name, text string, now time.Time) (credential, error) {
	key, err := jwt.ParseRSAPublicKeyFromPEM([]byte(text))
	if err != nil {
		return credential{}, errKey
	}
	thumbprint, err := json.Marshal(struct {
		E   string `json:"e"`
		Kty string `json:"kty"`
		N   string `json:"n"`
	}{base64.RawURLEncoding.EncodeToString(big.NewInt(int64(key.E)).Bytes()), "RSA", base64.RawURLEncoding.EncodeToString(key.N.Bytes())})
	if err != nil {
		return credential{}, fmt.Errorf("write key: %w", err)
	}
	sum := sha256.Sum256(thumbprint)
	at := now.UTC().Format(dateLayout)
	s.lastID++
	return credential{
		ID: s.newID("cred_", fmt.Sprintf("credential %d %d", now.UnixNano(), s.lastID)), Name: name, KID: base64.RawURLEncoding.EncodeToString(sum[:]),
		Type: "public_key", Alg: "RS256", CreatedAt: at, UpdatedAt: at, pem: text, key: key,
	}, nil
}

// clientLine is an application in the journal.
type clientLine struct {
	client
	Kept []credentialLine `json:"kept_credentials,omitempty"`
}

type credentialLine struct {
	credential
	PEM string `json:"pem"`
}

// keepClient writes an application to the journal. s.mu is held.
func (s *Server) keepClient(c *client) error {
	line := clientLine{client: *c}
	for _, cred := range c.credentials {
		line.Kept = append(line.Kept, credentialLine{cred, cred.pem})
	}
	return s.journal.line(map[string]any{"client": line})
}

// loadApplication takes over what a line of the journal says about applications.
func (s *Server) loadApplication(line journalLine) error {
	switch {
	case line.Client != nil:
		var cl clientLine
		if err := json.Unmarshal(line.Client, &cl); err != nil {
			return fmt.Errorf("read application: %w", err)
		}
		c := cl.client
		for _, kept := range cl.Kept {
			key, err := jwt.ParseRSAPublicKeyFromPEM([]byte(kept.PEM))
			if err != nil {
				return fmt.Errorf("read application: %w", errKey)
			}
			kept.pem, kept.key = kept.PEM, key
			c.credentials = append(c.credentials, kept.credential)
		}
		if old := s.findClient(c.ClientID); old != nil {
			c.keys = old.keys
			*old = c
		} else {
			s.clients = append(s.clients, &c)
		}
	case line.Grant != nil:
		g := new(clientGrant)
		if err := json.Unmarshal(line.Grant, g); err != nil {
			return fmt.Errorf("read grant: %w", err)
		}
		s.grants = append(slices.DeleteFunc(s.grants, func(old *clientGrant) bool { return old.ID == g.ID }), g)
	case line.ClientGone != "":
		s.dropClient(line.ClientGone)
	case line.GrantGone != "":
		s.grants = slices.DeleteFunc(s.grants, func(g *clientGrant) bool { return g.ID == line.GrantGone })
	}
	return nil
}

// dropClient takes an application away, and its grants with it.
func (s *Server) dropClient(id string) {
	s.clients = slices.DeleteFunc(s.clients, func(c *client) bool { return c.ClientID == id })
	s.grants = slices.DeleteFunc(s.grants, func(g *clientGrant) bool { return g.ClientID == id })
}

// isManagement reports whether an audience names the Management API, asked under base.
func (s *Server) isManagement(audience, base string) bool {
	return slices.Contains(append([]string{s.managementAudience(), base + apiPath}, s.opts.Audiences...), audience)
}

// granted is what of the requested scopes an application has; all of them when it
// asks for none in particular. ok is false when it has no grant.
func (s *Server) granted(clientID, requested string) (scope string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.findGrant(clientID)
	if g == nil {
		return "", false
	}
	if requested == "" {
		return strings.Join(g.Scope, " "), true
	}
	wanted := strings.Fields(requested)
	return strings.Join(slices.DeleteFunc(slices.Clone(g.Scope), func(scope string) bool {
		return !slices.Contains(wanted, scope)
	}), " "), true
}
