package tenant

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"

	"github.com/gaplesslogs/gapless/internal/emulator"
)

// Bounds of GET /api/v2/logs (Auth0 docs: retrieve log events using the
// Management API). maxQuery is ours: Auth0 answers 414 to a query that is too
// long and does not say how long that is.
const (
	defaultTake = 50
	maxTake     = 100
	searchWall  = 1000
	maxQuery    = 8192
)

// getLogs serves GET /api/v2/logs: by checkpoint when there is a from, which
// makes every other parameter but take meaningless, and by search otherwise.
func (s *Server) getLogs(w http.ResponseWriter, r *http.Request) {
	if len(r.URL.RawQuery) > maxQuery {
		problem{http.StatusRequestURITooLong, "Request-URI Too Large", ""}.write(w)
		return
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		badQuery("the query string cannot be decoded").write(w)
		return
	}
	if query.Get("from") != "" {
		s.checkpoint(w, r, query)
		return
	}
	s.search(w, r, query)
}

// checkpoint serves the events behind a log_id, in the order of ids, and the
// address of the next page. Behind the last event that address stays the same.
func (s *Server) checkpoint(w http.ResponseWriter, r *http.Request, query url.Values) {
	take, failed := number(query, "take", defaultTake, 1, maxTake, "Entries to retrieve")
	if failed != nil {
		failed.write(w)
		return
	}
	from := query.Get("from")
	entries, ok := s.log.after(s.log.visible(), from)
	if !ok {
		problem{http.StatusBadRequest, "The log_id in 'from' is invalid or no longer available", "invalid_query_string"}.write(w)
		return
	}
	page := entries[:min(take, len(entries))]
	emulator.Note(r.Context(), slog.String("from", from), slog.Int("take", take), slog.Int("events", len(page)))
	if len(page) > 0 {
		from = page[len(page)-1].id
	}
	w.Header().Set("Link", fmt.Sprintf(`<%s/api/v2/logs?from=%s&take=%d>; rel="next"`, baseURL(r), url.QueryEscape(from), take))
	writeRaw(w, appendPage(nil, page, nil))
}

// appendPage appends a JSON array of events, as they are or, with a selection, of
// some of their members.
func appendPage(dst []byte, page []entry, sel *selection) []byte {
	if sel == nil {
		size := len(dst) + len(page) + 2
		for _, e := range page {
			size += len(e.raw)
		}
		dst = append(make([]byte, 0, size), dst...)
	}
	dst = append(dst, '[')
	for i, e := range page {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = sel.appendTo(dst, e.raw)
	}
	return append(dst, ']')
}

func writeRaw(w http.ResponseWriter, body []byte) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body) // a client that has left is no concern of ours
}

// number reads an integer parameter between low and high.
func number(query url.Values, name string, missing, low, high int, about string) (int, *problem) {
	if !query.Has(name) {
		return missing, nil
	}
	property := fmt.Sprintf("on property %s (%s).", name, about)
	n, err := strconv.Atoi(query.Get(name))
	switch {
	case err != nil:
		return 0, badQuery("'Expected type integer but found type string' " + property)
	case n < low:
		return 0, badQuery(fmt.Sprintf("'Value %d is less than minimum %d' %s", n, low, property))
	case n > high:
		return 0, badQuery(fmt.Sprintf("'Value %d is greater than maximum %d' %s", n, high, property))
	}
	return n, nil
}

// flag reads a boolean parameter.
func flag(query url.Values, name string, missing bool, about string) (bool, *problem) {
	switch query.Get(name) {
	case "":
		return missing, nil
	case "true":
		return true, nil
	case "false":
		return false, nil
	default:
		return false, badQuery(fmt.Sprintf("'Expected type boolean but found type string' on property %s (%s).", name, about))
	}
}

// getLog serves GET /api/v2/logs/{id}.
func (s *Server) getLog(w http.ResponseWriter, r *http.Request) {
	e, ok := s.log.find(s.log.visible(), r.PathValue("id"))
	if !ok {
		problem{http.StatusNotFound, "Log not found", "inexistent_log"}.write(w)
		return
	}
	writeRaw(w, e.raw)
}
