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

// checkAssertion authenticates an application by private_key_jwt: signed with
// one of the public keys by RS256, RS384 or PS256, issued by and about the
// client, made for this tenant, valid for five minutes at most, and new.
func (s *Server) checkAssertion(req tokenRequest, base string) (clientID string, failed *tokenProblem) {
	if req.AssertionType != assertionType || req.Assertion == "" {
		return "", badAssertion
	}
	var claims jwt.RegisteredClaims
	if _, _, err := jwt.NewParser().ParseUnverified(req.Assertion, &claims); err != nil {
		return "", badAssertion
	}
	clientID = claims.Issuer
	s.mu.Lock()
	var keys []*rsa.PublicKey
	if c := s.findClient(clientID); c != nil {
		keys = c.signsWith()
	}
	s.mu.Unlock()
	switch {
	case !verify(req.Assertion, clientID, keys, &claims),
		req.ClientID != "" && req.ClientID != clientID,
		!slices.Contains(claims.Audience, "https://"+s.opts.Domain+"/") && !slices.Contains(claims.Audience, base+"/"),
		time.Until(claims.ExpiresAt.Time) > assertionMaxAge+assertionSkew,
		claims.ID == "",
		!s.replays.first(claims.ID, claims.ExpiresAt.Time):
		return "", badAssertion
	}
	return clientID, nil
}

// verify checks signature, times, issuer and subject.
func verify(assertion, clientID string, keys []*rsa.PublicKey, claims *jwt.RegisteredClaims) bool {
	parser := jwt.NewParser(
		jwt.WithValidMethods([]string{"RS256", "RS384", "PS256"}), jwt.WithExpirationRequired(), jwt.WithIssuedAt(),
		jwt.WithIssuer(clientID), jwt.WithSubject(clientID), jwt.WithLeeway(assertionSkew))
	return slices.ContainsFunc(keys, func(key *rsa.PublicKey) bool {
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
