package auth0

import (
	"net/http"
	"net/url"
	"strings"
)

// nextFrom returns the parameter `from` of the link rel="next" in the Link
// headers (RFC 8288), empty when there is none. Only the parameter counts: where
// the link leads is not followed, so that no answer can send us to another host.
func nextFrom(h http.Header) string {
	for _, line := range h.Values("Link") {
		for line != "" {
			var target, params string
			target, params, line = cutLink(line)
			if !isNext(params) {
				continue
			}
			u, err := url.Parse(target)
			if err != nil {
				continue
			}
			if from := u.Query().Get("from"); from != "" {
				return from
			}
		}
	}
	return ""
}

// cutLink takes the first link off a header: the target between angle brackets,
// its parameters up to the next comma outside quotes, and the rest.
func cutLink(line string) (target, params, rest string) {
	_, after, found := strings.Cut(line, "<")
	if !found {
		return "", "", ""
	}
	target, after, found = strings.Cut(after, ">")
	if !found {
		return "", "", ""
	}
	end := outsideQuotes(after, ',')
	return strings.TrimSpace(target), after[:end], strings.TrimPrefix(after[end:], ",")
}

// isNext reports whether the parameters of a link hold the relation "next",
// among others or alone.
func isNext(params string) bool {
	for params != "" {
		end := outsideQuotes(params, ';')
		name, value, _ := strings.Cut(params[:end], "=")
		params = strings.TrimPrefix(params[end:], ";")
		if !strings.EqualFold(strings.TrimSpace(name), "rel") {
			continue
		}
		for rel := range strings.FieldsSeq(strings.Trim(strings.TrimSpace(value), `"'`)) {
			if strings.EqualFold(rel, "next") {
				return true
			}
		}
	}
	return false
}

// outsideQuotes returns where c stands in s for the first time outside double
// quotes, or the length of s.
func outsideQuotes(s string, c byte) int {
	quoted := false
	for i := range len(s) {
		switch {
		case s[i] == '"':
			quoted = !quoted
		case s[i] == c && !quoted:
			return i
		}
	}
	return len(s)
}
