package cloudwatch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	logs "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/aws/smithy-go/middleware"
	"golang.org/x/sync/singleflight"
	"golang.org/x/time/rate"

	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// targets sees to it that a destination is made by one caller at a time, and that
// many are not made faster than AWS lets.
type targets struct {
	flight          singleflight.Group
	groups, streams *pace
}

// A pace is the rate of changes of a kind. What AWS throttles halves it, down to one
// a second, as others use the account too; what it carries out raises it again.
type pace struct {
	*rate.Limiter
	most rate.Limit
}

// newPace makes a pace of so many a second at the most, and some at once.
func newPace(most rate.Limit) *pace { return &pace{rate.NewLimiter(most, 2+int(most)/10), most} }

// answered learns from the answer to a change.
func (p *pace) answered(err error) {
	if is(err, throttled) {
		p.SetLimit(max(1, p.Limit()/2))
	} else if p.Limit() < p.most {
		p.SetLimit(min(p.most, p.Limit()+0.5))
	}
}

// How many groups and streams a sink makes in a second: half of what an account may
// in a Region, which are 10 and 50, as others use it too. A group is followed by
// PutRetentionPolicy, of which there may be 5.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/cloudwatch_limits_cwl.html
const (
	groupsPerSecond  = 5
	streamsPerSecond = 25
)

// newTargets makes the paces.
func newTargets() targets {
	return targets{groups: newPace(groupsPerSecond), streams: newPace(streamsPerSecond)}
}

// createTries is how often an operation that collides with another change is tried,
// rateTries how often one that comes too fast all the same is, as others use the
// account too: a retention that is not set now is never set. createWait is the first
// wait between; it doubles up to createWaitMost.
const (
	createTries    = 4
	rateTries      = 8
	createWait     = 250 * time.Millisecond
	createWaitMost = 4 * time.Second
)

// Check asks CloudWatch Logs about a destination, at the start of the program:
// is it there, and if not, can it be made? It needs logs:DescribeLogStreams and,
// to learn the retention, logs:DescribeLogGroups, but does without either: the
// first delivery will tell. Errors are *pipeline.Error.
func (s *Sink) Check(ctx context.Context, dest pipeline.Destination) error {
	if err := validDestination(dest); err != nil {
		return err
	}
	found, err := s.streamExists(ctx, dest)
	switch {
	case accessDenied(err):
		s.logger.LogAttrs(ctx, slog.LevelDebug, "not allowed to look at the log stream; the first delivery will tell", slog.Any("error", err))
		return nil
	case is(err, missing), err == nil && !found:
		if err == nil {
			err = errNoStream
		}
		return s.provision(ctx, dest, err)
	case err != nil:
		return s.explain("check", dest, err)
	}
	s.learnGroup(ctx, dest.LogGroup)
	s.checkReading(ctx, dest)
	return nil
}

// errNoStream says that the group is there and the stream is not.
var errNoStream = &failure{op: opDescribeStreams, kind: missing, text: "the log stream does not exist"}

// accessDenied reports whether a call failed for a permission, rather than for
// the credentials.
func accessDenied(err error) bool {
	f, ok := errors.AsType[*failure](err)
	return ok && f.kind == forbidden && (strings.HasPrefix(f.code, "AccessDenied") || f.code == "UnauthorizedOperation" || f.code == "NotAuthorized")
}

// Refused returns the action that the principal lacks where an error of a Sink says so, such
// as "logs:FilterLogEvents"; empty where it says anything else.
func Refused(err error) (action string) {
	f, ok := errors.AsType[*failure](err)
	if !ok || !accessDenied(err) {
		return ""
	}
	return "logs:" + f.op
}

// streamExists looks for a stream. Names come in order, so that the stream is
// the first of those that start with its name.
func (s *Sink) streamExists(ctx context.Context, dest pipeline.Destination) (bool, error) {
	out, err := invoke(ctx, s, opDescribeStreams, &logs.DescribeLogStreamsInput{
		LogGroupName: aws.String(dest.LogGroup), LogStreamNamePrefix: aws.String(dest.LogStream), Limit: aws.Int32(1),
	}, s.client.DescribeLogStreams, func(o *logs.DescribeLogStreamsOutput) middleware.Metadata { return o.ResultMetadata })
	if err != nil {
		return false, err
	}
	return len(out.LogStreams) > 0 && aws.ToString(out.LogStreams[0].LogStreamName) == dest.LogStream, nil
}

// learnGroup learns the retention of a group that exists and tells when it is
// not the configured one. Nothing depends on it, so that failures are passed over.
func (s *Sink) learnGroup(ctx context.Context, group string) {
	out, err := invoke(ctx, s, opDescribeGroups, &logs.DescribeLogGroupsInput{
		LogGroupNamePrefix: aws.String(group), Limit: aws.Int32(1),
	}, s.client.DescribeLogGroups, func(o *logs.DescribeLogGroupsOutput) middleware.Metadata { return o.ResultMetadata })
	if err != nil || len(out.LogGroups) == 0 || aws.ToString(out.LogGroups[0].LogGroupName) != group {
		s.logger.LogAttrs(ctx, slog.LevelDebug, "the retention of the log group is not known", slog.String("log_group", group), slog.Any("error", err))
		return
	}
	days := int(aws.ToInt32(out.LogGroups[0].RetentionInDays))
	s.windows.retention(group, days, s.clock.now())
	if want := s.config.RetentionDays; want != 0 && want != days {
		s.logger.LogAttrs(ctx, slog.LevelWarn, "the log group has another retention than configured and is left as it is; change it with `aws logs put-retention-policy`",
			slog.String("log_group", group), slog.Int("retention_days", days), slog.Int("configured_days", want))
	}
}

