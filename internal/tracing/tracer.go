package tracing

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"hash/maphash"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// queueMost is how many spans wait for the collector; what comes while there are so
	// many is dropped.
	queueMost = 4096
	// batchMost is how many spans go in one request, and are sent without waiting for more.
	batchMost = 512
	// gather is how long spans wait for others.
	gather = 2 * time.Second
	// stopMost is how long Stop goes on sending.
	stopMost = 3 * time.Second
)

// A Header is a header of requests to the collector; its value is a secret.
type Header struct{ Name, Value string }

// Config says what is traced and where it goes.
type Config struct {
	// URL takes the requests.
	URL     string
	Headers []Header
	// SampleRatio is the share of pages that are traced, 0 to 1.
	SampleRatio float64
	// ServiceName and Version describe the program.
	ServiceName, Version string
	// Timeout bounds a request; it must be positive.
	Timeout time.Duration
}

// Deps are what a Tracer needs from the program.
type Deps struct {
	// Logger and Registerer are required.
	Logger     *slog.Logger
	Registerer prometheus.Registerer
	// Transport makes the requests; nil is the ordinary one, which honours the variables
	// for proxies and certificates.
	Transport http.RoundTripper
}

// A Tracer makes spans and sends them. It is safe for concurrent use.
type Tracer struct {
	cfg    Config
	logger *slog.Logger
	client *http.Client
	pages  pages

	sent, rejected, dropped, failed prometheus.Counter

	cancel context.CancelFunc
	wake   chan struct{} // has a token when there is something to look at
	done   chan struct{} // closed when the goroutine has ended

	mu      sync.Mutex
	queue   []span
	stopped bool // nothing is taken any more
}

// New starts a Tracer: one goroutine, which Stop ends.
func New(cfg Config, d Deps) *Tracer {
	transport := d.Transport
	if transport == nil {
		transport = &http.Transport{
			Proxy: http.ProxyFromEnvironment, DialContext: (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
			TLSHandshakeTimeout: 5 * time.Second, IdleConnTimeout: 30 * time.Second, MaxIdleConnsPerHost: 1, ForceAttemptHTTP2: true,
		}
	}
	t := &Tracer{
		cfg: cfg, logger: d.Logger, pages: pages{seed: maphash.MakeSeed()}, wake: make(chan struct{}, 1), done: make(chan struct{}),
		// A redirect would carry the headers to another server.
		client: &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}
	spans := prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "gapless", Name: "trace_spans_total", Help: "Spans of traces, by what became of them.",
	}, []string{"outcome"})
	d.Registerer.MustRegister(spans)
	t.sent, t.rejected = spans.WithLabelValues("sent"), spans.WithLabelValues("rejected")
	t.dropped, t.failed = spans.WithLabelValues("dropped"), spans.WithLabelValues("failed")
	ctx, cancel := context.WithCancel(context.Background())
	t.cancel = cancel
	go func() {
		defer close(t.done)
		t.run(ctx)
	}()
	return t
}

// Stop sends what waits, for as long as ctx and three seconds allow, and ends. What is
// left then is dropped.
func (t *Tracer) Stop(ctx context.Context) {
	t.mu.Lock()
	t.stopped = true
	t.mu.Unlock()
	t.signal()
	ctx, cancel := context.WithTimeout(ctx, stopMost)
	defer cancel()
	select {
	case <-t.done:
	case <-ctx.Done():
		t.cancel()
		<-t.done
	}
	t.cancel()
	t.client.CloseIdleConnections()
}

// add takes the spans of a trace, all or none.
func (t *Tracer) add(spans []span) {
	t.mu.Lock()
	full := t.stopped || len(t.queue)+len(spans) > queueMost
	if !full {
		t.queue = append(t.queue, spans...)
	}
	t.mu.Unlock()
	if full {
		t.dropped.Add(float64(len(spans)))
		return
	}
	t.signal()
}

// signal has the goroutine look.
func (t *Tracer) signal() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// run sends what is added until the Tracer is stopped and nothing is left, or ctx ends.
func (t *Tracer) run(ctx context.Context) {
	var health health
	for {
		stop := t.await(ctx)
		for {
			batch := t.take()
			if len(batch) == 0 {
				break
			}
			t.deliver(ctx, batch, &health)
		}
		if stop {
			return
		}
	}
}

// await waits until there is something to send, and for a while for more; stop says that
// nothing will come any more.
func (t *Tracer) await(ctx context.Context) (stop bool) {
	var timer <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return true
		case <-timer:
			return false
		case <-t.wake:
		}
		t.mu.Lock()
		n, stopped := len(t.queue), t.stopped
		t.mu.Unlock()
		switch {
		case stopped:
			return true
		case n >= batchMost:
			return false
		case n > 0 && timer == nil:
			timer = time.After(gather)
		}
	}
}

// take takes the oldest spans off the queue.
func (t *Tracer) take() []span {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := min(len(t.queue), batchMost)
	out := t.queue[:n:n]
	if t.queue = t.queue[n:]; len(t.queue) == 0 {
		t.queue = nil
	}
	return out
}

// sampled reports whether a trace belongs to the share: by its id, which is random.
func (t *Tracer) sampled(id traceID) bool {
	const most = 1 << 63
	return t.cfg.SampleRatio >= 1 || float64(binary.BigEndian.Uint64(id[8:])>>1) < t.cfg.SampleRatio*most
}

// newTraceID returns a random id.
func newTraceID() (id traceID) {
	_, _ = rand.Read(id[:]) // it never fails
	return id
}

// newSpanID returns a random id.
func newSpanID() (id spanID) {
	_, _ = rand.Read(id[:]) // it never fails
	return id
}
