package web

import (
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/gaplesslogs/gapless/internal/access"
)

//go:embed page.html page.css
var files embed.FS

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

// NewHandler returns the pages and endpoints.
func NewHandler(opts Options) (http.Handler, error) {
	status, metrics, logger := opts.Status, opts.Metrics, opts.Logger
	page, err := template.New("page.html").Funcs(template.FuncMap{"short": Short, "size": Size, "stamp": stamp}).ParseFS(files, "page.html")
	if err != nil {
		return nil, fmt.Errorf("parse page: %w", err)
	}
	h := &handler{status: status, page: page, logger: logger}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", h.overview)
	mux.HandleFunc("GET /page.css", h.style)
	mux.HandleFunc("GET /api/v1/status", h.statusJSON)
	mux.HandleFunc("GET /healthz", h.healthz)
	mux.HandleFunc("GET /readyz", h.readyz)
	mux.Handle("GET /metrics", promhttp.HandlerFor(metrics, promhttp.HandlerOpts{
		Timeout: readTimeout, ErrorHandling: promhttp.ContinueOnError, // one figure that cannot be read costs no others
		ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelError),
	}))
	return headers(mux), nil
}

// stamp writes a time for a person; a dash when there is none.
func stamp(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.DateTime)
}

// handler answers the requests.
type handler struct {
	status Status
	page   *template.Template
	logger *slog.Logger
}

// headers sets what every answer carries: nothing may be loaded from elsewhere,
// framed or cached. It refuses requests with a body: none is read here.
func headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		if r.ContentLength != 0 {
			h.Set("Connection", "close")
			http.Error(w, "a request here has no body", http.StatusRequestEntityTooLarge)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// read reads the figures, and answers 500 when they cannot be read.
func (h *handler) read(w http.ResponseWriter, r *http.Request) (Overview, bool) {
	ctx, cancel := context.WithTimeout(r.Context(), readTimeout)
	defer cancel()
	o, err := h.status(ctx)
	if err != nil {
		h.logger.LogAttrs(ctx, slog.LevelError, "cannot read the status", slog.Any("error", err))
		http.Error(w, "the status cannot be read; the log of gapless says why", http.StatusInternalServerError)
		return Overview{}, false
	}
	return o, true
}

// overview shows the page.
func (h *handler) overview(w http.ResponseWriter, r *http.Request) {
	o, ok := h.read(w, r)
	if !ok {
		return
	}
	var b bytes.Buffer
	if err := h.page.Execute(&b, o); err != nil {
		h.logger.LogAttrs(r.Context(), slog.LevelError, "cannot draw the page", slog.Any("error", err))
		http.Error(w, "the page cannot be drawn", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	h.write(w, r, b.Bytes())
}

// style serves the style sheet.
func (h *handler) style(w http.ResponseWriter, r *http.Request) {
	http.ServeFileFS(w, r, files, "page.css")
}

// statusJSON answers with the figures as JSON.
func (h *handler) statusJSON(w http.ResponseWriter, r *http.Request) {
	o, ok := h.read(w, r)
	if !ok {
		return
	}
	b, err := json.MarshalIndent(o, "", "  ")
	if err != nil {
		http.Error(w, "the status cannot be written", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	h.write(w, r, append(PlainJSON(b), '\n'))
}

// healthz says whether the process works: the figures come from its store, so
// reading them is a fair trial.
func (h *handler) healthz(w http.ResponseWriter, r *http.Request) {
	if _, ok := h.read(w, r); ok {
		h.write(w, r, []byte("ok\n"))
	}
}

// readyz says whether every tenant is exported and no event at risk, and what is
// wrong with those of which that is not so.
func (h *handler) readyz(w http.ResponseWriter, r *http.Request) {
	o, ok := h.read(w, r)
	if !ok {
		return
	}
	var b bytes.Buffer
	for _, t := range o.Tenants {
		if t.State == StateStuck || t.State == StateTrouble || len(t.Retention.Risks) > 0 {
			fmt.Fprintf(&b, "%s: %s\n", t.Name, t.Words(o.At))
		}
	}
	if b.Len() > 0 {
		w.WriteHeader(http.StatusServiceUnavailable)
		h.write(w, r, b.Bytes())
		return
	}
	h.write(w, r, []byte("ready\n"))
}

// write sends an answer; a client that has left is no concern of anybody's.
func (h *handler) write(w http.ResponseWriter, r *http.Request, b []byte) {
	if _, err := w.Write(b); err != nil {
		h.logger.LogAttrs(r.Context(), slog.LevelDebug, "client left", slog.Any("error", err))
	}
}
