package web

import (
	"bytes"
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gaplesslogs/gapless/internal/event"
)

// An eventsPage is what the page of events shows.
type eventsPage struct {
	Query EventQuery
	// Asked are the parameters as they came, for the fields of the form.
	Asked url.Values
	Rows  []eventRow
	// More is the address of the events before these, and Latest the place from which a
	// live tail goes on; empty where there is none.
	More, Latest       string
	SearchedTo, Oldest time.Time
	// Page is the address of the page without places in it; Filtered says that it does not
	// show everything, and All is the address of what does.
	Page     string
	Filtered bool
	All      string
	Quick    []choice
	Ranges   []choice
	// Types are the types to choose from, Chosen those that were, each with the address
	// of the page without it.
	Types  []typeGroup
	Chosen []choice
	// Facts says how many filters are set beside the range, for phones.
	Facts int
}

// A choice is a link to another view of a page; On says that it is this one.
type choice struct {
	Text, Href string
	On         bool
}

// A typeGroup are event types that belong together.
type typeGroup struct {
	Key   string
	Types []typeOption
}

// A typeOption is a type to choose.
type typeOption struct {
	Code, Title, Severity string
	On                    bool
}

// An eventRow is an event of the list, with the addresses that it leads to.
type eventRow struct {
	Event

	Severity string
	// Href is the address of the event, the others are those of the page with one more
	// filter.
	Href, TypeHref, UserHref, ClientHref, IPHref string
	// Who and App are what to call the user and the application, and Place where the
	// address is; empty where the event does not say.
	Who, App, Place string
}

// buildEvents makes the page of events.
func (h *handler) buildEvents(r *http.Request, w *words) (content, error) {
	o, err := h.figures.get(r.Context())
	if err != nil {
		return content{}, err
	}
	q, found, err := h.search(r)
	if err != nil {
		return content{}, err
	}
	v := withoutPlace(r.URL.Query())
	p := eventsPage{
		Query: q, Asked: v, Rows: rows(found.Events, v), Latest: found.Latest, SearchedTo: found.SearchedTo, Oldest: found.Oldest,
		Page: eventsHref(v), All: eventsHref(keep(v, "tenant")), Types: typeGroups(w.lang, q.Types), Facts: facts(q),
	}
	if found.More != "" {
		p.More = eventsHref(v, "from", found.More)
	}
	p.Filtered = p.Facts > 0 || !q.Since.IsZero() || !q.Until.IsZero()
	if !q.Until.IsZero() || q.From != "" {
		p.Latest = "" // what comes in now is not part of it
	}
	p.Quick, p.Ranges, p.Chosen = quickChoices(v, q, w), rangeChoices(v, w), chosen(v, q, w)
	return content{Template: "events", Title: w.t("events.title"), Nav: "events", Overview: o, Data: p}, nil
}

// rowsAnswer are further rows for the page, as HTML, for its script.
type rowsAnswer struct {
	Rows  string `json:"rows"`
	Count int    `json:"count"`
	// More is the address of the rows after these, Latest the place of the live tail.
	More       string    `json:"more,omitempty"`
	Latest     string    `json:"latest,omitempty"`
	SearchedTo time.Time `json:"searched_to,omitzero"`
	// Full says that there may be more to fetch at once.
	Full bool `json:"full"`
}

// eventRows answers with further rows: those before the ones that are shown, with the
// parameter from, or those that came in since, with after. Both come newest first.
func (h *handler) eventRows(r *http.Request) (any, error) {
	q, found, err := h.search(r)
	if err != nil {
		return nil, err
	}
	if q.After != "" {
		slices.Reverse(found.Events)
	}
	v := withoutPlace(r.URL.Query())
	a := rowsAnswer{Count: len(found.Events), Latest: found.Latest, SearchedTo: found.SearchedTo, Full: len(found.Events) == q.Limit}
	if found.More != "" {
		a.More = eventsHref(v, "from", found.More)
	}
	var b bytes.Buffer
	if err := h.look.pages[h.lang(r)]["events"].ExecuteTemplate(&b, "event-rows", rows(found.Events, v)); err != nil {
		return nil, fmt.Errorf("draw rows: %w", err)
	}
	a.Rows = b.String()
	return a, nil
}

