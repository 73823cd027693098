package auth0

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
	"unicode"
)

// A Kind says what an error means to the caller.
type Kind uint8

// The kinds of errors.
const (
	// Transient faults pass by themselves: network, 5xx, an answer that is cut
	// off or is no JSON.
	Transient Kind = iota
	// Throttled says 429; RetryAfter is how long to wait.
	Throttled
	// Unauthorized says that the credentials or a fresh token were refused.
	Unauthorized
	// Forbidden says that the application lacks a permission.
	Forbidden
	// BadCursor says that the API refused the log_id to go on from: it is
	// unknown, or older than the tenant's retention.
	BadCursor
	// BadRequest says that the API refused a search.
	BadRequest
	// Misconfigured says that the host has no such API: the domain is wrong.
	Misconfigured
	// NotFound says that a Manager asked for something that is not there.
	NotFound
	// Conflict says that there is one already, or that there may be no more.
	Conflict
)

// String returns the name used in metrics.
func (k Kind) String() string {
	switch k {
	case Throttled:
		return "throttled"
	case Unauthorized:
		return "unauthorized"
	case Forbidden:
		return "forbidden"
	case BadCursor:
		return "bad_cursor"
	case BadRequest:
		return "bad_request"
	case Misconfigured:
		return "misconfigured"
	case NotFound:
		return "not_found"
	case Conflict:
		return "conflict"
	default:
		return "transient"
	}
}

// ErrTooLarge says that an answer exceeds 64 MiB; fewer events a page may help.
var ErrTooLarge = errors.New("the answer is larger than 64 MiB")

// An Error is a call that did not succeed. It holds no secret, token or body.
type Error struct {
	// Op says what was tried: "fetch logs", "search logs", "get access token".
	Op string
	// Status is the HTTP status; 0 when there was no answer.
	Status int
	// Code is the errorCode or error of the answer; may be empty.
	Code string
	// Message is what the answer said, in one line of bounded length, or what
	// was wrong with it.
	Message string
	// RetryAfter is how long to wait before the next try, for Throttled.
	RetryAfter time.Duration
	// Kind tells the caller what to do.
	Kind Kind
	// Hint tells a person what to do, as a sentence; may be empty.
	Hint string
	// Err is the cause where it is not an answer; may be nil.
	Err error
}

// HTTPStatus returns Status.
func (e *Error) HTTPStatus() int { return e.Status }

// Error returns the operation, the status and the message.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op)
	if e.Status != 0 {
		fmt.Fprintf(&b, ": status %d", e.Status)
	}
	for _, part := range []string{e.Code, e.Message} {
		if part != "" {
			b.WriteString(": " + part)
		}
	}
	if e.Err != nil {
		b.WriteString(": " + oneLine(e.Err.Error())) // which may quote what is no HTTP at all
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// maxMessage bounds the text taken over from an answer, in bytes.
const maxMessage = 300

// oneLine makes text from an answer fit for a log line and a terminal: what does
// not print, such as an escape or a change of the direction of writing, goes.
func oneLine(s string) string {
	s = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, "?"), func(r rune) bool {
		return unicode.IsSpace(r) || !unicode.IsPrint(r)
	}), " ")
	if len(s) <= maxMessage {
		return s
	}
	return strings.ToValidUTF8(s[:maxMessage], "") + "…"
}

// readError reads what an error answer says: errorCode and message of the
// Management API, or error and error_description of the token endpoint. ok is
// false when it says nothing of the kind, as the page of a proxy does.
func readError(body []byte) (code, message string, ok bool) {
	var said struct {
		Code        string `json:"errorCode"`
		Error       string `json:"error"`
		Message     string `json:"message"`
		Description string `json:"error_description"`
	}
	if json.Unmarshal(body, &said) != nil {
		return "", "", false
	}
	code, message = cmp.Or(said.Code, said.Error), cmp.Or(said.Message, said.Description)
	return code, message, code != "" || message != ""
}

// failure makes the error of an answer that is not 200. The client secret, and
// what else was secret in the request, is blotted out should the answer quote it.
func (c *Client) failure(op operation, r reply, secrets ...string) *Error {
	e := &Error{Op: op.tries, Status: r.status, Kind: Transient}
	secrets = append(secrets, c.secrets()...)
	code, message, isJSON := readError(r.body)
	e.Code, e.Message = fit(code, secrets), fit(message, secrets)
	if !isJSON && len(r.body) > 0 {
		e.Message = notAPI
	}
	switch {
	case r.status == http.StatusUnauthorized, code == "unauthorized_client":
		e.Kind, e.Hint = Unauthorized, c.hintCredentials()
	case r.status == http.StatusForbidden:
		e.Kind, e.Hint = Forbidden, c.hintGrant()
	case r.status == http.StatusTooManyRequests:
		e.Kind = Throttled
		e.RetryAfter = op.limiter.refused(r.header, r.received)
	case r.status == http.StatusNotFound:
		e.Kind, e.Hint = Misconfigured, c.hintDomain()
	case r.status == http.StatusBadRequest && isJSON:
		e.Kind = op.on400
		if op.on400 == Unauthorized {
			e.Hint = c.hintCredentials()
		}
	case r.header.Get("Location") != "" && r.status >= 300 && r.status < 400:
		e.Message = "the host sends us elsewhere"
		e.Hint = c.hintDomain()
	}
	return e
}

// blot stands for a secret.
const blot = "*****"

// jwtText finds what looks like a JSON Web Token, or like the start of one.
var jwtText = regexp.MustCompile(`eyJ[A-Za-z0-9_-]{6,}[A-Za-z0-9_.-]*`)

// fit makes text from an answer fit to be shown, even if it quotes what we sent,
// be it as a form does.
func fit(s string, secrets []string) string {
	for _, secret := range secrets {
		if secret != "" {
			s = strings.NewReplacer(secret, blot, url.QueryEscape(secret), blot, url.PathEscape(secret), blot).Replace(s)
		}
	}
	return oneLine(jwtText.ReplaceAllString(s, blot))
}

func (c *Client) hintCredentials() string {
	return fmt.Sprintf("Check client_id and the secret or key of application %s in the Auth0 Dashboard of %s, and that its grant types include Client Credentials.", c.cfg.ClientID, c.base.Host)
}

func (c *Client) hintGrant() string {
	return fmt.Sprintf("In the Auth0 Dashboard of %s, grant application %s the scope read:logs of the Auth0 Management API (Applications, APIs, Auth0 Management API, Machine to Machine Applications); audience is %s. It goes on by itself within ten minutes or so.", c.base.Host, c.cfg.ClientID, c.cfg.Audience)
}

func (c *Client) hintDomain() string {
	return fmt.Sprintf("Check domain: %s does not answer like an Auth0 tenant.", c.base.Host)
}

// An unquoted error is one whose text no longer quotes a secret.
type unquoted struct {
	text string
	err  error
}

// Error returns the text without secrets.
func (u *unquoted) Error() string { return u.text }

// Unwrap returns the error that quotes them.
func (u *unquoted) Unwrap() error { return u.err }

// unquoted returns err, without the secrets of the request should its text quote
// them: what is no HTTP shows in an error of net/http as it came.
func (c *Client) unquoted(err error, req *http.Request) error {
	_, bearer, _ := strings.Cut(req.Header.Get("Authorization"), " ")
	text := err.Error()
	if safe := fit(text, append(c.secrets(), bearer)); safe != oneLine(text) {
		return &unquoted{text: safe, err: err}
	}
	return err
}
