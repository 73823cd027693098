package auth0

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/gaplesslogs/gapless/internal/checkup"
)

// checkedStream is what is looked at of a log stream (Management API, GET
// /api/v2/log-streams). It holds the secret of the stream: it is never printed.
type checkedStream struct {
	ID      string            `json:"id"`
	Name    string            `json:"name"`
	Type    string            `json:"type"`
	Status  string            `json:"status"`
	Filters []json.RawMessage `json:"filters"`
	Sink    struct {
		Endpoint string `json:"httpEndpoint"`
		Token    string `json:"httpAuthorization"`
		Source   string `json:"awsPartnerEventSource"`
	} `json:"sink"`
}

// Streams looks at the log streams of the tenant: one that brings its events must be
// active. It needs the permission read:log_streams, which gapless itself does not.
func (k *Checkup) Streams(ctx context.Context) []checkup.Finding {
	if k.known && !slices.Contains(k.scopes, scopeStreams) {
		if !k.pushed() {
			return nil // nobody asks about them
		}
		return checkup.One(checkup.Skipped("the state of the log stream cannot be seen: the application would need %s (its answer shows the webhook's token, so leave it out where nobody needs it)", scopeStreams))
	}
	list, err := k.fetchStreams(ctx)
	if err != nil {
		if e, ok := errors.AsType[*Error](err); ok && e.Kind == Forbidden {
			return checkup.One(checkup.Skipped("the state of the log stream cannot be seen: the application would need %s", scopeStreams))
		}
		if _, ok := errors.AsType[*Error](err); !ok {
			return checkup.One(late(ctx, "the log streams could not be read", err))
		}
		return checkup.One(checkup.Warned("Try again.", "the log streams cannot be read: %s", err.Error()))
	}
	return k.judgeStreams(list)
}

// fetchStreams asks for the list of log streams, which has no pages.
func (k *Checkup) fetchStreams(ctx context.Context) ([]checkedStream, error) {
	c := k.client
	op := operation{"log_streams", "list log streams", BadRequest, c.limiter}
	if _, err := op.limiter.wait(ctx); err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base.JoinPath("/api/v2/log-streams").String(), http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+k.token)
	r, err := c.exchange(ctx, op, req)
	if err != nil {
		return nil, err
	}
	if r.status != http.StatusOK {
		return nil, c.failure(op, r, k.token)
	}
	var list []checkedStream
	if json.Unmarshal(r.body, &list) != nil { // its error may quote a secret
		return nil, &Error{Op: op.tries, Status: r.status, Kind: Transient, Message: "the answer is no list of log streams"}
	}
	return list, nil
}

// judgeStreams looks for the streams that lead here.
func (k *Checkup) judgeStreams(list []checkedStream) (out []checkup.Finding) {
	webhook, queue := 0, 0
	for _, s := range list {
		u, err := url.Parse(s.Sink.Endpoint)
		switch {
		case s.Type == "http" && k.want.WebhookPath != "" && err == nil && strings.TrimSuffix(u.Path, "/") == k.want.WebhookPath:
			webhook++
			k.endpoint = append(k.endpoint, u.Hostname())
			out = append(out, k.judgeStream(s, "sends to "+oneLine(u.Host)+u.Path, len(k.want.Tokens) > 0))
		case s.Type == "eventbridge" && k.want.Queue && (k.want.PartnerSource == "" || s.Sink.Source == k.want.PartnerSource):
			queue++
			out = append(out, k.judgeStream(s, "sends to EventBridge", false))
		}
	}
	if k.want.WebhookPath != "" && webhook == 0 {
		out = append(out, checkup.Warned(fmt.Sprintf("Auth0 Dashboard of %s, Monitoring, Streams: make a Custom Webhook that sends to https://HOST%s, or correct the one there is.", k.client.base.Host, k.want.WebhookPath),
			"none of %d log streams sends to %s; one behind a proxy that changes the path would not be found", len(list), k.want.WebhookPath))
	}
	if k.want.Queue && queue == 0 {
		fix := "Auth0 Dashboard of " + k.client.base.Host + ", Monitoring, Streams: make one of the type Amazon EventBridge."
		if k.want.PartnerSource != "" {
			fix += " Then write its partner event source into sqs.source."
		}
		out = append(out, checkup.Warned(fix, "none of %d log streams is the EventBridge stream of the queue", len(list)))
	}
	if !k.pushed() {
		out = append(out, checkup.Passed("the tenant is polled; none of its %d log streams is needed", len(list)))
	}
	return out
}

// judgeStream says whether a stream that leads here works.
func (k *Checkup) judgeStream(s checkedStream, where string, token bool) checkup.Finding {
	name := fmt.Sprintf("the log stream %q (%s)", oneLine(s.Name), oneLine(s.ID))
	dashboard := fmt.Sprintf("Auth0 Dashboard of %s, Monitoring, Streams, %s", k.client.base.Host, oneLine(s.Name))
	switch s.Status {
	case "active":
	case "suspended":
		return checkup.Failed("", dashboard+", Health: see the errors, mend what they tell of, then resume the stream. Auth0 has suspended it after failures.", "%s %s and is suspended", name, where)
	case "paused":
		return checkup.Failed("", dashboard+": resume the stream. What waits for it is lost after the retention of the tenant.", "%s %s and is paused", name, where)
	default:
		return checkup.Failed("", dashboard+": bring it back to active.", "%s %s and is in the state %q", name, where, oneLine(s.Status))
	}
	match := func(t string) bool { return subtle.ConstantTimeCompare([]byte(t), []byte(s.Sink.Token)) == 1 }
	if token && !slices.ContainsFunc(k.want.Tokens, match) {
		return checkup.Failed(checkup.Authorization, dashboard+", Settings: write into Authorization Token what webhook.token says.", "%s %s with another token than webhook.token", name, where)
	}
	if len(s.Filters) > 0 {
		return checkup.Warned(dashboard+", Settings: take the filter out, unless it is meant.", "%s %s, and its filter leaves events out", name, where)
	}
	return checkup.Passed("%s %s and is active", name, where)
}

// Endpoints returns the host names that log streams send the tenant's events to, as
// far as Streams has seen them.
func (k *Checkup) Endpoints() []string { return k.endpoint }
