package config

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// maxTokens is how many tokens a tenant may have: the old and the new one.
const maxTokens = 2

// Networks returns the networks of Allow. Those that are none are left out;
// Validate has told of them.
func (w *Webhook) Networks() []netip.Prefix {
	var out []netip.Prefix
	for _, text := range w.Allow {
		if p, err := parseNetwork(text); err == nil {
			out = append(out, p)
		}
	}
	return out
}

// parseNetwork reads a prefix or an address.
func parseNetwork(text string) (netip.Prefix, error) {
	if !strings.Contains(text, "/") {
		a, err := netip.ParseAddr(text)
		if err != nil {
			return netip.Prefix{}, fmt.Errorf("read address: %w", err)
		}
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("read prefix: %w", err)
	}
	return p.Masked(), nil
}

// checkWebhook checks the listener that is pushed to, and that somebody pushes.
func (l *loader) checkWebhook(c *Config) {
	w := &c.Webhook
	l.checkListen("webhook.listen", w.Listen)
	for _, text := range w.Allow {
		if _, err := parseNetwork(text); err != nil {
			l.complain("webhook.allow", "holds "+quote(text)+", which is no network", "Write them like 18.197.9.11/32 or 2001:db8::/48.")
		}
	}
	if (w.TLS.CertFile == "") != (w.TLS.KeyFile == "") {
		l.complain("webhook.tls", "has one of cert_file and key_file", "Set both, or none.")
	}
	pushed := ""
	for i := range c.Tenants {
		if len(c.Tenants[i].Webhook.All()) > 0 && pushed == "" {
			pushed = "tenants." + strconv.Itoa(i) + ".webhook"
		}
	}
	if sameAddress(c.Listen, w.Listen) {
		l.complain("webhook.listen", "is the address of listen too", "Choose another port: health and metrics are not for those who reach the webhook.")
	}
	switch {
	case w.Listen == "" && pushed != "":
		l.complain("webhook.listen", "is missing, and "+pushed+" has a token", "Set it, such as webhook: {listen: 0.0.0.0:8443}, with tls beside it.")
	case w.Listen == "":
	case pushed == "" && len(c.Tenants) > 0:
		l.complain("webhook.listen", "is set, and no tenant has a webhook.token", "Give one to each tenant that Auth0 pushes to, or remove webhook.listen.")
	case w.TLS.CertFile != "" && w.Plaintext:
		l.complain("webhook.plaintext", "is true, and there is a certificate", "Remove one of the two.")
	case w.TLS.CertFile == "" && !w.Plaintext && !isLoopback(w.Listen):
		l.complain("webhook.tls", "is missing, and other machines can reach webhook.listen", "Set cert_file and key_file; or listen on 127.0.0.1, or set webhook.plaintext: true, if a proxy in front ends TLS.")
	}
}

// sameAddress reports whether two listeners would take one address from each other.
func sameAddress(a, b string) bool {
	hostA, portA, errA := net.SplitHostPort(a)
	hostB, portB, errB := net.SplitHostPort(b)
	if errA != nil || errB != nil || portA != portB || portA == "0" {
		return false
	}
	every := func(host string) bool { return host == "" || host == "0.0.0.0" || host == "::" }
	return hostA == hostB || every(hostA) || every(hostB)
}

// isLoopback reports whether only this machine reaches an address.
func isLoopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return true // it has a problem of its own
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// checkTokens checks the tokens of a tenant. path ends with a dot.
func (l *loader) checkTokens(path string, t *Tenant) {
	w := &t.Webhook
	switch {
	case !w.Token.IsZero() && len(w.Tokens) > 0:
		l.complain(path+"tokens", "is set, and so is token", "Write both into tokens.")
	case len(w.Tokens) > maxTokens:
		l.complain(path+"tokens", fmt.Sprintf("holds %d tokens; %d are taken", len(w.Tokens), maxTokens), "Keep the one in use and the one that takes its place.")
	}
	for _, s := range w.Tokens {
		if s.IsZero() {
			l.complain(path+"tokens", "holds an empty token", "Remove it.")
		}
	}
}
