package cloudwatch

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// What a signature of this service is made of (Signature Version 4).
const (
	algorithm   = "AWS4-HMAC-SHA256"
	service     = "logs"
	terminator  = "aws4_request"
	amzDate     = "20060102T150405Z"
	maxSkew     = 15 * time.Minute
	skewMinutes = "15 min."
)

// The errors of authentication, in the words of the JSON services.
var (
	errNoAuth     = newError("MissingAuthenticationTokenException", "Missing Authentication Token")
	errUnknownKey = newError("UnrecognizedClientException", "The security token included in the request is invalid.")
	errSignature  = newError("InvalidSignatureException", "The request signature we calculated does not match the "+
		"signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.")
)

func incomplete(format string, args ...any) error {
	return newError("IncompleteSignatureException", format, args...)
}

// A user is who a key belongs to.
type user struct {
	name   string
	secret string
	policy *policy // nil allows everything
}

func newUsers(keys []AccessKey) (map[string]*user, error) {
	users := make(map[string]*user, len(keys))
	for _, key := range keys {
		if key.ID == "" || key.Secret == "" {
			return nil, errors.New("access key: id and secret must not be empty")
		}
		if users[key.ID] != nil {
			return nil, fmt.Errorf("access key %s: given twice", key.ID)
		}
		u := &user{name: orDefault(key.User, key.ID), secret: key.Secret}
		if key.Policy != "" {
			p, err := parsePolicy(key.Policy)
			if err != nil {
				return nil, fmt.Errorf("access key %s: read policy: %w", key.ID, err)
			}
			u.policy = p
		}
		users[key.ID] = u
	}
	return users, nil
}

// A credential is what an Authorization header says.
type credential struct {
	key, date, region, service, terminator string
	signed                                 []string
	signature                              string
}

// scopeRegion returns the Region in the credential scope of a request.
func scopeRegion(r *http.Request) (string, bool) {
	cred, err := parseAuthorization(r.Header.Get("Authorization"))
	if err != nil || cred.region == "" {
		return "", false
	}
	return cred.region, true
}

// parseAuthorization reads an Authorization header.
func parseAuthorization(header string) (credential, error) {
	rest, ok := strings.CutPrefix(header, algorithm+" ")
	if !ok {
		return credential{}, incomplete("Authorization header requires 'Credential' parameter. " +
			"Authorization header requires 'Signature' parameter. Authorization header requires 'SignedHeaders' parameter.")
	}
	params := make(map[string]string)
	for part := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		params[name] = value
	}
	var missing []string
	for _, name := range []string{"Credential", "Signature", "SignedHeaders"} {
		if params[name] == "" {
			missing = append(missing, "Authorization header requires '"+name+"' parameter.")
		}
	}
	if missing != nil {
		return credential{}, incomplete("%s", strings.Join(missing, " "))
	}
	scope := strings.Split(params["Credential"], "/")
	if len(scope) != 5 {
		return credential{}, incomplete("Credential must have exactly 5 slash-delimited elements, "+
			"e.g. keyid/date/region/service/term, got '%s'", params["Credential"])
	}
	return credential{
		key: scope[0], date: scope[1], region: scope[2], service: scope[3], terminator: scope[4],
		signed: strings.Split(params["SignedHeaders"], ";"), signature: params["Signature"],
	}, nil
}

// authenticate checks the signature of a request with the given body. Without
// configured keys it lets everyone in.
func (s *Server) authenticate(r *http.Request, body []byte) (*user, error) {
	return s.authenticateFor(service, r, body)
}

// authenticateFor is authenticate for requests to a service.
func (s *Server) authenticateFor(service string, r *http.Request, body []byte) (*user, error) {
	if len(s.users) == 0 {
		return nil, nil //nolint:nilnil // nobody in particular, who may do everything
	}
	header := r.Header.Get("Authorization")
	if header == "" {
		return nil, errNoAuth
	}
	cred, err := parseAuthorization(header)
	if err != nil {
		return nil, err
	}
	when, err := signingTime(r)
	if err != nil {
		return nil, err
	}
	u := s.users[cred.key]
	if u == nil || r.Header.Get("X-Amz-Security-Token") != "" {
		return nil, errUnknownKey // the keys of users come without a session
	}
	if err := cred.check(service, r, when); err != nil {
		return nil, err
	}
	want := cred.sign(u.secret, when, canonicalRequest(r, cred.signed, body))
	if !hmac.Equal([]byte(want), []byte(cred.signature)) {
		return nil, errSignature
	}
	return u, nil
}

