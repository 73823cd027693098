package auth0

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
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
		b.WriteString(": " + e.Err.Error())
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// maxMessage bounds the text taken over from an answer, in bytes.
const maxMessage = 300

// oneLine makes text from an answer fit for a log line.
func oneLine(s string) string {
	s = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, "?"), func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r)
	}), " ")
	if len(s) <= maxMessage {
		return s
	}
	return strings.ToValidUTF8(s[:maxMessage], "") + "…"
}

// failure makes the error of an answer that is not 200.
func (c *Client) failure(op operation, r reply) *Error {
	e := &Error{Op: op.tries, Status: r.status, Kind: Transient}
	var said struct {
		Error       string `json:"error"`
		Code        string `json:"errorCode"`
		Message     string `json:"message"`
		Description string `json:"error_description"`
	}
	if json.Unmarshal(r.body, &said) == nil {
		e.Code, e.Message = said.Code, said.Message
		if e.Code == "" {
			e.Code = said.Error
		}
		if e.Message == "" {
			e.Message = said.Description
		}
		e.Code, e.Message = c.fit(e.Code), c.fit(e.Message)
	}
	isJSON := e.Code != "" || e.Message != ""
	switch {
	case r.status == http.StatusUnauthorized:
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
	case r.status >= 300 && r.status < 400:
		e.Message = "the host sends us elsewhere"
		e.Hint = c.hintDomain()
	}
	return e
}

// fit makes text from an answer fit to be shown, should it even quote what we
// sent.
func (c *Client) fit(s string) string {
	if c.cfg.ClientSecret != "" {
		s = strings.ReplaceAll(s, c.cfg.ClientSecret, "*****")
	}
	return oneLine(s)
}

func (c *Client) hintCredentials() string {
	return fmt.Sprintf("Check client_id and the secret or key of application %s in the Auth0 Dashboard of %s, and that its grant types include Client Credentials.", c.cfg.ClientID, c.base.Host)
}

func (c *Client) hintGrant() string {
	return fmt.Sprintf("In the Auth0 Dashboard of %s, grant application %s the scope read:logs of the Auth0 Management API (Applications, APIs, Auth0 Management API, Machine to Machine Applications); audience is %s.", c.base.Host, c.cfg.ClientID, c.cfg.Audience)
}

func (c *Client) hintDomain() string {
	return fmt.Sprintf("Check domain: %s does not answer like an Auth0 tenant.", c.base.Host)
}