// rows makes the rows of a list. The filters of the page stay in what they lead to.
func rows(list []Event, v url.Values) []eventRow {
	out := make([]eventRow, 0, len(list))
	for _, e := range list {
		for _, text := range []*string{&e.UserID, &e.UserName, &e.ClientID, &e.ClientName, &e.Connection, &e.Description, &e.UserAgent, &e.City, &e.Country} {
			*text = beginning(*text)
		}
		row := eventRow{
			Event: e, Severity: event.Lookup(e.Type).Severity.String(), Href: eventHref(e.Tenant, e.LogID),
			Who: cmp.Or(e.UserName, e.UserID), App: cmp.Or(e.ClientName, e.ClientID), Place: whereabouts(e.City, e.Country),
			TypeHref: eventsHref(v, "type", e.Type),
		}
		if user := cmp.Or(e.UserID, e.UserName); user != "" {
			row.UserHref = eventsHref(v, "user", beginning(user))
		}
		if client := cmp.Or(e.ClientID, e.ClientName); client != "" {
			row.ClientHref = eventsHref(v, "client", beginning(client))
		}
		if isAddress(e.IP) {
			row.IPHref = eventsHref(v, "ip", e.IP)
		}
		out = append(out, row)
	}
	return out
}

// beginning returns as much of a text as a list shows and a filter takes; what is longer
// stands in the event itself.
func beginning(s string) string {
	if len(s) <= maxWord {
		return s
	}
	return strings.ToValidUTF8(s[:maxWord], "")
}

// whereabouts writes a city and a country.
func whereabouts(city, country string) string {
	if city == "" || country == "" {
		return city + country
	}
	return city + ", " + country
}

// eventHref returns the address of an event.
func eventHref(tenant, logID string) string {
	return "/events/" + url.PathEscape(tenant) + "/" + url.PathEscape(logID)
}

// eventsHref returns the address of the page of events with parameters, of which pairs
// of a name and a value are set anew; an empty value takes one away.
func eventsHref(v url.Values, pairs ...string) string { return href("/events", v, pairs...) }

// href returns a path with parameters, of which some are set anew or taken away.
func href(path string, v url.Values, pairs ...string) string {
	out := url.Values{}
	for name, values := range v {
		if values = slices.DeleteFunc(slices.Clone(values), func(s string) bool { return s == "" }); len(values) > 0 {
			out[name] = values
		}
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		out.Del(pairs[i])
		if pairs[i+1] != "" {
			out.Set(pairs[i], pairs[i+1])
		}
	}
	if len(out) == 0 {
		return path
	}
	// Commas and colons mean nothing in a query, and a person reads them more easily so.
	return path + "?" + strings.NewReplacer("%2C", ",", "%3A", ":", "%7C", "|").Replace(out.Encode())
}

// withoutPlace returns the parameters without those that say where in the list one is, or
// how the page looks.
func withoutPlace(v url.Values) url.Values {
	for _, name := range []string{"from", "after", "lang", "theme"} {
		v.Del(name)
	}
	return v
}

// keep returns the parameters of some names alone.
func keep(v url.Values, names ...string) url.Values {
	out := url.Values{}
	for _, name := range names {
		if len(v[name]) > 0 {
			out[name] = v[name]
		}
	}
	return out
}

// facts counts the filters of a query, time aside.
func facts(q EventQuery) (n int) {
	for _, set := range []bool{q.Tenant != "", len(q.Types) > 0, q.Failed, q.User != "", q.Client != "", q.IP != "", q.Text != ""} {
		if set {
			n++
		}
	}
	return n
}

