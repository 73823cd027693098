package pipeline

import "sync"

// maxSkips bounds the ids that Skips remembers.
const maxSkips = 20_000

// Skips remembers which events the transforms of a tenant have left out of late, so
// that one which comes by two ways, or again, is counted once. The buffer cannot
// know: what is left out is not stored. A new process has forgotten it.
type Skips struct {
	mu    sync.Mutex
	known awaited
}

// claim notes an event, and reports whether it is new.
func (s *Skips) claim(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, again := s.known.ids[id]; again {
		return false
	}
	s.known.add(waiting{id: id})
	for len(s.known.ids) > maxSkips {
		s.known.first()
	}
	return true
}

// release forgets events whose count could not be stored: they come again.
func (s *Skips) release(ids []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		s.known.remove(id)
	}
}
