package cli

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/web"
)

// A pick says which events are shown; all that is given must hold.
type pick struct {
	types            []string
	failed           bool
	user, client, ip string
	grep             string

	prefix netip.Prefix   // of ip, when it is an address or a CIDR prefix
	form   *regexp.Regexp // of grep
}

// addPickFlags gives cmd the flags that pick events.
func addPickFlags(cmd *cobra.Command) *pick {
	p := &pick{}
	f := cmd.Flags()
	f.StringSliceVar(&p.types, "type", nil, "events of a `TYPE`: a code such as fp, a title such as \"Failed Login\", or either with * for anything; may be repeated")
	f.BoolVar(&p.failed, "failed", false, "what went wrong or warns: the severities warning, error and critical")
	f.StringVar(&p.user, "user", "", "`PART` of the user's name or ID; case does not matter")
	f.StringVar(&p.client, "client", "", "`PART` of the application's name or client ID; case does not matter")
	f.StringVar(&p.ip, "ip", "", "from an `ADDRESS`, the beginning of one, or a CIDR prefix such as 203.0.113.0/24")
	f.StringVar(&p.grep, "grep", "", "messages in which a regular `EXPRESSION` matches; case does not matter")
	_ = cmd.RegisterFlagCompletionFunc("type", completeTypes) // fails only for a flag that is not there
	return p
}

// completeTypes offers the codes of the catalogue.
func completeTypes(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var list []cobra.Completion
	for _, t := range event.Types() {
		list = append(list, cobra.CompletionWithDesc(t.Code, t.Title))
	}
	return list, cobra.ShellCompDirectiveNoFileComp
}

// check reads what was given, and notes on w what looks like a slip.
func (p *pick) check(cmd *cobra.Command, w io.Writer) (err error) {
	for _, t := range p.types {
		if _, err := path.Match(t, ""); err != nil || t == "" {
			return usageError(cmd, "--type: %q is no pattern", t)
		}
		if !strings.ContainsAny(t, "*?[") && !slices.ContainsFunc(event.Types(), func(k event.Type) bool { return matchesType(t, k) }) {
			fmt.Fprintf(w, "Note: gapless knows no type %q; looking for the code all the same.\n", web.Plain(t))
		}
	}
	if p.grep != "" {
		if p.form, err = regexp.Compile("(?i)" + p.grep); err != nil {
			return usageError(cmd, "--grep: %w", err)
		}
	}
	if p.ip == "" {
		return nil
	}
	if strings.Contains(p.ip, "/") {
		if p.prefix, err = netip.ParsePrefix(p.ip); err != nil {
			return usageError(cmd, "--ip: %w", err)
		}
	} else if a, err := netip.ParseAddr(p.ip); err == nil {
		p.prefix = netip.PrefixFrom(a, a.BitLen())
	} else if strings.Trim(strings.ToLower(p.ip), "0123456789abcdef.:") != "" {
		return usageError(cmd, "--ip: %q is no address, nor the beginning of one", p.ip)
	}
	return nil
}

// matches reports whether an event is picked.
func (p *pick) matches(s *seenEvent) bool {
	switch {
	case len(p.types) > 0 && !slices.ContainsFunc(p.types, func(t string) bool { return matchesType(t, s.kind) }),
		p.failed && s.kind.Severity < event.Warning,
		p.user != "" && !within(s.userName, p.user) && !within(s.userID, p.user),
		p.client != "" && !within(s.clientName, p.client) && !within(s.clientID, p.client),
		p.ip != "" && !slices.ContainsFunc(s.ips, p.matchesIP),
		p.form != nil && !p.form.Match(s.Message):
		return false
	default:
		return true
	}
}

// matchesType reports whether a pattern is about a type, by its code or its title.
func matchesType(pattern string, k event.Type) bool {
	byCode, _ := path.Match(pattern, k.Code)
	byTitle, _ := path.Match(strings.ToLower(pattern), strings.ToLower(k.Title))
	return byCode || byTitle
}

// within reports whether a text holds another one in any case.
func within(s, part string) bool { return strings.Contains(strings.ToLower(s), strings.ToLower(part)) }

// matchesIP reports whether an address is one of those that are picked.
func (p *pick) matchesIP(ip string) bool {
	if !p.prefix.IsValid() {
		return strings.HasPrefix(strings.ToLower(ip), strings.ToLower(p.ip))
	}
	a, err := netip.ParseAddr(ip)
	return err == nil && (p.prefix.Contains(a) || p.prefix.Contains(a.Unmap()))
}

