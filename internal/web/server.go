package web

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/gaplesslogs/gapless/internal/access"
)

// readTimeout bounds how long the figures may take to read.
const readTimeout = 5 * time.Second

// Status reads the figures of the moment. It is called for each request and may
// be called at the same time.
type Status func(ctx context.Context) (Overview, error)

// Options say what the pages and endpoints are made of. Status, Metrics and Logger are
// required.
type Options struct {
	Status  Status
	Metrics prometheus.Gatherer
	Logger  *slog.Logger
	// Journal tells what passed lately; nil shows none of it.
	Journal Journal
	// Letters are the dead letters; nil shows figures of them alone.
	Letters LetterBox
	// Config returns the configuration in use, as YAML without secrets; nil shows none.
	Config func() (string, error)
	// Guard keeps strangers out; nil lets everybody in as "local", who may operate.
	Guard access.Guard
	// Closed says in a sentence why events and operations are not shown to anybody,
	// although the figures are; empty shows them. It is for a listener that other machines reach and that asks for no login.
	Closed string
}

// A Handler answers the requests for pages and endpoints.
type Handler struct {
	http.Handler

	end func()
}

// End ends the streams of open pages, which would otherwise hold up a server that shuts
// down; for http.Server.RegisterOnShutdown. A second call does nothing.
func (h *Handler) End() { h.end() }

// NewHandler returns the pages and endpoints.
func NewHandler(opts Options) (*Handler, error) {
	look, err := newLook()
	if err != nil {
		return nil, err
	}
	h := &handler{
		opts: opts, look: look, logger: opts.Logger, figures: snapshot{read: opts.Status},
		pages: http.NewServeMux(), streams: make(chan struct{}, maxStreams), ended: make(chan struct{}),
	}
	h.addPages()
	return &Handler{Handler: headers(h.guard(h.routes())), end: sync.OnceFunc(func() { close(h.ended) })}, nil
}

// handler answers the requests.
type handler struct {
	opts    Options
	look    *look
	logger  *slog.Logger
	figures snapshot
	pages   *http.ServeMux // the pages alone, which streams draw too
	streams chan struct{}  // a place for each stream
	ended   chan struct{}  // closed when streams shall end
}

// addPages registers the pages.
func (h *handler) addPages() {
	h.pages.HandleFunc("GET /{$}", h.page(figures, h.buildOverview))
	h.pages.HandleFunc("GET /tenants/{name}", h.page(figures, h.buildTenant))
	h.pages.HandleFunc("GET /tenants/{name}/runs", h.page(figures, h.buildRuns))
	h.pages.HandleFunc("GET /tenants/{name}/batches", h.page(figures, h.buildBatches))
	h.pages.HandleFunc("GET /tenants/{name}/letters", h.page(events, h.buildLetters))
	h.pages.HandleFunc("GET /tenants/{name}/letters/{id}", h.page(events, h.buildLetter))
	h.pages.HandleFunc("GET /tenants/{name}/config", h.page(events, h.buildConfig))
	h.pages.HandleFunc("GET /events", h.page(events, h.buildEvents))
	h.pages.HandleFunc("GET /events/{tenant}/{log_id}", h.page(events, h.buildEvent))
	h.pages.HandleFunc("GET /activity", h.page(events, h.buildActivity))
	h.pages.HandleFunc("GET /", h.notFound)
}

// routes returns all there is behind the guard.
func (h *handler) routes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /", h.pages)
	mux.Handle("GET /static/{file}", h.look.assets)
	mux.HandleFunc("POST /tenants/{name}/letters", h.page(operations, h.buildLetterAct))
	mux.HandleFunc("GET /api/v1/status", h.statusJSON)
	mux.HandleFunc("GET /api/v1/series", h.json(figures, h.seriesJSON))
	mux.HandleFunc("GET /api/v1/runs", h.json(figures, h.runsJSON))
	mux.HandleFunc("GET /api/v1/batches", h.json(figures, h.batchesJSON))
	mux.HandleFunc("GET /api/v1/deadletters", h.json(events, h.lettersJSON))
	mux.HandleFunc("GET /api/v1/deadletters/{id}", h.json(events, h.letterJSON))
	mux.HandleFunc("GET /api/", h.notFound)
	mux.HandleFunc("GET /api/v1/live", h.live)
	h.addEventEndpoints(mux)
	mux.HandleFunc("GET /healthz", h.healthz)
	mux.HandleFunc("GET /readyz", h.readyz)
	mux.Handle("GET /metrics", promhttp.HandlerFor(h.opts.Metrics, promhttp.HandlerOpts{
		Timeout: readTimeout, ErrorHandling: promhttp.ContinueOnError, // one figure that cannot be read costs no others
		ErrorLog: slog.NewLogLogger(h.logger.Handler(), slog.LevelError),
	}))
	return mux
}

// read reads the figures, and answers 500 when they cannot be read.
func (h *handler) read(w http.ResponseWriter, r *http.Request) (Overview, bool) {
	ctx, cancel := context.WithTimeout(r.Context(), readTimeout)
	defer cancel()
	o, err := h.opts.Status(ctx)
	if err != nil {
		h.logger.LogAttrs(ctx, slog.LevelError, "cannot read the status", slog.Any("error", err))
		http.Error(w, "the status cannot be read; the log of gapless says why", http.StatusInternalServerError)
		return Overview{}, false
	}
	return o, true
}

// write sends an answer; a client that has left is no concern of anybody's.
func (h *handler) write(w http.ResponseWriter, r *http.Request, b []byte) {
	if _, err := w.Write(b); err != nil {
		h.logger.LogAttrs(r.Context(), slog.LevelDebug, "client left", slog.Any("error", err))
	}
}
