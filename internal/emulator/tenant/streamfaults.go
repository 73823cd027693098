package tenant

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// PushFaults says what goes wrong with pushing, in shares from 0 to 1. Whether an
// event is struck depends on the seed and its log_id alone, whether a try is on
// the seed and its number. Failing answers are the receiver's to give: see the
// package emulator.
//
// The JSON form has the members duplicates, holes, reordered, bursts, repeats,
// truncated, broken, not_json, slow and slow_for, the last one as text such as
// "2s".
type PushFaults struct {
	// Duplicates is the share of events that are pushed once more, in a later
	// request. Both types of streams know it.
	Duplicates float64
	// Holes is the share of events that are never pushed, on both types.
	Holes float64
	// Reordered is the share of events that come out of their order: half of
	// them change places within their request, half of them come in a later
	// one. Both types know it.
	Reordered float64
	// Bursts is the share of rounds in which the stream says nothing for ten
	// intervals and then pushes up to ten times BatchSize at once, on both types.
	Bursts float64
	// Repeats is the share of requests whose good answer the tenant takes for
	// none, so that it tries again, on both types.
	Repeats float64
	// Truncated, Broken and NotJSON are the shares of requests with a bad body:
	// cut in half, with one record that is no JSON, and with text that has
	// nothing to do with events. Together they are not above 1. An answer of 2xx
	// settles such a request as it does any other: what the receiver could not
	// read is a hole.
	Truncated, Broken, NotJSON float64
	// Slow is the share of requests whose body takes SlowFor to come.
	Slow float64
	// SlowFor is how long a slow body takes; it ends with the try's Timeout.
	SlowFor time.Duration
}

// Validate reports the first member that makes no sense.
func (f PushFaults) Validate() error {
	for _, share := range []struct {
		name  string
		value float64
	}{
		{"duplicates", f.Duplicates},
		{"holes", f.Holes},
		{"reordered", f.Reordered},
		{"bursts", f.Bursts},
		{"repeats", f.Repeats},
		{"truncated", f.Truncated},
		{"broken", f.Broken},
		{"not_json", f.NotJSON},
		{"slow", f.Slow},
		{"truncated, broken and not_json together", f.Truncated + f.Broken + f.NotJSON},
	} {
		if !(share.value >= 0 && share.value <= 1) { // refuses NaN too
			return fmt.Errorf("%s: %v must be between 0 and 1", share.name, share.value)
		}
	}
	if f.SlowFor < 0 {
		return fmt.Errorf("slow_for is %s; it must not be negative", f.SlowFor)
	}
	return nil
}

// pushFaultsJSON is the form of PushFaults on the wire.
type pushFaultsJSON struct {
	Duplicates float64 `json:"duplicates"`
	Holes      float64 `json:"holes"`
	Reordered  float64 `json:"reordered"`
	Bursts     float64 `json:"bursts"`
	Repeats    float64 `json:"repeats"`
	Truncated  float64 `json:"truncated"`
	Broken     float64 `json:"broken"`
	NotJSON    float64 `json:"not_json"`
	Slow       float64 `json:"slow"`
	SlowFor    string  `json:"slow_for"`
}

// MarshalJSON writes the faults with SlowFor as text.
func (f PushFaults) MarshalJSON() ([]byte, error) {
	return json.Marshal(pushFaultsJSON{
		f.Duplicates, f.Holes, f.Reordered, f.Bursts, f.Repeats, f.Truncated, f.Broken, f.NotJSON, f.Slow, f.SlowFor.String(),
	})
}

