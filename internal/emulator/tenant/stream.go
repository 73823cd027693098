package tenant

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"

	"github.com/gaplesslogs/gapless/internal/event"
)

// The types of log streams that the tenant pushes on. Auth0 has six more, for
// products of others.
const (
	streamHTTP        = "http"
	streamEventBridge = "eventbridge"
)

// The states of a log stream. Auth0 suspends, its customer pauses.
const (
	statusActive    = "active"
	statusPaused    = "paused"
	statusSuspended = "suspended"
)

// StreamOptions says how log streams push. The zero value is a usable default.
// Where Auth0 does not tell its own figure, the default is ours.
type StreamOptions struct {
	// HTTPClient sends the requests of http streams. It is used as it is, but
	// for redirects, which are not followed. Nil means one of its own, with the
	// system's proxy and certificates.
	HTTPClient *http.Client
	// Bus takes the events of eventbridge streams. Nil means that the partner
	// event source has no bus yet: Auth0's events are dropped then.
	Bus EventBus
	// LoopbackHTTP lets http streams push to http:// on a loopback address.
	// Auth0 takes https:// alone.
	LoopbackHTTP bool
	// Max is how many streams there may be; prioritized ones do not count. 0
	// means no bound with the plan Unlimited and otherwise 2, which a customer
	// reported of a plan; a negative value means no bound.
	Max int
	// BatchSize is how many events a request holds at most, beside those that a
	// fault has held back; 0 means 100 (ours).
	BatchSize int
	// Interval is how long events gather before they are pushed; 0 means 1 s
	// (ours).
	Interval time.Duration
	// Timeout is how long a try may take; 0 means 10 s (ours).
	Timeout time.Duration
	// Backoff is the wait before the second of the three tries, and half the
	// wait before the third; 0 means 1 s (ours).
	Backoff time.Duration
	// Restart is the wait before three tries that failed begin anew; 0 means one
	// minute (ours).
	Restart time.Duration
	// SuspendAfter is how long pushing may fail before the stream is suspended;
	// 0 means seven days, as Auth0 documents.
	SuspendAfter time.Duration
	// Faults is what goes wrong from the start; see Server.SetPushFaults.
	Faults PushFaults

	ownClient bool // HTTPClient is ours, to be closed
}

func (o StreamOptions) withDefaults(plan Plan) (StreamOptions, error) {
	if err := o.Faults.Validate(); err != nil {
		return o, fmt.Errorf("push faults: %w", err)
	}
	client := http.Client{Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true}}
	if o.ownClient = o.HTTPClient == nil; !o.ownClient {
		client = *o.HTTPClient
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	o.HTTPClient = &client
	if o.Max == 0 && plan == Unlimited {
		o.Max = -1
	}
	o.Max = cmp.Or(o.Max, 2)
	o.BatchSize = cmp.Or(max(0, o.BatchSize), 100)
	o.Interval = cmp.Or(o.Interval, time.Second)
	o.Timeout = cmp.Or(o.Timeout, 10*time.Second)
	o.Backoff = cmp.Or(o.Backoff, time.Second)
	o.Restart = cmp.Or(o.Restart, time.Minute)
	o.SuspendAfter = cmp.Or(o.SuspendAfter, 7*24*time.Hour)
	return o, nil
}

// logStream is a log stream as the API shows it.
type logStream struct {
	ID         string         `json:"id"`
	Name       string         `json:"name"`
	Type       string         `json:"type"`
	Status     string         `json:"status"`
	Sink       streamSink     `json:"sink"`
	IsPriority bool           `json:"isPriority"`
	Filters    []streamFilter `json:"filters,omitempty"`
	PII        *piiConfig     `json:"pii_config,omitempty"`
}

// streamSink is where a stream pushes to: the members of both types.
type streamSink struct {
	AWSAccountID  string         `json:"awsAccountId,omitempty"`
	PartnerSource string         `json:"awsPartnerEventSource,omitempty"`
	AWSRegion     string         `json:"awsRegion,omitempty"`
	Authorization string         `json:"httpAuthorization,omitempty"`
	ContentFormat string         `json:"httpContentFormat,omitempty"`
	ContentType   string         `json:"httpContentType,omitempty"`
	CustomHeaders []customHeader `json:"httpCustomHeaders,omitempty"`
	Endpoint      string         `json:"httpEndpoint,omitempty"`
}

