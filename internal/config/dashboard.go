package config

import (
	"iter"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Dashboard says who may look at the page of listen, and who may act on it.
type Dashboard struct {
	PublicURL       string           `yaml:"public_url" example:"https://gapless.example.com" doc:"Where people find the page, when a proxy stands in front of listen: scheme, host and port, without a path. https says that the proxy ends TLS."`
	Users           []DashboardUser  `yaml:"users" doc:"Who logs in by name and password."`
	OIDC            DashboardOIDC    `yaml:"oidc" doc:"The OpenID Connect provider that people log in with: Auth0 itself or any other. The guide docs/dashboard-login.md goes through it."`
	Tokens          []DashboardToken `yaml:"tokens" doc:"What programs send as 'Authorization: Bearer TOKEN' to read what people need a login for. They may look and not act. They need users or oidc beside them."`
	TLS             TLS              `yaml:"tls" doc:"The certificate of listen. Without it the listener speaks plain HTTP, with which a login is allowed on loopback, behind a proxy that public_url names with https, and elsewhere with plaintext."`
	Plaintext       bool             `yaml:"plaintext" default:"false" doc:"Take logins over plain HTTP on an address that other machines can reach. Whoever can listen in between reads passwords, sessions and events."`
	TrustedProxies  []string         `yaml:"trusted_proxies" example:"10.0.0.0/8,127.0.0.1" doc:"Networks of proxies whose X-Forwarded-For is believed, as CIDR prefixes or single addresses. Without them everybody behind a proxy counts as one address where attempts to log in are limited and logged."`
	SessionIdle     time.Duration    `yaml:"session_idle" default:"8h" min:"1m" max:"720h" doc:"A session that nobody uses ends after this long. A page that is open uses it."`
	SessionLifetime time.Duration    `yaml:"session_lifetime" default:"24h" min:"1m" max:"2160h" doc:"A session ends after this long in any case."`
	MetricsLogin    bool             `yaml:"metrics_login" default:"false" doc:"Close /metrics to everybody without a login or one of tokens. /healthz and /readyz stay open. It needs users or oidc."`
}

// A DashboardUser logs in by name and password.
type DashboardUser struct {
	Name         string `yaml:"name" required:"true" example:"ana" doc:"What the person types; upper and lower case differ. It stands in the audit lines."`
	PasswordHash Secret `yaml:"password_hash" example:"$argon2id$v=19$m=65536,t=3,p=4$..." doc:"Hash of the password, by argon2id or bcrypt, or a reference to one; 'gapless dashboard hash' makes it. It is read at the start and on SIGHUP. A changed one ends the sessions of the user."`
	Role         string `yaml:"role" default:"view" enum:"view,operate" doc:"view may look at everything, events included. operate may also replay and drop dead letters."`
}

// A DashboardToken lets a program look.
type DashboardToken struct {
	Name  string `yaml:"name" required:"true" example:"prometheus" doc:"What the program is called in audit lines."`
	Token Secret `yaml:"token" example:"file:/run/secrets/gapless-token" doc:"The token, of at least 20 characters; 'openssl rand -hex 32' makes one. It is read at the start and on SIGHUP."`
}

// DashboardOIDC is an OpenID Connect provider and whom of its people to let in.
type DashboardOIDC struct {
	Issuer       string        `yaml:"issuer" example:"https://dev-tenant.us.auth0.com/" doc:"URL of the provider; of Auth0 https:// and the domain. Its addresses are found below /.well-known/openid-configuration when somebody logs in first. Plain http is taken on loopback alone. Empty turns OpenID Connect off."`
	ClientID     string        `yaml:"client_id" example:"abc" doc:"Client ID of an application of the kind 'regular web application', of which public_url with /login/oidc/callback added is an allowed callback URL. Required with issuer."`
	ClientSecret Secret        `yaml:"client_secret" example:"env:GAPLESS_OIDC_SECRET" doc:"Client secret of the application; empty for one that has none. It is read at the start and on SIGHUP."`
	Name         string        `yaml:"name" default:"single sign-on" doc:"What the login calls the provider: 'Log in with ...'."`
	Scopes       []string      `yaml:"scopes" default:"profile,email" doc:"What is asked for besides openid."`
	Allow        DashboardRule `yaml:"allow" doc:"Who may look. Any match will do; whoever is named nowhere is kept out."`
	Operate      DashboardRule `yaml:"operate" doc:"Who may look and act. Any match will do."`
}

// A DashboardRule names people of a provider.
type DashboardRule struct {
	Subjects []string       `yaml:"subjects" example:"auth0|64b7c0ffee" doc:"Subjects: the user's ID at the provider, the claim sub. Nobody can choose theirs."`
	Emails   []string       `yaml:"emails" example:"ana@example.com" doc:"E-mail addresses. They count only where the provider says that they are verified."`
	Domains  []string       `yaml:"domains" example:"example.com" doc:"Domains of e-mail addresses, which must be verified too. Everybody who has an address there is let in."`
	Claim    DashboardClaim `yaml:"claim" doc:"A claim of the ID token, such as one with roles or groups."`
}

// A DashboardClaim is a claim that must be, or hold, one of some values.
type DashboardClaim struct {
	Name   string   `yaml:"name" example:"https://example.com/roles" doc:"Name of the claim. In Auth0 an Action adds it, under a name that is a URL."`
	Values []string `yaml:"values" example:"audit,ops" doc:"Values of which it must be, or hold, one."`
}

// HasLogin reports whether people must log in.
func (d *Dashboard) HasLogin() bool { return len(d.Users) > 0 || d.OIDC.Issuer != "" }

// InClear reports whether people log in over plain HTTP and nobody has said that they may.
// It is fine where this machine alone reaches the page.
func (d *Dashboard) InClear() bool {
	return d.HasLogin() && d.TLS.CertFile == "" && !d.Plaintext && !strings.HasPrefix(d.PublicURL, "https://")
}

// Proxies returns the networks of TrustedProxies. Those that are none are left out;
// Validate has told of them.
func (d *Dashboard) Proxies() []netip.Prefix { return (&Webhook{Allow: d.TrustedProxies}).Networks() }

// empty reports whether a rule names nobody.
func (r *DashboardRule) empty() bool {
	return len(r.Subjects)+len(r.Emails)+len(r.Domains)+len(r.Claim.Values) == 0
}

// checkDashboard checks who may look at the page.
func (l *loader) checkDashboard(c *Config) {
	d := &c.Dashboard
	for _, text := range d.TrustedProxies {
		if _, err := parseNetwork(text); err != nil {
			l.complain("dashboard.trusted_proxies", "holds "+quote(text)+", which is no network", "Write them like 10.0.0.0/8 or 2001:db8::/48.")
		}
	}
	if d.PublicURL != "" {
		if u, err := url.Parse(d.PublicURL); err != nil || !isHTTP(u) || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
			l.complain("dashboard.public_url", "is not scheme and host alone", "Write it like https://gapless.example.com.")
		}
	}
	if d.SessionIdle > d.SessionLifetime {
		l.complain("dashboard.session_idle", "is longer than session_lifetime", "Set it to "+d.SessionLifetime.String()+" or less.")
	}
	l.checkUsers(d)
	l.checkProvider(&d.OIDC)
	l.checkDashboardTLS(c)
	if d.HasLogin() || l.excused["dashboard.users"] {
		return
	}
	const fix = "Add dashboard.users or dashboard.oidc."
	if len(d.Tokens) > 0 {
		l.complain("dashboard.tokens", "is set, and there is no login", fix)
	}
	if d.MetricsLogin {
		l.complain("dashboard.metrics_login", "is true, and there is no login", fix)
	}
}

