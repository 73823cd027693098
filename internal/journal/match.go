package journal

import (
	"bytes"
	"net/netip"
	"strings"
	"time"
)

// A Query picks events. Fields that are empty pick all; several must all match.
type Query struct {
	Tenant string
	// Types are event codes, of which any matches.
	Types []string
	// Failed picks events of which Failed is true.
	Failed bool
	// User is part of user_id or user_name, Client part of client_id or client_name; IP
	// is an address, the beginning of one, or a prefix in CIDR form. Case does not matter.
	User, Client, IP string
	// Text is part of the event's bytes; case does not matter.
	Text string
	// Since and Until bound the date: Since <= date < Until. Zero is no bound.
	Since, Until time.Time
	// Limit is the most events to return; at least 1.
	Limit int
	// From goes on where a page before has ended, see Page.More.
	From string
	// After asks for what arrived behind Page.Latest, in the order of its arrival. From
	// is not used with it.
	After string
}

// A matcher says which events a query picks.
type matcher struct {
	q                  Query
	user, client, text string // in lower case
	ip                 string
	plainUser          []byte // without what divides words
	plainClient        []byte
	prefix             netip.Prefix // instead of ip, if it is valid
	types              map[string]bool
	since, until       int64 // dates; until is not reached
}

// newMatcher reads a query.
func newMatcher(q Query) *matcher {
	m := &matcher{q: q, user: lower(q.User), client: lower(q.Client), text: lower(q.Text), ip: lower(strings.TrimSpace(q.IP)), until: 1<<63 - 1, since: -1 << 63}
	m.plainUser, m.plainClient = []byte(plainWord(m.user)), []byte(plainWord(m.client))
	if p, err := netip.ParsePrefix(m.ip); err == nil {
		m.prefix = p.Masked()
	}
	if len(q.Types) > 0 {
		m.types = make(map[string]bool, len(q.Types))
		for _, t := range q.Types {
			m.types[t] = true
		}
	}
	if !q.Since.IsZero() {
		m.since = ceilMicros(q.Since)
	}
	if !q.Until.IsZero() {
		m.until = ceilMicros(q.Until)
	}
	return m
}

// ceilMicros is the first microsecond that is not before a time.
func ceilMicros(t time.Time) int64 { return t.Add(time.Microsecond - 1).UnixMicro() }

// named reports whether the query asks for names that the words of a block tell of.
func (m *matcher) named() bool { return m.user != "" || m.client != "" || m.ip != "" }

// header reports whether a block may hold events of the query, by its header.
func (m *matcher) header(h *header) bool {
	if h.newest < m.since || h.oldest >= m.until || m.q.Failed && h.failed == 0 {
		return false
	}
	if m.types == nil {
		return true
	}
	for t := range m.types {
		if strings.Contains(h.types, ","+t+",") {
			return true
		}
	}
	return false
}

// words reports whether a block may hold events of the query, by the names in it.
func (m *matcher) words(plain []byte) bool {
	users, rest, _ := bytes.Cut(plain, []byte(wordPart))
	clients, ips, _ := bytes.Cut(rest, []byte(wordPart))
	if !bytes.Contains(users, m.plainUser) || !bytes.Contains(clients, m.plainClient) {
		return false
	}
	if m.ip == "" {
		return true
	}
	for line := range bytes.SplitSeq(ips, []byte(wordEnd)) {
		if len(line) > 0 && m.address(string(line)) { // a line break in an address is of nobody's
			return true
		}
	}
	return false
}

// address reports whether an address in lower case is one that the query picks.
func (m *matcher) address(ip string) bool {
	if m.prefix.IsValid() {
		a, err := netip.ParseAddr(ip)
		return err == nil && (m.prefix.Contains(a) || m.prefix.Contains(a.Unmap()))
	}
	return strings.HasPrefix(ip, m.ip)
}

// body reports whether the text of the query stands anywhere in bytes.
func (m *matcher) body(plain []byte) bool {
	return m.text == "" || bytes.Contains(bytes.ToLower(plain), []byte(m.text))
}

// record reports whether the query picks an event; with a text its bytes must be there.
func (m *matcher) record(r *Record) bool {
	date := r.Event.Date.UnixMicro()
	switch {
	case m.q.Tenant != "" && r.Tenant != m.q.Tenant,
		date < m.since || date >= m.until,
		m.types != nil && !m.types[r.Event.Type],
		m.q.Failed && !Failed(r.Event.Type),
		m.user != "" && !holds(r.UserID, m.user) && !holds(r.UserName, m.user),
		m.client != "" && !holds(r.ClientID, m.client) && !holds(r.ClientName, m.client),
		m.ip != "" && (r.IP == "" || !m.address(lower(r.IP))):
		return false
	}
	return m.body(r.Event.Raw)
}

// holds reports whether a text holds another that is in lower case.
func holds(s, part string) bool { return strings.Contains(lower(s), part) }
