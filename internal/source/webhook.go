package source

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// WebhookName is the name of the source that is pushed to. It has no cursor.
const WebhookName = "webhook"

// DefaultMaxBody is the largest body that a webhook takes unless told otherwise,
// in bytes after decompression. Auth0 documents no size; its batches are of some
// hundreds of kilobytes at most.
const DefaultMaxBody = 8 << 20

// Bounds on what the clients of a webhook can take. Bodies are read after the
// token was found right, and not before.
const (
	// smallBody is the length up to which a body counts as small.
	smallBody = 256 << 10
	// slots is how many bodies are read at once, so that many small ones share a
	// flush, and largeSlots how many of them may be large: such a one may need some
	// times its largest record of memory.
	slots, largeSlots = 64, 4
	// slotWait is how long a request waits for its slot.
	slotWait = 5 * time.Second
	// Of a request that is refused, what its client is still sending is thrown away
	// for so long, and this many times, so that the client gets to read why.
	drainTime, drainSlots = 2 * time.Second, 16
	// answerTime bounds the writing of an answer.
	answerTime = 10 * time.Second
	// calmTime is how long nothing has failed when a trouble counts as over although
	// nothing has come since: a push that stays away must not look like one that fails.
	calmTime = time.Minute
	// retryAfter is what a request is told that comes at a bad moment.
	retryAfter = 10 * time.Second
)

// WebhookConfig says whom a webhook listens to.
type WebhookConfig struct {
	// Tokens are those of which the Authorization header must carry one: as it
	// stands, or behind "Bearer ". At least one; more than one while they rotate.
	Tokens []string
	// Allow are the networks that requests may come from; none allows all.
	Allow []netip.Prefix
	// MaxBody is the largest body, in bytes after decompression; 0 is
	// DefaultMaxBody.
	MaxBody int64
	// Registerer takes the figures; nil keeps them to itself.
	Registerer prometheus.Registerer
}

// A Webhook takes the events of one tenant that Auth0 pushes to it by a log
// stream of the type "http". It is a pipeline.Source, and an http.Handler for
// the requests, which are answered with 2xx when what they brought is on disk
// and not before.
//
// Requests are taken while a Run is under way. Each brings its pages at the same
// time as the others, so that they share a flush. One that cannot be stored ends
// the Run, as the trouble is not the request's own; others are told to come again
// until the next Run.
type Webhook struct {
	cfg     WebhookConfig
	tokens  atomic.Pointer[[][sha256.Size]byte]
	logger  *slog.Logger
	metrics webhookMetrics
	slots   chan struct{}
	large   chan struct{}
	readers sync.Pool // of bodies
	windows sync.Pool // *[]byte, for small bodies
	drains  chan struct{}

	mu   sync.Mutex
	gate *gate                // nil while no Run is under way
	told map[string]time.Time // when something was last logged, by its kind
}

// A gate is open while a Run is under way.
type gate struct {
	ctx      context.Context //nolint:containedctx // it is that of Run, which the requests must not outlive
	emit     pipeline.Emit
	fail     context.CancelCauseFunc
	requests sync.WaitGroup
}

// errNoTokens says that a webhook would let nobody in.
var errNoTokens = errors.New("a webhook needs a token")

// NewWebhook returns a webhook that nobody is connected to yet.
func NewWebhook(cfg WebhookConfig, deps Deps) (*Webhook, error) {
	if len(cfg.Tokens) == 0 {
		return nil, errNoTokens
	}
	if cfg.MaxBody <= 0 {
		cfg.MaxBody = DefaultMaxBody
	}
	w := &Webhook{
		cfg: cfg, logger: deps.Logger, metrics: newWebhookMetrics(cfg.Registerer),
		slots: make(chan struct{}, slots), large: make(chan struct{}, largeSlots), drains: make(chan struct{}, drainSlots),
		told: make(map[string]time.Time),
	}
	if w.logger == nil {
		w.logger = slog.New(slog.DiscardHandler)
	}
	if err := w.SetTokens(cfg.Tokens); err != nil {
		return nil, err
	}
	w.cfg.Tokens = nil // only their hashes are needed from here on
	return w, nil
}

// SetTokens takes other tokens in the place of those before, for requests that come
// from now on. Tokens that cannot work are refused and change nothing.
func (w *Webhook) SetTokens(tokens []string) error {
	if len(tokens) == 0 {
		return errNoTokens
	}
	hashes := make([][sha256.Size]byte, len(tokens))
	for i, t := range tokens {
		if t == "" || strings.TrimSpace(t) != t {
			return errors.New("a token is empty, or begins or ends with space, which no header can carry")
		}
		hashes[i] = sha256.Sum256([]byte(t))
	}
	w.tokens.Store(&hashes)
	return nil
}

// Name returns WebhookName.
func (*Webhook) Name() string { return WebhookName }

