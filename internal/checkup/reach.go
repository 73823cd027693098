package checkup

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A Doer sends requests: an *http.Client, or a client of the AWS SDK.
type Doer interface {
	Do(r *http.Request) (*http.Response, error)
}

// A Route is the way to a server, over which the part itself goes: the same client,
// the same proxy, the same certificates.
type Route struct {
	// Whose is who is reached, for people: "Auth0", "CloudWatch Logs".
	Whose string
	// URL is what is asked for, without credentials. Any answer will do.
	URL string
	// Client sends the request.
	Client Doer
	// Proxy is the rule by which Client chooses a proxy; nil when that is not known.
	Proxy func(*http.Request) (*url.URL, error)
	// Setting is what names the host in the configuration, such as "domain".
	Setting string
	// CAVariable is the variable with which a file of certificates is made known.
	CAVariable string
	// LookupEnv reads the environment, for what may be wrong with it.
	LookupEnv func(string) (string, bool)
}

// An Arrival is what was learned on the way.
type Arrival struct {
	// Offset is this machine's clock minus that of the server; Dated says that the
	// server told its time.
	Offset time.Duration
	Dated  bool
}

// steps is how far a request came. The callbacks come from several goroutines.
type steps struct {
	mu                  sync.Mutex
	connected           bool
	certificateNotAfter time.Time
}

func (s *steps) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		ConnectDone: func(_, _ string, err error) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.connected = s.connected || err == nil
		},
		TLSHandshakeDone: func(c tls.ConnectionState, err error) {
			s.mu.Lock()
			defer s.mu.Unlock()
			if err == nil && len(c.PeerCertificates) > 0 {
				s.certificateNotAfter = c.PeerCertificates[0].NotAfter
			}
		},
	}
}

// Reach goes a route and says how far it came: proxy, name, connection, TLS, answer.
func Reach(ctx context.Context, r Route) (Finding, Arrival) {
	target, err := url.Parse(r.URL)
	if err != nil || target.Host == "" {
		return Failed(Configuration, "Correct "+r.Setting+".", "%s leads to no host", r.Setting), Arrival{}
	}
	var s steps
	req, err := http.NewRequestWithContext(httptrace.WithClientTrace(ctx, s.trace()), http.MethodGet, r.URL, http.NoBody)
	if err != nil {
		return Failed(Configuration, "Correct "+r.Setting+".", "%s leads to no host", r.Setting), Arrival{}
	}
	proxy, err := r.proxy(req)
	if err != nil {
		return Failed(Configuration, "Write HTTPS_PROXY as http://HOST:PORT, or take it out of the environment of gapless.",
			"the proxy of the environment is no URL"), Arrival{}
	}
	began := time.Now()
	resp, err := r.Client.Do(req)
	took := time.Since(began)
	if err != nil {
		return r.explain(ctx, target, proxy, &s, err), Arrival{}
	}
	head, _ := io.ReadAll(io.LimitReader(resp.Body, 512)) // what there is of it will do
	_ = resp.Body.Close()                                 // the rest is not read
	a := arrival(resp.Header, began, took)
	if resp.StatusCode == http.StatusProxyAuthRequired {
		return r.proxyRefuses(proxy), a
	}
	if target.Scheme == "http" && resp.StatusCode == http.StatusBadRequest && bytes.Contains(head, []byte("HTTPS")) {
		return Failed(Configuration, "Write "+r.Setting+" with https://.", "%s speaks TLS alone, and %s says http://", target.Host, r.Setting), a
	}
	words := fmt.Sprintf("%s answers in %s", target.Host, took.Round(time.Millisecond))
	if proxy != "" {
		words += " through the proxy " + proxy
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch left := time.Until(s.certificateNotAfter); {
	case target.Scheme == "http" && !isLoopback(target.Hostname()):
		return Warned("Write "+r.Setting+" with https://.", "%s, in clear: whoever listens in between reads what is sent", words), a
	case s.certificateNotAfter.IsZero():
		return Passed("%s", words), a
	case left < 7*24*time.Hour:
		return Warned("Whoever runs "+target.Host+" must renew its certificate.", "%s; its certificate ends on %s", words, s.certificateNotAfter.UTC().Format(time.DateOnly)), a
	default:
		return Passed("%s; certificate valid until %s", words, s.certificateNotAfter.UTC().Format(time.DateOnly)), a
	}
}

// arrival compares the clocks. The server wrote its Date, in whole seconds, at some
// moment between the request and the answer: half a second and half the time between
// is the best guess.
func arrival(h http.Header, began time.Time, took time.Duration) Arrival {
	t, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return Arrival{}
	}
	return Arrival{Offset: began.Add(took / 2).Sub(t.Add(500 * time.Millisecond)), Dated: true}
}

