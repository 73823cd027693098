package config

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// namePattern is the form of a tenant's name: one that can be part of a file
// name and of a log group.
const namePattern = `^[a-z0-9._-]{1,64}$`

// minRefresh is the shortest secrets.refresh: each read is a call to AWS.
const minRefresh = 10 * time.Second

// Validate checks every value and what must hold between values. The error is
// an *InvalidError with every problem found. Load has done it already.
func (c *Config) Validate() error {
	l := &loader{cfg: c, fields: fields(), excused: map[string]bool{}}
	if l.cfg.origins == nil {
		l.cfg.origins = map[string]Origin{}
	}
	l.validate()
	return invalid(l.problems)
}

// complain records a problem of a value, unless its path has one already.
func (l *loader) complain(path, what, fix string) {
	if l.excused[path] {
		return
	}
	l.excused[path] = true
	l.problems = append(l.problems, l.cfg.problem(path, what, fix))
}

// validate checks the configuration that the layers have made.
func (l *loader) validate() {
	l.cfg.walk(l.checkLeaf)
	c := l.cfg
	if c.DataDir == "" {
		l.complain("data_dir", "is not set, and there is no home directory to choose one in", "Set it, such as --data-dir /var/lib/gapless.")
	}
	l.checkListen("listen", c.Listen)
	l.checkEndpoint("aws.endpoint", c.AWS.Endpoint)
	l.checkRole("aws.role_arn", c.AWS.RoleARN)
	if len(c.Tenants) == 0 && !l.excused["tenants"] {
		l.complain("tenants", "holds no tenant to export", "Add one to the file, or set GAPLESS_TENANT_NAME, GAPLESS_TENANT_DOMAIN, GAPLESS_TENANT_CLIENT_ID and GAPLESS_TENANT_CLIENT_SECRET.")
	}
	seen := map[string]int{}
	for i := range c.Tenants {
		t := &c.Tenants[i]
		path := "tenants." + strconv.Itoa(i) + "."
		if first, dup := seen[t.Name]; dup && t.Name != "" {
			l.complain(path+"name", fmt.Sprintf("is %s, like that of tenants.%d", quote(t.Name), first), "Give each tenant a name of its own.")
		} else if !dup {
			seen[t.Name] = i
		}
		l.checkTenant(path, t)
		l.checkTokens(path+"webhook.", t)
		l.checkSQS(path+"sqs.", t.SQS)
		l.checkFilter(path+"filter.", &t.Filter)
		l.checkRedact(path+"redact.", t.Redact)
		l.checkCloudWatch(path+"cloudwatch.", t.Name, &t.CloudWatch)
		l.checkDestinations(path+"destinations.", t)
	}
	l.checkWebhook(c)
	l.checkDashboard(c)
	l.checkLedger(c)
	if every := c.Secrets.Refresh; every > 0 && every < minRefresh {
		l.complain("secrets.refresh", every.String()+" is less than "+minRefresh.String(), "Set 10s or more, or 0s to read secrets again only when they are refused and on SIGHUP.")
	}
	l.checkHistory(c.History)
	l.checkQueues()
	l.checkSetup(&c.Setup)
	l.checkNotify(c)
	l.checkTracing(&c.Tracing)
	l.checkVerify(&c.Verify)
}

// checkLeaf checks a value against the tags of its field.
func (l *loader) checkLeaf(lf leaf) {
	f, text := lf.field, lf.field.format(lf.value)
	if f.required && text == "" {
		l.complain(lf.path, "is missing", fmt.Sprintf("Set it, such as %s: %s", f.name, f.example))
		return
	}
	if len(f.enum) > 0 && text != "" && !slices.Contains(f.enum, text) {
		fix := "Use one of: " + strings.Join(f.enum, ", ") + "."
		if best := nearest(text, f.enum); best != "" && f.kind == kindString {
			fix = "Did you mean " + best + "? " + fix
		}
		l.complain(lf.path, quote(text)+" is not a value it can take", fix)
		return
	}
	if len(f.enum) > 0 && text == "" && f.def != "" {
		l.complain(lf.path, "is empty", "Use one of: "+strings.Join(f.enum, ", ")+".")
	}
	if n, ok := f.number(lf.value.Interface()); ok {
		l.checkRange(lf.path, f, n, text)
	}
}

// number returns the value of a field as a number, if it is one.
func (*field) number(v any) (float64, bool) {
	switch n := v.(type) {
	case int:
		return float64(n), true
	case float64:
		return n, true
	case time.Duration:
		return float64(n), true
	case Size:
		return float64(n), true
	default:
		return 0, false
	}
}

// bound reads a bound of the tags.
func (f *field) bound(text string) float64 {
	switch f.kind {
	case kindDuration:
		d, _ := ParseDuration(text)
		return float64(d)
	case kindSize:
		s, _ := ParseSize(text)
		return float64(s)
	default:
		n, _ := strconv.ParseFloat(text, 64)
		return n
	}
}

// checkRange holds a number against the bounds of its field.
func (l *loader) checkRange(path string, f *field, n float64, text string) {
	switch {
	case f.min != "" && n < f.bound(f.min):
		l.complain(path, text+" is less than the least, "+f.min, f.rangeFix())
	case f.max != "" && n > f.bound(f.max):
		l.complain(path, text+" is more than the most, "+f.max, f.rangeFix())
	}
}

// rangeFix names the range of a field and its default.
func (f *field) rangeFix() string {
	s := "Use at least " + f.min
	if f.max != "" {
		s += " and at most " + f.max
	}
	return s + "; the default is " + f.def + "."
}

