package tenant

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gaplesslogs/gapless/internal/emulator"
)

// What is told when there is no such thing, or it cannot be kept.
var (
	errNoSuchClient     = &problem{http.StatusNotFound, "The client does not exist", "inexistent_client"}
	errNoSuchCredential = &problem{http.StatusNotFound, "The credential does not exist", "inexistent_credential"}
	errNotKept          = &problem{http.StatusInternalServerError, "The change could not be kept", "internal_error"}
)

// change serves a call that changes something: do works on the body while s.mu is
// held and returns what to answer, or nil for an empty answer. The event of it is in
// the log when the client has its answer.
func (s *Server) change(description string, status int, do func(r *http.Request, body []byte) (any, *problem)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			badBody("the body cannot be read").write(w)
			return
		}
		s.mu.Lock()
		answer, failed := any(nil), errNotKept
		if !s.closed {
			answer, failed = do(r, body)
		}
		var data []byte
		if failed == nil {
			if data, err = json.Marshal(answer); err != nil || s.recordChange(r, description, status, body, data) != nil {
				failed = errNotKept
			}
		}
		s.mu.Unlock()
		switch {
		case failed != nil:
			failed.write(w)
		case answer == nil:
			w.WriteHeader(status)
		default:
			emulator.Note(r.Context(), slog.Int("answer_bytes", len(data)))
			w.Header().Set("Content-Type", contentType)
			w.WriteHeader(status)
			_, _ = w.Write(data) // a client that has left is no concern of ours
		}
	}
}

// writePage answers with the page of a list that the query asks for: an array, or
// with include_totals an object that has it under the name.
func writePage[T any](w http.ResponseWriter, q url.Values, name string, all []T) {
	number := func(key string, otherwise, most int) (int, *problem) {
		if q.Get(key) == "" {
			return otherwise, nil
		}
		n, err := strconv.Atoi(q.Get(key))
		if err != nil || n < 0 || n > most {
			return 0, badQuery(fmt.Sprintf("'Value %s is out of range' on property %s.", q.Get(key), key))
		}
		return n, nil
	}
	page, failed := number("page", 0, 1_000_000)
	size, failed2 := number("per_page", 50, 100)
	for _, p := range []*problem{failed, failed2} {
		if p != nil {
			p.write(w)
			return
		}
	}
	start := min(page*size, len(all))
	list := append([]T{}, all[start:min(start+size, len(all))]...)
	if q.Get("include_totals") != "true" {
		writeJSON(w, http.StatusOK, list)
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"start": page * size, "limit": size, "total": len(all), name: list})
}

// shown returns an application as a token with the scope may see it.
func (c *client) shown(scope string) client {
	out := *c
	if !hasAny(scope, []string{"read:client_keys"}) {
		out.ClientSecret = ""
	}
	if !hasAny(scope, []string{"read:client_keys", "read:client_credentials"}) {
		out.Methods = nil
	}
	return out
}

// only returns the members of an application that the query asks for.
func only(c client, q url.Values) any {
	if q.Get("fields") == "" {
		return c
	}
	data, err := json.Marshal(c) //nolint:gosec // who may see the secret has been decided
	var members map[string]json.RawMessage
	if err != nil || json.Unmarshal(data, &members) != nil {
		return c
	}
	fields := strings.Split(q.Get("fields"), ",")
	for name := range members {
		if slices.Contains(fields, name) == (q.Get("include_fields") == "false") {
			delete(members, name)
		}
	}
	return members
}

// getClients serves GET /api/v2/clients.
func (s *Server) getClients(w http.ResponseWriter, r *http.Request) {
	claims, _ := s.claims(r) // which has been checked
	q := r.URL.Query()
	s.mu.Lock()
	list := make([]any, 0, len(s.clients))
	for _, c := range s.clients {
		if q.Get("is_global") == "true" || q.Get("app_type") != "" && !slices.Contains(strings.Split(q.Get("app_type"), ","), c.AppType) {
			continue
		}
		list = append(list, only(c.shown(claims.Scope), q))
	}
	s.mu.Unlock()
	writePage(w, q, "clients", list)
}

