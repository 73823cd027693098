package tenant

import (
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/gaplesslogs/gapless/internal/emulator"
)

// tokenRequest is the body of POST /oauth/token; forms have the same names.
type tokenRequest struct {
	GrantType     string `json:"grant_type"`
	ClientID      string `json:"client_id"`
	ClientSecret  string `json:"client_secret"`
	Audience      string `json:"audience"`
	Scope         string `json:"scope"`
	AssertionType string `json:"client_assertion_type"`
	Assertion     string `json:"client_assertion"`
}

// tokenProblem is an error answer of the OAuth endpoint.
type tokenProblem struct {
	status      int
	code        string
	description string
}

// Answers to a client that is not who it says.
var (
	unauthorized = &tokenProblem{http.StatusUnauthorized, "access_denied", "Unauthorized"}
	badAssertion = &tokenProblem{http.StatusUnauthorized, "invalid_client", "Failed to verify JWT"}
)

func (p *tokenProblem) write(w http.ResponseWriter) {
	writeJSON(w, p.status, map[string]string{"error": p.code, "error_description": p.description})
}

// maxBody bounds the body of a request, in bytes.
const maxBody = 1 << 20

// token serves POST /oauth/token. Each exchange leaves an event in the log.
func (s *Server) token(w http.ResponseWriter, r *http.Request) {
	req, failed := readTokenRequest(http.MaxBytesReader(w, r.Body, maxBody), r)
	var clientID, scope string
	if failed == nil {
		emulator.Note(r.Context(), slog.String("grant_type", req.GrantType), slog.String("audience", req.Audience))
		clientID, scope, failed = s.check(req, baseURL(r))
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Pragma", "no-cache")
	if failed != nil {
		if failed.status == http.StatusUnauthorized || failed.status == http.StatusForbidden {
			s.recordExchange(r, req, failed)
		}
		failed.write(w)
		return
	}
	text, err := s.issue(clientID, req.Audience, scope)
	if err != nil {
		http.Error(w, "sign token", http.StatusInternalServerError)
		return
	}
	s.statsMu.Lock()
	s.stats.Tokens++
	s.statsMu.Unlock()
	req.ClientID, req.Scope = clientID, scope
	s.recordExchange(r, req, nil)
	writeJSON(w, http.StatusOK, struct {
		AccessToken string `json:"access_token"`
		Scope       string `json:"scope"`
		ExpiresIn   int64  `json:"expires_in"`
		TokenType   string `json:"token_type"`
	}{text, scope, int64(s.opts.TokenLifetime / time.Second), "Bearer"})
}

// readTokenRequest reads a form or a JSON object, and HTTP Basic credentials.
func readTokenRequest(body io.Reader, r *http.Request) (tokenRequest, *tokenProblem) {
	var req tokenRequest
	data, err := io.ReadAll(body)
	if err != nil {
		return req, &tokenProblem{http.StatusBadRequest, "invalid_request", "The body cannot be read"}
	}
	if isJSON(r.Header.Get("Content-Type")) {
		if err := json.Unmarshal(data, &req); err != nil {
			return req, &tokenProblem{http.StatusBadRequest, "invalid_request", "Invalid JSON"}
		}
	} else {
		form, err := url.ParseQuery(string(data))
		if err != nil {
			return req, &tokenProblem{http.StatusBadRequest, "invalid_request", "Invalid form"}
		}
		req = tokenRequest{
			GrantType: form.Get("grant_type"), ClientID: form.Get("client_id"), ClientSecret: form.Get("client_secret"),
			Audience: form.Get("audience"), Scope: form.Get("scope"),
			AssertionType: form.Get("client_assertion_type"), Assertion: form.Get("client_assertion"),
		}
	}
	if id, secret, ok := r.BasicAuth(); ok {
		if id = basicPart(id); req.ClientID != "" && req.ClientID != id {
			return req, unauthorized // two clients cannot ask at once
		}
		req.ClientID, req.ClientSecret = id, basicPart(secret)
	}
	return req, nil
}

// isJSON reports whether a content type is that of JSON, whatever its case and
// parameters.
func isJSON(contentType string) bool {
	name, _, _ := strings.Cut(contentType, ";")
	return strings.EqualFold(strings.TrimSpace(name), "application/json")
}

// basicPart undoes the form encoding of Basic credentials (RFC 6749, section
// 2.3.1), which not every client applies.
func basicPart(s string) string {
	if plain, err := url.QueryUnescape(s); err == nil {
		return plain
	}
	return s
}

// check authenticates the application and returns its id and what the token is to
// grant, or why there is none. base is the address that the client used.
func (s *Server) check(req tokenRequest, base string) (clientID, scope string, failed *tokenProblem) {
	switch req.GrantType {
	case grantClientCredentials:
	case "":
		return "", "", &tokenProblem{http.StatusBadRequest, "invalid_request", "Missing required parameter: grant_type"}
	default:
		return "", "", &tokenProblem{http.StatusForbidden, "unsupported_grant_type", "Unsupported grant type: " + req.GrantType}
	}
	if clientID, failed = s.checkClient(req, base); failed != nil {
		return "", "", failed
	}
	if req.Audience == "" {
		return "", "", &tokenProblem{
			http.StatusForbidden, "access_denied",
			"No audience parameter was provided, and no default audience has been configured",
		}
	}
	if !s.isManagement(req.Audience, base) {
		return "", "", &tokenProblem{http.StatusForbidden, "access_denied", "Service not enabled within domain: " + req.Audience}
	}
	scope, ok := s.granted(clientID, req.Scope)
	if !ok {
		return "", "", &tokenProblem{http.StatusForbidden, "access_denied", fmt.Sprintf(
			"Client is not authorized to access %q. You need to create a \"client-grant\" associated to this API. See: https://auth0.com/docs/api/v2#!/Client_Grants/post_client_grants",
			req.Audience)}
	}
	return clientID, scope, nil
}

// apiPath ends the audience of the Management API.
const apiPath = "/api/v2/"

// checkClient authenticates the application and returns its id.
func (s *Server) checkClient(req tokenRequest, base string) (clientID string, failed *tokenProblem) {
	if req.Assertion != "" || req.AssertionType != "" {
		clientID, failed = s.checkAssertion(req, base)
	} else {
		clientID, failed = s.checkSecret(req)
	}
	if failed != nil {
		return "", failed
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.findClient(clientID); c == nil || !slices.Contains(c.GrantTypes, grantClientCredentials) {
		return "", &tokenProblem{http.StatusForbidden, "unauthorized_client", "Grant type 'client_credentials' not allowed for the client."}
	}
	return clientID, nil
}

// checkSecret authenticates the application by its secret.
func (s *Server) checkSecret(req tokenRequest) (clientID string, failed *tokenProblem) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.findClient(req.ClientID)
	if c == nil || c.Methods != nil || subtle.ConstantTimeCompare([]byte(req.ClientSecret), []byte(c.ClientSecret)) != 1 {
		return "", unauthorized
	}
	return c.ClientID, nil
}

// accessClaims are the claims of an access token of the Management API.
type accessClaims struct {
	jwt.RegisteredClaims
	Azp   string `json:"azp"`
	Scope string `json:"scope"`
	Gty   string `json:"gty"`
}

// issue signs an access token.
func (s *Server) issue(clientID, audience, scope string) (string, error) {
	now := time.Now()
	return jwt.NewWithClaims(jwt.SigningMethodHS256, accessClaims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: "https://" + s.opts.Domain + "/", Subject: clientID + "@clients",
			Audience: jwt.ClaimStrings{audience},
			IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(s.opts.TokenLifetime)),
		},
		Azp: clientID, Scope: scope, Gty: "client-credentials",
	}).SignedString(s.tokenKey)
}

