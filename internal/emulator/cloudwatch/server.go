package cloudwatch

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gaplesslogs/gapless/internal/emulator"
)

// DefaultRegion is the Region of requests that are not signed.
const DefaultRegion = "us-east-1"

// DefaultAccountID is the account of the emulator unless told otherwise.
const DefaultAccountID = "123456789012"

// Options say what New makes. The zero value is an emulator in memory that
// takes every request.
type Options struct {
	// DataDir is where data is kept; empty means in memory. One process at a
	// time can use a directory.
	DataDir string
	// AccessKeys are the keys that requests must be signed with. Without any,
	// signatures are not looked at and everything is allowed.
	AccessKeys []AccessKey
	// Region is the Region of requests without a credential scope; empty means
	// DefaultRegion. Signed requests name their own, which shows in ARNs: there
	// is one set of groups for all Regions.
	Region string
	// AccountID is the twelve-digit account; empty means DefaultAccountID.
	AccountID string
	// ReadDelay is how long after it was stored an event can be read: reads of
	// CloudWatch Logs lag behind writes, by seconds.
	ReadDelay time.Duration
	// Logger gets one line for each request; nil means none.
	Logger *slog.Logger
	// Faults is the script of faults; nil means an empty one, which can be added
	// to over HTTP.
	Faults *emulator.Faults
}

// An AccessKey is a key of an IAM user.
type AccessKey struct {
	// ID and Secret are what a client is configured with.
	ID, Secret string
	// User is the name of the user in error messages; empty means ID.
	User string
	// Policy is the user's IAM policy as JSON text; empty allows everything.
	// Conditions and policy variables are not supported.
	Policy string
}

// A Server is an emulated CloudWatch Logs endpoint.
type Server struct {
	region  string
	account string
	users   map[string]*user
	faults  *emulator.Faults
	delay   time.Duration // until an event can be read
	store   *store
	stats   counters
	queries queries
	handler http.Handler
	close   func() error
}

// New makes a server and, with a data directory, reads what is there. It returns
// an error if an option makes no sense or the directory cannot be used.
func New(o Options) (*Server, error) {
	s := &Server{
		region: orDefault(o.Region, DefaultRegion), account: orDefault(o.AccountID, DefaultAccountID),
		faults: o.Faults, delay: o.ReadDelay, store: newStore(),
	}
	if !accountID.re.MatchString(s.account) {
		return nil, fmt.Errorf("account id %q: want twelve digits", s.account)
	}
	var err error
	if s.users, err = newUsers(o.AccessKeys); err != nil {
		return nil, err
	}
	if s.faults == nil {
		s.faults = emulator.NewFaults()
	}
	if o.DataDir != "" {
		if err := s.open(o.DataDir, o.Logger); err != nil {
			return nil, err
		}
	}
	s.close = sync.OnceValue(s.store.close)
	s.handler = s.routes(o.Logger)
	return s, nil
}

// open reads the data directory.
func (s *Server) open(dir string, logger *slog.Logger) error {
	j, cut, err := openJournal(dir, s.store)
	if err != nil {
		return err
	}
	s.store.journal = j
	if logger != nil && cut > 0 {
		logger.LogAttrs(context.Background(), slog.LevelWarn, "cut off a torn record at the end of the journal",
			slog.Int64("bytes", cut))
	}
	return nil
}

// Close flushes and closes the data directory. With one, requests that would
// change something fail from then on.
func (s *Server) Close() error { return s.close() }

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// routes wires the API and what is for people beside it.
func (s *Server) routes(logger *slog.Logger) http.Handler {
	api := emulator.Log(logger, Operation, s.faults.Wrap(Operation, http.HandlerFunc(s.serveAPI)))
	mux := http.NewServeMux()
	mux.Handle(emulator.FaultsPath, s.faults)
	mux.HandleFunc("GET /_emulator/stats", s.serveStats)
	mux.HandleFunc("GET /_emulator/health", s.serveHealth)
	mux.HandleFunc("GET /{$}", s.serveHealth)
	mux.Handle("/", api)
	return mux
}

// serveHealth tells a person what this is.
func (s *Server) serveHealth(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, "This is an emulated Amazon CloudWatch Logs endpoint, and it is well.\n"+
		"Use it with: aws logs describe-log-groups --endpoint-url <this address>\n") // the client may have left
}

func (s *Server) serveStats(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(s.Stats()) // the client may have left
}

// targetPrefix is what the X-Amz-Target header starts with.
const targetPrefix = "Logs_20140328."

// Operation returns the operation that a request asks for, such as
// "PutLogEvents", as faults and log lines name it; for other requests it is the
// method and the path.
func Operation(r *http.Request) string {
	if op, ok := strings.CutPrefix(r.Header.Get("X-Amz-Target"), targetPrefix); ok {
		return op
	}
	if toSTS(r) {
		return opCallerIdentity
	}
	return r.Method + " " + r.URL.Path
}

func orDefault(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// A StoredEvent is an event as tests see it.
type StoredEvent struct {
	// ID is the 56-digit id that FilterLogEvents shows.
	ID string
	// Timestamp and Ingested are in milliseconds since the epoch.
	Timestamp, Ingested int64
	// Message is the event's text.
	Message string
}

// Events returns the events of a stream in order, expired ones included; none if
// there is no such stream.
func (s *Server) Events(group, stream string) []StoredEvent {
	s.store.mu.RLock()
	defer s.store.mu.RUnlock()
	g, ok := s.store.groups[group]
	if !ok {
		return nil
	}
	st, ok := g.streams[stream]
	if !ok {
		return nil
	}
	list := make([]StoredEvent, len(st.events))
	for i, e := range st.events {
		list[i] = StoredEvent{ID: e.id(), Timestamp: e.time, Ingested: e.ingested, Message: e.message}
	}
	return list
}

// readable returns those of the events of a stream that can be read now.
func (s *Server) readable(events []entry) []entry {
	if s.delay <= 0 {
		return events
	}
	latest := nowMillis() - s.delay.Milliseconds()
	return slices.DeleteFunc(slices.Clone(events), func(e entry) bool { return e.ingested > latest })
}