// getClient serves GET /api/v2/clients/{id}.
func (s *Server) getClient(w http.ResponseWriter, r *http.Request) {
	claims, _ := s.claims(r) // which has been checked
	s.mu.Lock()
	var answer any
	if c := s.findClient(r.PathValue("id")); c != nil {
		answer = only(c.shown(claims.Scope), r.URL.Query())
	}
	s.mu.Unlock()
	if answer == nil {
		errNoSuchClient.write(w)
		return
	}
	writeJSON(w, http.StatusOK, answer)
}

// clientRequest is what a body may say of an application: that of POST, and of PATCH.
// null takes a member away.
type clientRequest struct {
	Name        *string           `json:"name"`
	Description *string           `json:"description"`
	AppType     *string           `json:"app_type"`
	GrantTypes  *[]string         `json:"grant_types"`
	OIDCConform *bool             `json:"oidc_conformant"`
	JWT         *jwtConfiguration `json:"jwt_configuration"`
	AuthMethod  json.RawMessage   `json:"token_endpoint_auth_method"`
	Methods     json.RawMessage   `json:"client_authentication_methods"`
	Metadata    map[string]any    `json:"client_metadata"`
}

// methodsRequest is client_authentication_methods: with whole credentials in a POST,
// with ids in a PATCH.
type methodsRequest struct {
	PrivateKeyJWT struct {
		Credentials []credentialRequest `json:"credentials"`
	} `json:"private_key_jwt"`
}

type credentialRequest struct {
	ID   string `json:"id"`
	Type string `json:"credential_type"`
	Name string `json:"name"`
	PEM  string `json:"pem"`
	Alg  string `json:"alg"`
}

// given reports whether a member is there and not null.
func given(raw json.RawMessage) bool { return len(raw) > 0 && !bytes.Equal(raw, []byte("null")) }

// metadataKey and metadataMax bound client_metadata (OpenAPI description).
var metadataKey = regexp.MustCompile(`^[A-Za-z0-9:,\-+=_*?"/()<>@\t ]{1,255}$`)

const metadataMax = 10

// apply puts what the request says into an application. s.mu is held.
func (req *clientRequest) apply(c *client) *problem {
	for _, x := range []struct{ to, from *string }{{&c.Name, req.Name}, {&c.Description, req.Description}, {&c.AppType, req.AppType}} {
		if x.from != nil {
			*x.to = *x.from
		}
	}
	if c.Name == "" || strings.ContainsAny(c.Name, "<>") {
		return noPattern("name", regexp.MustCompile(`^[^<>]+$`), c.Name)
	}
	if !slices.Contains([]string{"", "native", "spa", "regular_web", "non_interactive"}, c.AppType) {
		return noEnum("app_type", c.AppType)
	}
	if req.GrantTypes != nil {
		c.GrantTypes = *req.GrantTypes
	}
	if req.OIDCConform != nil {
		c.OIDCConform = *req.OIDCConform
	}
	if req.JWT != nil {
		c.JWT = *req.JWT
	}
	if failed := req.authMethod(c); failed != nil {
		return failed
	}
	return req.metadata(c)
}

// authMethod sets how the application authenticates with its secret.
func (req *clientRequest) authMethod(c *client) *problem {
	if given(req.AuthMethod) && given(req.Methods) {
		return badBody("'client_authentication_methods and token_endpoint_auth_method are mutually exclusive'.")
	}
	if len(req.AuthMethod) == 0 {
		return nil
	}
	c.AuthMethod = ""
	if !given(req.AuthMethod) {
		return nil
	}
	if json.Unmarshal(req.AuthMethod, &c.AuthMethod) != nil || !slices.Contains([]string{"none", authPost, authBasic}, c.AuthMethod) {
		return noEnum("token_endpoint_auth_method", strings.Trim(string(req.AuthMethod), `"`))
	}
	return nil
}

