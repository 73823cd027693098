package web

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"slices"
	"time"
	"unicode/utf8"
)

// maxListed is the most entries that a list of the API returns, and listed how many it
// does if it is not told.
const (
	maxListed = 500
	listed    = 100
)

// json returns the handler of an endpoint: what it returns is answered as JSON, errors as
// {"error": "..."} by the rules of a builder.
func (h *handler) json(what shows, get func(r *http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if h.refuses(w, r, what) {
			return
		}
		v, err := get(r)
		if err != nil {
			h.failBy(w, r, err)
			return
		}
		h.answer(w, r, v)
	}
}

// statusJSON answers with the figures as JSON.
func (h *handler) statusJSON(w http.ResponseWriter, r *http.Request) {
	if h.refuses(w, r, figures) {
		return
	}
	if o, ok := h.read(w, r); ok {
		h.answer(w, r, o)
	}
}

// answer sends JSON.
func (h *handler) answer(w http.ResponseWriter, r *http.Request, v any) {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		h.logger.LogAttrs(r.Context(), slog.LevelError, "cannot write the answer", slog.Any("error", err))
		h.fail(w, r, http.StatusInternalServerError, "error.broken")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	h.write(w, r, append(PlainJSON(b), '\n'))
}

// A series is what happened in a span, by step.
type series struct {
	Tenant string    `json:"tenant,omitempty"`
	Since  time.Time `json:"since"`
	Until  time.Time `json:"until"`
	Step   int64     `json:"step_seconds"`
	Points []Point   `json:"points"`
}

// seriesJSON answers with the counts of a tenant, or of all, over 15m, 1h, 6h or 24h.
func (h *handler) seriesJSON(r *http.Request) (any, error) {
	j, err := h.journal()
	if err != nil {
		return nil, err
	}
	q := r.URL.Query()
	if name := q.Get("range"); name != "" && !slices.ContainsFunc(spans, func(s span) bool { return s.Name == name }) {
		return nil, badParameter("range", "15m, 1h, 6h, 24h")
	}
	s := spanOf(q.Get("range"))
	out := series{Tenant: q.Get("tenant"), Step: int64(s.Step / time.Second)}
	out.Since, out.Until = s.bounds(time.Now())
	ctx, cancel := context.WithTimeout(r.Context(), readTimeout)
	defer cancel()
	if out.Points, err = j.Series(ctx, out.Tenant, out.Since, out.Until, s.Step); err != nil {
		return nil, fmt.Errorf("read the series: %w", err)
	}
	return out, nil
}

// runsJSON answers with runs, newest first: tenant, source, failed, before, limit.
func (h *handler) runsJSON(r *http.Request) (any, error) {
	limit, err := wholeParameter(r, "limit", listed, maxListed)
	if err != nil {
		return nil, err
	}
	q, err := runQuery(r, int(limit))
	if err != nil {
		return nil, err
	}
	q.Tenant = r.URL.Query().Get("tenant")
	page, err := h.runs(r, q)
	if page.Runs == nil {
		page.Runs = []Run{}
	}
	return page, err
}

// batchesJSON answers with batches, newest first: tenant, before, limit.
func (h *handler) batchesJSON(r *http.Request) (any, error) {
	limit, err := wholeParameter(r, "limit", listed, maxListed)
	if err != nil {
		return nil, err
	}
	before, err := timeParameter(r, "before")
	if err != nil {
		return nil, err
	}
	list, err := h.batches(r, r.URL.Query().Get("tenant"), before, int(limit))
	if list == nil {
		list = []Delivery{}
	}
	return map[string]any{"batches": list}, err
}

// lettersJSON answers with dead letters, newest first: tenant, kind, reason, before (an
// id), limit.
func (h *handler) lettersJSON(r *http.Request) (any, error) {
	limit, err := wholeParameter(r, "limit", listed, maxListed)
	if err != nil {
		return nil, err
	}
	before, err := wholeParameter(r, "before", 0, math.MaxInt64)
	if err != nil {
		return nil, err
	}
	q := r.URL.Query()
	list, err := h.listLetters(r, LetterFilter{Tenant: q.Get("tenant"), Kind: q.Get("kind"), Reason: q.Get("reason"), Before: before}, int(limit))
	if list == nil {
		list = []Letter{}
	}
	return map[string]any{"dead_letters": list}, err
}

// letterJSON answers with one dead letter. Its bytes are body when they are text, and
// body_base64 otherwise.
func (h *handler) letterJSON(r *http.Request) (any, error) {
	l, body, err := h.showLetter(r)
	if err != nil {
		return nil, err
	}
	out := struct {
		Letter

		Body   string `json:"body,omitempty"`
		Base64 []byte `json:"body_base64,omitempty"`
	}{Letter: l}
	if utf8.Valid(body) {
		out.Body = string(body)
	} else {
		out.Base64 = body
	}
	return out, nil
}