// signingTime returns when the request was signed.
func signingTime(r *http.Request) (time.Time, error) {
	text := r.Header.Get("X-Amz-Date")
	if text == "" {
		if when, err := http.ParseTime(r.Header.Get("Date")); err == nil {
			return when.UTC(), nil
		}
		return time.Time{}, incomplete("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
	}
	when, err := time.Parse(amzDate, text)
	if err != nil {
		return time.Time{}, incomplete("Date must be in ISO-8601 'basic format'. Got '%s'. "+
			"See http://en.wikipedia.org/wiki/ISO_8601", text)
	}
	return when, nil
}

// check examines the scope, the time and the choice of signed headers.
func (c credential) check(service string, r *http.Request, when time.Time) error {
	invalid := func(format string, args ...any) error { return newError("InvalidSignatureException", format, args...) }
	stamp := when.Format(amzDate)
	switch now := time.Now().UTC(); {
	case c.service != service:
		return invalid("Credential should be scoped to correct service: '%s'. ", service)
	case c.region == "":
		return invalid("Credential should be scoped to a valid region. ")
	case c.terminator != terminator:
		return invalid("Credential should be scoped with a valid terminator: '%s', not '%s'. ", terminator, c.terminator)
	case c.date != stamp[:8]:
		return invalid("Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "+
			"'%s' != '%s', from '%s'.", c.date, stamp[:8], stamp)
	case when.Before(now.Add(-maxSkew)):
		return invalid("Signature expired: %s is now earlier than %s (%s - %s)",
			stamp, now.Add(-maxSkew).Format(amzDate), now.Format(amzDate), skewMinutes)
	case when.After(now.Add(maxSkew)):
		return invalid("Signature not yet current: %s is still later than %s (%s + %s)",
			stamp, now.Add(maxSkew).Format(amzDate), now.Format(amzDate), skewMinutes)
	}
	if !slices.Contains(c.signed, "host") {
		return invalid("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")
	}
	for name := range r.Header {
		if name = strings.ToLower(name); strings.HasPrefix(name, "x-amz-") && !slices.Contains(c.signed, name) {
			return invalid("'%s' must be a 'SignedHeader' in the AWS Authorization.", name)
		}
	}
	return nil
}

// sign computes the signature of a canonical request.
func (c credential) sign(secret string, when time.Time, canonical string) string {
	scope := strings.Join([]string{c.date, c.region, c.service, c.terminator}, "/")
	toSign := strings.Join([]string{algorithm, when.Format(amzDate), scope, hashHex([]byte(canonical))}, "\n")
	key := mac([]byte("AWS4"+secret), c.date)
	for _, part := range []string{c.region, c.service, c.terminator} {
		key = mac(key, part)
	}
	return hex.EncodeToString(mac(key, toSign))
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	_, _ = h.Write([]byte(text)) // a hash never fails
	return h.Sum(nil)
}

func hashHex(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// canonicalRequest puts a request into the form that is signed.
func canonicalRequest(r *http.Request, signed []string, body []byte) string {
	var b strings.Builder
	path := r.URL.EscapedPath()
	if path == "" {
		path = "/"
	}
	b.WriteString(r.Method + "\n" + path + "\n" + canonicalQuery(r.URL.Query()) + "\n")
	for _, name := range signed {
		b.WriteString(name + ":" + canonicalHeader(r, name) + "\n")
	}
	b.WriteString("\n" + strings.Join(signed, ";") + "\n" + hashHex(body))
	return b.String()
}

func canonicalQuery(values url.Values) string {
	return strings.ReplaceAll(values.Encode(), "+", "%20")
}

func canonicalHeader(r *http.Request, name string) string {
	switch name {
	case "host":
		return r.Host
	case "content-length":
		return strconv.FormatInt(r.ContentLength, 10)
	}
	values := slices.Clone(r.Header.Values(name))
	for i, v := range values {
		values[i] = strings.Join(strings.Fields(v), " ")
	}
	return strings.Join(values, ",")
}