// metadata merges client_metadata: a null takes a key away.
func (req *clientRequest) metadata(c *client) *problem {
	if req.Metadata == nil {
		return nil
	}
	merged := map[string]string{}
	maps.Copy(merged, c.Metadata)
	for k, v := range req.Metadata {
		text, ok := v.(string)
		switch {
		case !metadataKey.MatchString(k):
			return noPattern("client_metadata", metadataKey, k)
		case v == nil:
			delete(merged, k)
		case !ok || len(text) > 255:
			return badBody("'Expected type string of 255 characters at most' on property client_metadata." + k + ".")
		default:
			merged[k] = text
		}
	}
	if len(merged) > metadataMax {
		return badBody("'Too many properties defined (" + strconv.Itoa(len(merged)) + "), maximum " + strconv.Itoa(metadataMax) + "' on property client_metadata.")
	}
	c.Metadata = merged
	return nil
}

// mayUseCredentials reports whether the caller may say how an application signs, which
// needs a scope of its own.
func (s *Server) mayUseCredentials(r *http.Request, req *clientRequest, scope string) *problem {
	claims, _ := s.claims(r) // which has been checked
	if !given(req.Methods) || hasAny(claims.Scope, []string{scope}) {
		return nil
	}
	return &problem{http.StatusForbidden, "Insufficient scope; expected any of: " + scope + ".", "insufficient_scope"}
}

// createClient serves POST /api/v2/clients.
func (s *Server) createClient(r *http.Request, body []byte) (any, *problem) {
	var req clientRequest
	if failed := decodeStrict(body, "", &req); failed != nil {
		return nil, failed
	}
	if req.Name == nil {
		return nil, missing("name")
	}
	if failed := s.mayUseCredentials(r, &req, "create:client_credentials"); failed != nil {
		return nil, failed
	}
	now := time.Now()
	s.lastID++
	rng := rand.New(rand.NewPCG(s.opts.Seed, uint64(now.UnixNano())+uint64(s.lastID))) //nolint:gosec // made-up credentials of an emulator
	c := &client{
		ClientID: randomText(rng, 32), ClientSecret: randomText(rng, 64), IsFirstParty: true, Tenant: s.opts.TenantName, CustomLoginOn: true,
		GrantTypes: []string{"authorization_code", "implicit", "refresh_token", grantClientCredentials},
	}
	if failed := req.apply(c); failed != nil {
		return nil, failed
	}
	if given(req.Methods) {
		if failed := s.newCredentials(c, req.Methods, now); failed != nil {
			return nil, failed
		}
	} else if c.AuthMethod == "" {
		c.AuthMethod = authPost
	}
	if s.keepClient(c) != nil {
		return nil, errNotKept
	}
	s.clients = append(s.clients, c)
	return createdClient(c), nil
}

// createdClient is the answer to POST, which alone shows the credentials whole.
func createdClient(c *client) any {
	if c.Methods == nil {
		return c
	}
	type methods struct {
		PrivateKeyJWT struct {
			Credentials []credential `json:"credentials"`
		} `json:"private_key_jwt"`
	}
	answer := struct {
		*client
		Methods methods `json:"client_authentication_methods"`
	}{client: c}
	answer.Methods.PrivateKeyJWT.Credentials = c.credentials
	return answer
}

// newCredentials makes the credentials of a new application.
func (s *Server) newCredentials(c *client, raw json.RawMessage, now time.Time) *problem {
	var req methodsRequest
	if failed := decodeStrict(raw, "client_authentication_methods.", &req); failed != nil {
		return failed
	}
	if len(req.PrivateKeyJWT.Credentials) == 0 {
		return missing("client_authentication_methods.private_key_jwt.credentials")
	}
	c.Methods = new(authMethods)
	for _, one := range req.PrivateKeyJWT.Credentials {
		cred, failed := s.readCredential(one, now)
		if failed != nil {
			return failed
		}
		c.credentials = append(c.credentials, cred)
		c.Methods.PrivateKeyJWT.Credentials = append(c.Methods.PrivateKeyJWT.Credentials, credentialRef{cred.ID})
	}
	return nil
}

// readCredential makes a credential out of what a body says.
func (s *Server) readCredential(req credentialRequest, now time.Time) (credential, *problem) {
	if req.Type != "public_key" {
		return credential{}, noEnum("credential_type", req.Type)
	}
	cred, err := s.newCredential(req.Name, req.PEM, now)
	if err != nil {
		return credential{}, badBody("'The pem holds " + err.Error() + "'.")
	}
	return cred, nil
}

