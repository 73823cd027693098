package cli

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/setup/stack"
)

// A savedQuery is one of those that `gapless setup` makes, by a name that is easy to type.
type savedQuery struct {
	stack.SavedQuery

	name string
}

// savedQueries returns them in the order of the guide.
func savedQueries() (list []savedQuery) {
	for _, q := range stack.SavedQueries() {
		list = append(list, savedQuery{q, slug(q.Title)})
	}
	return list
}

// slug makes a title a word: small letters, with hyphens between.
func slug(title string) string {
	return strings.Join(strings.FieldsFunc(strings.ToLower(title), func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9')
	}), "-")
}

// isPattern reports whether an argument is meant as a filter pattern of CloudWatch Logs
// rather than as a name: patterns for members begin with a brace, those for texts are
// quoted, and the others have a sign in front.
func isPattern(s string) bool {
	return s != "" && strings.ContainsRune(`{["?-%`, rune(s[0]))
}

// findQuery finds a saved query by its title, its name, or a part of the name that no
// other has.
func findQuery(name string) (savedQuery, error) {
	all, want := savedQueries(), slug(name)
	var near []savedQuery
	for _, q := range all {
		if q.name == want {
			return q, nil
		}
		if want != "" && strings.Contains(q.name, want) {
			near = append(near, q)
		}
	}
	if len(near) == 1 {
		return near[0], nil
	}
	if len(near) > 1 {
		names := make([]string, len(near))
		for i, q := range near {
			names[i] = q.name
		}
		return savedQuery{}, fail(exitUsage, "gapless query "+names[0], fmt.Errorf("%q is the name of several queries: %s", name, strings.Join(names, ", ")))
	}
	if meant := meantQuery(all, want); meant != "" {
		return savedQuery{}, fail(exitUsage, "gapless query "+meant, fmt.Errorf("no query is called %q; did you mean %s?", name, meant))
	}
	return savedQuery{}, fail(exitUsage, "gapless query --list names the queries; a text is looked for in quotes: gapless query '\""+strings.Trim(name, `"'`)+"\"'",
		fmt.Errorf("no query is called %q", name))
}

// meantQuery is the name of the query that a mistyped name, or a mistyped word of it, most
// likely meant; empty for none.
func meantQuery(all []savedQuery, want string) string {
	var names, words []string
	for _, q := range all {
		names = append(names, q.name)
		words = append(words, strings.Split(q.name, "-")...)
	}
	if name := config.Nearest(want, names); name != "" {
		return name
	}
	word := config.Nearest(want, slices.DeleteFunc(words, func(w string) bool { return len(w) < 4 }))
	if i := slices.IndexFunc(all, func(q savedQuery) bool { return slices.Contains(strings.Split(q.name, "-"), word) }); i >= 0 {
		return all[i].name
	}
	return ""
}

// A blank is what a person has to fill in before a saved query is about anything.
type blank struct {
	flag  string // that fills it in
	texts []string
}

// blanks are those of the saved queries, by title.
var blanks = map[string]blank{
	"One user":        {"user", []string{"auth0|0123456789abcdef", "user@example.com"}},
	"One address":     {"ip", []string{"203.0.113.7"}},
	"One application": {"client", []string{"0123456789abcdef0123456789abcdef"}},
}

// fill returns the text of a saved query with what was picked: what it leaves blank is
// filled in, and the rest is put in front of it.
func (q savedQuery) fill(cmd *cobra.Command, p *pick) (string, error) {
	text, rest := q.Text, *p
	if b, ok := blanks[q.Title]; ok {
		value := map[string]string{"user": p.user, "ip": p.ip, "client": p.client}[b.flag]
		if value == "" {
			return "", fail(exitUsage, "gapless query "+q.name+" --"+b.flag+" …", fmt.Errorf("%q is about one: name it with --%s", q.Title, b.flag))
		}
		if _, err := netip.ParseAddr(value); b.flag == "ip" && err != nil {
			return "", usageError(cmd, "--ip: %q takes a whole address", q.Title)
		}
		quoted := insightsText(value)
		for _, example := range b.texts {
			text = strings.ReplaceAll(text, insightsText(example), quoted)
		}
		if _, id, ok := strings.Cut(value, "|"); ok { // paths hold the ID without or with the bar encoded
			text = strings.ReplaceAll(text, `like "0123456789abcdef"`, "like "+insightsText(id))
		}
		text = strings.ReplaceAll(text, `like "0123456789abcdef"`, "like "+quoted)
		text = text[strings.IndexByte(text, '\n')+1:] // the remark that asks for it
		switch b.flag {
		case "user":
			rest.user = ""
		case "ip":
			rest.ip = ""
		case "client":
			rest.client = ""
		}
	}
	before, err := rest.commands()
	if err != nil {
		return "", usageError(cmd, "--ip: %w", err)
	}
	return before + text, nil
}