// provision makes what is missing of a destination; cause is the answer that
// said so. Calls for the same destination at the same time share one making.
func (s *Sink) provision(ctx context.Context, dest pipeline.Destination, cause error) error {
	if !s.config.Create {
		return s.missingError(dest, cause)
	}
	_, err, _ := s.targets.flight.Do(dest.LogGroup+":"+dest.LogStream, func() (any, error) {
		return nil, s.create(ctx, dest)
	})
	return err
}

// create makes the stream, and the group before it when that is missing too. An
// existing group thus takes no permission but logs:CreateLogStream.
func (s *Sink) create(ctx context.Context, dest pipeline.Destination) error {
	err := s.createStream(ctx, dest)
	if is(err, missing) {
		if err = s.createGroup(ctx, dest); err == nil {
			err = s.createStream(ctx, dest)
		}
	}
	if err != nil {
		err = s.explain("create", dest, err)
	}
	return err
}

// createStream makes the stream of a destination.
func (s *Sink) createStream(ctx context.Context, dest pipeline.Destination) error {
	made, err := s.make(ctx, s.targets.streams, func() error {
		_, err := invoke(ctx, s, opCreateStream, &logs.CreateLogStreamInput{
			LogGroupName: aws.String(dest.LogGroup), LogStreamName: aws.String(dest.LogStream),
		}, s.client.CreateLogStream, func(o *logs.CreateLogStreamOutput) middleware.Metadata { return o.ResultMetadata })
		return err
	})
	if made {
		s.tellMade(ctx, "log_stream", dest.LogStream, dest.LogGroup)
	}
	return err
}

// createGroup makes the group of a destination as configured. One that another
// process has made meanwhile is left as it is.
func (s *Sink) createGroup(ctx context.Context, dest pipeline.Destination) error {
	in := &logs.CreateLogGroupInput{LogGroupName: aws.String(dest.LogGroup), LogGroupClass: types.LogGroupClass(s.config.LogGroupClass)}
	if len(s.config.Tags) > 0 {
		in.Tags = s.config.Tags
	}
	if s.config.KMSKeyID != "" {
		in.KmsKeyId = aws.String(s.config.KMSKeyID)
	}
	made, err := s.make(ctx, s.targets.groups, func() error {
		_, err := invoke(ctx, s, opCreateGroup, in, s.client.CreateLogGroup,
			func(o *logs.CreateLogGroupOutput) middleware.Metadata { return o.ResultMetadata })
		return err
	})
	if err != nil || !made {
		return err
	}
	s.tellMade(ctx, "log_group", dest.LogGroup, dest.LogGroup)
	s.setRetention(ctx, dest)
	return nil
}

// setRetention gives a group that was made just now its retention. Delivery goes
// on when that is not allowed: a log kept too long can be cut later.
func (s *Sink) setRetention(ctx context.Context, dest pipeline.Destination) {
	days := s.config.RetentionDays
	if days == 0 {
		return
	}
	_, err := s.make(ctx, s.targets.groups, func() error {
		_, err := invoke(ctx, s, opRetention, &logs.PutRetentionPolicyInput{
			LogGroupName: aws.String(dest.LogGroup), RetentionInDays: aws.Int32(int32(days)), //nolint:gosec // one of retentionDays
		}, s.client.PutRetentionPolicy, func(o *logs.PutRetentionPolicyOutput) middleware.Metadata { return o.ResultMetadata })
		return err
	})
	if err != nil {
		s.logger.LogAttrs(ctx, slog.LevelWarn, "the log group keeps its events for ever: its retention could not be set",
			slog.String("log_group", dest.LogGroup), slog.Any("error", err),
			slog.String("hint", fmt.Sprintf("Allow logs:PutRetentionPolicy on %s, or run `aws logs put-retention-policy --log-group-name %s --retention-in-days %d`.", s.arn(opRetention, dest), quoted(dest.LogGroup), days)))
		return
	}
	s.windows.retention(dest.LogGroup, days, s.clock.now())
}

// make carries out a change within a rate: again when it collides with another one
// or is throttled, and well when what it makes is there already. made says whether
// this call did it.
func (s *Sink) make(ctx context.Context, within *pace, change func() error) (made bool, err error) {
	wait := createWait
	for try := 1; ; try++ {
		if err := within.Wait(ctx); err != nil {
			return false, fmt.Errorf("wait for the rate of AWS: %w", err)
		}
		err = change()
		within.answered(err)
		switch {
		case err == nil:
			return true, nil
		case is(err, existing):
			return false, nil
		case is(err, contended) && try < createTries, is(err, throttled) && try < rateTries:
		default:
			return false, err
		}
		if err := pipeline.Wait(ctx, wait); err != nil {
			return false, fmt.Errorf("wait for another change: %w", err)
		}
		wait = min(2*wait, createWaitMost)
	}
}

// tellMade counts and logs something that was made.
func (s *Sink) tellMade(ctx context.Context, resource, what, group string) {
	s.metrics.provisioned.WithLabelValues(resource).Inc()
	attrs := []slog.Attr{slog.String(resource, what)}
	if what != group {
		attrs = append(attrs, slog.String("log_group", group))
	}
	s.logger.LogAttrs(ctx, slog.LevelInfo, "created "+strings.ReplaceAll(resource, "_", " "), attrs...)
}
