package notify

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// The limits of Slack's messages, with room to spare: 50 blocks, 3,000 characters in the
// text of a section, 150 in a header. https://docs.slack.dev/reference/block-kit/blocks
const (
	slackSections = 20
	slackText     = 2900
	slackHeader   = 150
)

// A Slack tells a channel of Slack by an incoming webhook.
type Slack struct {
	// URL is the incoming webhook, which is a secret: who has it can write there.
	URL Secret
	// Client is NewClient's, and Agent the user agent.
	Client *http.Client
	Agent  string
}

// Send implements Sender.
func (s *Slack) Send(ctx context.Context, m Message) error {
	body, err := json.Marshal(slackMessage(m))
	if err != nil {
		return fmt.Errorf("write message: %w", err)
	}
	return s.request(body).send(ctx)
}

// Ready reports whether there is a URL to send to.
func (s *Slack) Ready(ctx context.Context) error { return s.request(nil).ready(ctx) }

// request is the call that sends a body.
func (s *Slack) request(body []byte) request {
	return request{
		client: s.Client, method: http.MethodPost, url: s.URL, body: body, agent: s.Agent,
		plain: http.Header{"Content-Type": {"application/json; charset=utf-8"}},
	}
}

// A slackBlock is a block of Block Kit.
type slackBlock struct {
	Type     string      `json:"type"`
	Text     *slackLine  `json:"text,omitempty"`
	Elements []slackLine `json:"elements,omitempty"`
}

// A slackLine is a text in a block.
type slackLine struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

// A slackBody is a message: blocks, and the text for notifications and old clients.
type slackBody struct {
	Text   string       `json:"text"`
	Blocks []slackBlock `json:"blocks"`
}

// slackMessage writes a message in Block Kit.
func slackMessage(m Message) slackBody {
	out := slackBody{Text: slackEscape(m.Title())}
	header := cut(m.Title(), slackHeader)
	out.Blocks = append(out.Blocks, slackBlock{Type: "header", Text: &slackLine{"plain_text", header}})
	all := m.bundles()
	shown := all[:min(len(all), slackSections)]
	for _, b := range shown {
		out.add(slackNotice(b, m.At))
	}
	if rest := slices.Concat(all[len(shown):]...); len(rest) > 0 {
		out.add(slackRest(rest))
	}
	if r := m.Report; r != nil {
		out.report(r)
	}
	if m.About == AboutTest {
		out.add("This channel of gapless works. You need not do anything.")
	}
	out.Blocks = append(out.Blocks, slackBlock{Type: "context", Elements: []slackLine{{"mrkdwn", slackEscape(m.from() + " " + m.Version + ", " + m.At.UTC().Format(time.RFC3339))}}})
	return out
}

// add adds a section.
func (b *slackBody) add(text string) {
	b.Blocks = append(b.Blocks, slackBlock{Type: "section", Text: &slackLine{"mrkdwn", cut(text, slackText)}})
}

// slackMark is the sign in front of a notice.
func slackMark(n Notice) string {
	switch {
	case n.State == StateEnded:
		return ":white_check_mark:"
	case n.Severity == Critical:
		return ":rotating_light:"
	case n.Severity == Warning:
		return ":warning:"
	}
	return ":information_source:"
}

// slackNotice is the text of a notice, or of several that are shown as one.
func slackNotice(n bundle, now time.Time) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s *%s*", slackMark(n[0]), slackEscape(n.headline()))
	if part := n.part(); part != "" {
		fmt.Fprintf(&b, " (%s)", slackEscape(part))
	}
	if names := n.names(); names != "" {
		fmt.Fprintf(&b, "\n%s", slackEscape(cut(names, 800)))
	}
	fmt.Fprintf(&b, "\n%s\n_%s_", slackEscape(cut(n.message(), 1000)), n.timing(now))
	if lead, hint := n.advice(); hint != "" {
		fmt.Fprintf(&b, "\n*%s* %s", slackEscape(lead), slackEscape(cut(hint, 900)))
	}
	return b.String()
}

// slackRest is the text of the notices that have no section of their own.
func slackRest(rest []Notice) string {
	count := make(map[string]int)
	var order []string
	for _, n := range rest {
		key := n.State + " " + n.Kind
		if count[key] == 0 {
			order = append(order, key)
		}
		count[key]++
	}
	slices.Sort(order)
	lines := []string{fmt.Sprintf("and %d more; gapless status shows all:", len(rest))}
	for _, key := range order {
		lines = append(lines, fmt.Sprintf("• %d %s", count[key], slackEscape(key)))
	}
	return strings.Join(lines, "\n")
}

// report adds the sections of a report: start, end, and each tenant's figures.
func (b *slackBody) report(r *Report) {
	b.add(fmt.Sprintf("*Start:* %s\n*End:* %s", r.From.In(r.Zone).Format(time.RFC3339), r.To.In(r.Zone).Format(time.RFC3339)))
	for i, t := range r.Tenants {
		if i == slackSections {
			b.add(fmt.Sprintf("and %d more tenants; gapless status shows all", len(r.Tenants)-i))
			break
		}
		lines := []string{"*" + slackEscape(t.Tenant) + "*"}
		for _, line := range t.lines() {
			lines = append(lines, "*"+line[0]+":* "+slackEscape(cut(line[1], 600)))
		}
		b.add(strings.Join(lines, "\n"))
	}
	var lines []string
	for _, a := range r.On {
		lines = append(lines, fmt.Sprintf(":warning: on since %s: %s", stamp(a.Since), slackEscape(cut(oneLine(a.about()), 300))))
	}
	for _, a := range r.Over {
		lines = append(lines, fmt.Sprintf(":white_check_mark: lasted %s: %s", short(a.Ended.Sub(a.Since)), slackEscape(cut(oneLine(a.about()), 300))))
	}
	if len(lines) > 0 {
		b.add(strings.Join(lines, "\n"))
	}
}

// slackEscape takes the meaning from what Slack would take for markup: a mention, a link.
// https://docs.slack.dev/messaging/formatting-message-text
func slackEscape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s)
}
