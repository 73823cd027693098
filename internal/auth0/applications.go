package auth0

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/golang-jwt/jwt/v5"
)

// An Application is an application of the tenant, as far as gapless deals with it.
type Application struct {
	ClientID, Name string
	// GrantTypes are OAuth grant types; ClientCredentials is the one that a
	// machine needs.
	GrantTypes []string
	// Metadata is client_metadata.
	Metadata map[string]string
	// KeyIDs are the ids of the credentials that it signs with; none when it has a
	// secret, or when the token may not see them.
	KeyIDs []string
	// Secret is its secret, where an answer holds it: that to its creation.
	Secret Hidden
}

// ClientCredentials is the grant type of machine-to-machine applications.
const ClientCredentials = "client_credentials"

// appJSON is an application as the API writes it.
type appJSON struct {
	ClientID   string                     `json:"client_id"`
	Name       string                     `json:"name"`
	GrantTypes []string                   `json:"grant_types"`
	Metadata   map[string]json.RawMessage `json:"client_metadata"`
	Secret     string                     `json:"client_secret"`
	Methods    *methodsJSON               `json:"client_authentication_methods"`
}

type methodsJSON struct {
	PrivateKeyJWT struct {
		Credentials []keyJSON `json:"credentials"`
	} `json:"private_key_jwt"`
}

type keyJSON struct {
	ID   string `json:"id,omitempty"`
	Type string `json:"credential_type,omitempty"`
	Name string `json:"name,omitempty"`
	PEM  string `json:"pem,omitempty"`
	Alg  string `json:"alg,omitempty"`
}

func (a *appJSON) application() Application {
	out := Application{ClientID: a.ClientID, Name: a.Name, GrantTypes: a.GrantTypes}
	for k, raw := range a.Metadata {
		var text string
		if json.Unmarshal(raw, &text) == nil {
			if out.Metadata == nil {
				out.Metadata = make(map[string]string)
			}
			out.Metadata[k] = text
		}
	}
	if a.Methods != nil {
		for _, k := range a.Methods.PrivateKeyJWT.Credentials {
			out.KeyIDs = append(out.KeyIDs, k.ID)
		}
	}
	if a.Secret != "" {
		out.Secret = Hide(a.Secret)
	}
	return out
}

// appFields are what is asked for: all but the secret.
const appFields = "client_id,name,grant_types,client_metadata,client_authentication_methods"

// pageSize is how many entries of a list are asked for at once, the most that Auth0
// gives. maxPages bounds a list that does not end.
const (
	pageSize = 100
	maxPages = 1000
)

// Applications returns the applications of the tenant, without the one that stands
// for all of them.
func (m *Manager) Applications(ctx context.Context) ([]Application, error) {
	var out []Application
	err := m.pages(ctx, managed{
		tries: "list applications", name: "clients", method: http.MethodGet, path: []string{"clients"}, scope: "read:clients",
		query: url.Values{"fields": {appFields}, "include_fields": {"true"}, "is_global": {"false"}},
	}, "clients", func(raw json.RawMessage) error {
		var a appJSON
		if err := json.Unmarshal(raw, &a); err != nil {
			return errNotOurs
		}
		out = append(out, a.application())
		return nil
	})
	return out, err
}

// pages gets a list page by page and hands each of its entries to take.
func (m *Manager) pages(ctx context.Context, call managed, name string, take func(json.RawMessage) error) error {
	call.query.Set("per_page", strconv.Itoa(pageSize))
	call.query.Set("include_totals", "true")
	for page, got := 0, 0; page < maxPages; page++ {
		call.query.Set("page", strconv.Itoa(page))
		var answer map[string]json.RawMessage
		if err := m.do(ctx, call, &answer); err != nil {
			return err
		}
		var total int
		var entries []json.RawMessage
		if json.Unmarshal(answer["total"], &total) != nil || json.Unmarshal(answer[name], &entries) != nil {
			return &Error{Op: call.tries, Status: http.StatusOK, Kind: Transient, Err: errNotOurs}
		}
		for _, raw := range entries {
			if err := take(raw); err != nil {
				return &Error{Op: call.tries, Status: http.StatusOK, Kind: Transient, Err: err}
			}
		}
		if got += len(entries); got >= total || len(entries) == 0 {
			return nil
		}
	}
	return &Error{Op: call.tries, Kind: Transient, Message: "the list does not end"}
}

