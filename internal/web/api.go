package web

import (
	"encoding/json"
	"log/slog"
	"net/http"
)

// statusJSON answers with the figures as JSON.
func (h *handler) statusJSON(w http.ResponseWriter, r *http.Request) {
	o, ok := h.read(w, r)
	if !ok {
		return
	}
	h.answer(w, r, o)
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
