package tenant

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"sync"
	"time"

	"github.com/gaplesslogs/gapless/internal/emulator"
)

// ErrClosed says that the server has been closed.
var ErrClosed = errors.New("tenant server is closed")

// A Server is an emulated tenant. It is an http.Handler, safe for concurrent
// use; its other methods are for the program that runs it.
type Server struct {
	opts     Options
	log      *eventLog
	handler  http.Handler
	tokenKey []byte
	replays  replays

	statsMu sync.Mutex
	stats   Stats

	// mu guards what makes and keeps new events and users; it is held while an
	// event gets its id, its place in the log and its line in the journal.
	mu        sync.Mutex
	generator *Generator
	journal   *journal
	users     map[string]account // by connection and e-mail address
	closed    bool

	// The log streams in the order of their creation, guarded by mu.
	streams    []*stream
	lastStream int // the number in the newest id

	// The applications and their grants in the order of their creation, guarded by mu.
	clients []*client
	grants  []*clientGrant
	lastID  int // makes each id another

	done chan struct{} // closed by Close
	runs sync.WaitGroup
}

// Stats counts what a Server did.
type Stats struct {
	// Requests counts the requests by operation, such as "GET /api/v2/logs";
	// those that the fault script or the rate limit stopped count too.
	Requests map[string]int `json:"requests"`
	// Tokens is how many access tokens were issued.
	Tokens int `json:"tokens"`
	// Events is how many events the log holds.
	Events int `json:"events"`
	// Users is how many users were created over the API.
	Users int `json:"users"`
	// Streams counts what was done on each log stream, by its id.
	Streams map[string]StreamStats `json:"streams,omitempty"`
}

// New returns a tenant. The caller ends it with Close.
func New(opts Options) (*Server, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("set up tenant: %w", err)
	}
	g, err := NewGenerator(GeneratorOptions{
		Seed: opts.Seed, Tenant: opts.TenantName, Domain: opts.Domain, MeanSize: opts.MeanSize, Quirks: opts.Quirks,
	})
	if err != nil {
		return nil, fmt.Errorf("set up tenant: %w", err)
	}
	s := &Server{
		opts: opts, generator: g, users: make(map[string]account),
		log:      newEventLog(opts.Retention, opts.Delay),
		stats:    Stats{Requests: make(map[string]int)},
		tokenKey: tokenKey(opts),
		done:     make(chan struct{}),
	}
	s.log.serveExpired = opts.ServeExpired
	s.firstClients()
	if opts.DataDir != "" {
		if err := s.load(opts.DataDir); err != nil {
			return nil, fmt.Errorf("set up tenant: %w", err)
		}
	}
	s.handler = s.routes()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, st := range s.streams {
		s.launch(st)
	}
	return s, nil
}

// tokenKey derives the key that signs tokens, so that they outlive a restart
// with the same options.
func tokenKey(opts Options) []byte {
	seed := binary.BigEndian.AppendUint64(nil, opts.Seed)
	sum := sha256.Sum256(append(seed, "tenant tokens "+opts.ClientID+" "+opts.ClientSecret...))
	return sum[:]
}

// load fills the log, the users, the applications and the log streams from dir.
func (s *Server) load(dir string) error {
	var entries []entry
	oldest := int64(0)
	if s.opts.Retention > 0 {
		oldest = time.Now().Add(-s.opts.Retention).UnixMilli()
	}
	streams := streamLoader{s, make(map[string]map[string]bool)}
	j, err := openJournal(dir, func(line journalLine) error {
		if line.User != nil {
			return s.loadUser(line.User)
		}
		if err := errors.Join(streams.line(line, entries), s.loadApplication(line)); err != nil {
			return err
		}
		e, ok, err := line.entry()
		if err != nil || !ok {
			return err
		}
		s.generator.mint.seen(e.id)
		if e.at >= oldest {
			entries = append(entries, e)
			s.enqueue(entries[len(entries)-1:])
		}
		return nil
	})
	if err != nil {
		return err
	}
	streams.finish()
	s.journal = j
	if err := s.log.insert(entries); err != nil {
		return errors.Join(err, j.Close())
	}
	return nil
}

// Close ends the runs and the pushing, waits for them, and closes the journal. Requests that
// would write fail from then on; reading goes on.
func (s *Server) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	close(s.done)
	for _, st := range s.streams {
		st.cancel()
	}
	s.mu.Unlock()
	s.runs.Wait()
	if s.opts.Streams.ownClient {
		s.opts.Streams.HTTPClient.CloseIdleConnections()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.journal.Close(); err != nil {
		return fmt.Errorf("close tenant: %w", err)
	}
	return nil
}

// Credentials returns the id and the secret of the first application.
func (s *Server) Credentials() (clientID, clientSecret string) {
	return s.opts.ClientID, s.opts.ClientSecret
}

// Faults returns the script of what goes wrong.
func (s *Server) Faults() *emulator.Faults { return s.opts.Faults }

// Len returns the number of events in the log.
func (s *Server) Len() int { return len(s.log.all()) }

// Events returns the events of the log in its order, those not visible yet
// among them. They must not be written to.
func (s *Server) Events() [][]byte {
	entries := s.log.all()
	events := make([][]byte, len(entries))
	for i, e := range entries {
		events[i] = e.raw
	}
	return events
}

// Stats returns what the server did since New.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	users, streams := len(s.users), s.streamStats()
	s.mu.Unlock()
	s.statsMu.Lock()
	defer s.statsMu.Unlock()
	stats := s.stats
	stats.Requests = maps.Clone(s.stats.Requests)
	stats.Events, stats.Users, stats.Streams = s.Len(), users, streams
	return stats
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }
