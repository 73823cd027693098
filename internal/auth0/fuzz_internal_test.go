package auth0

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode"
)

// fuzzSecret is long and odd enough that no input holds it by chance.
const fuzzSecret = "s3cr3t+/ %&value-of-the-application"

// fuzzClient returns a client that asks nobody.
func fuzzClient(f *testing.F) *Client {
	f.Helper()
	c, err := New(Config{Domain: "dev-tenant.example.com", ClientID: "client-1", ClientSecret: fuzzSecret},
		Deps{HTTPClient: &http.Client{Transport: nobody{}}})
	if err != nil {
		f.Fatal(err)
	}
	return c
}

// nobody answers no request.
type nobody struct{}

// RoundTrip implements http.RoundTripper.
func (nobody) RoundTrip(*http.Request) (*http.Response, error) { return nil, errors.ErrUnsupported }

// FuzzPageAnswer holds that nothing but a whole list is taken for a page, and that
// no record of one vanishes.
func FuzzPageAnswer(f *testing.F) {
	f.Add("application/json; charset=utf-8", []byte(`[{"log_id":"a","date":"2026-11-23T09:00:00.000Z","type":"s"},{},7]`))
	f.Add("", []byte("\xef\xbb\xbf [ ] "))
	f.Add("text/plain", []byte(`{"start":0,"limit":50,"logs":[{"_id":"a"}],"total":1}`))
	f.Add("text/html", []byte(`<html>`))
	f.Add("application/json", []byte(`[] []`))
	f.Add("application/json", []byte(`[{"log_id":"a"}`))
	f.Fuzz(func(t *testing.T, contentType string, body []byte) {
		page, err := parse(reply{status: 200, header: http.Header{"Content-Type": {contentType}}, body: body, received: time.Now()})
		if err != nil {
			if len(page.Events) > 0 {
				t.Errorf("%d events of an answer that was refused: %v", len(page.Events), err)
			}
			return
		}
		var list []json.RawMessage
		var object struct {
			Logs []json.RawMessage `json:"logs"`
		}
		trimmed := strings.TrimPrefix(string(body), "\xef\xbb\xbf")
		if json.Unmarshal([]byte(trimmed), &list) == nil && len(page.Events)+len(page.Unreadable) != len(list) {
			t.Errorf("%d events and %d unreadable of %d records", len(page.Events), len(page.Unreadable), len(list))
		}
		if list == nil && json.Unmarshal([]byte(trimmed), &object) == nil && strings.Count(trimmed, "logs")+strings.Count(strings.ToLower(trimmed), `\u`) == 1 &&
			len(page.Events)+len(page.Unreadable) != len(object.Logs) {
			t.Errorf("%d events and %d unreadable of %d logs", len(page.Events), len(page.Unreadable), len(object.Logs))
		}
	})
}

// FuzzRefusal holds that an error answer becomes one printable line of bounded
// length without a secret in it.
func FuzzRefusal(f *testing.F) {
	f.Add(400, []byte(`{"statusCode":400,"error":"Bad Request","message":"Invalid log id","errorCode":"invalid_query_string"}`))
	f.Add(401, []byte(`{"error":"access_denied","error_description":"Unauthorized"}`))
	f.Add(403, []byte("{\"message\":\"\x1b]0;title\x07\u009b31m\u202e\"}"))
	f.Add(500, []byte("<html>"))
	f.Add(302, []byte("eyJhbGciOiJIUzI1NiJ9.e30.x"))
	c := fuzzClient(f)
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		for _, quoted := range [][]byte{body, body[:len(body)/2]} { // an answer that quotes the secret in its midst
			text, _ := json.Marshal(string(quoted) + fuzzSecret + string(body))
			for _, b := range [][]byte{body, []byte(`{"message":` + string(text) + `}`), []byte(`{"error":` + string(text) + `}`)} {
				e := c.failure(c.ops.logs, reply{status: status, header: http.Header{}, body: b, received: time.Now()}, "token-1")
				checkLine(t, e.Error())
				checkLine(t, e.Code)
				checkLine(t, e.Message)
			}
		}
	})
}

// checkLine checks that a text can stand in a log line and on a terminal.
func checkLine(t *testing.T, s string) {
	t.Helper()
	if strings.Contains(s, fuzzSecret) {
		t.Errorf("a secret is shown: %q", s)
	}
	if strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) || len(s) > 3*maxMessage {
		t.Errorf("not fit for a line: %q", s)
	}
}

