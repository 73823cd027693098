package tenant

import "strings"

// write fills the record in the order of members that the Management API uses.
func (g *Generator) write(t *template, s *session, m made) {
	r := &g.record
	r.reset()
	if t.with&withService != 0 {
		own := *s
		own.app = s.service
		s = &own
	}
	sc := &scene{session: s, title: t.title, date: m.date}
	r.add("date", func(dst []byte) []byte { return appendDate(dst, m.date) })
	r.text("type", t.code)
	r.add("description", func(dst []byte) []byte {
		dst = append(dst, '"')
		return append(g.fill(dst, t.description, sc), '"')
	})
	g.writeWhere(t.with, s)
	if t.details != nil {
		r.add("details", func(dst []byte) []byte { return g.fill(dst, t.details, sc) })
	}
	g.writeWho(t.with, s)
	g.writeTail(t.with, s, m)
}

func (g *Generator) fill(dst []byte, pieces []piece, s *scene) []byte {
	for _, p := range pieces {
		dst = p(g, s, dst)
	}
	return dst
}

// writeWhere writes what stands before the details: connection, application,
// address, browser.
func (g *Generator) writeWhere(with group, s *session) {
	r := &g.record
	switch {
	case with&withConnection != 0:
		r.text("connection", s.connection.name)
		r.text("connection_id", s.connection.id)
	case with&withNoConnection != 0:
		r.raw("connection_id", `""`)
	}
	if with&(withClient|withService) != 0 {
		r.text("client_id", s.app.id)
		name := s.app.name
		if with&(withAdmin|withPlainAgent) != 0 && with&withService == 0 {
			name = "" // as in recorded events of Management API calls
		}
		r.text("client_name", name)
	}
	if with&withIP != 0 {
		r.text("ip", s.ip)
	}
	if with&withClientIP != 0 {
		r.raw("client_ip", "null")
	}
	switch {
	case with&withAgent != 0:
		r.text("user_agent", s.browser.parsed)
	case with&withPlainAgent != 0:
		r.text("user_agent", browsers[len(browsers)-1].parsed)
	}
}

// writeWho writes what stands behind the details: host, user, organization,
// audience and scope.
func (g *Generator) writeWho(with group, s *session) {
	r := &g.record
	if with&withHostname != 0 {
		r.text("hostname", s.world.domain)
	}
	switch {
	case with&withUser != 0:
		r.text("user_id", s.user.id)
		r.text("user_name", g.userName(s.user))
	case with&withUserOnly != 0:
		r.text("user_id", s.user.id)
	case with&withUnknownUser != 0:
		r.raw("user_id", `""`)
		r.text("user_name", s.user.email)
	case with&withNoUser != 0:
		r.raw("user_id", `""`)
		r.raw("user_name", `""`)
	case with&withAdmin != 0:
		r.text("user_id", adminID(s.world))
	}
	if with&withOrganization != 0 {
		r.text("organization_id", s.org.id)
		r.text("organization_name", s.org.name)
	}
	if with&withStrategy != 0 {
		r.text("strategy", s.connection.strategy)
		r.text("strategy_type", s.connection.kind)
	}
	if with&withAudience != 0 {
		r.text("audience", s.app.audience)
	}
	switch {
	case with&withManyScopes != 0:
		r.add("scope", func(dst []byte) []byte { return append(g.appendScopes(append(dst, '"'), " ", ""), '"') })
	case with&withScope != 0:
		r.text("scope", s.app.scope)
	}
}

// userName is the e-mail address, or for some the display name.
func (g *Generator) userName(u *user) string {
	if g.rng.IntN(10) == 0 {
		return u.name
	}
	return u.email
}

// writeTail writes what Auth0 adds to every event.
func (g *Generator) writeTail(with group, s *session, m made) {
	r := &g.record
	if with&withSDK != 0 {
		r.raw("auth0_client", `{"name":"auth0-spa-js","version":"2.8.0"}`)
	}
	if with&withTLS != 0 {
		r.add("security_context", func(dst []byte) []byte {
			dst = append(dst, `{"ja3":"`...)
			dst = appendHex(dst, g.rng, 32)
			dst = append(dst, `","ja4":"t13d1516h2_`...)
			dst = appendHex(dst, g.rng, 12)
			dst = append(dst, '_')
			return append(appendHex(dst, g.rng, 12), `"}`...)
		})
	}
	r.raw("$event_schema", `{"version":"1.0.0"}`)
	r.text("log_id", m.id)
	r.text("tenant_name", s.world.tenant)
	r.text("environment_name", s.world.environment)
	r.text("_id", m.id)
	if with&(withAgent|withPlainAgent) == 0 {
		return // Auth0 tells of a mobile only where it knows the browser
	}
	if with&withAgent != 0 && s.browser.mobile {
		r.raw("isMobile", "true")
	} else {
		r.raw("isMobile", "false")
	}
}

// scopeThings are what the scopes of the Management API speak of.
var scopeThings = strings.Fields("client_grants users users_app_metadata user_custom_blocks clients client_keys connections " +
	"resource_servers device_credentials rules rules_configs hooks actions email_provider stats tenant_settings logs shields " +
	"anomaly_blocks triggers grants guardian_factors guardian_enrollments user_idp_tokens passwords_checking_job custom_domains " +
	"email_templates mfa_policies roles prompts branding log_streams signing_keys limits role_members entitlements " +
	"attack_protection organizations organization_members organization_connections organization_member_roles " +
	"organization_invitations authentication_methods client_credentials")

// appendScopes appends scopes of the Management API, some services' few or, for
// one in three, all of them.
func (g *Generator) appendScopes(dst []byte, sep, quote string) []byte {
	things := scopeThings
	if g.rng.IntN(3) > 0 {
		from := g.rng.IntN(len(things) - 4)
		things = things[from : from+1+g.rng.IntN(3)]
	}
	first := true
	dst = append(dst, quote...)
	for _, thing := range things {
		for _, verb := range [...]string{"read:", "update:", "delete:", "create:"} {
			if !first {
				dst = append(dst, sep...)
			}
			first = false
			dst = append(dst, verb...)
			dst = append(dst, thing...)
		}
	}
	return append(dst, quote...)
}

// bulkMax bounds the bulk of one event, in bytes.
const bulkMax = 24_000

// appendBulk appends the elements of a list, as large as it takes to reach the
// mean size, or else rarely large.
func (g *Generator) appendBulk(dst []byte) []byte {
	const element = len(`"grant:0123456789abcdef",`)
	want := 0
	switch {
	case g.opts.MeanSize > 0:
		const rest = 1200 // the event without its bulk, about
		want = g.opts.MeanSize*(g.made+1) - g.bytes - rest
		want = want * (50 + g.rng.IntN(100)) / 100
	case g.rng.IntN(40) == 0:
		want = g.rng.IntN(bulkMax)
	case g.rng.IntN(4) == 0:
		want = g.rng.IntN(2000)
	}
	for i := range min(want, bulkMax) / element {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `"grant:`...)
		dst = append(appendHex(dst, g.rng, 16), '"')
	}
	return dst
}