// Run takes requests until ctx ends or a page could not be stored, and returns
// when the last of them has its answer. There is no cursor to begin from.
func (w *Webhook) Run(ctx context.Context, _ event.Cursor, emit pipeline.Emit) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	g := &gate{ctx: ctx, emit: emit, fail: fail}
	w.open(g)
	if pipeline.Wait(ctx, calmTime) == nil {
		if err := emit(ctx, event.Page{CaughtUp: true}); err != nil {
			fail(err)
		}
	}
	<-ctx.Done()
	w.open(nil)
	g.requests.Wait()
	return context.Cause(ctx)
}

// open sets the gate through which requests come in; nil shuts it.
func (w *Webhook) open(g *gate) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.gate = g
}

// enter lets a request in; the caller must leave by requests.Done. It returns nil
// while no Run is under way.
func (w *Webhook) enter() *gate {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.gate == nil || w.gate.ctx.Err() != nil {
		return nil
	}
	w.gate.requests.Add(1)
	return w.gate
}

// An answer is what a request is told, and why, for the log.
type answer struct {
	status int
	why    string // empty where nobody needs to hear of it
	err    error
	// retry says that the same request may be taken later.
	retry bool
	// cut says that nothing more can come of the body.
	cut bool
}

// ServeHTTP takes a request of the log stream. The answers are in
// docs/operations.md.
func (w *Webhook) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w.answer(rw, r, w.takeSafely(rw, r)) //nolint:contextcheck // what is stored is stored for the Run, whether or not the client waits
}

// takeSafely is take, and turns a fault of the program into an answer: what it
// says may hold the content of an event, so no more than its kind is told.
func (w *Webhook) takeSafely(rw http.ResponseWriter, r *http.Request) (a answer) {
	defer func() {
		if p := recover(); p != nil {
			w.logger.LogAttrs(r.Context(), slog.LevelError, "a request to the webhook failed for a fault of gapless",
				slog.String("panic", fmt.Sprintf("%T", p)), slog.String("stack", string(debug.Stack())))
			a = answer{status: http.StatusInternalServerError, retry: true}
		}
	}()
	return w.take(rw, r)
}

// answer writes the answer, which has no body.
func (w *Webhook) answer(rw http.ResponseWriter, r *http.Request, a answer) {
	w.metrics.requests.WithLabelValues(strconv.Itoa(a.status)).Inc()
	if a.why != "" && w.mayTell(a.why) {
		attrs := []slog.Attr{slog.Int("status", a.status), slog.String("why", a.why), slog.String("from", r.RemoteAddr), slog.String("path", r.URL.Path[:min(len(r.URL.Path), 100)])}
		if a.err != nil {
			attrs = append(attrs, slog.Any("error", a.err))
		}
		w.logger.LogAttrs(r.Context(), slog.LevelWarn, "a request to the webhook was not taken; the next of this kind is told in a minute at the earliest", attrs...)
	}
	h := rw.Header()
	if a.retry {
		h.Set("Retry-After", strconv.Itoa(int(retryAfter/time.Second)))
	}
	if a.status == http.StatusMethodNotAllowed {
		h.Set("Allow", http.MethodPost)
	}
	if a.status != http.StatusOK { // its body may be unread, and nobody waits for the rest of it
		h.Set("Connection", "close")
	}
	h.Set("Content-Length", "0")
	c := http.NewResponseController(rw)
	_ = c.SetWriteDeadline(time.Now().Add(answerTime)) // where there is a connection
	if a.status == http.StatusOK {
		rw.WriteHeader(a.status)
		return
	}
	_ = c.SetReadDeadline(time.Now().Add(drainTime)) // net/http too reads on, and would wait for ever
	_ = c.EnableFullDuplex()                         // or the body could not be read after the answer
	rw.WriteHeader(a.status)
	if !a.cut {
		w.drain(c, r)
	}
}

// drain throws away what a client is still sending, for a while: one that finds
// the connection reset does not read the answer that came before.
func (w *Webhook) drain(c *http.ResponseController, r *http.Request) {
	if r.ContentLength == 0 || r.Header.Get("Expect") != "" {
		return
	}
	select {
	case w.drains <- struct{}{}:
	default:
		return
	}
	defer func() { <-w.drains }()
	if c.Flush() == nil {
		_, _ = io.CopyN(io.Discard, r.Body, 4*w.cfg.MaxBody) // whatever comes
	}
}

// mayTell reports whether something of a kind may be logged: once a minute, so
// that nobody can fill the log from outside.
func (w *Webhook) mayTell(kind string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	if last, ok := w.told[kind]; ok && now.Sub(last) < time.Minute {
		return false
	}
	w.told[kind] = now
	return true
}

