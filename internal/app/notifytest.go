package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"

	"github.com/gaplesslogs/gapless/internal/checkup"
	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/notify"
)

// ErrNoChannel says that a channel is not configured, or that none is.
var ErrNoChannel = errors.New("no such channel is configured")

// TestChannels sends a test, marked as one, through the channels of a configuration: the
// named one, or all when the name is empty. It needs no App, and works beside one. The
// error is that of the configuration; wraps ErrNoChannel.
func TestChannels(ctx context.Context, opts Options, name string) ([]notify.Result, error) {
	opts.Logger = slog.New(slog.DiscardHandler) // what matters is in the results
	a := &App{opts: opts, secrets: newSecrets(opts.Secrets)}
	s, err := a.notifySettings(ctx, opts.Config)
	if err != nil {
		return nil, err
	}
	channels := slices.DeleteFunc(slices.Clone(s.Channels), func(c notify.Channel) bool { return name != "" && c.Name != name })
	if len(channels) == 0 {
		return nil, fmt.Errorf("test %s: %w", name, ErrNoChannel)
	}
	return notify.Test(ctx, s, opts.Version, channels), nil
}

// channels makes the checks of the channels of notify, a section for each. Nothing is
// sent: of a URL only the root of its host is called.
func (d *Doctor) channels() (list []checkup.Section) {
	n := &d.Config.Notify
	section := func(name string, checks ...checkup.Check) {
		list = append(list, checkup.Section{Title: "notify: " + name, Checks: checks})
	}
	post := func(check, name, setting string, secret config.Secret) checkup.Check {
		return checkup.Check{Name: check, Run: func(ctx context.Context) []checkup.Finding {
			return checkup.One(d.postURL(ctx, name, setting, secret))
		}}
	}
	for i, c := range n.Slack {
		section(c.Name, post("channel_url", c.Name, fmt.Sprintf("notify.slack.%d.webhook_url", i), c.WebhookURL))
	}
	for i, c := range n.Webhook {
		section(c.Name, post("channel_url", c.Name, fmt.Sprintf("notify.webhook.%d.url", i), c.URL))
	}
	for i, c := range n.Heartbeat {
		checks := []checkup.Check{post("channel_url", c.Name, fmt.Sprintf("notify.heartbeat.%d.url", i), c.URL)}
		if !c.FailURL.IsZero() {
			checks = append(checks, post("channel_fail_url", c.Name, fmt.Sprintf("notify.heartbeat.%d.fail_url", i), c.FailURL))
		}
		section(c.Name, checks...)
	}
	for _, c := range n.SNS {
		section(c.Name, checkup.Check{Name: "channel_aws", Run: d.channelAWS})
	}
	for _, c := range n.EMF {
		section(c.Name, checkup.Check{Name: "channel_aws", Run: d.channelAWS})
	}
	return list
}

// channelAWS finds out whether the client of a channel in AWS could be made.
func (d *Doctor) channelAWS(ctx context.Context) []checkup.Finding {
	a := &App{opts: d.Options, secrets: newSecrets(d.Secrets)}
	if _, err := a.notifySettings(ctx, d.Config); err != nil {
		return checkup.One(d.notSetUp(err))
	}
	return checkup.One(checkup.Skipped("what it may do there cannot be seen without sending: gapless notify test sends"))
}

// slackHost is where incoming webhooks of Slack lead.
const slackHost = "hooks.slack.com"

// postURL looks at the URL of a channel, which is a secret, and at the way to its host.
func (d *Doctor) postURL(ctx context.Context, name, setting string, secret config.Secret) checkup.Finding {
	text, err := secret.Resolve(ctx, d.Secrets)
	if err != nil {
		return checkup.Skipped("the URL of %s is not known, because secrets failed", name)
	}
	u, uerr := url.Parse(text)
	if err := notify.CheckURL(text); err != nil || uerr != nil {
		return checkup.Failed(checkup.Configuration, "Put the whole URL there, such as https://"+slackHost+"/services/...", "%s of %s leads to no URL with https", setting, name)
	}
	client := notify.NewClient(d.NotifyHTTP)
	found, _ := checkup.Reach(ctx, checkup.Route{
		Whose: "the channel " + name, URL: u.Scheme + "://" + u.Host + "/", Client: client, Setting: setting, CAVariable: "SSL_CERT_FILE", LookupEnv: d.Secrets.LookupEnv,
	})
	if found.Status == checkup.Pass {
		found.Summary = name + ": " + found.Summary + "; gapless notify test sends something"
		if strings.Contains(setting, "slack") && u.Host != slackHost && u.Scheme == "https" && !strings.HasPrefix(u.Host, "hooks.slack") {
			return checkup.Warned("Check that the URL is an incoming webhook of Slack; what speaks its format, such as Mattermost, is well.", "%s leads to %s, which is not Slack", setting, u.Host)
		}
	}
	return found
}
