package app

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/gaplesslogs/gapless/internal/cloudwatch"
	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/source"
)

// sqsClient returns how to reach the queue of a tenant.
func (a *App) sqsClient(ctx context.Context, t config.Tenant, built *tenant) (aws.Config, error) {
	reach := built.cfg.AWSForSQS(t)
	cfg, err := cloudwatch.LoadAWS(ctx, cloudwatch.Config{
		Region: reach.Region, Profile: reach.Profile, RoleARN: reach.RoleARN, ExternalID: reach.ExternalID,
		RequestTimeout: 2 * source.LongPoll, // a call waits for messages
	}, cloudwatch.Deps{Logger: built.logger, HTTPClient: a.opts.AWSHTTP, Credentials: a.opts.AWSCredentials, Tenant: t.Name})
	if err != nil {
		return cfg, fmt.Errorf("set up SQS: %w", err)
	}
	return cfg, nil
}

// sqs makes the source of a tenant that reads a queue. Tenants with the same queue
// share it: whoever receives a message, it goes to the one whose event it is.
func (a *App) sqs(ctx context.Context, t config.Tenant, built *tenant) (*source.SQS, error) {
	url, reach := t.SQS.QueueURL, built.cfg.AWSForSQS(t)
	cfg, err := a.sqsClient(ctx, t, built)
	if err != nil {
		return nil, err
	}
	queue := a.queues[url]
	if queue == nil {
		queue = &source.Queue{URL: url, OnStray: func(ctx context.Context, e *pipeline.Error) { a.stray(ctx, url, e) }}
		a.queues[url] = queue
	}
	wait := source.LongPoll
	if a.opts.Once { // somebody waits for the end
		wait = onceWait
	}
	return queue.Join(source.SQSConfig{Receivers: t.SQS.Receivers, Wait: wait, Source: t.SQS.Source, TenantName: t.SQS.TenantName},
		source.NewSQSClient(cfg, url, reach.Endpoint),
		source.SQSDeps{Logger: built.logger, Explain: cloudwatch.ExplainAWS, Registerer: built.registry, Tenant: t.Name}), nil
}

// onceWait is how long a run with Once waits for a message before it takes the queue
// for empty. A call that does not wait at all asks only some of SQS's servers.
const onceWait = time.Second

// strayPart is the part under which messages that belong to nobody are told.
const strayPart = "sqs_routing"

// stray keeps, for each tenant of a queue, that messages in it belong to nobody; nil
// says that it is over. It stops nothing, so that a run with Once need not hear of it.
func (a *App) stray(ctx context.Context, url string, e *pipeline.Error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if e == nil {
		a.opts.Logger.LogAttrs(ctx, slog.LevelInfo, "recovered", slog.String("part", strayPart), slog.String("queue", url))
	} else {
		a.opts.Logger.LogAttrs(ctx, slog.LevelError, "messages stay in the queue", slog.String("part", strayPart), slog.Any("error", e), slog.String("hint", e.Hint))
	}
	for _, t := range a.running() {
		reads := slices.ContainsFunc(t.cfg.Tenants, func(c config.Tenant) bool { return c.Name == t.name && c.SQS.QueueURL == url })
		if !reads {
			continue
		}
		var err error
		if e == nil {
			t.note(strayPart, nil)
			err = t.buffer.ClearCondition(ctx, strayPart)
		} else {
			c := pipeline.Condition{Part: strayPart, Since: time.Now(), Failures: 1, Err: pipeline.Classify(e)}
			t.note(strayPart, &c)
			err = t.buffer.SetCondition(ctx, c)
		}
		if err != nil {
			t.logger.LogAttrs(ctx, slog.LevelWarn, "cannot keep the condition", slog.Any("error", err))
		}
	}
}