// Application returns one application; the error has the kind NotFound when there is
// none.
func (m *Manager) Application(ctx context.Context, id string) (Application, error) {
	var a appJSON
	err := m.do(ctx, managed{
		tries: "read application", name: "clients", method: http.MethodGet, path: []string{"clients", id}, scope: "read:clients",
		query: url.Values{"fields": {appFields}, "include_fields": {"true"}},
	}, &a)
	return a.application(), err
}

// ApplicationSecret returns the secret of an application, and none when the token may
// not see it (read:client_keys).
func (m *Manager) ApplicationSecret(ctx context.Context, id string) (Hidden, error) {
	var a appJSON
	err := m.do(ctx, managed{
		tries: "read secret of application", name: "clients", method: http.MethodGet, path: []string{"clients", id}, scope: scopeSecrets,
		query: url.Values{"fields": {"client_secret"}, "include_fields": {"true"}},
	}, &a)
	return a.application().Secret, err
}

// NewApplication says what a machine-to-machine application is to be like.
type NewApplication struct {
	Name, Description string
	Metadata          map[string]string
	// PublicKey is PEM, for private_key_jwt; empty for a secret. KeyName names it.
	PublicKey, KeyName string
}

// CreateApplication makes a machine-to-machine application. Auth0 makes its secret.
// After an error of the kind Transient it may be there.
func (m *Manager) CreateApplication(ctx context.Context, n NewApplication) (Application, error) {
	body := map[string]any{
		"name": n.Name, "description": n.Description, "app_type": "non_interactive", "grant_types": []string{ClientCredentials},
		"oidc_conformant": true, "jwt_configuration": map[string]string{"alg": "RS256"}, "client_metadata": n.Metadata,
	}
	if n.PublicKey == "" {
		body["token_endpoint_auth_method"] = "client_secret_post"
	} else {
		body["client_authentication_methods"] = useKeys(keyJSON{Type: "public_key", Name: n.KeyName, PEM: n.PublicKey, Alg: "RS256"})
	}
	var a appJSON
	err := m.do(ctx, managed{
		tries: "create application", name: "clients", method: http.MethodPost, path: []string{"clients"}, scope: "create:clients", body: body,
	}, &a)
	if err == nil && a.ClientID == "" {
		err = &Error{Op: "create application", Kind: Transient, Err: errNotOurs}
	}
	return a.application(), err
}

func useKeys(keys ...keyJSON) methodsJSON {
	var methods methodsJSON
	methods.PrivateKeyJWT.Credentials = keys
	return methods
}

// AllowClientCredentials lets an application use that grant type, beside those that
// it has.
func (m *Manager) AllowClientCredentials(ctx context.Context, a Application) error {
	types := slices.Clone(a.GrantTypes)
	if !slices.Contains(types, ClientCredentials) {
		types = append(types, ClientCredentials)
	}
	return m.patchApplication(ctx, a.ClientID, map[string]any{"grant_types": types})
}

// SignWith lets an application authenticate with credentials of its own alone.
func (m *Manager) SignWith(ctx context.Context, clientID string, keyIDs ...string) error {
	var keys []keyJSON
	for _, id := range keyIDs {
		keys = append(keys, keyJSON{ID: id})
	}
	return m.patchApplication(ctx, clientID, map[string]any{"token_endpoint_auth_method": nil, "client_authentication_methods": useKeys(keys...)})
}

// UseSecret lets an application authenticate with its secret.
func (m *Manager) UseSecret(ctx context.Context, clientID string) error {
	return m.patchApplication(ctx, clientID, map[string]any{"token_endpoint_auth_method": "client_secret_post", "client_authentication_methods": nil})
}

func (m *Manager) patchApplication(ctx context.Context, id string, body map[string]any) error {
	return m.do(ctx, managed{
		tries: "change application", name: "clients", method: http.MethodPatch, path: []string{"clients", id}, scope: "update:clients", body: body,
	}, nil)
}

// DeleteApplication removes an application, and its grants with it. One that is gone
// already is no error.
func (m *Manager) DeleteApplication(ctx context.Context, id string) error {
	return gone(m.do(ctx, managed{
		tries: "delete application", name: "clients", method: http.MethodDelete, path: []string{"clients", id}, scope: "delete:clients",
	}, nil))
}

// gone takes what is not there for removed.
func gone(err error) error {
	if e, ok := errors.AsType[*Error](err); ok && e.Kind == NotFound {
		return nil
	}
	return err
}

// A Credential is a public key of an application.
type Credential struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	// KID is the thumbprint of the key, as Thumbprint makes it.
	KID string `json:"kid"`
}

