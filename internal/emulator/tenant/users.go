package tenant

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/mail"
	"slices"
	"strings"
	"time"

	"github.com/gaplesslogs/gapless/internal/emulator"
)

// newUserRequest is what POST /api/v2/users reads of its body.
type newUserRequest struct {
	Connection    string          `json:"connection"`
	Email         string          `json:"email"`
	EmailVerified bool            `json:"email_verified"`
	Password      string          `json:"password"`
	Name          string          `json:"name"`
	Nickname      string          `json:"nickname"`
	Picture       string          `json:"picture"`
	Username      string          `json:"username"`
	Blocked       bool            `json:"blocked"`
	UserMetadata  json.RawMessage `json:"user_metadata"`
	AppMetadata   json.RawMessage `json:"app_metadata"`
}

// account is a user that was created over the API, as the API shows it.
type account struct {
	AppMetadata   json.RawMessage `json:"app_metadata,omitempty"`
	Blocked       bool            `json:"blocked"`
	CreatedAt     string          `json:"created_at"`
	Email         string          `json:"email"`
	EmailVerified bool            `json:"email_verified"`
	Identities    []identity      `json:"identities"`
	Name          string          `json:"name"`
	Nickname      string          `json:"nickname"`
	Picture       string          `json:"picture"`
	UpdatedAt     string          `json:"updated_at"`
	UserID        string          `json:"user_id"`
	UserMetadata  json.RawMessage `json:"user_metadata,omitempty"`
	Username      string          `json:"username,omitempty"`
}

type identity struct {
	Connection string `json:"connection"`
	IsSocial   bool   `json:"isSocial"`
	Provider   string `json:"provider"`
	UserID     string `json:"user_id"`
}

// createUser serves POST /api/v2/users. The event of it is in the log when the
// client has its answer.
func (s *Server) createUser(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		badBody("the body cannot be read").write(w)
		return
	}
	req, failed := s.readNewUser(body)
	if failed == nil {
		emulator.Note(r.Context(), slog.String("connection", req.Connection))
		var a account
		if a, failed = s.addUser(r, req, body); failed == nil {
			writeJSON(w, http.StatusCreated, a)
			return
		}
	}
	failed.write(w)
}

// readNewUser reads and validates the body.
func (s *Server) readNewUser(body []byte) (newUserRequest, *problem) {
	var req newUserRequest
	if err := json.Unmarshal(body, &req); err != nil {
		return req, badBody("'Expected a JSON object with the properties of a user'.")
	}
	connections := s.generator.world.connections
	i := slices.IndexFunc(connections, func(c connection) bool { return c.name == req.Connection })
	_, err := mail.ParseAddress(req.Email)
	switch {
	case req.Connection == "":
		return req, badBody("'Missing required property: connection'.")
	case i < 0 || connections[i].kind == kindSocial || connections[i].kind == kindEnterprise:
		return req, &problem{http.StatusBadRequest, "The connection does not exist.", "inexistent_connection"}
	case req.Email == "":
		return req, badBody("'Missing required property: email'.")
	case err != nil || strings.ContainsAny(req.Email, "<> "):
		return req, badBody("'Object didn't pass validation for format email: " + req.Email + "' on property email (The user's email).")
	case connections[i].kind == kindDatabase && req.Password == "":
		return req, badBody("'Missing required property: password'.")
	case connections[i].kind == kindDatabase && len(req.Password) < 8:
		return req, &problem{http.StatusBadRequest, "PasswordStrengthError: Password is too weak", "invalid_password"}
	}
	return req, nil
}

// userKey identifies a user within the tenant.
func userKey(connection, email string) string {
	return connection + " " + strings.ToLower(email)
}

// addUser keeps the user and records the event.
func (s *Server) addUser(r *http.Request, req newUserRequest, body []byte) (account, *problem) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := userKey(req.Connection, req.Email)
	if _, ok := s.users[key]; ok {
		return account{}, &problem{http.StatusConflict, "The user already exists.", "auth0_idp_error"}
	}
	a := s.newAccount(req)
	data, err := json.Marshal(a)
	if err == nil {
		err = s.recordChange(r, "Create a User", http.StatusCreated, body, data)
	}
	if err == nil {
		err = s.journal.user(data)
	}
	if err != nil {
		return account{}, &problem{http.StatusInternalServerError, "The user could not be kept", "internal_error"}
	}
	s.users[key] = a
	return a, nil
}

// newAccount fills in what the request leaves open. Its id depends on the seed
// and on how many users there are. s.mu is held.
func (s *Server) newAccount(req newUserRequest) account {
	local, _, _ := strings.Cut(req.Email, "@")
	now := time.Now().UTC()
	hex := fmt.Sprintf("%08x%08x%08x", now.Unix(), uint32(s.opts.Seed), len(s.users)+1) //nolint:gosec // the lower half of the seed is enough
	provider := "auth0"
	if req.Connection == "email" {
		provider = "email"
	}
	return account{
		AppMetadata: req.AppMetadata, Blocked: req.Blocked, CreatedAt: now.Format(dateLayout),
		Email: req.Email, EmailVerified: req.EmailVerified,
		Identities: []identity{{Connection: req.Connection, Provider: provider, UserID: hex}},
		Name:       orElse(req.Name, req.Email), Nickname: orElse(req.Nickname, local),
		Picture:   orElse(req.Picture, "https://cdn.example.com/avatars/us.png"),
		UpdatedAt: now.Format(dateLayout), UserID: provider + "|" + hex,
		UserMetadata: req.UserMetadata, Username: req.Username,
	}
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// getUser serves GET /api/v2/users/{id}.
func (s *Server) getUser(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	s.mu.Lock()
	var found *account
	for _, a := range s.users {
		if a.UserID == id {
			found = &a
		}
	}
	s.mu.Unlock()
	if found == nil {
		problem{http.StatusNotFound, "The user does not exist.", "inexistent_user"}.write(w)
		return
	}
	writeJSON(w, http.StatusOK, found)
}

// loadUser takes over a user from the journal.
func (s *Server) loadUser(data []byte) error {
	var a account
	if err := json.Unmarshal(data, &a); err != nil {
		return fmt.Errorf("read user: %w", err)
	}
	for _, id := range a.Identities {
		s.users[userKey(id.Connection, a.Email)] = a
	}
	return nil
}

// masked returns a JSON object with its secrets as Auth0 shows them.
func masked(body []byte) []byte {
	var members map[string]json.RawMessage
	if json.Unmarshal(body, &members) != nil {
		return []byte("{}")
	}
	for _, secret := range []string{"password", "client_secret"} {
		if _, ok := members[secret]; ok {
			members[secret] = []byte(`"*****"`)
		}
	}
	out := new(bytes.Buffer)
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	if enc.Encode(members) != nil {
		return []byte("{}")
	}
	return bytes.TrimSpace(out.Bytes())
}
