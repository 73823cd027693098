package tenant

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Generate adds n events of history, stored between from and to in even
// distances. Where the log has events of that time, the new ones come between
// them.
func (s *Server) Generate(n int, from, to time.Time) error {
	if to.Before(from) {
		return fmt.Errorf("generate events: %s lies before %s", to, from)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	entries := make([]entry, 0, max(0, n))
	g := s.generator
	last := g.mint.last
	g.mint.last, g.pending = from, from // ids may go back to that time
	g.history(n, from, to, func(at time.Time) { entries = append(entries, s.generate(at)) })
	if g.mint.last.Before(last) {
		g.mint.last = last
	}
	return s.keep(entries)
}

// generate makes the next event of the traffic. s.mu is held.
func (s *Server) generate(at time.Time) entry {
	raw, m := s.generator.next(nil, at)
	return m.entry(slices.Clip(raw))
}

func (m made) entry(raw []byte) entry {
	return entry{key: m.id, id: m.id, at: m.at.UnixMilli(), date: m.date.UnixMilli(), code: m.code, raw: raw}
}

// keep puts entries into the log and the journal, and hands them to the log
// streams. s.mu is held.
func (s *Server) keep(entries []entry) error {
	if s.closed {
		return ErrClosed
	}
	if err := s.log.insert(entries); err != nil {
		return err
	}
	if err := s.journal.events(entries); err != nil {
		return err
	}
	s.enqueue(entries)
	return nil
}

// enqueue hands entries to the log streams. s.mu is held.
func (s *Server) enqueue(entries []entry) {
	for _, st := range s.streams {
		st.enqueue(entries)
	}
}

// Append adds an event as it is: it must be a JSON object with a log_id or _id
// that is not in the log. An event with an id of the real form takes its place by
// id, any other one comes last. The log keeps raw, not a copy.
func (s *Server) Append(raw []byte) error {
	return s.appendAll([][]byte{raw})
}

// appendAll adds all events or, with an error, none.
func (s *Server) appendAll(events [][]byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	entries := make([]entry, len(events))
	for i, raw := range events {
		e, err := parseEntry(raw, now)
		if err != nil {
			return err
		}
		entries[i] = e
	}
	if err := s.keep(entries); err != nil {
		return err
	}
	for _, e := range entries {
		s.generator.mint.seen(e.id)
	}
	return nil
}

// AppendLate adds an event whose log_id carries a time that lies age back, and so
// is lower than ids that may have been served already; it is visible at once,
// unless the Delay is longer than age. It returns the event.
func (s *Server) AppendLate(age time.Duration) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.generator.mint
	last := m.last
	at := time.Now().Add(-age)
	m.last, s.generator.pending = at, at
	e := s.generate(at)
	if m.last.Before(last) {
		m.last = last
	}
	return e.raw, s.keep([]entry{e})
}

// runTick is how often Run looks what is due: faster rates come in bunches, as
// they do at Auth0.
const runTick = 20 * time.Millisecond

// Run adds events at the given rate until ctx ends or the server is closed; both
// are the normal end and no error. A rate that is not above 0 adds none.
func (s *Server) Run(ctx context.Context, ratePerSecond float64) error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return ErrClosed
	}
	s.runs.Add(1)
	s.mu.Unlock()
	defer s.runs.Done()
	if ratePerSecond <= 0 {
		select {
		case <-ctx.Done():
		case <-s.done:
		}
		return nil
	}
	return s.run(ctx, ratePerSecond)
}

func (s *Server) run(ctx context.Context, rate float64) error {
	ticker := time.NewTicker(max(runTick, min(time.Duration(float64(time.Second)/rate), time.Minute)))
	defer ticker.Stop()
	began, done := time.Now(), 0
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.done:
			return nil
		case now := <-ticker.C:
			due := int(now.Sub(began).Seconds()*rate + 1e-6)
			if err := s.live(due - done); err != nil {
				return fmt.Errorf("add live traffic: %w", err)
			}
			done = max(done, due)
		}
	}
}

// live adds n events that are stored now.
func (s *Server) live(n int) error {
	if n <= 0 {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	entries := make([]entry, 0, n)
	for range n {
		entries = append(entries, s.generate(time.Now()))
	}
	return s.keep(entries)
}