// proxy names the proxy of a request, without the credentials in it.
func (r Route) proxy(req *http.Request) (string, error) {
	if r.Proxy == nil {
		return "", nil
	}
	u, err := r.Proxy(req)
	if err != nil {
		return "", err
	}
	if u == nil {
		return "", nil
	}
	return u.Scheme + "://" + u.Host, nil
}

func (r Route) proxyRefuses(proxy string) Finding {
	return Failed(Authorization, "Put the user and the password of the proxy into HTTPS_PROXY=http://USER:PASSWORD@HOST:PORT, or name the host in NO_PROXY.",
		"proxy: %s wants a login", or(proxy, "a proxy"))
}

// explain says which step of the way failed.
func (r Route) explain(ctx context.Context, target *url.URL, proxy string, s *steps, err error) Finding {
	s.mu.Lock()
	connected := s.connected
	s.mu.Unlock()
	host := target.Host
	op, isOp := errors.AsType[*net.OpError](err)
	switch {
	case isOp && op.Op == "proxyconnect", proxy != "" && !connected:
		return Failed("", "Correct HTTPS_PROXY, or name "+target.Hostname()+" in NO_PROXY if it is reached without.",
			"proxy: %s cannot be reached: %s", or(proxy, "the proxy"), plainCause(err))
	case strings.Contains(err.Error(), "Proxy Authentication Required"):
		return r.proxyRefuses(proxy)
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return r.explainDNS(target, dns)
	}
	if f, ok := r.explainTLS(target, err); ok {
		return f
	}
	late := ctx.Err() != nil || isTimeout(err)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return Failed("", "Check the port in "+r.Setting+", and that the server runs.", "TCP: %s refuses connections", host)
	case late && !connected:
		return Failed("", "Let this machine out to "+host+": a firewall, a security group or a missing route (NAT gateway, VPC endpoint) swallows the connection. Behind a proxy set HTTPS_PROXY.",
			"TCP: no connection to %s in time", host)
	case !connected && isOp:
		return Failed("", "Let this machine out to "+host+": check its routes and its firewall.", "TCP: no connection to %s: %s", host, plainCause(err))
	case late:
		return Failed("", "Try again; if it lasts, a proxy or firewall between may hold connections open without passing them on.", "%s is connected and gives no answer in time", host)
	case proxy != "":
		return Failed("", "Let the proxy pass connections to "+host+" on, or name the host in NO_PROXY if it is reached without.", "proxy: %s passes nothing on to %s: %s", proxy, host, plainCause(err))
	case target.Scheme == "http":
		return Failed("", "If it speaks TLS, write "+r.Setting+" with https://. Otherwise try again; if it lasts, something between may cut connections.", "%s: the connection broke: %s", host, plainCause(err))
	default:
		return Failed("", "Try again; if it lasts, something between may cut connections.", "%s: the connection broke: %s", host, plainCause(err))
	}
}

func (r Route) explainDNS(target *url.URL, dns *net.DNSError) Finding {
	if dns.IsNotFound {
		return Failed(Configuration, "Check "+r.Setting+", and try: nslookup "+target.Hostname(), "DNS: the name %s does not exist", target.Hostname())
	}
	return Failed("", "Check the DNS of this machine (/etc/resolv.conf, or that of the VPC), and try: nslookup "+target.Hostname(),
		"DNS: the name %s cannot be looked up", target.Hostname())
}

