package notify

import (
	"cmp"
	"strings"
	"time"
)

// Counts are what had been done for a tenant when a report was written, from which the
// next one counts.
type Counts struct {
	Fetched   int64 `json:"fetched"`
	Delivered int64 `json:"delivered"`
	Rejected  int64 `json:"rejected"`
	Skipped   int64 `json:"skipped"`
}

// A Base is where a series of reports stands.
type Base struct {
	At      time.Time         `json:"at"`
	Tenants map[string]Counts `json:"tenants"`
}

// baseOf is where a series stands that has just been reported.
func baseOf(s Snapshot) Base {
	b := Base{At: s.At, Tenants: make(map[string]Counts, len(s.Tenants))}
	for i := range s.Tenants {
		b.Tenants[s.Tenants[i].Name] = countsOf(&s.Tenants[i])
	}
	return b
}

// countsOf are the counts of a tenant. Delivered are those to its main destination.
func countsOf(t *Tenant) Counts {
	c := Counts{Fetched: t.Fetched, Rejected: total(t.Rejected), Skipped: t.Skipped}
	if len(t.Queues) > 0 {
		c.Delivered = t.Queues[0].Delivered
	}
	return c
}

// report is what was done since a base.
func (c Channel) report(s Snapshot, from Base, alerts []Alert) *Report {
	r := &Report{From: from.At, To: s.At, Zone: c.Zone}
	if c.Zone == nil {
		r.Zone = time.UTC
	}
	for i := range s.Tenants {
		t := &s.Tenants[i]
		if !c.covers(t.Name) {
			continue
		}
		r.Tenants = append(r.Tenants, tenantReport(t, from))
	}
	for _, a := range alerts {
		switch {
		case !c.wants(&a):
		case a.Ended.IsZero():
			r.On = append(r.On, a)
		case a.Ended.After(from.At) && !a.silentEnd():
			r.Over = append(r.Over, a)
		}
	}
	return r
}

// tenantReport is the report of a tenant. One that was not there before counts from its
// beginning.
func tenantReport(t *Tenant, from Base) TenantReport {
	now, then := countsOf(t), from.Tenants[t.Name]
	since := func(now, then int64) int64 {
		if now < then {
			return now // the store is another one
		}
		return now - then
	}
	out := TenantReport{
		Tenant: t.Name, Fetched: since(now.Fetched, then.Fetched), Delivered: since(now.Delivered, then.Delivered),
		Rejected: since(now.Rejected, then.Rejected), Skipped: since(now.Skipped, then.Skipped), Checkpoint: t.Checkpoint, Kept: t.Kept, Verified: t.Verified,
	}
	for _, q := range t.Queues {
		out.Waiting += q.Events
		out.Behind = max(out.Behind, q.behind())
	}
	out.OpenGaps, out.NewGaps = countGaps(*t, from.At)
	var wrong []string
	for _, x := range t.Troubles {
		wrong = append(wrong, x.Part+": "+cmp.Or(x.Message, x.Class))
	}
	out.Trouble = strings.Join(wrong, "; ")
	return out
}

// countGaps counts the gaps that are open, and those that were recorded since a time.
func countGaps(t Tenant, since time.Time) (open, recent int) {
	for _, g := range t.Gaps {
		if g.Healed.IsZero() {
			open++
		}
		if g.Recorded.After(since) {
			recent++
		}
	}
	return open, recent
}