// Credentials returns the public keys of an application, those in use and others.
func (m *Manager) Credentials(ctx context.Context, clientID string) ([]Credential, error) {
	var list []Credential
	err := m.do(ctx, managed{
		tries: "list credentials of application", name: "credentials", method: http.MethodGet, path: []string{"clients", clientID, "credentials"},
		scope: "read:client_credentials",
	}, &list)
	return list, err
}

// AddCredential gives an application a public key (PEM), which it does not use until
// SignWith says so.
func (m *Manager) AddCredential(ctx context.Context, clientID, name, publicKey string) (Credential, error) {
	var c Credential
	err := m.do(ctx, managed{
		tries: "add credential to application", name: "credentials", method: http.MethodPost, path: []string{"clients", clientID, "credentials"},
		scope: "create:client_credentials", body: keyJSON{Type: "public_key", Name: name, PEM: publicKey, Alg: "RS256"},
	}, &c)
	return c, err
}

// DeleteCredential removes a public key of an application.
func (m *Manager) DeleteCredential(ctx context.Context, clientID, id string) error {
	return gone(m.do(ctx, managed{
		tries: "delete credential of application", name: "credentials", method: http.MethodDelete, path: []string{"clients", clientID, "credentials", id},
		scope: "delete:client_credentials",
	}, nil))
}

// Thumbprint returns the kid that Auth0 gives an RSA public key (PEM): its RFC 7638
// thumbprint, as recorded answers show.
func Thumbprint(publicKey string) (string, error) {
	key, err := jwt.ParseRSAPublicKeyFromPEM([]byte(publicKey))
	if err != nil {
		return "", errors.New("read public key: it is no RSA key in PEM")
	}
	text, err := json.Marshal(struct { // the order of the members is part of the form
		E   string `json:"e"`
		Kty string `json:"kty"`
		N   string `json:"n"`
	}{base64.RawURLEncoding.EncodeToString(big.NewInt(int64(key.E)).Bytes()), "RSA", base64.RawURLEncoding.EncodeToString(key.N.Bytes())})
	if err != nil {
		return "", fmt.Errorf("write public key: %w", err)
	}
	sum := sha256.Sum256(text)
	return base64.RawURLEncoding.EncodeToString(sum[:]), nil
}

// A Grant is what an application may do with an API by itself.
type Grant struct {
	ID       string   `json:"id"`
	ClientID string   `json:"client_id"`
	Audience string   `json:"audience"`
	Scopes   []string `json:"scope"`
	// Subject is "client" or empty for a machine; "user" grants are something else.
	Subject string `json:"subject_type"`
}

// Grants returns the grants of an application on an API to itself: one, or none.
func (m *Manager) Grants(ctx context.Context, clientID, audience string) ([]Grant, error) {
	var out []Grant
	err := m.pages(ctx, managed{
		tries: "list grants of application", name: "client-grants", method: http.MethodGet, path: []string{"client-grants"}, scope: "read:client_grants",
		query: url.Values{"client_id": {clientID}, "audience": {audience}},
	}, "client_grants", func(raw json.RawMessage) error {
		var g Grant
		if err := json.Unmarshal(raw, &g); err != nil {
			return errNotOurs
		}
		if g.ClientID == clientID && g.Audience == audience && (g.Subject == "" || g.Subject == "client") {
			out = append(out, g)
		}
		return nil
	})
	return out, err
}

// CreateGrant grants an application scopes of an API. The error has the kind Conflict
// when it has a grant on it already.
func (m *Manager) CreateGrant(ctx context.Context, clientID, audience string, scopes []string) error {
	return m.do(ctx, managed{
		tries: "create grant of application", name: "client-grants", method: http.MethodPost, path: []string{"client-grants"}, scope: "create:client_grants",
		body: map[string]any{"client_id": clientID, "audience": audience, "scope": scopes},
	}, nil)
}

// SetGrant makes scopes the ones of a grant.
func (m *Manager) SetGrant(ctx context.Context, id string, scopes []string) error {
	return m.do(ctx, managed{
		tries: "change grant of application", name: "client-grants", method: http.MethodPatch, path: []string{"client-grants", id}, scope: "update:client_grants",
		body: map[string]any{"scope": scopes},
	}, nil)
}

// DeleteGrant removes a grant. One that is gone already is no error.
func (m *Manager) DeleteGrant(ctx context.Context, id string) error {
	return gone(m.do(ctx, managed{
		tries: "delete grant of application", name: "client-grants", method: http.MethodDelete, path: []string{"client-grants", id}, scope: "delete:client_grants",
	}, nil))
}