// explainTLS explains what is wrong with a certificate, or with there being none.
func (r Route) explainTLS(target *url.URL, err error) (Finding, bool) {
	if e, ok := errors.AsType[x509.CertificateInvalidError](err); ok && e.Reason == x509.Expired {
		if e.Cert != nil && time.Now().Before(e.Cert.NotBefore) {
			return Failed("", ClockFix, "TLS: the certificate of %s is valid from %s on: the clock of this machine is wrong, or the certificate", target.Host, e.Cert.NotBefore.UTC().Format(time.DateOnly)), true
		}
		until := ""
		if e.Cert != nil {
			until = " on " + e.Cert.NotAfter.UTC().Format(time.DateOnly)
		}
		return Failed("", "Whoever runs "+target.Host+" must renew its certificate; if that is not so, set the clock of this machine.", "TLS: the certificate of %s has expired%s", target.Host, until), true
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return Failed(Configuration, "Correct "+r.Setting+": write the name for which the server has a certificate.", "TLS: the certificate of %s is for another name", target.Host), true
	}
	if e, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return r.unknownAuthority(target, e), true
	}
	if e, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return Failed(Configuration, "Write "+r.Setting+" with http:// if the server really speaks in clear, or correct the port.", "TLS: %s does not speak TLS: %s", target.Host, e.Msg), true
	}
	if strings.Contains(err.Error(), "server gave HTTP response to HTTPS client") {
		return Failed(Configuration, "Write "+r.Setting+" with http:// if the server really speaks in clear, or correct the port.", "TLS: %s does not speak TLS", target.Host), true
	}
	if e, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return Failed("", "Look at it: openssl s_client -connect "+target.Host, "TLS: the certificate of %s is not valid: %s", target.Host, Clean(e.Err.Error())), true
	}
	if e, ok := errors.AsType[tls.AlertError](err); ok {
		return Failed("", "Look at it: openssl s_client -connect "+target.Host, "TLS: %s ends the handshake: %s", target.Host, Clean(e.Error())), true
	}
	return Finding{}, false
}

// unknownAuthority is about a certificate of a private authority: of a proxy that
// looks into TLS, mostly.
func (r Route) unknownAuthority(target *url.URL, e x509.UnknownAuthorityError) Finding {
	by := ""
	if e.Cert != nil {
		by = fmt.Sprintf(" (signed by %q)", cut(e.Cert.Issuer.String()))
	}
	fix := "Give gapless the certificate of that authority: export " + r.CAVariable + "=/etc/ssl/certs/your-ca-bundle.pem (PEM). A proxy that looks into TLS has one."
	if path, ok := r.lookup(r.CAVariable); ok {
		fix = r.CAVariable + " is set, and its file does not hold the certificate of that authority: add it there."
		if _, err := os.Stat(path); err != nil {
			fix = r.CAVariable + " names a file that cannot be read: correct it."
		}
	} else if r.CAVariable == "SSL_CERT_FILE" {
		fix += " In an image without certificates install ca-certificates."
	}
	return Failed("", fix, "TLS: the certificate of %s is of an authority that this machine does not know%s", target.Host, by)
}

func (r Route) lookup(name string) (string, bool) {
	if r.LookupEnv == nil {
		return "", false
	}
	v, ok := r.LookupEnv(name)
	return v, ok && v != ""
}

// plainCause is the innermost cause, which names no address of ours and no URL.
func plainCause(err error) string {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return cut(Clean(err.Error()))
		}
		err = inner
	}
}

// cut bounds text of others, and takes out what does not print.
func cut(s string) string {
	const most = 120
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}

func isTimeout(err error) bool {
	e, ok := errors.AsType[net.Error](err)
	return ok && e.Timeout()
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
