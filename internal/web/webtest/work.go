package webtest

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/gaplesslogs/gapless/internal/web"
)

// Series implements web.Journal: a wave over the day, with what a tenant's state calls for.
func (j *Journal) Series(_ context.Context, tenant string, since, until time.Time, step time.Duration) (list []web.Point, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.fault != nil {
		return nil, j.fault
	}
	for at := since; at.Before(until); at = at.Add(step) {
		p := web.Point{At: at.UTC()}
		for m := at; m.Before(at.Add(step)) && !m.After(j.at) && len(j.arrived) > 0; m = m.Add(time.Minute) {
			for _, name := range []string{Prod, Staging, Partner} {
				if tenant == "" || tenant == name {
					minute := wave(name, m, j.at)
					p.Fetched, p.Delivered, p.Rejected = p.Fetched+minute.Fetched, p.Delivered+minute.Delivered, p.Rejected+minute.Rejected
				}
			}
		}
		list = append(list, p)
	}
	return list, nil
}

// wave returns the counts of a minute.
func wave(tenant string, m, now time.Time) (p web.Point) {
	size := map[string]float64{Prod: 120, Staging: 22, Partner: 3}[tenant]
	n := m.Unix() / 60
	jitter := float64(hash(fmt.Sprint(tenant, n))%1000)/1000 - 0.5
	p.Fetched = int64(math.Max(0, size*(1+0.45*math.Sin(float64(n)/210)+0.2*math.Sin(float64(n)/9)+0.35*jitter)))
	p.Delivered = p.Fetched
	if tenant == Staging {
		if now.Sub(m) < 42*time.Minute {
			p.Delivered = 0
		} else if hash(fmt.Sprint("r", n))%23 == 0 {
			p.Delivered, p.Rejected = max(0, p.Delivered-1), 1
		}
	}
	return p
}

// Runs implements web.Journal.
func (j *Journal) Runs(_ context.Context, q web.RunQuery) (page web.RunPage, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.fault != nil {
		return page, j.fault
	}
	for _, r := range j.runs {
		if q.Tenant != "" && r.Tenant != q.Tenant || q.Source != "" && r.Source != q.Source || q.Failed && r.Error == "" || !q.Before.IsZero() && !r.Start.Before(q.Before) {
			continue
		}
		if len(page.Runs) == q.Limit {
			page.More = true
			break
		}
		page.Runs = append(page.Runs, r)
	}
	return page, nil
}

// Batches implements web.Journal.
func (j *Journal) Batches(_ context.Context, tenant string, before time.Time, limit int) (list []web.Delivery, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.fault != nil {
		return nil, j.fault
	}
	for _, b := range j.batches {
		if (tenant == "" || b.Tenant == tenant) && (before.IsZero() || b.At.Before(before)) && len(list) < limit {
			list = append(list, b)
		}
	}
	return list, nil
}

// inventRuns makes 120 runs of each tenant.
func inventRuns(at time.Time) (runs []web.Run) {
	id := int64(0)
	for i := range 120 {
		for _, tenant := range []string{Partner, Staging, Prod} {
			id++
			start := at.Add(-time.Duration(120-i) * 9 * time.Minute).UTC().Truncate(time.Second)
			r := web.Run{
				ID: id, Tenant: tenant, Source: "poll", Start: start, End: start.Add(time.Duration(2+hash(strconv.FormatInt(id, 10))%40) * time.Second),
				Pages: 1 + int64(hash(fmt.Sprint(id, "p"))%9), Checkpoint: fmt.Sprintf("900%s%039d", start.Format("20060102150405"), id),
			}
			r.Events = r.Pages*100 - int64(hash(fmt.Sprint(id, "e"))%90)
			r.Duplicates = r.Events / 50
			r.Stored = r.Events - r.Duplicates
			switch {
			case tenant == Prod && i%2 == 1:
				r.Source = "webhook"
			case i%17 == 3:
				r.Error, r.Hint = "read the log: 429 Too Many Requests: the rate limit of the tenant is used up", "Other software of yours calls the Management API a lot; a lower rate_share makes gapless take less."
			}
			if i == 119 && tenant == Prod {
				r.End = time.Time{}
			}
			runs = append(runs, r)
		}
	}
	slices.Reverse(runs)
	return runs
}

// inventBatches makes 150 deliveries of Prod and Staging.
func inventBatches(at time.Time) (list []web.Delivery) {
	for i := range 150 {
		n := 20 + int(hash(fmt.Sprint("b", i))%400)
		d := web.Delivery{
			At: at.Add(-time.Duration(150-i) * 11 * time.Second).UTC(), Took: time.Duration(60+hash(fmt.Sprint("t", i))%500) * time.Millisecond, Tenant: Prod,
			LogGroup: "/auth0/acme-prod", LogStream: "2026/11/27", Events: n, Bytes: int64(n) * 1900, Delivered: n,
		}
		if i%5 == 4 {
			d.Destination, d.LogGroup, d.LogStream = "audit", "/security/auth0", "acme-prod"
		}
		if i%31 == 7 {
			d.Delivered, d.Retried, d.Error = 0, n, "put events: ThrottlingException: Rate exceeded"
		}
		d.Doubt = i%31 == 8
		list = append(list, d)
		if i%3 == 0 {
			list = append(list, web.Delivery{
				At: d.At.Add(time.Second), Took: 90 * time.Millisecond, Tenant: Staging, LogGroup: "/auth0/acme-staging", LogStream: "logs", Events: 100, Bytes: 190_000, Retried: 100,
				Error: "put events to /auth0/acme-staging: AccessDeniedException: not authorized to perform: logs:PutLogEvents",
			})
		}
	}
	slices.Reverse(list)
	return list
}
