package notify

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// stateVersion is the form of what is kept. Another one is not read: alerts are told anew
// then.
const stateVersion = 1

// A state is what is kept across restarts.
type state struct {
	Version  int                      `json:"version"`
	Active   []*Alert                 `json:"active"`
	Ended    []*Alert                 `json:"ended"`
	Serial   int                      `json:"serial"`
	Memory   *Memory                  `json:"memory"`
	Raised   map[string]Finding       `json:"raised,omitempty"`
	Channels map[string]*channelState `json:"channels"`
}

// A channelState is what is kept of a channel.
type channelState struct {
	// Since is when the channel was there for the first time.
	Since time.Time `json:"since"`
	// Day and Run are where the daily reports and the messages that all goes well stand.
	Day Base `json:"day"`
	Run Base `json:"run"`
}

// readState reads what was kept; nil for nothing that can be used.
func readState(text []byte) (*state, error) {
	if len(text) == 0 {
		return nil, nil
	}
	var s state
	if err := json.Unmarshal(text, &s); err != nil {
		return nil, fmt.Errorf("read the alerts that were kept: %w", err)
	}
	if s.Version != stateVersion {
		return nil, nil
	}
	return &s, nil
}

// ReadAlerts returns the alerts in what was kept, the newest first: those that are on and
// those that ended not long ago, as Manager.Alerts does.
func ReadAlerts(text []byte) ([]Alert, error) {
	s, err := readState(text)
	if s == nil || err != nil {
		return nil, err
	}
	var out []Alert
	for _, a := range slices.Concat(s.Active, s.Ended) {
		out = append(out, *a)
	}
	slices.SortFunc(out, func(x, y Alert) int { return cmp.Or(y.Since.Compare(x.Since), strings.Compare(x.ID, y.ID)) })
	return out, nil
}

// state returns what is to be kept. The caller holds mu.
func (m *Manager) state() ([]byte, error) {
	s := state{Version: stateVersion, Ended: m.book.ended, Serial: m.book.serial, Memory: m.memory, Raised: m.raised, Channels: m.known}
	for _, a := range m.book.active {
		if a.Round > 0 {
			s.Active = append(s.Active, a)
		}
	}
	slices.SortFunc(s.Active, func(x, y *Alert) int { return strings.Compare(x.ID, y.ID) })
	text, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("write the alerts that are kept: %w", err)
	}
	return text, nil
}

// restore takes up what was kept.
func (m *Manager) restore(s *state) {
	if s == nil {
		return
	}
	for _, a := range s.Active {
		if a.Marks == nil {
			a.Marks = make(map[string]Mark)
		}
		m.book.active[a.key()] = a
	}
	for _, a := range s.Ended {
		if a.Marks == nil {
			a.Marks = make(map[string]Mark)
		}
		m.book.ended = append(m.book.ended, a)
	}
	m.book.serial = s.Serial
	if s.Memory != nil && s.Memory.Letters != nil {
		m.memory.Letters = s.Memory.Letters
	}
	if s.Raised != nil {
		m.raised = s.Raised
	}
	if s.Channels != nil {
		m.known = s.Channels
	}
}
