package browsertest

import (
	_ "embed"
	"fmt"
	"strings"

	"github.com/chromedp/chromedp"
)

// axe is axe-core, which finds what keeps people out who read with ears or fingers.
//
//go:embed testdata/axe/axe.min.js
var axe string

// A violation is a rule of axe-core that a page breaks.
type violation struct {
	ID     string `json:"id"`
	Impact string `json:"impact"`
	Help   string `json:"help"`
	Nodes  []struct {
		HTML    string `json:"html"`
		Summary string `json:"failureSummary"` //nolint:tagliatelle // the name is axe-core's
	} `json:"nodes"`
}

// Violations returns a message for every rule of axe-core that the page breaks, the
// recommendations beyond WCAG among them; of those rules alone that are named, if any are.
func (tab *Tab) Violations(rules ...string) []string {
	tab.t.Helper()
	if !Eval[bool](tab, "'axe' in window") {
		tab.do("load axe-core", chromedp.Evaluate[chromedp.Void](axe))
	}
	options := `{resultTypes: ['violations']}`
	if len(rules) > 0 {
		options = `{resultTypes: ['violations'], runOnly: ['` + strings.Join(rules, "', '") + `']}`
	}
	var messages []string
	for _, v := range Eval[[]violation](tab, `axe.run(document, `+options+`).then(r => r.violations)`) {
		var b strings.Builder
		fmt.Fprintf(&b, "%s (%s): %s", v.ID, v.Impact, v.Help)
		for i, n := range v.Nodes {
			if i == 3 {
				fmt.Fprintf(&b, "\n  and %d more", len(v.Nodes)-i)
				break
			}
			fmt.Fprintf(&b, "\n  %.300s\n    %s", n.HTML, strings.ReplaceAll(n.Summary, "\n", "\n    "))
		}
		messages = append(messages, b.String())
	}
	return messages
}

// Accessible fails the test for every rule of axe-core that the page breaks, of those that
// are named if any are.
func (tab *Tab) Accessible(rules ...string) {
	tab.t.Helper()
	for _, v := range tab.Violations(rules...) {
		tab.t.Errorf("accessibility: %s", v)
	}
}
