package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	logs "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	snstypes "github.com/aws/aws-sdk-go-v2/service/sns/types"

	"github.com/gaplesslogs/gapless/internal/cloudwatch"
	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/notify"
	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// notifySettings makes the channels of a configuration. It calls nobody: a channel that
// cannot be told is no reason not to export.
func (a *App) notifySettings(ctx context.Context, cfg *config.Config) (notify.Settings, error) {
	f := &courier{opts: a.opts, cfg: cfg, secrets: a.secrets, client: notify.NewClient(a.opts.NotifyHTTP), read: make(map[string]time.Time)}
	s, err := f.settings(ctx)
	if err != nil {
		return s, fmt.Errorf("notify: %w", err)
	}
	return s, nil
}

// A courier makes channels.
type courier struct {
	opts    Options
	cfg     *config.Config
	secrets *secrets
	client  *http.Client

	mu   sync.Mutex
	read map[string]time.Time // when secrets in AWS were last read, by reference
}

// settings makes all of them.
func (f *courier) settings(ctx context.Context) (notify.Settings, error) {
	n := &f.cfg.Notify
	t := n.Thresholds
	s := notify.Settings{Repeat: n.Repeat, Instance: n.Instance, Thresholds: notify.Thresholds{
		DeliveryLag: t.DeliveryLag, DeliveryLagCritical: t.DeliveryLagCritical, FetchFailing: t.FetchFailing, DestinationFailing: t.DestinationFailing,
		Quiet: t.Quiet, BufferUsed: t.BufferUsed, DiskFree: int64(t.DiskFree), CertificateEnds: t.CertificateEnds, RateLimited: t.RateLimited,
	}}
	agent := "gapless/" + f.opts.Version
	for _, c := range n.Slack {
		s.Channels = append(s.Channels, f.report(c.NotifyChannel, c.NotifyReport, &notify.Slack{URL: f.secret(c.WebhookURL), Client: f.client, Agent: agent}))
	}
	for _, c := range n.Webhook {
		w := &notify.Webhook{URL: f.secret(c.URL), Client: f.client, Agent: agent}
		if !c.SigningKey.IsZero() {
			w.Key = f.secret(c.SigningKey)
		}
		for _, h := range c.Headers {
			w.Headers = append(w.Headers, notify.Header{Name: h.Name, Value: f.secret(h.Value)})
		}
		s.Channels = append(s.Channels, f.report(c.NotifyChannel, c.NotifyReport, w))
	}
	for _, c := range n.SNS {
		api, err := f.sns(ctx, c)
		if err != nil {
			return s, fmt.Errorf("%s: %w", c.Name, err)
		}
		s.Channels = append(s.Channels, f.report(c.NotifyChannel, c.NotifyReport, &notify.Topic{ARN: c.TopicARN, API: api, Explain: explainSend}))
	}
	for _, c := range n.EMF {
		api, err := f.logs(ctx, c)
		if err != nil {
			return s, fmt.Errorf("%s: %w", c.Name, err)
		}
		s.Channels = append(s.Channels, notify.Channel{Name: c.Name, Filter: filterOf(c.NotifyChannel, notify.Warning), Every: c.Every, Beater: &notify.EMF{
			Group: c.LogGroup, Stream: c.LogStream, Namespace: c.Namespace, Instance: n.Instance, API: api, Explain: explainSend,
		}})
	}
	for _, c := range n.Heartbeat {
		h := &notify.Heartbeat{URL: f.secret(c.URL), Method: c.Method, Client: f.client, Agent: agent}
		if !c.FailURL.IsZero() {
			h.FailURL = f.secret(c.FailURL)
		}
		s.Channels = append(s.Channels, notify.Channel{Name: c.Name, Filter: filterOf(c.NotifyChannel, notify.Critical), Every: c.Every, Beater: h})
	}
	return s, nil
}

// filterOf is the filter of a channel, with the severity that it has by default.
func filterOf(c config.NotifyChannel, least notify.Severity) notify.Filter {
	if c.Severity != "" {
		least = notify.Severity(c.Severity)
	}
	return notify.Filter{Severity: least, Tenants: c.Tenants, Kinds: c.Kinds}
}