// FuzzTokenAnswer holds that a token which is taken can stand in a header and has
// a bounded life.
func FuzzTokenAnswer(f *testing.F) {
	f.Add([]byte(`{"access_token":"abc","expires_in":86400,"token_type":"Bearer"}`))
	f.Add([]byte(`{"access_token":"a b","expires_in":"86400"}`))
	f.Add([]byte(`{"access_token":"abc","expires_in":1e308}`))
	f.Add([]byte(`{"access_token":"a\r\nHost: x"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		now := time.Now()
		tok, err := readToken(reply{status: 200, body: body, received: now})
		if err != nil {
			return
		}
		if tok.Value == "" || strings.ContainsFunc(tok.Value, func(r rune) bool { return r <= ' ' || r > '~' }) {
			t.Errorf("token %q", tok.Value)
		}
		if life := tok.RenewAt.Sub(now); life < 0 || life > 1e9*time.Second {
			t.Errorf("to be renewed after %s", life)
		}
	})
}

// FuzzLink holds that a Link header gives a parameter that stands in it, or none.
func FuzzLink(f *testing.F) {
	f.Add(`<https://dev-tenant.example.com/api/v2/logs?from=90020261123&take=100>; rel="next"`)
	f.Add(`<a>; rel=prev, <b?from=%41>; title="a,b;c"; rel='x next'`)
	f.Add(`<<>>;;;rel=next,<?from=a`)
	f.Fuzz(func(t *testing.T, link string) {
		from := nextFrom(http.Header{"Link": {link, link}})
		if from != "" && (!strings.Contains(link, "from=") && !strings.Contains(link, "%") || len(from) > len(link)) {
			t.Errorf("%q of %q", from, link)
		}
	})
}

// FuzzRateHeaders holds that no header makes the client wait without an end, or
// not at all after a refusal.
func FuzzRateHeaders(f *testing.F) {
	date := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC).Format(http.TimeFormat)
	f.Add("50", "49", "1795424400", "", date)
	f.Add("2", "-1", "9223372036854775807", "99999999999999999999", "Mon")
	f.Add("0", "x", "NaN", "-0", "")
	f.Add("9223372036854775807", "1", "1e400", "Fri, 31 Dec 9999 23:59:59 GMT", "Thu, 01 Jan 1970 00:00:00 GMT")
	f.Fuzz(func(t *testing.T, limit, remaining, reset, retry, date string) {
		h := http.Header{}
		for name, v := range map[string]string{
			"X-Ratelimit-Limit": limit, "X-Ratelimit-Remaining": remaining, "X-Ratelimit-Reset": reset, "Retry-After": retry, "Date": date,
		} {
			h.Set(name, v)
		}
		now := time.Now()
		l := &limiter{share: 0.5}
		l.note(h, now)
		if d := l.claim(now); d < 0 || d > maxWindow {
			t.Errorf("a wait of %s", d)
		}
		if d := l.pace(now); d < 0 || d > maxWindow {
			t.Errorf("a pace of %s", d)
		}
		if l.usable() > l.limit {
			t.Errorf("%d calls are ours of %d", l.usable(), l.limit)
		}
		if d := l.refused(h, now); d < minRefused || d > maxRefused {
			t.Errorf("after a refusal a wait of %s", d)
		}
	})
}

// FuzzKey holds that a text which is no key is refused without being quoted.
func FuzzKey(f *testing.F) {
	f.Add("-----BEGIN PRIVATE KEY-----\nMIIBVAIBADANBgkqhkiG9w0BAQEFAASCAT4=\n-----END PRIVATE KEY-----\n")
	f.Add("-----BEGIN RSA PRIVATE KEY-----\n\n-----END RSA PRIVATE KEY-----")
	f.Add("MIIBVAIBADANBgkqhkiG9w0BAQEFAASCAT4=")
	f.Fuzz(func(t *testing.T, key string) {
		c := Config{Domain: "dev-tenant.example.com", ClientID: "client-1", PrivateKey: key}
		if err := c.Validate(); err != nil && len(key) > 40 && strings.Contains(err.Error(), key) {
			t.Errorf("the error quotes the key: %v", err)
		}
		if k, err := c.key(); err == nil && k.N == nil {
			t.Error("a key without a modulus")
		}
	})
}

// kept is a TokenCache that holds one value.
type kept []byte

// Load implements TokenCache.
func (k kept) Load(context.Context, string) ([]byte, error) { return k, nil }

// Save implements TokenCache.
func (k kept) Save(context.Context, string, []byte) error { return nil }

// FuzzSealed holds that nothing but what was sealed with these credentials is
// taken for a token.
func FuzzSealed(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("012345678901234567890123456789"))
	f.Add([]byte(`{"v":"token","renew_at":"2030-01-01T00:00:00Z"}`))
	f.Fuzz(func(t *testing.T, sealed []byte) {
		v, err := newVault(kept(sealed), Config{Domain: "dev-tenant.example.com", ClientID: "client-1", ClientSecret: fuzzSecret})
		if err != nil {
			t.Fatal(err)
		}
		if tok, _ := v.load(t.Context()); tok.Value != "" {
			t.Errorf("%q was taken for a sealed token", sealed)
		}
	})
}
