package cloudwatch

import (
	"maps"
	"sync"
)

// Stats counts what a server has done since it was made.
type Stats struct {
	// Calls are the requests by operation, failed ones included; those that a
	// fault kept from the server are not.
	Calls map[string]int64 `json:"calls"`
	// Errors are the requests by the code of their error.
	Errors map[string]int64 `json:"errors"`
	// Events and Bytes are what PutLogEvents has stored; the bytes are those of
	// the messages.
	Events int64 `json:"events"`
	Bytes  int64 `json:"bytes"`
	// Rejected are the events that PutLogEvents did not store though it answered
	// 200: too old, expired or too new.
	Rejected int64 `json:"rejected"`
}

// counters are the Stats of a server that runs.
type counters struct {
	mu sync.Mutex
	Stats
}

// Stats returns the counters as they stand.
func (s *Server) Stats() Stats {
	s.stats.mu.Lock()
	defer s.stats.mu.Unlock()
	now := s.stats.Stats
	now.Calls = copied(now.Calls)
	now.Errors = copied(now.Errors)
	return now
}

// copied returns a copy that is never nil.
func copied(m map[string]int64) map[string]int64 {
	c := make(map[string]int64, len(m))
	maps.Copy(c, m)
	return c
}

// called counts a request and, unless code is empty, its error.
func (c *counters) called(op, code string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.Calls == nil {
		c.Calls, c.Errors = make(map[string]int64), make(map[string]int64)
	}
	c.Calls[op]++
	if code != "" {
		c.Errors[code]++
	}
}

// stored counts the events of a PutLogEvents call.
func (c *counters) stored(events []inputEvent, sent int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range events {
		c.Bytes += int64(len(e.message))
	}
	c.Events += int64(len(events))
	c.Rejected += int64(sent - len(events))
}