// quickChoices returns the searches that people make often, in the time that the page
// shows: the last day where it shows everything.
func quickChoices(v url.Values, q EventQuery, w *words) []choice {
	base := keep(v, "tenant", "range", "since", "until")
	if v.Get("range") == "" && q.Since.IsZero() && q.Until.IsZero() {
		base.Set("range", "24h")
	}
	var out []choice
	for _, s := range quickSearches() {
		c := choice{Text: w.t("events.quick." + s.Key)}
		if s.Failed {
			c.Href, c.On = eventsHref(base, "failed", "1"), q.Failed && len(q.Types) == 0
		} else {
			c.Href, c.On = eventsHref(base, "type", strings.Join(s.Types, ",")), sameSet(q.Types, s.Types)
		}
		if c.On { // once more takes it away
			c.Href = eventsHref(v, "type", "", "failed", "")
		}
		out = append(out, c)
	}
	return out
}

// sameSet reports whether two lists hold the same.
func sameSet(a, b []string) bool {
	a, b = slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	return slices.Equal(a, b)
}

// rangeChoices returns the ranges of the page.
func rangeChoices(v url.Values, w *words) []choice {
	free := v.Get("since") == "" && v.Get("until") == ""
	var out []choice
	for _, name := range eventRanges {
		out = append(out, choice{Text: w.t("events.range." + name), Href: eventsHref(v, "range", name, "since", "", "until", ""), On: free && v.Get("range") == name})
	}
	return append(out, choice{Text: w.t("events.range.all"), Href: eventsHref(v, "range", "", "since", "", "until", ""), On: free && v.Get("range") == ""})
}

// chosen returns the types that a query picks, each with the address without it.
func chosen(v url.Values, q EventQuery, w *words) []choice {
	var out []choice
	for _, code := range q.Types {
		rest := slices.DeleteFunc(slices.Clone(q.Types), func(c string) bool { return c == code })
		out = append(out, choice{Text: titleIn(w.lang, code), Href: eventsHref(v, "type", strings.Join(rest, ","))})
	}
	return out
}

// typeGroups returns all types to choose from, those that are chosen marked. One that is
// chosen and not known is among the others.
func typeGroups(lang string, on []string) []typeGroup {
	groups := []typeGroup{{Key: "login"}, {Key: "mfa"}, {Key: "limits"}, {Key: "users"}, {Key: "tokens"}, {Key: "management"}, {Key: "system"}, {Key: "other"}}
	add := func(t event.Type) {
		i := slices.IndexFunc(groups, func(g typeGroup) bool { return g.Key == groupOf(t) })
		groups[i].Types = append(groups[i].Types, typeOption{Code: t.Code, Title: titleIn(lang, t.Code), Severity: t.Severity.String(), On: slices.Contains(on, t.Code)})
	}
	for _, t := range event.Types() {
		add(t)
	}
	for _, code := range on {
		if t := event.Lookup(code); !t.Known {
			add(t)
		}
	}
	for i := range groups {
		slices.SortFunc(groups[i].Types, func(a, b typeOption) int {
			return cmp.Or(strings.Compare(a.Title, b.Title), strings.Compare(a.Code, b.Code))
		})
	}
	return groups
}

// groupOf returns the group that a type is found in.
func groupOf(t event.Type) string {
	has := func(prefixes ...string) bool {
		return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(t.Code, p) })
	}
	switch top, _, _ := strings.Cut(t.Category, "."); {
	case has("gd_", "mfar", "passkey_", "too_many"):
		return "mfa"
	case has("limit_", "api_limit", "pwd_leak", "reset_pwd", "signup_pwd", "ublkdu", "pla", "acls_"):
		return "limits"
	case strings.HasPrefix(t.Category, "auth.token_exchange"):
		return "tokens"
	case top == "auth":
		return "login"
	case top == "user":
		return "users"
	case top == "management" || top == "scim" || has("mgmt_", "kms_", "ss_sso"):
		return "management"
	case top == "system" || top == "actions":
		return "system"
	default:
		return "other"
	}
}