// patchClient serves PATCH /api/v2/clients/{id}.
func (s *Server) patchClient(r *http.Request, body []byte) (any, *problem) {
	old := s.findClient(r.PathValue("id"))
	if old == nil {
		return nil, errNoSuchClient
	}
	var req clientRequest
	if failed := decodeStrict(body, "", &req); failed != nil {
		return nil, failed
	}
	if failed := s.mayUseCredentials(r, &req, "update:client_credentials"); failed != nil {
		return nil, failed
	}
	c := *old
	if failed := req.apply(&c); failed != nil {
		return nil, failed
	}
	if len(req.Methods) > 0 {
		if failed := c.useCredentials(req.Methods); failed != nil {
			return nil, failed
		}
	}
	if c.Methods != nil && c.AuthMethod != "" {
		return nil, badBody("'client_authentication_methods and token_endpoint_auth_method are mutually exclusive'.")
	}
	if s.keepClient(&c) != nil {
		return nil, errNotKept
	}
	*old = c
	claims, _ := s.claims(r)
	return c.shown(claims.Scope), nil
}

// useCredentials lets the application sign with credentials that it has.
func (c *client) useCredentials(raw json.RawMessage) *problem {
	c.Methods = nil
	if !given(raw) {
		return nil
	}
	var req methodsRequest
	if failed := decodeStrict(raw, "client_authentication_methods.", &req); failed != nil {
		return failed
	}
	c.Methods = new(authMethods)
	for _, one := range req.PrivateKeyJWT.Credentials {
		if !slices.ContainsFunc(c.credentials, func(cred credential) bool { return cred.ID == one.ID }) {
			return errNoSuchCredential
		}
		c.Methods.PrivateKeyJWT.Credentials = append(c.Methods.PrivateKeyJWT.Credentials, credentialRef{one.ID})
	}
	return nil
}

// deleteClient serves DELETE /api/v2/clients/{id}.
func (s *Server) deleteClient(r *http.Request, _ []byte) (any, *problem) {
	id := r.PathValue("id")
	if s.findClient(id) == nil {
		return nil, errNoSuchClient
	}
	if s.journal.line(map[string]any{"client_gone": id}) != nil {
		return nil, errNotKept
	}
	s.dropClient(id)
	return nil, nil
}

// getCredentials serves GET /api/v2/clients/{id}/credentials.
func (s *Server) getCredentials(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	c := s.findClient(r.PathValue("id"))
	list := []credential{}
	if c != nil {
		list = append(list, c.credentials...)
	}
	s.mu.Unlock()
	if c == nil {
		errNoSuchClient.write(w)
		return
	}
	writeJSON(w, http.StatusOK, list)
}

// createCredential serves POST /api/v2/clients/{id}/credentials. The credential is not
// used until a PATCH of the application names it.
func (s *Server) createCredential(r *http.Request, body []byte) (any, *problem) {
	c := s.findClient(r.PathValue("id"))
	if c == nil {
		return nil, errNoSuchClient
	}
	var req credentialRequest
	if failed := decodeStrict(body, "", &req); failed != nil {
		return nil, failed
	}
	cred, failed := s.readCredential(req, time.Now())
	if failed != nil {
		return nil, failed
	}
	c.credentials = append(c.credentials, cred)
	if s.keepClient(c) != nil {
		return nil, errNotKept
	}
	return cred, nil
}

// deleteCredential serves DELETE /api/v2/clients/{id}/credentials/{credential}.
func (s *Server) deleteCredential(r *http.Request, _ []byte) (any, *problem) {
	c := s.findClient(r.PathValue("id"))
	if c == nil {
		return nil, errNoSuchClient
	}
	i := slices.IndexFunc(c.credentials, func(cred credential) bool { return cred.ID == r.PathValue("credential") })
	if i < 0 {
		return nil, errNoSuchCredential
	}
	c.credentials = slices.Delete(slices.Clone(c.credentials), i, i+1)
	if s.keepClient(c) != nil {
		return nil, errNotKept
	}
	return nil, nil
}