// authorized lets requests with a valid token that has one of the scopes pass.
func (s *Server) authorized(next http.HandlerFunc, scopes ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		claims, failed := s.claims(r)
		if failed == nil && !hasAny(claims.Scope, scopes) {
			failed = &problem{
				http.StatusForbidden, "Insufficient scope; expected any of: " + strings.Join(scopes, ", ") + ".",
				"insufficient_scope",
			}
		}
		if failed != nil {
			failed.write(w)
			return
		}
		next(w, r)
	})
}

// claims verifies the bearer token of a request.
func (s *Server) claims(r *http.Request) (accessClaims, *problem) {
	var claims accessClaims
	scheme, text, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if text == "" || !strings.EqualFold(scheme, "Bearer") {
		return claims, &problem{http.StatusUnauthorized, "Missing authentication", ""}
	}
	_, err := jwt.ParseWithClaims(text, &claims, func(*jwt.Token) (any, error) { return s.tokenKey, nil },
		jwt.WithValidMethods([]string{"HS256"}), jwt.WithExpirationRequired(), jwt.WithIssuer("https://"+s.opts.Domain+"/"))
	if err != nil {
		return claims, &problem{http.StatusUnauthorized, "Invalid token.", "invalid_token"}
	}
	return claims, nil
}

// hasAny reports whether the scope holds one of the wanted ones.
func hasAny(scope string, wanted []string) bool {
	return slices.ContainsFunc(strings.Fields(scope), func(s string) bool { return slices.Contains(wanted, s) })
}
