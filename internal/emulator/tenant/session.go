package tenant

import (
	"slices"
	"strings"
)

// session is one visit of a user, or one run of a service, under way.
type session struct {
	world      *world
	user       *user
	app        *application
	service    *application
	connection *connection
	org        *organization
	browser    *browser
	ip         string
	id         string
	steps      []string // the codes of the events still to come
}

// script is what happens in a kind of session, and how often such a session
// starts among the others.
type script struct {
	weight int
	steps  string
}

// scripts give the mix of types: sign-ins with their token exchanges lead, then
// machines and the Management API, then failures, then the rare.
var scripts = []script{
	{140, "s seacft"},
	{60, "seacft s"}, // the login is older than its own exchange, and stored later
	{50, "s seacft ssa slo"},
	{40, "fp s seacft"},
	{30, "s seacft sertft sertft"},
	{30, "gd_start_auth gd_send_pn gd_auth_succeed s seacft"},
	{12, "gd_start_auth gd_auth_failed gd_auth_succeed s seacft"},
	{60, "ssa ssa"},
	{25, "fsa s seacft"},
	{40, "fp fp"},
	{30, "fu"},
	{16, "f"},
	{18, "ss svr sv s seacft"},
	{8, "ss fn s"},
	{8, "fs ss s seacft"},
	{14, "scpr scp s seacft"},
	{6, "scpr fcp scp"},
	{10, "cls cs s"},
	{90, "seccft"},
	{6, "feccft"},
	{50, "seccft sapi sapi"},
	{45, "sapi"},
	{12, "sapi mgmt_api_read sapi"},
	{20, "mgmt_api_read mgmt_api_read"},
	{20, "slo"},
	{3, "slo flo"},
	{8, "sepft"},
	{5, "fertft"},
	{4, "feacft"},
	{5, "fapi"},
	{3, "fp fp fp fp fp fp fp fp fp fp limit_wc"},
	{2, "fu fu fu fu fu fu limit_mu"},
	{3, "pwd_leak"},
	{3, "api_limit_warning api_limit"},
	{2, "depnote"},
	{4, "sdu"},
	{2, "gd_tenant_update"},
	{3, "sscim sscim fscim"},
}

// deck is scripts made ready to draw from.
type deck struct {
	steps []([]string)
	until []int // the running sum of weights
}

func newDeck() deck {
	var d deck
	sum := 0
	for _, s := range scripts {
		sum += s.weight
		d.steps = append(d.steps, strings.Fields(s.steps))
		d.until = append(d.until, sum)
	}
	return d
}

func (d deck) draw(n int) []string {
	for i, until := range d.until {
		if n < until {
			return d.steps[i]
		}
	}
	return d.steps[len(d.steps)-1]
}

func (d deck) sum() int { return d.until[len(d.until)-1] }

// cast maps codes to the kind of connection that alone makes sense of them: a
// wrong password is told by Auth0 of its own databases and of no other.
var cast = map[string]string{
	"fp": kindDatabase, "fu": kindDatabase, "limit_wc": kindDatabase, "limit_mu": kindDatabase, "limit_sul": kindDatabase,
	"pwd_leak": kindDatabase, "signup_pwd_leak": kindDatabase, "reset_pwd_leak": kindDatabase,
	"ss": kindDatabase, "fs": kindDatabase, "sv": kindDatabase, "svr": kindDatabase,
	"scp": kindDatabase, "scpr": kindDatabase, "fcp": kindDatabase, "fcpr": kindDatabase,
	"sepft": kindDatabase, "fepft": kindDatabase, "sapi": kindDatabase, "fapi": kindDatabase,
	"cls": kindPasswordless, "cs": kindPasswordless,
	"sscim": kindEnterprise, "fscim": kindEnterprise,
}

// someUser returns a user to whom all codes can happen.
func (g *Generator) someUser(codes []string) *user {
	for _, code := range codes {
		if users := g.world.usersBy[cast[code]]; len(users) > 0 {
			return users[g.rng.IntN(len(users))]
		}
	}
	return &g.world.users[g.rng.IntN(len(g.world.users))]
}

// newSession casts a session.
func (g *Generator) newSession(steps []string) *session {
	w := g.world
	s := &session{
		world:   w,
		user:    g.someUser(steps),
		app:     &w.apps[g.rng.IntN(len(w.apps))],
		service: &w.services[g.rng.IntN(len(w.services))],
		org:     &w.orgs[g.rng.IntN(len(w.orgs))],
		browser: &browsers[g.rng.IntN(len(browsers)-1)],
		ip:      address(g.rng),
		id:      randomText(g.rng, 32),
		steps:   steps,
	}
	s.connection = &w.connections[s.user.connection]
	return s
}

// nextStep returns the session whose turn it is and the code of its event. A few
// sessions run at a time, so that their events interleave; but what follows in
// the same moment belongs to the same session, if that is not over.
func (g *Generator) nextStep() (*session, string) {
	const together = 6
	i := -1
	if g.bunched {
		i = slices.Index(g.running, g.latest)
	}
	if i < 0 {
		if len(g.running) == 0 || len(g.running) < together && g.rng.IntN(3) == 0 {
			g.running = append(g.running, g.newSession(g.deck.draw(g.rng.IntN(g.deck.sum()))))
		}
		i = g.rng.IntN(len(g.running))
	}
	s := g.running[i]
	g.latest = s
	code := s.steps[0]
	if s.steps = s.steps[1:]; len(s.steps) == 0 {
		last := len(g.running) - 1
		g.running[i] = g.running[last]
		g.running = g.running[:last]
	}
	return s, code
}
