package access

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// maxNext bounds the path to go on to after a login, in bytes.
const maxNext = 2048

// client returns the address that a request is from: the peer of the connection, or what
// a proxy that is believed says of it.
func (p *Policy) client(r *http.Request) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	at := peer.Addr().Unmap()
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		if !p.believes(at) {
			break
		}
		next, err := netip.ParseAddr(strings.TrimSpace(hop))
		if err != nil {
			break
		}
		at = next.Unmap().WithZone("")
	}
	return at
}

// believes reports whether an address is a proxy's.
func (p *Policy) believes(a netip.Addr) bool {
	return slices.ContainsFunc(p.Proxies, func(n netip.Prefix) bool { return n.Contains(a) })
}

// secure reports whether the browser speaks TLS, to us or to a proxy in front.
func (p *Policy) secure(r *http.Request) bool {
	return r.TLS != nil || p.PublicURL != nil && p.PublicURL.Scheme == "https"
}

// localHost reports whether a Host header names this machine, as the address of a page
// that a person has typed does. Any other name was made to lead here by somebody else,
// who then has a page of the same origin (DNS rebinding).
func localHost(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	name = strings.TrimSuffix(strings.TrimPrefix(name, "["), "]")
	if strings.EqualFold(name, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(name)
	return err == nil && ip.Unmap().IsLoopback()
}

// passedOn reports whether a proxy says that it passes a request on.
func passedOn(r *http.Request) bool {
	return slices.ContainsFunc([]string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip", "Via"}, func(name string) bool { return r.Header.Get(name) != "" })
}

// safe reports whether a request changes nothing.
func safe(r *http.Request) bool { return r.Method == http.MethodGet || r.Method == http.MethodHead }

// foreign reports whether another site's page makes a request in the background: one that
// loads something from here, or frames it. Following a link to here is no such thing.
func foreign(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "same-origin", "none":
		return false
	}
	dest := r.Header.Get("Sec-Fetch-Dest")
	return !safe(r) || r.Header.Get("Sec-Fetch-Mode") != "navigate" || dest != "" && dest != "document"
}

// crossOrigin reports whether a request that changes something comes from a page of
// another origin.
func (p *Policy) crossOrigin(r *http.Request) bool {
	site, origin := r.Header.Get("Sec-Fetch-Site"), r.Header.Get("Origin")
	switch {
	case site != "" && site != "same-origin":
		return true
	case origin == "": // no browser, or one so old that the token alone must do
		return false
	case origin == "null" && site == "same-origin": // a browser told to name no referrer to anybody
		return false
	}
	if p.PublicURL != nil && strings.EqualFold(origin, p.PublicURL.Scheme+"://"+p.PublicURL.Host) {
		return false
	}
	u, err := url.Parse(origin)
	return err != nil || u.Host == "" || !strings.EqualFold(u.Host, r.Host)
}

// wantsPage reports whether a person opens a page, rather than a program or a script
// asking for something.
func wantsPage(r *http.Request) bool {
	mode := r.Header.Get("Sec-Fetch-Mode")
	return safe(r) && !strings.HasPrefix(r.URL.Path, "/api/") && !strings.Contains(r.Header.Get("Accept"), "text/event-stream") &&
		(mode == "" || mode == "navigate") && r.Header.Get("X-Requested-With") == "" && r.Header.Get("Hx-Request") == ""
}

// localPath returns a path of this page to go on to; "/" for anything else.
func localPath(text string) string {
	bad := func(c rune) bool { return c < ' ' || c == 0x7f || c == '\\' }
	if len(text) > maxNext || !strings.HasPrefix(text, "/") || strings.HasPrefix(text, "//") || strings.ContainsFunc(text, bad) {
		return "/"
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || strings.ContainsFunc(u.Path, bad) || strings.HasPrefix(u.Path, "//") {
		return "/"
	}
	if u.Path == pathLogin || u.Path == pathLogout || strings.HasPrefix(u.Path, pathLogin+"/") {
		return "/"
	}
	return (&url.URL{Path: u.Path, RawPath: u.RawPath, RawQuery: u.RawQuery}).String()
}

// printable makes text of strangers fit for a line of a log or a page.
func printable(s string) string {
	const most = 100
	s = strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f || c >= 0x80 && c < 0xa0 || c >= 0x200b && c <= 0x200f || c >= 0x2028 && c <= 0x202e || c >= 0x2066 && c <= 0x2069 || c == 0xfeff {
			return -1
		}
		return c
	}, strings.ToValidUTF8(s, "?"))
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}
