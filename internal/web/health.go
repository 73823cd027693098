package web

import (
	"bytes"
	"fmt"
	"net/http"
)

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