type customHeader struct {
	Header string `json:"header"`
	Value  string `json:"value"`
}

type streamFilter struct {
	Type string `json:"type"`
	Name string `json:"name"`
}

// piiConfig says which values are pushed masked or hashed.
type piiConfig struct {
	LogFields []string `json:"log_fields"`
	Method    string   `json:"method"`
	Algorithm string   `json:"algorithm"`
}

// securityCodes are what a prioritized stream pushes (Auth0 docs: prioritized log
// streams).
var securityCodes = []string{
	"limit_mu", "limit_sul", "limit_wc", "pwd_leak", "ublkdu", "signup_pwd_leak", "reset_pwd_leak", "gd_send_sms",
}

// wants reports whether the stream pushes events of the code. No group of Auth0's
// is known to hold an unknown code; here "other" does.
func (l *logStream) wants(code string) bool {
	if l.IsPriority {
		return slices.Contains(securityCodes, code)
	}
	if len(l.Filters) == 0 {
		return true
	}
	category := cmp.Or(event.Lookup(code).Category, "other")
	return slices.ContainsFunc(l.Filters, func(f streamFilter) bool { return f.Name == category })
}

// stream is a log stream and what it has still to push. Server.mu guards it.
type stream struct {
	logStream
	queue   []item    // what came, in the order in which it came
	held    []item    // what goes into a later request than its turn
	failing time.Time // since when every try has failed; zero when the last one did not
	stats   StreamStats

	underWay int // how many events the goroutine has in its hands

	seed   uint64        // of what the faults strike
	wake   chan struct{} // holds a token when there may be work
	cancel context.CancelFunc
	ended  chan struct{}
}

// item is an event to push.
type item struct {
	entry
	repeat bool // it has been pushed already
	drawn  bool // the faults of single events have had their chance
}

// rouse tells the stream's goroutine to look.
func (st *stream) rouse() {
	select {
	case st.wake <- struct{}{}:
	default:
	}
}

// enqueue queues the entries that the stream wants.
func (st *stream) enqueue(entries []entry) {
	for _, e := range entries {
		if st.wants(e.code) {
			st.queue = append(st.queue, item{entry: e})
		}
	}
	st.rouse()
}

// errNoSuchStream and errTooManyStreams are answers of the API.
var (
	errNoSuchStream   = &problem{http.StatusNotFound, "The log stream does not exist.", ""}
	errTooManyStreams = &problem{http.StatusConflict, "You have reached the maximum number of log streams for your account", ""}
	errStreamLost     = &problem{http.StatusInternalServerError, "The log stream could not be kept", "internal_error"}
)

// CreateLogStream makes a log stream out of the body of POST /api/v2/log-streams,
// and returns its id. Events that enter the log from then on are pushed,
// generated history too; with startFrom so are those that the log holds since
// then.
func (s *Server) CreateLogStream(body []byte) (id string, err error) {
	l, failed := s.addStream(body)
	if failed != nil {
		return "", fmt.Errorf("create log stream: %d %s", failed.status, failed.message)
	}
	return l.ID, nil
}

func (s *Server) addStream(body []byte) (logStream, *problem) {
	l, from, failed := s.readNewStream(body)
	if failed != nil {
		return l, failed
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return l, errStreamLost
	}
	if s.opts.Streams.Max >= 0 && !l.IsPriority && s.countedStreams() >= s.opts.Streams.Max {
		return l, errTooManyStreams
	}
	l.ID = fmt.Sprintf("lst_%016d", s.lastStream+1)
	if l.Type == streamEventBridge {
		l.Sink.PartnerSource = s.partnerSource(s.lastStream + 1)
	}
	if err := s.journal.stream(l, from); err != nil {
		return l, errStreamLost
	}
	s.lastStream++
	st := s.newStream(l)
	if !from.IsZero() {
		st.enqueue(since(s.log.all(), from))
	}
	s.streams = append(s.streams, st)
	s.launch(st)
	return l, nil
}

// countedStreams is how many streams count towards the maximum. s.mu is held.
func (s *Server) countedStreams() int {
	n := 0
	for _, st := range s.streams {
		if !st.IsPriority {
			n++
		}
	}
	return n
}

func (s *Server) newStream(l logStream) *stream {
	var n uint64
	_, _ = fmt.Sscanf(l.ID, "lst_%d", &n)
	return &stream{
		logStream: l, wake: make(chan struct{}, 1), ended: make(chan struct{}),
		seed: s.opts.Seed + n<<32,
	}
}