// checkListen checks the address of a listener.
func (l *loader) checkListen(path, addr string) {
	if addr == "" {
		return
	}
	_, port, err := net.SplitHostPort(addr)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		l.complain(path, quote(addr)+" is not host:port", "Write it like 127.0.0.1:8080, or leave it empty to turn the listener off.")
	}
}

// checkEndpoint checks a base URL that replaces AWS's.
func (l *loader) checkEndpoint(path, text string) {
	if text == "" {
		return
	}
	if u, err := url.Parse(text); err != nil || !isHTTP(u) || u.User != nil || u.RawQuery != "" {
		l.complain(path, "is not a base URL", "Write it like http://127.0.0.1:4566.")
	}
}

// isHTTP reports whether a URL is of HTTP(S) and has a host.
func isHTTP(u *url.URL) bool {
	return (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != ""
}

// checkRole checks the ARN of a role.
func (l *loader) checkRole(path, arn string) {
	if arn != "" && !matches(`^arn:aws[a-z-]*:iam::\d{12}:role/\S+$`, arn) {
		l.complain(path, quote(arn)+" is not the ARN of a role", "Write it like arn:aws:iam::123456789012:role/gapless.")
	}
}

// matches reports whether a text matches a pattern, which is a constant.
func matches(pattern, text string) bool { return regexp.MustCompile(pattern).MatchString(text) }

// checkTenant checks the part of a tenant that is about Auth0.
func (l *loader) checkTenant(path string, t *Tenant) {
	if t.Name != "" && !matches(namePattern, t.Name) {
		l.complain(path+"name", quote(t.Name)+" is not a name", "Use 1 to 64 lower-case letters, digits, '.', '_' and '-'.")
	}
	if strings.Trim(t.Name, ".") == "" && t.Name != "" {
		l.complain(path+"name", quote(t.Name)+" is not a name", "Use more than dots.")
	}
	l.checkPoll(path, t)
	l.checkDomain(path+"domain", t.Domain)
	if t.Audience != "" {
		if u, err := url.Parse(t.Audience); err != nil || u.Scheme == "" {
			l.complain(path+"audience", quote(t.Audience)+" is not a URL", "Write it like https://dev-tenant.us.auth0.com/api/v2/.")
		}
	}
	_, err := ParseStartFrom(t.StartFrom)
	if e, ok := errors.AsType[*Error](err); ok {
		l.complain(path+e.Path, e.Problem, e.Fix)
	}
	_, err = ParseRetention(t.Retention)
	if e, ok := errors.AsType[*Error](err); ok {
		l.complain(path+e.Path, e.Problem, e.Fix)
	}
}

// checkPoll checks that there is all that reading the tenant's log needs, or
// nothing of it where the tenant is pushed to alone.
func (l *loader) checkPoll(path string, t *Tenant) {
	pushed := len(t.Webhook.All()) > 0 || t.SQS.QueueURL != "" || l.excused[path+"webhook.token"] || l.excused[path+"webhook.tokens"]
	keys := t.ClientID != "" || !t.ClientSecret.IsZero() || !t.PrivateKey.IsZero()
	if pushed && !keys && !t.Polls() {
		return
	}
	if !t.Polls() {
		l.complain(path+"domain", "is missing", "Set it, such as domain: dev-tenant.us.auth0.com")
	}
	if t.ClientID == "" {
		l.complain(path+"client_id", "is missing", "Set it, such as client_id: abc")
	}
	l.checkKeys(path, t)
}

// checkKeys checks that there is one way to authenticate.
func (l *loader) checkKeys(path string, t *Tenant) {
	secretFailed := l.excused[path+"client_secret"] || l.excused[path+"private_key"]
	switch {
	case t.ClientSecret.IsZero() && t.PrivateKey.IsZero() && !secretFailed:
		l.complain(path+"client_secret", "is missing, and so is private_key", "Set one of them, such as client_secret: env:AUTH0_CLIENT_SECRET")
	case !t.ClientSecret.IsZero() && !t.PrivateKey.IsZero():
		l.complain(path+"private_key", "is set, and so is client_secret", "Remove the one that the application does not use.")
	}
	if key := t.PrivateKey.literal; key != nil && !isRSAKey(*key) {
		l.complain(path+"private_key", "is not an RSA private key in PEM", "Put the key into a file and write file:PATH.")
	}
}

// isRSAKey reports whether a text is an RSA private key in PEM.
func isRSAKey(text string) bool {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return false
	}
	if _, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return true
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	_, isRSA := key.(*rsa.PrivateKey)
	return err == nil && isRSA
}

// checkDomain checks a domain or the base URL in place of it.
func (l *loader) checkDomain(path, domain string) {
	if domain == "" {
		return
	}
	text := domain
	if !strings.Contains(text, "://") {
		text = "https://" + text
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || !isHTTP(u) || u.User != nil || !matches(`^[A-Za-z0-9._:\[\]-]+$`, u.Host):
		l.complain(path, "is not a domain", "Write it like dev-tenant.us.auth0.com or http://127.0.0.1:4010.")
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" || (u.Path != "" && u.Scheme == "https" && !strings.Contains(domain, "://")):
		l.complain(path, quote(domain)+" holds more than a domain", "Write "+strings.TrimSuffix(domain[:strings.Index(domain, u.Host)+len(u.Host)], "/")+" alone.")
	}
}
