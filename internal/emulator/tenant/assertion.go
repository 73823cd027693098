package tenant

import (
	"crypto/rsa"
	"slices"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Bounds on a client assertion (Auth0 docs: authenticate with private key JWT).
const (
	assertionType   = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	assertionMaxAge = 5 * time.Minute
	assertionSkew   = 10 * time.Second
)

// checkAssertion authenticates the application by private_key_jwt: signed with
// one of the public keys by RS256, RS384 or PS256, issued by and about the
// client, made for this tenant, valid for five minutes at most, and new.
func (s *Server) checkAssertion(req tokenRequest, base string) *tokenProblem {
	if req.AssertionType != assertionType || req.Assertion == "" {
		return badAssertion
	}
	var claims jwt.RegisteredClaims
	if !s.verify(req.Assertion, &claims) {
		return badAssertion
	}
	switch {
	case req.ClientID != "" && req.ClientID != s.opts.ClientID,
		!slices.Contains(claims.Audience, "https://"+s.opts.Domain+"/") && !slices.Contains(claims.Audience, base+"/"),
		time.Until(claims.ExpiresAt.Time) > assertionMaxAge+assertionSkew,
		claims.ID == "",
		!s.replays.first(claims.ID, claims.ExpiresAt.Time):
		return badAssertion
	}
	return nil
}

// verify checks signature, times, issuer and subject.
func (s *Server) verify(assertion string, claims *jwt.RegisteredClaims) bool {
	parser := jwt.NewParser(
		jwt.WithValidMethods([]string{"RS256", "RS384", "PS256"}), jwt.WithExpirationRequired(), jwt.WithIssuedAt(),
		jwt.WithIssuer(s.opts.ClientID), jwt.WithSubject(s.opts.ClientID), jwt.WithLeeway(assertionSkew))
	return slices.ContainsFunc(s.opts.PublicKeys, func(key *rsa.PublicKey) bool {
		*claims = jwt.RegisteredClaims{}
		_, err := parser.ParseWithClaims(assertion, claims, func(*jwt.Token) (any, error) { return key, nil })
		return err == nil
	})
}

// replays remembers the ids of assertions until they have expired. The zero
// value is ready for use.
type replays struct {
	mu   sync.Mutex
	used map[string]time.Time
}

// first reports whether the id is new, and remembers it.
func (r *replays) first(id string, expires time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for old, end := range r.used {
		if time.Since(end) > assertionSkew {
			delete(r.used, old)
		}
	}
	if _, again := r.used[id]; again {
		return false
	}
	if r.used == nil {
		r.used = make(map[string]time.Time)
	}
	r.used[id] = expires
	return true
}
