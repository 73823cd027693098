package emulator

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Faults is a script of faults. Its zero value has none and is ready for use; it
// is safe for concurrent use.
type Faults struct {
	mu    sync.Mutex
	lines []*line
}

// line is a fault of the script and what became of it so far.
type line struct {
	Fault
	seen, hits int
}

// FaultStatus is a fault and how often it has struck.
type FaultStatus struct {
	// Fault is the fault as it was added.
	Fault Fault
	// Hits is the number of requests that the fault has struck.
	Hits int
	// Spent says that the fault will not strike again.
	Spent bool
}

// MarshalJSON writes the fault's members with hits and spent beside them.
func (s FaultStatus) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		faultJSON
		Hits  int  `json:"hits"`
		Spent bool `json:"spent"`
	}{s.Fault.wire(), s.Hits, s.Spent})
}

// NewFaults returns a script that starts with the given faults.
func NewFaults(faults ...Fault) *Faults {
	f := new(Faults)
	f.Add(faults...)
	return f
}

// Add appends faults to the script. Where several would strike the same request,
// the one added first does, and the others wait for the next.
func (f *Faults) Add(faults ...Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, fault := range faults {
		f.lines = append(f.lines, &line{Fault: fault})
	}
}

// Clear empties the script. Requests that a fault holds already stay held.
func (f *Faults) Clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lines = nil
}

// List returns the script with its hit counts, in the order of Add.
func (f *Faults) List() []FaultStatus {
	f.mu.Lock()
	defer f.mu.Unlock()
	list := make([]FaultStatus, len(f.lines))
	for i, l := range f.lines {
		list[i] = FaultStatus{Fault: l.Fault, Hits: l.hits, Spent: l.spent()}
	}
	return list
}

func (l *line) spent() bool {
	return l.Times >= 0 && l.hits >= max(1, l.Times)
}

// strike returns the fault that hits a request of operation op, if any.
func (f *Faults) strike(op string) (Fault, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var struck *line
	for _, l := range f.lines {
		if !l.matches(op) {
			continue
		}
		l.seen++
		if struck == nil && l.seen > l.After && !l.spent() {
			l.hits++
			struck = l
		}
	}
	if struck == nil {
		return Fault{}, false
	}
	return struck.Fault, true
}

// Wrap lets the script strike the requests on their way to next. The function op
// names the operation of a request; it must leave the request's body alone. A
// nil script lets everything pass.
func (f *Faults) Wrap(op func(*http.Request) string, next http.Handler) http.Handler {
	if f == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fault, struck := f.strike(op(r))
		if !struck {
			next.ServeHTTP(w, r)
			return
		}
		if fault.Kind == "" {
			fault.Kind = FaultAnswer
		}
		Note(r.Context(), slog.String("fault", string(fault.Kind)))
		fault.play(w, r, next)
	})
}

// play does to the request what the fault says. It panics with
// http.ErrAbortHandler to drop the connection.
func (f Fault) play(w http.ResponseWriter, r *http.Request, next http.Handler) {
	if f.Kind == FaultHang {
		leave(r)
		panic(http.ErrAbortHandler)
	}
	if !wait(r.Context(), f.Delay) {
		panic(http.ErrAbortHandler)
	}
	switch f.Kind {
	case FaultDelay:
		next.ServeHTTP(w, r)
	case FaultGarbage:
		_, _ = w.Write([]byte("\x00\xff{\"not\": json]]\x1b\x07")) // the client may have left
	case FaultTruncate:
		truncate(w, r, next)
	case FaultLost:
		next.ServeHTTP(newRecorder(), r)
		panic(http.ErrAbortHandler)
	case FaultCut:
		panic(http.ErrAbortHandler)
	default:
		f.answer(w)
	}
}

// leave waits until the client has gone. A server notices that only once it has
// read the request's body to its end.
func leave(r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body) // a broken body means that the client has gone
	<-r.Context().Done()
}

// wait reports whether d went by before ctx ended.
func wait(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// truncate lets next do its work, announces the whole answer, sends half of it
// and drops the connection.
func truncate(w http.ResponseWriter, r *http.Request, next http.Handler) {
	rec := newRecorder()
	next.ServeHTTP(rec, r)
	maps.Copy(w.Header(), rec.header)
	w.Header().Set("Content-Length", strconv.Itoa(rec.body.Len()))
	w.WriteHeader(rec.code())
	_, _ = w.Write(rec.body.Bytes()[:rec.body.Len()/2])
	_ = http.NewResponseController(w).Flush() // best effort: the connection ends in any case
	panic(http.ErrAbortHandler)
}

// FaultsPath is where both emulators mount the administration of their script.
const FaultsPath = "/_emulator/faults"

// maxScript bounds the body of a POST to FaultsPath, in bytes.
const maxScript = 1 << 20

// ServeHTTP administers the script: GET lists it with hit counts, POST adds one
// fault or a list of them, DELETE empties it. Every answer is the list.
func (f *Faults) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodGet, http.MethodHead:
	case http.MethodDelete:
		f.Clear()
	case http.MethodPost:
		faults, err := readFaults(http.MaxBytesReader(w, r.Body, maxScript))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		f.Add(faults...)
	default:
		w.Header().Set("Allow", "GET, HEAD, POST, DELETE")
		http.Error(w, "use GET, POST or DELETE", http.StatusMethodNotAllowed)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(f.List()) // the client may have left
}

// readFaults reads one fault or a list of them.
func readFaults(r io.Reader) ([]Fault, error) {
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("read faults: %w", err)
	}
	if data = bytes.TrimSpace(data); bytes.HasPrefix(data, []byte("[")) {
		var faults []Fault
		err = json.Unmarshal(data, &faults)
		return faults, err
	}
	var fault Fault
	if err := json.Unmarshal(data, &fault); err != nil {
		return nil, err
	}
	return []Fault{fault}, nil
}