// UnmarshalJSON reads and validates the faults; unknown members are errors.
func (f *PushFaults) UnmarshalJSON(data []byte) error {
	var w pushFaultsJSON
	if failed := decodeStrict(data, "", &w); failed != nil {
		return fmt.Errorf("read push faults: %s", failed.message)
	}
	*f = PushFaults{
		Duplicates: w.Duplicates, Holes: w.Holes, Reordered: w.Reordered, Bursts: w.Bursts, Repeats: w.Repeats,
		Truncated: w.Truncated, Broken: w.Broken, NotJSON: w.NotJSON, Slow: w.Slow,
	}
	if w.SlowFor != "" {
		d, err := time.ParseDuration(w.SlowFor)
		if err != nil {
			return fmt.Errorf("read slow_for: %w", err)
		}
		f.SlowFor = d
	}
	return f.Validate()
}

// StreamStats counts what was done on a log stream since New.
type StreamStats struct {
	// Status is active, paused or suspended.
	Status string `json:"status"`
	// Queued is how many events wait, those under way and held back among them.
	Queued int `json:"queued"`
	// Tries is how many requests, or offers to the bus, were made; Failed is how
	// many of them had no good answer, the Repeats among them.
	Tries  int `json:"tries"`
	Failed int `json:"failed"`
	// Delivered is how many events stood in the tries that settled them,
	// Duplicates and Spoiled among them.
	Delivered int `json:"delivered"`
	// Duplicates is how many of those had been delivered before, by that fault;
	// what failed tries brought is not counted.
	Duplicates int `json:"duplicates"`
	// Spoiled is how many of those stood in a bad body; the receiver may have
	// read some of them.
	Spoiled int `json:"spoiled"`
	// Holes is how many events are never pushed, by that fault.
	Holes int `json:"holes"`
	// Dropped is how many events an eventbridge stream gave up, after three tries
	// or for want of a bus, as Auth0 does.
	Dropped int `json:"dropped"`
	// Expired is how many events grew older than the retention in the queue.
	Expired int `json:"expired"`
	// Reordered counts events and the others requests, each by its fault.
	Reordered int `json:"reordered"`
	Bursts    int `json:"bursts"`
	Repeats   int `json:"repeats"`
	Truncated int `json:"truncated"`
	Broken    int `json:"broken"`
	NotJSON   int `json:"not_json"`
	Slow      int `json:"slow"`
	// LastError says why the last try that failed did.
	LastError string `json:"last_error,omitempty"`
}

// SetPushFaults replaces what goes wrong with pushing, on all streams.
func (s *Server) SetPushFaults(f PushFaults) error {
	if err := f.Validate(); err != nil {
		return fmt.Errorf("set push faults: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opts.Streams.Faults = f
	return nil
}

// PushFaults returns what goes wrong with pushing.
func (s *Server) PushFaults() PushFaults {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.opts.Streams.Faults
}

// streamStats returns the counts by stream. s.mu is held.
func (s *Server) streamStats() map[string]StreamStats {
	stats := make(map[string]StreamStats, len(s.streams))
	for _, st := range s.streams {
		c := st.stats
		c.Status, c.Queued = st.Status, len(st.queue)+len(st.held)+st.underWay
		stats[st.ID] = c
	}
	return stats
}

// pushFaultsPath is where the script of pushing is administered.
const pushFaultsPath = "/_emulator/push-faults"

// adminPushFaults serves pushFaultsPath: GET tells the PushFaults, PUT replaces
// them, what is left out being none, and DELETE ends them.
func (s *Server) adminPushFaults(w http.ResponseWriter, r *http.Request) {
	var f PushFaults
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		writeJSON(w, http.StatusOK, s.PushFaults())
		return
	case http.MethodDelete:
	case http.MethodPut:
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&f); err != nil {
			problem{http.StatusBadRequest, err.Error(), ""}.write(w)
			return
		}
	default:
		w.Header().Set("Allow", "GET, HEAD, PUT, DELETE")
		problem{http.StatusMethodNotAllowed, "use GET, PUT or DELETE", ""}.write(w)
		return
	}
	if err := s.SetPushFaults(f); err != nil {
		problem{http.StatusBadRequest, err.Error(), ""}.write(w)
		return
	}
	writeJSON(w, http.StatusOK, f)
}
