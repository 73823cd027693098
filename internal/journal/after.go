package journal

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// after returns what arrived behind a place, in the order of arrival.
func (r *Reader) after(ctx context.Context, q Query) (Page, error) {
	from, err := strconv.ParseInt(strings.TrimSpace(q.After), 10, 64)
	if err != nil {
		return Page{}, fmt.Errorf("read place: %w", ErrBadPlace)
	}
	m := newMatcher(q)
	l, err := r.look(ctx, bounds{tenant: q.Tenant, settled: true})
	if err != nil {
		return Page{}, err
	}
	defer l.close()
	s := &searching{look: l, m: m}
	if err := s.runAfter(from); err != nil {
		return Page{}, r.noteDamage(err)
	}
	return s.page, r.noteDamage(s.oldest())
}

// runAfter looks for what arrived behind a number.
func (s *searching) runAfter(from int64) error {
	list, err := s.arrivals(from)
	if err != nil {
		return err
	}
	var found []Record
	to := max(s.latest, from)
	for i := range list {
		c := &list[i]
		if i > 0 && (s.spent() && c.first-1 > from || len(found) >= s.m.q.Limit && found[s.m.q.Limit-1].seq < c.first) {
			to = c.first - 1
			break
		}
		records, err := c.open()
		if err != nil {
			return err
		}
		for k := range records {
			if r := &records[k]; r.seq > from && s.m.record(r) {
				found = append(found, *r)
			}
		}
		slices.SortFunc(found, func(a, b Record) int { return cmp.Compare(a.seq, b.seq) })
	}
	for i := range found {
		r := &found[i]
		if r.seq > to || i >= s.m.q.Limit {
			to = min(to, r.seq-1)
			found = found[:i]
			break
		}
		r.Event.Raw = nil
	}
	s.page.Records, s.page.Latest = found, strconv.FormatInt(to, 10)
	return nil
}

// arrivals lists the candidates that may hold what arrived behind a number, the first
// first.
func (s *searching) arrivals(from int64) (list []candidate, err error) {
	if s.tx != nil {
		blocks, err := queryHeaders(s.ctx, s.tx, "WHERE last_seq > ?1 AND sink = '' AND (?2 = '' OR tenant = ?2)", from, s.m.q.Tenant)
		if err != nil {
			return nil, err
		}
		for i := range blocks {
			if s.m.header(&blocks[i]) {
				list = append(list, *s.candidate(&blocks[i], s.m))
			}
		}
	}
	for _, c := range s.inMemory(s.m) {
		if c.first > 0 && c.last > from {
			list = append(list, c)
		}
	}
	slices.SortFunc(list, func(a, b candidate) int { return cmp.Compare(a.first, b.first) })
	return list, nil
}
