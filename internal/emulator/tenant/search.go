package tenant

import (
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/gaplesslogs/gapless/internal/emulator"
)

// searchRequest is what a search asks for.
type searchRequest struct {
	match     matcher // nil: all events
	page, per int
	sortBy    string
	ascending bool
	totals    bool
	selection *selection
}

// search serves the search mode of GET /api/v2/logs: newest first unless sorted,
// a hundred a page, a thousand in all.
func (s *Server) search(w http.ResponseWriter, r *http.Request, query url.Values) {
	for _, name := range [...]string{"q", "sort"} {
		if value := query.Get(name); value != "" {
			emulator.Note(r.Context(), slog.String(name, value))
		}
	}
	req, failed := readSearch(query)
	if failed == nil && (req.page+1)*req.per > searchWall {
		failed = &problem{http.StatusBadRequest, fmt.Sprintf(
			"Requesting page %d exceeds the allowed maximum of %d records: please consider searching by checkpoint "+
				"https://auth0.com/docs/logs/retrieve-log-events-using-mgmt-api#retrieve-logs-by-checkpoint",
			req.page+1, searchWall), ""}
	}
	if failed != nil {
		failed.write(w)
		return
	}
	found := req.find(s.log.visible())
	start := min(req.page*req.per, len(found))
	page := found[start:min(start+req.per, len(found))]
	emulator.Note(r.Context(), slog.Int("page", req.page), slog.Int("per_page", req.per), slog.Int("events", len(page)))
	if !req.totals {
		writeRaw(w, appendPage(nil, page, req.selection))
		return
	}
	// Since search v3 the total is that of the page.
	body := fmt.Appendf(nil, `{"start":%d,"limit":%d,"length":%d,"total":%d,"logs":`, req.page*req.per, req.per, len(page), len(page))
	body = append(body, appendPage(nil, page, req.selection)...)
	writeRaw(w, append(body, '}'))
}

// sortForm is what the parameter sort looks like.
var sortForm = regexp.MustCompile(`^([a-z_]+):(-?1)$`)

func readSearch(query url.Values) (req searchRequest, failed *problem) {
	req.sortBy = "date"
	if req.page, failed = number(query, "page", 0, 0, math.MaxInt32, "Page index of the results to return. First page is 0."); failed != nil {
		return req, failed
	}
	if req.per, failed = number(query, "per_page", defaultTake, 0, maxTake, "Number of results per page."); failed != nil {
		return req, failed
	}
	if req.totals, failed = flag(query, "include_totals", false, "Return results inside an object that contains the total result count"); failed != nil {
		return req, failed
	}
	if req.selection, failed = readSelection(query); failed != nil {
		return req, failed
	}
	if order := query.Get("sort"); order != "" {
		form := sortForm.FindStringSubmatch(order)
		if form == nil || !slices.Contains(searchable, form[1]) {
			return req, badQuery(fmt.Sprintf("'String does not match pattern: %s' on property sort (field:1 or field:-1).", order))
		}
		req.sortBy, req.ascending = form[1], form[2] == "1"
	}
	if q := query.Get("q"); q != "" {
		match, err := parseQuery(q)
		if err != nil {
			return req, &problem{http.StatusBadRequest, "Query is not valid: " + err.Error(), "invalid_query_string"}
		}
		req.match = match
	}
	return req, nil
}

// find returns the matching events in the order asked for. Events that are equal
// in it stand in the order of the log.
func (req searchRequest) find(entries []entry) []entry {
	var found []entry
	for _, e := range entries {
		if req.match == nil || req.match(e) {
			found = append(found, e)
		}
	}
	compare := func(a, b entry) int { return strings.Compare(field(a, req.sortBy), field(b, req.sortBy)) }
	if req.sortBy == "date" {
		compare = func(a, b entry) int { return int(min(max(a.date-b.date, -1), 1)) }
	}
	if !req.ascending {
		slices.Reverse(found)
		inner := compare
		compare = func(a, b entry) int { return inner(b, a) }
	}
	slices.SortStableFunc(found, compare)
	return found
}

// field returns the text of a searchable field of an event.
func field(e entry, name string) string {
	switch name {
	case "log_id":
		return e.id
	case "type":
		return e.code
	default:
		return gjson.GetBytes(e.raw, name).String()
	}
}

// selection is which members of an event an answer has: those named, or all but
// those.
type selection struct {
	names   []string
	include bool
}

func readSelection(query url.Values) (*selection, *problem) {
	include, failed := flag(query, "include_fields", true, "Whether specified fields are to be included or excluded")
	if failed != nil || query.Get("fields") == "" {
		return nil, failed
	}
	return &selection{names: strings.Split(query.Get("fields"), ","), include: include}, nil
}

// appendTo appends the event, whole where there is no selection.
func (s *selection) appendTo(dst, raw []byte) []byte {
	if s == nil {
		return append(dst, raw...)
	}
	dst = append(dst, '{')
	first := true
	gjson.ParseBytes(raw).ForEach(func(key, value gjson.Result) bool {
		if slices.Contains(s.names, key.String()) != s.include {
			return true
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(append(dst, key.Raw...), ':')
		dst = append(dst, value.Raw...)
		return true
	})
	return append(dst, '}')
}