// checkUsers checks the users and the tokens.
func (l *loader) checkUsers(d *Dashboard) {
	seen := map[string]bool{}
	for i, u := range d.Users {
		path := "dashboard.users." + strconv.Itoa(i) + "."
		l.checkPrincipal(path+"name", u.Name, seen)
		switch {
		case u.PasswordHash.IsZero():
			l.complain(path+"password_hash", "is missing", "Make one with: gapless dashboard hash")
		case u.PasswordHash.literal != nil && !matches(`^\$(argon2id\$v=\d+\$m=\d+,t=\d+,p=\d+\$[A-Za-z0-9+/]+\$[A-Za-z0-9+/]+|2[aby]\$\d\d\$[./A-Za-z0-9]{53})$`, *u.PasswordHash.literal):
			l.complain(path+"password_hash", "is neither an argon2id nor a bcrypt hash", "Make one with: gapless dashboard hash. In a file write it in single quotes.")
		}
	}
	clear(seen)
	for i, t := range d.Tokens {
		path := "dashboard.tokens." + strconv.Itoa(i) + "."
		l.checkPrincipal(path+"name", t.Name, seen)
		if t.Token.IsZero() {
			l.complain(path+"token", "is missing", "Make one with: openssl rand -hex 32")
		}
	}
}