// maxFilterPattern is the longest filter pattern (FilterLogEvents in the API reference).
const maxFilterPattern = 1024

// plainCode is the form of a code that means itself in a filter pattern.
var plainCode = regexp.MustCompile(`^[a-z0-9_]+$`)

// pattern returns a filter pattern of CloudWatch Logs that finds all events that are
// picked, and as few others as it can; empty finds all. It looks at the message as
// gapless sends it, and into the envelopes that it keeps when they alone know the log_id.
// What upper and lower case or a part of a text decide is left to matches.
func (p *pick) pattern() string {
	var all []string
	if codes := p.exactCodes(); codes != nil {
		all = append(all, anyOf([]string{"type", "data.type", "detail.data.type"}, codes))
	}
	if p.prefix.IsValid() && p.prefix.Addr().Is4() && p.prefix.IsSingleIP() { // another one may be written in several ways
		all = append(all, anyOf([]string{
			"ip", "client_ip", "details.request.ip", "data.ip", "data.client_ip", "data.details.request.ip",
			"detail.data.ip", "detail.data.client_ip", "detail.data.details.request.ip",
		}, []string{p.prefix.Addr().String(), "::ffff:" + p.prefix.Addr().String()}))
	}
	if all == nil {
		return ""
	}
	if text := "{ " + strings.Join(all, " && ") + " }"; len(text) <= maxFilterPattern {
		return text
	}
	return ""
}

// anyOf says that one of some members has one of some values.
func anyOf(members, values []string) string {
	var list []string
	for _, m := range members {
		for _, v := range values {
			list = append(list, `($.`+m+` = "`+v+`")`)
		}
	}
	return "(" + strings.Join(list, " || ") + ")"
}

// exactCodes returns the codes that are picked, nil when new ones may be among them.
func (p *pick) exactCodes() (codes []string) {
	for _, t := range p.types {
		if strings.ContainsAny(t, `*?[\`) {
			return nil
		}
		before := len(codes)
		if plainCode.MatchString(t) {
			codes = append(codes, t)
		}
		for _, k := range event.Types() {
			if k.Code != t && matchesType(t, k) {
				codes = append(codes, k.Code)
			}
		}
		if len(codes) == before {
			return nil // it cannot be written
		}
	}
	return codes
}

// errNoCIDR says that a query does not take a prefix.
var errNoCIDR = errors.New("a query of Logs Insights takes a whole address")

// commands returns what is picked as the beginning of a query of Logs Insights.
func (p *pick) commands() (string, error) {
	var list []string
	if len(p.types) > 0 || p.failed {
		var codes []string
		for _, k := range event.Types() {
			if (len(p.types) == 0 || slices.ContainsFunc(p.types, func(t string) bool { return matchesType(t, k) })) && (!p.failed || k.Severity >= event.Warning) {
				codes = append(codes, insightsText(k.Code))
			}
		}
		for _, t := range p.types {
			if plainCode.MatchString(t) && !event.Lookup(t).Known {
				codes = append(codes, insightsText(t))
			}
		}
		if codes == nil {
			codes = []string{`""`} // nothing is
		}
		list = append(list, "filter type in ["+strings.Join(codes, ", ")+"]")
	}
	part := func(value string, names ...string) {
		if value == "" {
			return
		}
		var either []string
		for _, n := range names {
			either = append(either, "tolower("+n+") like "+insightsText(strings.ToLower(value)))
		}
		list = append(list, "filter "+strings.Join(either, " or "))
	}
	part(p.user, "user_name", "user_id")
	part(p.client, "client_name", "client_id")
	if p.ip != "" {
		if !p.prefix.IsValid() || !p.prefix.IsSingleIP() {
			return "", errNoCIDR
		}
		ip := insightsText(p.ip)
		list = append(list, "filter ip = "+ip+" or client_ip = "+ip+" or details.request.ip = "+ip)
	}
	if p.grep != "" {
		list = append(list, "filter @message like /(?i)"+strings.ReplaceAll(p.grep, "/", `\/`)+"/")
	}
	if list == nil {
		return "", nil
	}
	return strings.Join(list, "\n| ") + "\n| ", nil
}

// insightsText writes a text of a query.
func insightsText(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", " ", "\r", " ").Replace(s) + `"`
}