// report makes a channel for people.
func (*courier) report(c config.NotifyChannel, r config.NotifyReport, sender notify.Sender) notify.Channel {
	out := notify.Channel{Name: c.Name, Filter: filterOf(c, notify.Warning), Sender: sender}
	if r.Success {
		out.Every = r.SuccessEvery
	}
	hour, minute, zone, ok := r.Clock()
	if out.Zone = zone; ok {
		out.Report = &notify.Clock{Hour: hour, Minute: minute, Zone: zone}
	}
	return out
}

// secret returns what looks a secret up whenever it is needed, so that one which was
// rotated is used from then on: in a file each time, in AWS as often as secrets.refresh
// says. One that cannot be read has the value that it had before.
func (f *courier) secret(s config.Secret) notify.Secret {
	return func(ctx context.Context) (string, error) {
		if !s.IsRemote() {
			return f.secrets.latest(ctx, s)
		}
		f.mu.Lock()
		at, every := f.read[s.Reference()], f.cfg.Secrets.Refresh
		f.mu.Unlock()
		if !at.IsZero() && (every == 0 || time.Since(at) < every) {
			if v, ok := f.secrets.last(s); ok {
				return v, nil
			}
		}
		v, err := f.secrets.latest(ctx, s)
		if err == nil {
			f.mu.Lock()
			f.read[s.Reference()] = time.Now()
			f.mu.Unlock()
		}
		return v, err
	}
}

// aws loads the configuration of AWS for a channel in a Region.
func (f *courier) aws(ctx context.Context, region string) (aws.Config, error) {
	c := f.cfg.AWS
	return cloudwatch.LoadAWS(ctx, cloudwatch.Config{
		Region: region, Endpoint: c.Endpoint, Profile: c.Profile, RoleARN: c.RoleARN, ExternalID: c.ExternalID, RequestTimeout: notifyTimeout,
	}, cloudwatch.Deps{Logger: f.opts.Logger, HTTPClient: f.opts.AWSHTTP, Credentials: f.opts.AWSCredentials, Tenant: "notify"})
}

// notifyTimeout bounds a call to AWS for a channel.
const notifyTimeout = 10 * time.Second

// sns makes the client for a topic.
func (f *courier) sns(ctx context.Context, c config.NotifySNS) (notify.SNSAPI, error) {
	cfg, err := f.aws(ctx, config.RegionOfTopic(c.TopicARN))
	if err != nil {
		return nil, err
	}
	return sns.NewFromConfig(cfg, func(o *sns.Options) {
		if f.cfg.AWS.Endpoint != "" {
			o.BaseEndpoint = aws.String(f.cfg.AWS.Endpoint)
		}
	}), nil
}

// logs makes the client for metrics.
func (f *courier) logs(ctx context.Context, c config.NotifyEMF) (notify.LogsAPI, error) {
	region := c.Region
	if region == "" {
		region = f.cfg.AWS.Region
	}
	cfg, err := f.aws(ctx, region)
	if err != nil {
		return nil, err
	}
	return logs.NewFromConfig(cfg, func(o *logs.Options) {
		if f.cfg.AWS.Endpoint != "" {
			o.BaseEndpoint = aws.String(f.cfg.AWS.Endpoint)
		}
	}), nil
}

// explainSend says what an error of a call to AWS means for a channel.
func explainSend(doing, operation string, err error) *notify.SendError {
	e := cloudwatch.ExplainAWS(doing, operation, err)
	out := &notify.SendError{Text: e.Error(), Hint: e.Hint, RetryAfter: e.RetryAfter}
	if _, gone := errors.AsType[*snstypes.NotFoundException](err); gone {
		out.Lasting, out.Misconfigured = true, true
		out.Hint = "There is no topic of this ARN: `aws sns list-topics` shows those that there are."
		return out
	}
	switch e.Class {
	case pipeline.Unauthorized:
		out.Lasting, out.Refused = true, true
		if out.Hint == "" {
			out.Hint = "Allow the action to gapless, and see whether the name is right: docs/alerts.md says which action each channel needs."
		}
	case pipeline.Misconfigured:
		out.Lasting, out.Misconfigured = true, true
	default: // it passes
	}
	return out
}
