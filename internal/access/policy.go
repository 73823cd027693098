package access

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
)

// A Policy says who may look. The zero Policy asks for no login.
type Policy struct {
	// Users log in by name and password.
	Users []User
	// OIDC is the provider that logs people in, nil for none.
	OIDC *OIDC
	// Tokens are for programs, which may look and not act.
	Tokens []Token
	// Reachable says that others than this machine can reach the listener, directly or
	// through a proxy. Without a login they may see the figures, and nobody may act.
	Reachable bool
	// PublicURL is where the page is found, when it is not at the listener's own address:
	// scheme and host, nil for none. One of https says that a proxy in front ends TLS.
	PublicURL *url.URL
	// Proxies are networks whose X-Forwarded-For is believed.
	Proxies []netip.Prefix
	// Idle is for how long a session may go unused, and Lifetime for how long it may last
	// at all; zero stands for 8 and 24 hours.
	Idle, Lifetime time.Duration
	// MetricsLogin closes /metrics to strangers.
	MetricsLogin bool
}

// A User logs in by name and password.
type User struct {
	Name string
	Hash Hash
	Role Role
}

// A Token is what a program sends as Authorization: Bearer.
type Token struct {
	Name string
	sum  [sha256.Size]byte
}

// NewToken returns a token by its value.
func NewToken(name, value string) Token { return Token{Name: name, sum: sha256.Sum256([]byte(value))} }

// A Rule names people whom a provider knows. Any match will do; the zero Rule matches nobody.
type Rule struct {
	// Subjects are values of the claim sub.
	Subjects []string
	// Emails and Domains are compared without regard to case, and count only where the
	// provider says that the address has been verified.
	Emails, Domains []string
	// Claim names a claim of the ID token that must be, or hold, one of Values.
	Claim  string
	Values []string
}

// A person is what is known of somebody who has logged in: enough to decide again at each
// request what they may do, and no more. It is kept in the file of the sessions.
type person struct {
	Name string `json:"name"`
	// By is a digest of what they logged in by: their hash, or the provider. When that
	// changes, the session ends.
	By      string   `json:"by"`
	OIDC    bool     `json:"oidc,omitempty"`
	Subject string   `json:"subject,omitempty"`
	Email   string   `json:"email,omitempty"`  // verified, in lower case
	Values  []string `json:"values,omitempty"` // of the claims of the rules, as claim=value
}

// locked reports whether somebody must log in.
func (p *Policy) locked() bool { return len(p.Users) > 0 || p.OIDC != nil }

// idle returns Idle or its default.
func (p *Policy) idle() time.Duration { return orDuration(p.Idle, 8*time.Hour) }

// lifetime returns Lifetime or its default.
func (p *Policy) lifetime() time.Duration { return orDuration(p.Lifetime, 24*time.Hour) }

func orDuration(d, otherwise time.Duration) time.Duration {
	if d <= 0 {
		return otherwise
	}
	return d
}

// user returns the user of that name.
func (p *Policy) user(name string) (User, bool) {
	i := slices.IndexFunc(p.Users, func(u User) bool { return u.Name == name })
	if i < 0 {
		return User{}, false
	}
	return p.Users[i], true
}

// token returns the name of a token. It compares with all of them.
func (p *Policy) token(value string) (name string, ok bool) {
	sum := sha256.Sum256([]byte(value))
	for _, t := range p.Tokens {
		if subtle.ConstantTimeCompare(sum[:], t.sum[:]) == 1 {
			name, ok = t.Name, true
		}
	}
	return name, ok
}

// decoy returns a hash that no password has, for a name that nobody has: of the cost of
// one of the users' hashes, always the same for a name, so that the work tells nothing.
func (p *Policy) decoy(secret []byte, name string) Hash {
	like := p.Users[int(digest(string(secret), name)[0])%len(p.Users)].Hash
	if like.bcrypt { // the text of another's hash serves: what it says is not looked at
		return like
	}
	like.salt, like.key = make([]byte, len(like.salt)), make([]byte, len(like.key))
	_, _ = rand.Read(like.key) // it never fails
	return like
}

// role returns what a person may do by now.
func (p *Policy) role(who person) Role {
	if who.OIDC {
		switch {
		case p.OIDC == nil || who.By != p.OIDC.fingerprint():
			return None
		case p.OIDC.Operate.matches(who):
			return Operate
		case p.OIDC.Allow.matches(who):
			return View
		}
		return None
	}
	u, ok := p.user(who.Name)
	if !ok || who.By != u.fingerprint() {
		return None
	}
	return u.Role
}

// fingerprint changes with the password.
func (u User) fingerprint() string {
	sum := digest("user", u.Name, u.Hash.text)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// matches reports whether a rule names a person.
func (r Rule) matches(who person) bool {
	if slices.Contains(r.Subjects, who.Subject) {
		return true
	}
	if who.Email != "" {
		is := func(s string) bool { return strings.EqualFold(s, who.Email) }
		_, domain := cutLast(who.Email, "@")
		of := func(s string) bool { return domain != "" && strings.EqualFold(strings.TrimPrefix(s, "@"), domain) }
		if slices.ContainsFunc(r.Emails, is) || slices.ContainsFunc(r.Domains, of) {
			return true
		}
	}
	return r.Claim != "" && slices.ContainsFunc(r.Values, func(v string) bool { return slices.Contains(who.Values, claimValue(r.Claim, v)) })
}

// claimValue is how a value of a claim is kept.
func claimValue(claim, value string) string { return claim + "=" + value }

// cutLast cuts at the last separator; all is before when there is none.
func cutLast(s, sep string) (before, after string) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, ""
	}
	return s[:i], s[i+len(sep):]
}
