package web

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// What pages and the JSON endpoints read alike, and the parameters that both take.

// badParameter is the failure of a parameter that cannot be read.
func badParameter(name, want string) error {
	return &failure{status: http.StatusBadRequest, key: "error.parameter", args: []any{name, want}}
}

// timeParameter reads a time of the query; zero when there is none.
func timeParameter(r *http.Request, name string) (time.Time, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return t, badParameter(name, "2026-11-23T12:00:00Z")
	}
	return t, nil
}

// wholeParameter reads a whole number of the query from 1 to most; the given one when
// there is none.
func wholeParameter(r *http.Request, name string, otherwise, most int64) (int64, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return otherwise, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 1 || n > most {
		return 0, badParameter(name, "1 ... "+strconv.FormatInt(most, 10))
	}
	return n, nil
}

// truthParameter reads a flag of the query: 1 or true.
func truthParameter(r *http.Request, name string) (bool, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return false, nil
	}
	v, err := strconv.ParseBool(text)
	if err != nil {
		return false, badParameter(name, "true")
	}
	return v, nil
}

// runQuery reads which runs are asked for.
func runQuery(r *http.Request, limit int) (q RunQuery, err error) {
	q.Source, q.Limit = r.URL.Query().Get("source"), limit
	if q.Failed, err = truthParameter(r, "failed"); err != nil {
		return q, err
	}
	q.Before, err = timeParameter(r, "before")
	return q, err
}

// journal returns the journal, or the failure that there is none.
func (h *handler) journal() (Journal, error) {
	if h.opts.Journal == nil {
		return nil, &failure{status: http.StatusNotFound, key: "error.no_journal"}
	}
	return h.opts.Journal, nil
}

// runs reads runs.
func (h *handler) runs(r *http.Request, q RunQuery) (page RunPage, err error) {
	j, err := h.journal()
	if err != nil {
		return page, err
	}
	ctx, cancel := context.WithTimeout(r.Context(), readTimeout)
	defer cancel()
	if page, err = j.Runs(ctx, q); err != nil {
		return page, fmt.Errorf("read the runs: %w", err)
	}
	return page, nil
}

// batches reads batches.
func (h *handler) batches(r *http.Request, tenant string, before time.Time, limit int) ([]Delivery, error) {
	j, err := h.journal()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(r.Context(), readTimeout)
	defer cancel()
	list, err := j.Batches(ctx, tenant, before, limit)
	if err != nil {
		return nil, fmt.Errorf("read the batches: %w", err)
	}
	return list, nil
}

// letters returns the dead letters, or the failure that there are none to be had.
func (h *handler) letters() (LetterBox, error) {
	if h.opts.Letters == nil {
		return nil, &failure{status: http.StatusNotFound, key: "error.no_letters"}
	}
	return h.opts.Letters, nil
}

// listLetters reads dead letters.
func (h *handler) listLetters(r *http.Request, f LetterFilter, limit int) ([]Letter, error) {
	box, err := h.letters()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(r.Context(), readTimeout)
	defer cancel()
	list, err := box.List(ctx, f, limit)
	if err != nil {
		return nil, fmt.Errorf("list the dead letters: %w", err)
	}
	return list, nil
}

// showLetter reads one dead letter.
func (h *handler) showLetter(r *http.Request) (l Letter, body []byte, err error) {
	box, err := h.letters()
	if err != nil {
		return l, nil, err
	}
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		return l, nil, &failure{status: http.StatusNotFound, key: "error.gone"}
	}
	ctx, cancel := context.WithTimeout(r.Context(), readTimeout)
	defer cancel()
	if l, body, err = box.Show(ctx, id); err != nil {
		return l, nil, fmt.Errorf("show the dead letter: %w", err)
	}
	return l, body, nil
}