// checkPrincipal checks a name that is to stand in audit lines.
func (l *loader) checkPrincipal(path, name string, seen map[string]bool) {
	switch {
	case name == "":
	case !matches(`^[^\x00-\x20\x7f](?:[^\x00-\x1f\x7f]{0,98}[^\x00-\x20\x7f])?$`, name):
		l.complain(path, quote(name)+" is not a name", "Use 1 to 100 characters that can be seen.")
	case seen[name]:
		l.complain(path, quote(name)+" is there twice", "Give each a name of its own.")
	}
	seen[name] = true
}

// rules goes through the rules by their names.
func (o *DashboardOIDC) rules() iter.Seq2[string, *DashboardRule] {
	return func(yield func(string, *DashboardRule) bool) {
		_ = yield("allow", &o.Allow) && yield("operate", &o.Operate)
	}
}

// checkProvider checks the OpenID Connect provider.
func (l *loader) checkProvider(o *DashboardOIDC) {
	const path = "dashboard.oidc."
	for name, r := range o.rules() {
		if (r.Claim.Name == "") != (len(r.Claim.Values) == 0) {
			l.complain(path+name+".claim", "has one of name and values", "Set both, or none.")
		}
		if slices.Contains(r.Subjects, "") {
			l.complain(path+name+".subjects", "holds an empty one", "Remove it.")
		}
		for _, e := range r.Emails {
			if at := strings.LastIndex(e, "@"); at < 1 || at == len(e)-1 {
				l.complain(path+name+".emails", "holds "+quote(e)+", which is no e-mail address", "Write them like ana@example.com; for all of a domain there is domains.")
			}
		}
		for _, d := range r.Domains {
			if !matches(`^@?[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$`, d) {
				l.complain(path+name+".domains", "holds "+quote(d)+", which is no domain", "Write them like example.com.")
			}
		}
	}
	if o.Issuer == "" {
		if o.ClientID != "" || !o.Allow.empty() || !o.Operate.empty() {
			l.complain(path+"issuer", "is missing", "Set it, such as issuer: https://dev-tenant.us.auth0.com/")
		}
		return
	}
	u, err := url.Parse(o.Issuer)
	switch {
	case err != nil || !isHTTP(u) || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		l.complain(path+"issuer", "is not the URL of a provider", "Write it like https://dev-tenant.us.auth0.com/.")
	case u.Scheme == "http" && !isLoopback(net.JoinHostPort(u.Hostname(), "80")):
		l.complain(path+"issuer", "is of http, and not on this machine", "Write it with https://: whoever sits in between could log in as anybody.")
	}
	if o.ClientID == "" {
		l.complain(path+"client_id", "is missing", "Set it, such as client_id: abc")
	}
	if o.Allow.empty() && o.Operate.empty() {
		l.complain(path+"allow", "names nobody, and neither does operate", "Set one of subjects, emails, domains and claim, such as allow: {emails: [ana@example.com]}.")
	}
}

// checkDashboardTLS checks that nobody sends a password for others to read.
func (l *loader) checkDashboardTLS(c *Config) {
	d := &c.Dashboard
	switch {
	case (d.TLS.CertFile == "") != (d.TLS.KeyFile == ""):
		l.complain("dashboard.tls", "has one of cert_file and key_file", "Set both, or none.")
	case d.TLS.CertFile != "" && d.Plaintext:
		l.complain("dashboard.plaintext", "is true, and there is a certificate", "Remove one of the two.")
	case !d.InClear() || c.Listen == "":
	case !isLoopback(c.Listen):
		l.complain("dashboard.tls", "is missing, and passwords and sessions would cross the network in clear", "Set cert_file and key_file; or set dashboard.public_url to the https:// address of the proxy in front; or set dashboard.plaintext: true.")
	case d.PublicURL != "":
		l.complain("dashboard.public_url", "is of http, and passwords and sessions would cross the network in clear", "Write it with https://; or set dashboard.plaintext: true.")
	}
	if d.OIDC.Issuer != "" && d.PublicURL == "" && c.Listen != "" && !isLoopback(c.Listen) {
		l.complain("dashboard.public_url", "is missing, and the provider needs an address to come back to", "Set it, such as dashboard.public_url: https://gapless.example.com")
	}
}