// partnerSource names the partner event source of the n-th stream.
func (s *Server) partnerSource(n int) string {
	rng := rand.New(rand.NewPCG(s.opts.Seed, 0x736f75726365+uint64(n))) //nolint:gosec // a made-up name, the same for the same seed
	return "aws.partner/auth0.com/" + s.opts.TenantName + "-" + randomUUID(rng) + "/auth0.logs"
}

// since returns the entries that were stored at or after t.
func since(entries []entry, t time.Time) []entry {
	at := t.UnixMilli()
	return slices.DeleteFunc(slices.Clone(entries), func(e entry) bool { return e.at < at })
}

// launch starts the goroutine that pushes, which Close and deletion end. s.mu is
// held.
func (s *Server) launch(st *stream) {
	ctx, cancel := context.WithCancel(context.Background())
	st.cancel = cancel
	s.runs.Go(func() {
		defer close(st.ended)
		s.runStream(ctx, st)
	})
}

// findStream returns the stream with the id, or nil. s.mu is held.
func (s *Server) findStream(id string) *stream {
	i := slices.IndexFunc(s.streams, func(st *stream) bool { return st.ID == id })
	if i < 0 {
		return nil
	}
	return s.streams[i]
}

// changeStream applies the body of a PATCH.
func (s *Server) changeStream(id string, body []byte) (logStream, *problem) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.findStream(id)
	if st == nil {
		return logStream{}, errNoSuchStream
	}
	l, failed := s.patched(st.logStream, body)
	if failed != nil {
		return l, failed
	}
	if s.closed || s.journal.stream(l, time.Time{}) != nil {
		return l, errStreamLost
	}
	if l.Status != st.Status {
		st.failing = time.Time{} // the days of failure are counted anew
	}
	st.logStream = l
	st.rouse()
	return l, nil
}

// removeStream deletes a stream. Nothing is pushed on it afterwards.
func (s *Server) removeStream(id string) *problem {
	s.mu.Lock()
	st := s.findStream(id)
	var failed *problem
	switch {
	case st == nil:
		failed = errNoSuchStream
	case s.closed || s.journal.streamGone(id) != nil:
		failed = errStreamLost
	default:
		s.streams = slices.DeleteFunc(s.streams, func(other *stream) bool { return other == st })
		st.cancel()
	}
	s.mu.Unlock()
	if failed == nil {
		<-st.ended
	}
	return failed
}

// streamLine is a stream in the journal; From is there only when it was made.
type streamLine struct {
	logStream
	From *time.Time `json:"start_from,omitempty"`
}

// streamLoader rebuilds the streams from the lines of the journal, in their order.
type streamLoader struct {
	server  *Server
	settled map[string]map[string]bool // log_ids by stream
}

// line takes over a line; entries are the events of the lines before it.
func (l *streamLoader) line(line journalLine, entries []entry) error {
	s := l.server
	switch {
	case line.Stream != nil:
		var sl streamLine
		if err := json.Unmarshal(line.Stream, &sl); err != nil {
			return fmt.Errorf("read log stream: %w", err)
		}
		if st := s.findStream(sl.ID); st != nil {
			st.logStream = sl.logStream
			return nil
		}
		n := 0
		if _, err := fmt.Sscanf(sl.ID, "lst_%d", &n); err != nil {
			return errors.New("log stream has no usable id")
		}
		s.lastStream = max(s.lastStream, n)
		st := s.newStream(sl.logStream)
		if sl.From != nil {
			st.enqueue(since(entries, *sl.From))
		}
		s.streams = append(s.streams, st)
		l.settled[sl.ID] = make(map[string]bool)
	case line.Gone != "":
		s.streams = slices.DeleteFunc(s.streams, func(st *stream) bool { return st.ID == line.Gone })
	case line.Pushed != nil:
		for _, id := range line.Pushed.LogIDs {
			if done := l.settled[line.Pushed.ID]; done != nil {
				done[id] = true
			}
		}
	}
	return nil
}

// finish drops what was pushed already.
func (l *streamLoader) finish() {
	for _, st := range l.server.streams {
		done := l.settled[st.ID]
		st.queue = slices.DeleteFunc(st.queue, func(it item) bool { return done[it.id] })
	}
}
