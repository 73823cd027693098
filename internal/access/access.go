// Package access says who may look at the page and who may act on it: the roles,
// who a request is from, and the line that is written of every operation.
package access

import (
	"context"
	"log/slog"
	"net/http"
)

// A Role is what somebody may do on the page. Each role may do what those below it may.
type Role uint8

// The roles, in ascending order.
const (
	// None may see nothing but what needs no login: health and metrics.
	None Role = iota
	// View may look at everything, events included.
	View
	// Operate may also act: replay and drop dead letters, silence an alert.
	Operate
)

// String returns "none", "view" or "operate".
func (r Role) String() string {
	switch r {
	case View:
		return "view"
	case Operate:
		return "operate"
	default:
		return "none"
	}
}

// An Identity is who a request is from.
type Identity struct {
	// Name is what a person is called in audit lines and on the page: a user name, an
	// e-mail address or a subject; "local" where no login is asked for.
	Name string
	Role Role
	// CSRF is what a form of this session sends back as the field csrf, or a script as
	// the header X-CSRF-Token.
	CSRF string
	// Session says that there is a login, and so a way to log out.
	Session bool
}

// May reports whether the identity has at least a role.
func (i Identity) May(r Role) bool { return i.Role >= r }

// identityKey is the key of the identity in a context.
type identityKey struct{}

// With returns a context that carries who a request is from.
func With(ctx context.Context, i Identity) context.Context {
	return context.WithValue(ctx, identityKey{}, i)
}

// From returns who a request is from; the zero Identity, which may nothing, when the
// context does not say.
func From(ctx context.Context) Identity {
	i, _ := ctx.Value(identityKey{}).(Identity)
	return i
}

// A Guard stands in front of the pages. It answers the addresses of the login itself,
// and passes on requests with their Identity in the context: those of strangers with the
// zero Identity where open says that an address needs no login; others it sends to the
// login, or refuses with 401 where they are no page that a person opens. It refuses
// requests that change something and do not carry the CSRF token of their session.
type Guard interface {
	Wrap(next http.Handler, open func(*http.Request) bool) http.Handler
}

// A LoginPage is what the page of the login shows. Package web draws it.
type LoginPage struct {
	// Password says that there is a form for name and password, sent by POST to /login
	// with the fields username, password, next and csrf.
	Password bool
	// Provider is the name of the OpenID Connect provider to put on the link to
	// /login/oidc?next=...; empty without one.
	Provider string
	// Next is the path to go on to.
	Next string
	CSRF string
	// Problem is what went wrong with the attempt before, as a word of the Problem constants.
	Problem Problem
	// RetryAfter is for how many seconds no further attempt is taken, with TooMany.
	RetryAfter int
	// Who is the identity that is known and not allowed, with NotAllowed.
	Who string
}

// A Problem is why a login failed.
type Problem string

// The problems.
const (
	NoProblem  Problem = ""
	Wrong      Problem = "wrong"       // name or password is wrong
	TooMany    Problem = "too_many"    // too many attempts
	NotAllowed Problem = "not_allowed" // the provider knows the person, the configuration does not
	Provider   Problem = "provider"    // the provider refused, or cannot be reached; the log says why
	Expired    Problem = "expired"     // the form or the way to the provider took too long
	LoggedOut  Problem = "logged_out"  // no problem: the session was ended
)

// Audit writes the line of an operation: who did what, and how it ended. Attributes name
// what it was done to; never an event or a secret.
func Audit(ctx context.Context, logger *slog.Logger, operation, outcome string, attrs ...slog.Attr) {
	who := From(ctx)
	logger.LogAttrs(ctx, slog.LevelInfo, "audit", append([]slog.Attr{
		slog.Bool("audit", true), slog.String("operation", operation), slog.String("outcome", outcome),
		slog.String("by", who.Name), slog.String("role", who.Role.String()),
	}, attrs...)...)
}
