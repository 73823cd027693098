package notify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

const (
	// sendTimeout bounds one call to a channel.
	sendTimeout = 10 * time.Second
	// answerMost is how much of an answer is read, in bytes.
	answerMost = 4 << 10
	// retryAfterMost bounds what a server may ask for, against nonsense.
	retryAfterMost = time.Hour
)

// hintReference is what to do about a secret that cannot be read.
const hintReference = "Set what the reference in the section notify leads to; a file or a secret in AWS is read again by itself, a variable at the next start."

// A SendError says why a message was not sent. It holds no secret: neither a URL nor
// what the other side has answered in words of its own.
type SendError struct {
	// Text says what failed, and Hint what to do; Hint may be empty.
	Text, Hint string
	// RetryAfter is the wait that the other side asked for; 0 when it did not.
	RetryAfter time.Duration
	// Lasting says that a person must act; Refused that the other side does not take the
	// credentials; Misconfigured that it can never work as it is written.
	Lasting, Refused, Misconfigured bool
}

// Error returns what failed.
func (e *SendError) Error() string { return e.Text }

// A Secret returns a value that is kept elsewhere, and that may change.
type Secret func(context.Context) (string, error)

// A Header is a header of requests; its value is a secret.
type Header struct {
	Name  string
	Value Secret
}

// NewClient returns the client for channels: bounded in time, and it follows no redirect,
// so that neither a secret nor a signature reaches another server. transport nil takes
// the ordinary one, which honours the variables for proxies and certificates.
func NewClient(transport http.RoundTripper) *http.Client {
	if transport == nil {
		transport = &http.Transport{
			Proxy: http.ProxyFromEnvironment, DialContext: (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
			TLSHandshakeTimeout: 5 * time.Second, ResponseHeaderTimeout: sendTimeout, IdleConnTimeout: 30 * time.Second,
			MaxIdleConnsPerHost: 1, ForceAttemptHTTP2: true,
		}
	}
	return &http.Client{Transport: transport, Timeout: sendTimeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// A request is a call to a URL that is a secret.
type request struct {
	client  *http.Client
	method  string
	url     Secret
	headers []Header
	plain   http.Header // headers that are no secrets
	body    []byte
	sign    func(ctx context.Context, h http.Header) error // may be nil
	agent   string
}

// send makes the call. Codes of Slack and the like, words of small letters, are part of
// what it tells; of other answers the status is all.
func (r request) send(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	req, err := r.make(ctx)
	if err != nil {
		return err
	}
	resp, err := r.client.Do(req)
	if err != nil {
		return &SendError{Text: "no answer: " + cause(ctx, err)}
	}
	answer, _ := io.ReadAll(io.LimitReader(resp.Body, answerMost)) // what there is of it will do
	_ = resp.Body.Close()                                          // the rest is not read
	return judgeAnswer(resp, answer)
}

// ready reports whether the request could be made.
func (r request) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	_, err := r.make(ctx)
	return err
}

// make makes the request.
func (r request) make(ctx context.Context) (*http.Request, error) {
	target, err := r.url(ctx)
	if err != nil {
		return nil, &SendError{Text: "the URL cannot be had: " + err.Error(), Hint: hintReference, Lasting: true, Misconfigured: true}
	}
	if err := CheckURL(target); err != nil {
		return nil, &SendError{Text: err.Error(), Lasting: true, Misconfigured: true}
	}
	req, err := http.NewRequestWithContext(ctx, r.method, target, bytes.NewReader(r.body))
	if err != nil { // its text quotes the URL
		return nil, &SendError{Text: errURL.Error(), Lasting: true, Misconfigured: true}
	}
	maps.Copy(req.Header, r.plain)
	req.Header.Set("User-Agent", r.agent)
	for _, h := range r.headers {
		v, err := h.Value(ctx)
		if err != nil {
			return nil, &SendError{Text: "the header " + h.Name + " cannot be had: " + err.Error(), Hint: hintReference, Lasting: true, Misconfigured: true}
		}
		req.Header.Set(h.Name, v)
	}
	if r.sign != nil {
		if err := r.sign(ctx, req.Header); err != nil {
			return nil, &SendError{Text: "the signing key cannot be had: " + err.Error(), Hint: hintReference, Lasting: true, Misconfigured: true}
		}
	}
	return req, nil
}

// errURL says that a secret is no URL to send to.
var errURL = errors.New("the value is no URL with https")

// CheckURL reports what is wrong with the URL of a channel, without quoting it. In clear
// it may only lead to this machine.
func CheckURL(text string) error {
	u, err := url.Parse(strings.TrimSpace(text))
	if err != nil || u.Hostname() == "" || u.User != nil || strings.TrimSpace(text) != text {
		return errURL
	}
	ip := net.ParseIP(u.Hostname())
	if u.Scheme == "https" || u.Scheme == "http" && (u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()) {
		return nil
	}
	return errURL
}

// judgeAnswer makes an error of an answer that is none of success.
func judgeAnswer(resp *http.Response, answer []byte) error {
	if resp.StatusCode >= 200 && resp.StatusCode < 300 {
		return nil
	}
	e := &SendError{Text: fmt.Sprintf("HTTP %d", resp.StatusCode), RetryAfter: retryAfter(resp.Header, time.Now())}
	if code := strings.TrimSpace(string(answer)); regexp.MustCompile(`^[a-z][a-z_]{2,40}$`).MatchString(code) {
		e.Text += " " + code
	}
	switch c := resp.StatusCode; {
	case c < 400:
		e.Text += ": a redirect, which is not followed"
		e.Lasting, e.Hint = true, "Write the URL that it leads to."
	case c == http.StatusTooManyRequests, c == http.StatusRequestTimeout, c >= 500:
	case c == http.StatusUnauthorized, c == http.StatusForbidden:
		e.Lasting, e.Refused, e.Hint = true, true, "The URL, token or key is not taken any more: make another one there, and put it where the secret is kept."
	case c == http.StatusNotFound, c == http.StatusGone:
		e.Lasting, e.Hint = true, "The URL leads nowhere any more: make another one there, and put it where the secret is kept."
	default:
		e.Lasting, e.Hint = true, "The other side does not take what is sent; see what it says in its own log."
	}
	return e
}

// retryAfter reads how long a server asks to wait; 0 when it does not.
func retryAfter(h http.Header, now time.Time) time.Duration {
	v := h.Get("Retry-After")
	if s, err := strconv.Atoi(v); err == nil {
		return min(max(0, time.Duration(min(s, 1<<20))*time.Second), retryAfterMost)
	}
	if t, err := http.ParseTime(v); err == nil {
		return min(max(0, t.Sub(now)), retryAfterMost)
	}
	return 0
}

// cause says in words without a URL why there was no answer.
func cause(ctx context.Context, err error) string {
	if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() || ctx.Err() != nil {
		return "none in time"
	}
	if e, ok := errors.AsType[*net.DNSError](err); ok {
		if e.IsNotFound {
			return "the name of the host does not exist"
		}
		return "the name of the host cannot be looked up"
	}
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			break
		}
		err = inner
	}
	return cut(oneLine(err.Error()), 120)
}