// take judges a request and stores what it brings.
func (w *Webhook) take(rw http.ResponseWriter, r *http.Request) answer {
	switch {
	case r.Method != http.MethodPost:
		return answer{status: http.StatusMethodNotAllowed}
	case !w.allows(r.RemoteAddr):
		return answer{status: http.StatusForbidden, why: "it comes from a network that webhook.allow does not name"}
	case !w.knows(r.Header["Authorization"]):
		return answer{status: http.StatusUnauthorized, why: "its Authorization carries none of the tenant's tokens"}
	}
	g := w.enter()
	if g == nil {
		return answer{status: http.StatusServiceUnavailable, retry: true}
	}
	defer g.requests.Done()
	switch {
	case r.ContentLength > w.cfg.MaxBody:
		return w.tooLarge()
	case !readable(r.Header["Content-Encoding"]):
		return answer{status: http.StatusUnsupportedMediaType, why: "its Content-Encoding is neither identity nor gzip"}
	}
	if !slot(g.ctx, r, w.slots) {
		return tooMany()
	}
	defer func() { <-w.slots }()
	in := newIncoming(g.ctx, rw, r, w.cfg.MaxBody, &w.readers)
	defer func() {
		in.close(&w.readers)
		w.metrics.bytes.Add(float64(in.wire.n))
	}()
	return w.outcome(g, w.store(g, in))
}

// tooMany is the answer to a body that has waited for its slot in vain.
func tooMany() answer {
	return answer{status: http.StatusServiceUnavailable, retry: true, why: "too many bodies are being read"}
}

// tooLarge is the answer to a body that is.
func (w *Webhook) tooLarge() answer {
	return answer{status: http.StatusRequestEntityTooLarge, why: "its body is larger than webhook.max_body_bytes, " + strconv.FormatInt(w.cfg.MaxBody, 10)}
}

// allows reports whether a peer may send anything.
func (w *Webhook) allows(peer string) bool {
	if len(w.cfg.Allow) == 0 {
		return true
	}
	at, err := netip.ParseAddrPort(peer)
	if err != nil {
		return false
	}
	addr := at.Addr().Unmap().WithZone("")
	for _, p := range w.cfg.Allow {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// knows reports whether an Authorization carries one of the tokens. How long it
// takes tells nothing about them.
func (w *Webhook) knows(values []string) bool {
	if len(values) != 1 {
		return false
	}
	const bearer = "bearer "
	given := values[0]
	known := w.matches(given)
	if len(given) > len(bearer) && strings.EqualFold(given[:len(bearer)], bearer) {
		known |= w.matches(given[len(bearer):])
	}
	return known == 1
}

// matches returns 1 if a text is one of the tokens, and else 0.
func (w *Webhook) matches(text string) (known int) {
	hash := sha256.Sum256([]byte(text))
	tokens := *w.tokens.Load()
	for i := range tokens {
		known |= subtle.ConstantTimeCompare(hash[:], tokens[i][:])
	}
	return known
}

// readable reports whether a Content-Encoding is one that can be read. Whether a
// body is gzip is told by its bytes.
func readable(encodings []string) bool {
	switch strings.ToLower(strings.Join(encodings, ",")) {
	case "", "identity", "gzip", "x-gzip":
		return true
	default:
		return false
	}
}

// slot waits for one of the slots for a body.
func slot(ctx context.Context, r *http.Request, slots chan struct{}) bool {
	select {
	case slots <- struct{}{}:
		return true
	default:
	}
	wait := time.NewTimer(slotWait)
	defer wait.Stop()
	select {
	case slots <- struct{}{}:
		return true
	case <-wait.C:
	case <-ctx.Done():
	case <-r.Context().Done():
	}
	return false
}

// outcome turns what became of a body into the answer. A body that could not be
// stored ends the Run.
func (w *Webhook) outcome(g *gate, err error) answer {
	var unstored *unstoredError
	switch {
	case err == nil:
		return answer{status: http.StatusOK}
	case errors.As(err, &unstored):
		g.fail(unstored.err) // Ingest tells of it and waits, and then there is a next Run
		return answer{status: http.StatusServiceUnavailable, retry: true}
	case g.ctx.Err() != nil:
		return answer{status: http.StatusServiceUnavailable, retry: true, cut: true}
	case errors.Is(err, errTooMany):
		return tooMany()
	case errors.Is(err, errTooLarge):
		return w.tooLarge()
	case errors.Is(err, errTooSlow):
		return answer{status: http.StatusRequestTimeout, why: "its body came too slowly", cut: true}
	default:
		return answer{status: http.StatusBadRequest, why: "its connection broke before the body was whole", cut: true}
	}
}

// webhookMetrics are the figures of one tenant's webhook.
type webhookMetrics struct {
	requests *prometheus.CounterVec
	bytes    prometheus.Counter
}

// newWebhookMetrics registers the figures.
func newWebhookMetrics(reg prometheus.Registerer) webhookMetrics {
	m := webhookMetrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "gapless", Name: "webhook_requests_total", Help: "Requests to the webhook, by the status of the answer.",
		}, []string{"status"}),
		bytes: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: "gapless", Name: "webhook_received_bytes_total", Help: "Bytes of bodies that the webhook has read, as they came.",
		}),
	}
	for _, status := range []int{http.StatusOK, http.StatusUnauthorized, http.StatusServiceUnavailable} {
		m.requests.WithLabelValues(strconv.Itoa(status)) // there from the start, so that an alert can be written before the first
	}
	if reg != nil {
		reg.MustRegister(m.requests, m.bytes)
	}
	return m
}
