package emulator

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// A FaultKind says what a fault does to a request.
type FaultKind string

// The kinds of faults.
const (
	// FaultAnswer answers with Status, Header and Body instead of working.
	FaultAnswer FaultKind = "answer"
	// FaultDelay waits for Delay and then works. A client that leaves meanwhile
	// leaves no work behind.
	FaultDelay FaultKind = "delay"
	// FaultHang says nothing until the client leaves, and does no work.
	FaultHang FaultKind = "hang"
	// FaultCut drops the connection without an answer, and does no work.
	FaultCut FaultKind = "cut"
	// FaultGarbage answers 200 with bytes that mean nothing, and does no work.
	FaultGarbage FaultKind = "garbage"
	// FaultTruncate does the work, sends half of the answer's body and drops the
	// connection.
	FaultTruncate FaultKind = "truncate"
	// FaultLost does the work and drops the connection without an answer: the
	// case in which a client cannot know whether its request counted.
	FaultLost FaultKind = "lost"
)

// Kinds returns every kind of fault, in the order in which they are documented.
func Kinds() []FaultKind {
	return []FaultKind{FaultAnswer, FaultDelay, FaultHang, FaultCut, FaultGarbage, FaultTruncate, FaultLost}
}

// A Fault is something that goes wrong with certain requests, by script.
//
// Its JSON form has the members match, after, times, kind, status, header, body
// and delay, the last one as text such as "1.5s".
type Fault struct {
	// Match is the operation to hit, as the emulator names it: "PutLogEvents",
	// "GET /api/v2/logs". A star at its end matches any rest. Empty hits all.
	Match string
	// After is how many matching requests pass before the first hit.
	After int
	// Times is how many matching requests are hit: 0 means 1, -1 means for ever.
	Times int
	// Kind is what happens; empty means FaultAnswer.
	Kind FaultKind
	// Status is the status of FaultAnswer; 0 means 500.
	Status int
	// Header holds the headers of FaultAnswer.
	Header map[string]string
	// Body is the body of FaultAnswer.
	Body string
	// Delay is how long the request waits. It belongs to FaultDelay, and is
	// waited for before any other kind strikes too.
	Delay time.Duration
}

// Validate reports the first member that makes no sense.
func (f Fault) Validate() error {
	switch {
	case f.Kind != "" && !slices.Contains(Kinds(), f.Kind):
		return fmt.Errorf("kind %q is unknown; there are %q", f.Kind, Kinds())
	case f.After < 0:
		return fmt.Errorf("after is %d; it must not be negative", f.After)
	case f.Times < -1:
		return fmt.Errorf("times is %d; it must be -1 or more", f.Times)
	case f.Status != 0 && (f.Status < 200 || f.Status > 599):
		return fmt.Errorf("status is %d; it must be between 200 and 599", f.Status)
	case f.Delay < 0:
		return fmt.Errorf("delay is %s; it must not be negative", f.Delay)
	}
	return nil
}

// matches reports whether the fault speaks of operation op.
func (f Fault) matches(op string) bool {
	if prefix, ok := strings.CutSuffix(f.Match, "*"); ok {
		return strings.HasPrefix(op, prefix)
	}
	return f.Match == "" || f.Match == op
}

// faultJSON is the form of a Fault on the wire.
type faultJSON struct {
	Match  string            `json:"match,omitempty"`
	After  int               `json:"after,omitempty"`
	Times  int               `json:"times,omitempty"`
	Kind   FaultKind         `json:"kind"`
	Status int               `json:"status,omitempty"`
	Header map[string]string `json:"header,omitempty"`
	Body   string            `json:"body,omitempty"`
	Delay  string            `json:"delay,omitempty"`
}

// MarshalJSON writes the fault with its delay as text.
func (f Fault) MarshalJSON() ([]byte, error) {
	return json.Marshal(f.wire())
}

func (f Fault) wire() faultJSON {
	w := faultJSON{
		Match: f.Match, After: f.After, Times: f.Times, Kind: f.Kind,
		Status: f.Status, Header: f.Header, Body: f.Body,
	}
	if f.Delay != 0 {
		w.Delay = f.Delay.String()
	}
	return w
}

// UnmarshalJSON reads and validates a fault. Members that it does not know are
// errors, because a misspelt one would make a fault that never strikes.
func (f *Fault) UnmarshalJSON(data []byte) error {
	dec := json.NewDecoder(strings.NewReader(string(data)))
	dec.DisallowUnknownFields()
	var w faultJSON
	if err := dec.Decode(&w); err != nil {
		return fmt.Errorf("read fault: %w", err)
	}
	read := Fault{
		Match: w.Match, After: w.After, Times: w.Times, Kind: w.Kind,
		Status: w.Status, Header: w.Header, Body: w.Body,
	}
	if w.Delay != "" {
		delay, err := time.ParseDuration(w.Delay)
		if err != nil {
			return fmt.Errorf("read delay of fault: %w", err)
		}
		read.Delay = delay
	}
	if err := read.Validate(); err != nil {
		return fmt.Errorf("read fault: %w", err)
	}
	*f = read
	return nil
}

// answer plays FaultAnswer.
func (f Fault) answer(w http.ResponseWriter) {
	for name, value := range f.Header {
		w.Header().Set(name, value)
	}
	status := f.Status
	if status == 0 {
		status = http.StatusInternalServerError
	}
	w.WriteHeader(status)
	_, _ = w.Write([]byte(f.Body)) // a client that has left is no concern of the script
}
