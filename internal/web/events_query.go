package web

import (
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gaplesslogs/gapless/internal/event"
)

// Bounds on what one may ask for.
const (
	// maxLimit is the most events of an answer, and pageEvents how many the page shows at
	// first and with each step back.
	maxLimit   = 500
	pageEvents = 100
	// maxTypes bounds the types of a query, and maxWord the length of its other words, in
	// bytes. Places to go on from are longer, and bounded by maxPlace.
	maxTypes = 300
	maxWord  = 256
	maxPlace = 2048
	// maxRange is the longest span.
	maxRange = 366 * 24 * time.Hour
)

// The ranges that the page of events offers, and those of the activity.
var (
	eventRanges    = []string{"15m", "1h", "6h", "24h", "7d"}
	activityRanges = []string{"1h", "6h", "24h", "7d"}
)

// eventQuery reads a query of events from the parameters of a request:
//
//	tenant, user, client, ip, q   what Events must match
//	type                          codes, repeated or with commas between
//	failed                        1 for failures alone
//	range                         15m, 24h, 7d: from then until now
//	since, until                  bounds; they go before range
//	limit, from, after            see EventQuery
//
// The error is a *failure that says what is wrong with which of them.
func eventQuery(v url.Values, now time.Time) (EventQuery, error) {
	q := EventQuery{
		Tenant: v.Get("tenant"), User: strings.TrimSpace(v.Get("user")), Client: strings.TrimSpace(v.Get("client")),
		IP: strings.TrimSpace(v.Get("ip")), Text: strings.TrimSpace(v.Get("q")), From: v.Get("from"), After: v.Get("after"),
	}
	for name, word := range map[string]string{"tenant": q.Tenant, "user": q.User, "client": q.Client, "ip": q.IP, "q": q.Text} {
		if len(word) > maxWord {
			return q, bad("error.query.long", name, maxWord)
		}
	}
	if len(q.From) > maxPlace || len(q.After) > maxPlace {
		return q, bad("error.query.place")
	}
	var err error
	if q.Types, err = typesOf(v["type"]); err != nil {
		return q, err
	}
	if q.Failed, err = flag(v, "failed"); err != nil {
		return q, err
	}
	if !isAddress(q.IP) {
		return q, bad("error.query.ip", q.IP)
	}
	if q.Since, q.Until, err = bounds(v, now); err != nil {
		return q, err
	}
	q.Limit, err = within(v, "limit", pageEvents, maxLimit)
	return q, err
}

// bad is an answer that says what is wrong with a query.
func bad(key string, args ...any) *failure {
	return &failure{status: http.StatusBadRequest, key: key, args: args}
}

// typesOf returns the event codes of a query, each once.
func typesOf(values []string) ([]string, error) {
	var types []string
	for _, value := range values {
		for code := range strings.SplitSeq(value, ",") {
			code = strings.TrimSpace(code)
			if code == "" || slices.Contains(types, code) {
				continue
			}
			if len(code) > maxWord {
				return nil, bad("error.query.long", "type", maxWord)
			}
			types = append(types, code)
		}
	}
	if len(types) > maxTypes {
		return nil, bad("error.query.types", maxTypes)
	}
	return types, nil
}

// flag reads a parameter that is on or off.
func flag(v url.Values, name string) (bool, error) {
	switch value := v.Get(name); value {
	case "", "0", "false":
		return false, nil
	case "1", "true", "on":
		return true, nil
	default:
		return false, bad("error.query.flag", name, value)
	}
}

// within reads a whole number from 1 to most.
func within(v url.Values, name string, usual, most int) (int, error) {
	value := v.Get(name)
	if value == "" {
		return usual, nil
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 || n > most {
		return 0, bad("error.query.number", name, value, most)
	}
	return n, nil
}

// isAddress reports whether a text may stand for addresses: one, the beginning of one,
// or a prefix such as 192.0.2.0/24.
func isAddress(s string) bool {
	if strings.Contains(s, "/") {
		_, err := netip.ParsePrefix(s)
		return err == nil
	}
	return strings.Trim(s, "0123456789abcdefABCDEF:.") == ""
}

// bounds reads since and until, or the range.
func bounds(v url.Values, now time.Time) (since, until time.Time, err error) {
	if since, err = moment(v, "since"); err != nil {
		return since, until, err
	}
	if until, err = moment(v, "until"); err != nil {
		return since, until, err
	}
	if !since.IsZero() || !until.IsZero() {
		if !until.IsZero() && !since.Before(until) {
			return since, until, bad("error.query.order")
		}
		return since, until, nil
	}
	if v.Get("range") == "" {
		return since, until, nil
	}
	length, ok := rangeOf(v.Get("range"))
	if !ok {
		return since, until, bad("error.query.range", v.Get("range"))
	}
	return now.Add(-length).UTC(), until, nil
}

// moment reads a time. One without a zone is in UTC: a field of a form has none.
func moment(v url.Values, name string) (time.Time, error) {
	value := v.Get(name)
	if value == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04", time.DateOnly} {
		if t, err := time.Parse(layout, value); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, bad("error.query.time", name, value)
}

// rangeOf reads a length such as 15m, 24h or 7d.
func rangeOf(s string) (time.Duration, bool) {
	if len(s) < 2 {
		return 0, false
	}
	unit, ok := map[byte]time.Duration{'m': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour}[s[len(s)-1]]
	n, err := strconv.Atoi(s[:len(s)-1])
	if !ok || err != nil || n < 1 || n > int(maxRange/unit) {
		return 0, false
	}
	return time.Duration(n) * unit, true
}

// A quickSearch is a search that people make often, above all in an incident.
type quickSearch struct {
	// Key names its text, "events.quick."+Key.
	Key string
	// Types are what it looks for; none with Failed.
	Types  []string
	Failed bool
}

// quickSearches returns them in the order of the page.
func quickSearches() []quickSearch {
	return []quickSearch{
		{Key: "failures", Failed: true},
		{Key: "logins", Types: ofCategory("auth.login.fail")},
		{Key: "locked", Types: []string{"limit_mu", "limit_sul", "limit_wc", "gd_otp_rate_limit_exceed", "gd_recovery_rate_limit_exceed"}},
		{Key: "leaked", Types: []string{"pwd_leak", "reset_pwd_leak", "signup_pwd_leak"}},
		{Key: "mfa", Types: []string{"gd_auth_failed", "gd_auth_rejected", "gd_recovery_failed", "gd_unenroll", "gd_start_enroll_failed"}},
		{Key: "passwords", Types: []string{"scp", "scpr", "fcp", "fcpr"}},
		{Key: "deleted", Types: []string{"sdu", "fdu", "du"}},
		{Key: "admin", Types: []string{"sapi", "fapi"}},
		{Key: "limits", Types: []string{"api_limit", "api_limit_warning", "limit_delegation", "limit_ui", "limit_phone"}},
	}
}

// ofCategory returns the codes of a category of the catalogue.
func ofCategory(category string) []string {
	var codes []string
	for _, t := range event.Types() {
		if t.Category == category {
			codes = append(codes, t.Code)
		}
	}
	return codes
}
