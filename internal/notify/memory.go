package notify

import "time"

// A Memory is what the rules know of earlier snapshots. It is kept with the book.
type Memory struct {
	// Letters are the counts of dead letters, by tenant.
	Letters map[string]*Letters `json:"letters"`

	// waits are how long calls had waited at moments of the last minutes, by tenant. They
	// count from the start of the process, so they are not kept.
	waits map[string][]wait
}

// Letters are counts of events that became dead letters.
type Letters struct {
	// Now and Rejected are the counts as of the last snapshot, and Base and RejectedBase
	// those before the first of the series that goes on.
	Now          int64 `json:"now"`
	Base         int64 `json:"base"`
	Rejected     int64 `json:"rejected"`
	RejectedBase int64 `json:"rejected_base"`
	// Since is when the series began, and Last when the last one came; zero without one.
	Since time.Time `json:"since,omitzero"`
	Last  time.Time `json:"last,omitzero"`
}

// A wait is how long calls had waited at a moment, and how far reading was behind.
type wait struct {
	at             time.Time
	waited, behind time.Duration
}

// newMemory returns one that knows nothing.
func newMemory() *Memory {
	return &Memory{Letters: make(map[string]*Letters), waits: make(map[string][]wait)}
}

// letters brings the counts of a tenant up to date. It returns the series that goes on,
// nil for none.
func (m *Memory) letters(t *Tenant, at time.Time) *Letters {
	rejected := total(t.Rejected)
	now := rejected + total(t.Altered)
	c := m.Letters[t.Name]
	if c == nil || now < c.Now { // seen for the first time, or its store is another one
		m.Letters[t.Name] = &Letters{Now: now, Base: now, Rejected: rejected, RejectedBase: rejected}
		return nil
	}
	if now > c.Now {
		if c.Since.IsZero() {
			c.Since, c.Base, c.RejectedBase = at, c.Now, c.Rejected
		}
		c.Now, c.Rejected, c.Last = now, rejected, at
	}
	if !c.Since.IsZero() && at.Sub(c.Last) >= lettersQuiet {
		c.Since, c.Base, c.RejectedBase = time.Time{}, c.Now, c.Rejected
	}
	if c.Since.IsZero() {
		return nil
	}
	return c
}

// total adds up counts.
func total(m map[string]int64) (n int64) {
	for _, x := range m {
		n += x
	}
	return n
}

// waited returns the share of the last waitSpan that a tenant's calls have waited, and by
// how much less reading is behind now than at its beginning; known is false before so much
// has been seen.
func (m *Memory) waited(t *Tenant, at time.Time) (share float64, gained time.Duration, known bool) {
	behind := at.Sub(t.ReadUntil)
	list := m.waits[t.Name]
	if n := len(list); n > 0 && t.Waited < list[n-1].waited {
		list = nil // the tenant was started anew
	}
	if n := len(list); n == 0 || at.Sub(list[n-1].at) >= time.Minute {
		list = append(list, wait{at, t.Waited, behind})
	}
	for len(list) > 1 && at.Sub(list[1].at) >= waitSpan {
		list = list[1:]
	}
	m.waits[t.Name] = list
	span := at.Sub(list[0].at)
	if span < waitSpan {
		return 0, 0, false
	}
	return float64(t.Waited-list[0].waited) / float64(span), list[0].behind - behind, true
}

// forget drops what is known of tenants that are not there any more.
func (m *Memory) forget(s Snapshot) {
	there := make(map[string]bool)
	for _, t := range s.Tenants {
		there[t.Name] = true
	}
	for name := range m.waits {
		if !there[name] {
			delete(m.waits, name)
		}
	}
	for name := range m.Letters {
		if !there[name] {
			delete(m.Letters, name)
		}
	}
}
