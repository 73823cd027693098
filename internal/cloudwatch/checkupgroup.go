package cloudwatch

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	logs "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/aws/smithy-go/middleware"

	"github.com/gaplesslogs/gapless/internal/checkup"
	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// Group looks for the log group. The permission for that is not needed otherwise.
func (k *Checkup) Group(ctx context.Context) []checkup.Finding {
	name := k.want.Destination.LogGroup
	prefix, _, template := strings.Cut(name, "{")
	in := &logs.DescribeLogGroupsInput{Limit: aws.Int32(1)}
	if prefix != "" {
		in.LogGroupNamePrefix = aws.String(prefix)
	}
	out, err := invoke(ctx, k.sink, opDescribeGroups, in, k.sink.client.DescribeLogGroups,
		func(o *logs.DescribeLogGroupsOutput) middleware.Metadata { return o.ResultMetadata })
	switch {
	case accessDenied(err):
		return checkup.One(checkup.Warned("To see it, allow logs:DescribeLogGroups; gapless itself does without.\n"+k.statement(opDescribeGroups),
			"%s: class, retention and key are not known, because logs:DescribeLogGroups is not allowed", name))
	case err != nil:
		return checkup.One(k.refused(ctx, "look for the log group "+name, err))
	case template:
		return checkup.One(checkup.Passed("%s: which groups there are depends on the events", name))
	case len(out.LogGroups) > 0 && aws.ToString(out.LogGroups[0].LogGroupName) == name:
		k.group = &out.LogGroups[0]
		return checkup.One(checkup.Passed("%s is there", name))
	}
	k.groupGone = true
	if !k.sink.config.Create {
		return checkup.One(k.missing(&failure{op: opDescribeGroups, kind: missing, text: "the log group does not exist"}, "the log group %s does not exist, and create is false", name))
	}
	return checkup.One(checkup.Passed("%s is not there yet; the first run makes it", name))
}

// missing is the finding about what is not there and may not be made.
func (k *Checkup) missing(err error, format string, args ...any) checkup.Finding {
	return checkup.Failed(checkup.Configuration, pipeline.Classify(k.sink.missingError(k.want.Destination, err)).Hint, format, args...)
}

// Class looks at the class of the group, which never changes.
func (k *Checkup) Class(context.Context) []checkup.Finding {
	if k.group == nil {
		if c := k.sink.config.LogGroupClass; k.groupGone && c == string(types.LogGroupClassInfrequentAccess) {
			return checkup.One(k.infrequent("will be"))
		}
		return nil
	}
	switch class := k.group.LogGroupClass; class {
	case "", types.LogGroupClassStandard:
		if c := k.sink.config.LogGroupClass; c != "" && c != string(types.LogGroupClassStandard) {
			return checkup.One(checkup.Warned("A class cannot be changed: make another group, or write log_group_class: STANDARD.", "the class is STANDARD, and log_group_class says %s", c))
		}
		return checkup.One(checkup.Passed("the class is STANDARD"))
	case types.LogGroupClassInfrequentAccess:
		return checkup.One(k.infrequent("is"))
	case types.LogGroupClassDelivery:
		return checkup.One(checkup.Failed(checkup.Configuration, "Name another log_group, of the class STANDARD: this class keeps events for a day or two, and is for AWS services.", "the class is DELIVERY"))
	default:
		return checkup.One(checkup.Warned("If logs:GetLogEvents does not work on it (see below), make another group of the class STANDARD.", "the class is %s; what it can do is not known to this release", clean(string(class))))
	}
}

// infrequent is the finding about a class that cannot be read back.
func (*Checkup) infrequent(verb string) checkup.Finding {
	return checkup.Warned("Make a group of the class STANDARD if that matters: a class cannot be changed.",
		"the class %s INFREQUENT_ACCESS, which cannot be read back: after a crash or a lost answer the batches under way are sent again and may be there twice", verb)
}

// Retention compares the retention of the group with the configured one, and with the
// 14 days for which CloudWatch Logs takes old events.
func (k *Checkup) Retention(context.Context) []checkup.Finding {
	if k.group == nil {
		return nil
	}
	days, want := int(aws.ToInt32(k.group.RetentionInDays)), k.sink.config.RetentionDays
	var out []checkup.Finding
	if want != 0 && days != want {
		out = append(out, checkup.Warned(fmt.Sprintf("aws logs put-retention-policy --log-group-name %s --retention-in-days %d%s\nA shorter retention deletes events. Or write retention_days: %d.", quoted(k.want.Destination.LogGroup), want, k.cli(), days),
			"the group keeps events %s, and retention_days says %d; gapless leaves it as it is", forDays(days), want))
	}
	if days > 0 && days < 14 {
		out = append(out, checkup.Warned(fmt.Sprintf("aws logs put-retention-policy --log-group-name %s --retention-in-days 365%s", quoted(k.want.Destination.LogGroup), k.cli()),
			"the group keeps events %s: older ones, as after an outage, are re-stamped or kept aside (too_old), and audits find no more", forDays(days)))
	}
	if out == nil {
		return checkup.One(checkup.Passed("the group keeps events %s", forDays(days)))
	}
	return out
}

// forDays writes a retention.
func forDays(days int) string {
	switch days {
	case 0:
		return "for ever"
	case 1:
		return "for 1 day"
	default:
		return fmt.Sprintf("for %d days", days)
	}
}

// cli is what a command of the AWS CLI needs besides.
func (k *Checkup) cli() string {
	s := " --region " + k.sink.region
	if k.sink.config.Endpoint != "" {
		s += " --endpoint-url " + k.sink.config.Endpoint
	}
	return s
}

// Key compares the KMS key of the group with the configured one.
func (k *Checkup) Key(context.Context) []checkup.Finding {
	want := k.sink.config.KMSKeyID
	if k.group == nil {
		return nil
	}
	switch has := aws.ToString(k.group.KmsKeyId); {
	case want == "" && has == "":
		return nil
	case want != "" && has != want:
		now := "no key of KMS"
		if has != "" {
			now = "the key " + has
		}
		return checkup.One(checkup.Warned(fmt.Sprintf("aws logs associate-kms-key --log-group-name %s --kms-key-id %s%s\nIts policy must allow logs.%s.amazonaws.com to use it.", quoted(k.want.Destination.LogGroup), want, k.cli(), k.sink.region),
			"the group is encrypted with %s, and kms_key_id says %s", now, want))
	default:
		return checkup.One(checkup.Passed("the group is encrypted with %s; whether the key works shows logs_PutLogEvents", has))
	}
}

// Stream looks for the log stream.
func (k *Checkup) Stream(ctx context.Context) []checkup.Finding {
	dest := k.want.Destination
	group, stream := k.templates()
	switch {
	case group:
		return nil
	case k.groupGone:
		k.stream = absent
		return nil
	case stream:
		return checkup.One(checkup.Passed("%s: which streams there are depends on the events", dest.LogStream))
	}
	found, err := k.sink.streamExists(ctx, dest)
	switch {
	case accessDenied(err):
		return checkup.One(checkup.Warned("To see it, allow logs:DescribeLogStreams; gapless itself does without.\n"+k.statement(opDescribeStreams), "%s: not known, because logs:DescribeLogStreams is not allowed", dest.LogStream))
	case is(err, missing):
		k.groupGone, k.stream = true, absent
		if !k.sink.config.Create {
			return checkup.One(k.missing(err, "the log group %s does not exist, and create is false", dest.LogGroup))
		}
		return checkup.One(checkup.Passed("%s is not there yet, nor is its group; the first run makes both", dest.LogStream))
	case err != nil:
		return checkup.One(k.refused(ctx, "look for the log stream "+dest.LogStream, err))
	case found:
		k.stream = present
		return checkup.One(checkup.Passed("%s is there", dest.LogStream))
	}
	k.stream = absent
	if !k.sink.config.Create {
		return checkup.One(k.missing(errNoStream, "the log stream %s does not exist, and create is false", dest.LogStream))
	}
	return checkup.One(checkup.Passed("%s is not there yet; the first run makes it", dest.LogStream))
}

// notThere says why an answer "not found" is a good one: AWS looks at permissions
// before it looks for what is asked of.
const notThere = "allowed: what is asked of is not there yet, and AWS says so instead of refusing"

// MayPut sends an event so old that CloudWatch Logs answers with success and drops it.
func (k *Checkup) MayPut(ctx context.Context) []checkup.Finding {
	err := k.sink.probe(ctx, k.sample(), "")
	switch {
	case is(err, missing) && k.mayBeMissing():
		k.stream = absent // where it could not be seen before
		return checkup.One(checkup.Passed(notThere))
	case is(err, missing):
		return checkup.One(k.missing(err, "the destination does not exist, and create is false"))
	case err != nil:
		return checkup.One(k.refused(ctx, "logs:PutLogEvents", err))
	default:
		return checkup.One(checkup.Passed("allowed: an event of ten years ago was taken, and dropped as too old"))
	}
}

// MayRead reads what is there of this millisecond: with it a batch in doubt is looked
// up.
func (k *Checkup) MayRead(ctx context.Context) []checkup.Finding {
	const without = "after a crash or a lost answer the batches under way are sent again and may be there twice"
	now := k.sink.clock.now().UnixMilli()
	err := k.sink.read(ctx, k.sample(), now, now, func(int64, string) bool { return false })
	switch {
	case err == nil:
		return checkup.One(checkup.Passed("allowed: what may have arrived can be looked up"))
	case is(err, missing):
		return checkup.One(checkup.Passed(notThere))
	case accessDenied(err):
		return checkup.One(checkup.Warned(fmt.Sprintf("Allow logs:GetLogEvents on %s.\n%s", k.resource(opGet), k.statement(opGet)), "not allowed: %s", without))
	case cannotRead(err):
		return checkup.One(checkup.Warned("Make a group of the class STANDARD if that matters.", "the group cannot be read back: %s", without))
	default:
		return checkup.One(k.refused(ctx, "logs:GetLogEvents", err))
	}
}

// MayVerify reads what is there of this moment as a verification does. Without it the
// export works as it does.
func (k *Checkup) MayVerify(ctx context.Context) []checkup.Finding {
	g := Group{Name: k.sample().LogGroup, Class: k.sink.config.LogGroupClass}
	if k.group != nil {
		g.Class = string(k.group.LogGroupClass)
	}
	op, now := opFilter, k.sink.clock.now()
	var err error
	if g.infrequent() {
		op = opStartQuery
		err = k.sink.queryPages(ctx, g.Name, Streams{}, now, now, func(Stored) error { return nil })
	} else {
		err = k.sink.filterPages(ctx, g.Name, Streams{}, "", now, now, func(Stored) error { return nil })
	}
	if f, ok := errors.AsType[*failure](err); ok && f.op != "" {
		op = f.op
	}
	switch {
	case err == nil:
		return checkup.One(checkup.Passed("allowed: verify.schedule can compare what is there with Auth0"))
	case is(err, missing):
		return checkup.One(checkup.Passed(notThere))
	case accessDenied(err):
		return checkup.One(checkup.Warned(fmt.Sprintf("Allow logs:%s on %s, or set verify.schedule: off.\n%s", op, k.resource(op), k.statement(op)),
			"not allowed: verify.schedule cannot compare what is there with Auth0; the export does not need it"))
	default:
		return checkup.One(checkup.Warned("See docs/verify.md, or set verify.schedule: off.", "verify.schedule cannot read the group: %s", clean(err.Error())))
	}
}

// mayBeMissing reports whether the destination is made when it is needed.
func (k *Checkup) mayBeMissing() bool {
	group, stream := k.templates()
	return k.sink.config.Create || group || stream
}

// placeholder is what stands for a value of an event in a template.
var placeholder = regexp.MustCompile(`\{[^{}]*\}`)

// sample is a destination as the templates make it; it is there only by chance.
func (k *Checkup) sample() pipeline.Destination {
	fill := func(s string) string { return placeholder.ReplaceAllString(s, DoctorStream) }
	return pipeline.Destination{LogGroup: fill(k.want.Destination.LogGroup), LogStream: fill(k.want.Destination.LogStream)}
}

// MayCreateStream finds out whether streams can be made, where any will have to be. In
// a group that is not there none is made by asking.
func (k *Checkup) MayCreateStream(ctx context.Context) []checkup.Finding {
	group, stream := k.templates()
	switch {
	case !k.sink.config.Create:
		return nil
	case group || k.groupGone:
		_, err := invoke(ctx, k.sink, opCreateStream, &logs.CreateLogStreamInput{
			LogGroupName: aws.String(k.sample().LogGroup), LogStreamName: aws.String(k.sample().LogStream),
		}, k.sink.client.CreateLogStream, func(o *logs.CreateLogStreamOutput) middleware.Metadata { return o.ResultMetadata })
		return checkup.One(k.asked(ctx, opCreateStream, err))
	case stream:
		return checkup.One(k.simulated(ctx, opCreateStream, "as the names depend on the events"))
	case k.stream == absent:
		return checkup.One(k.simulated(ctx, opCreateStream, "because the stream is not there yet"))
	default:
		return nil // it is there, or the first delivery will tell
	}
}

// asked is the finding about a change that was asked of a group that is not there.
func (k *Checkup) asked(ctx context.Context, op string, err error) checkup.Finding {
	if err == nil || is(err, missing) || is(err, existing) {
		return checkup.Passed(notThere)
	}
	return k.refused(ctx, "logs:"+op, err)
}

// MayCreateGroup finds out whether groups can be made, where any will have to be.
func (k *Checkup) MayCreateGroup(ctx context.Context) []checkup.Finding {
	group, _ := k.templates()
	switch {
	case !k.sink.config.Create:
		return nil
	case group:
		return checkup.One(k.simulated(ctx, opCreateGroup, "as the names depend on the events"))
	case k.groupGone:
		return checkup.One(k.simulated(ctx, opCreateGroup, "because the group is not there yet"))
	default:
		return nil
	}
}

// MaySetRetention finds out whether a group that is made can be given its retention, by
// asking it of one that is not there.
func (k *Checkup) MaySetRetention(ctx context.Context) []checkup.Finding {
	group, _ := k.templates()
	if !k.sink.config.Create || k.sink.config.RetentionDays == 0 || !group && !k.groupGone {
		return nil
	}
	_, err := invoke(ctx, k.sink, opRetention, &logs.PutRetentionPolicyInput{
		LogGroupName: aws.String(k.sample().LogGroup), RetentionInDays: aws.Int32(int32(k.sink.config.RetentionDays)), //nolint:gosec // one of retentionDays
	}, k.sink.client.PutRetentionPolicy, func(o *logs.PutRetentionPolicyOutput) middleware.Metadata { return o.ResultMetadata })
	return checkup.One(k.asked(ctx, opRetention, err))
}

// doctorMessage is what WriteTest writes. It has none of the members by which an event
// of Auth0 is known, and says what it is.
const doctorMessage = `{"gapless_doctor":"Written by gapless doctor --write-test. This is no event of Auth0.","test_id":%q,"written_at":%q}`

// WriteTest writes one message to DoctorStream and reads it back.
func (k *Checkup) WriteTest(ctx context.Context) []checkup.Finding {
	if group, _ := k.templates(); group || k.groupGone {
		return checkup.One(checkup.Skipped("there is no log group to write to yet"))
	}
	dest := pipeline.Destination{LogGroup: k.want.Destination.LogGroup, LogStream: DoctorStream}
	at := k.sink.clock.now()
	message := fmt.Sprintf(doctorMessage, rand.Text(), at.UTC().Format(time.RFC3339Nano))
	err := k.write(ctx, dest, at, message)
	if accessDenied(err) {
		f, _ := errors.AsType[*failure](err)
		return checkup.One(checkup.Warned(fmt.Sprintf("Allow logs:%s on %s for the test; or go by the other checks, as the policy may be for the configured stream alone.", f.op, k.sink.arn(f.op, dest)), "the stream %s may not be written to: %s", DoctorStream, f.text))
	}
	if err != nil {
		return checkup.One(k.refused(ctx, "write to the stream "+DoctorStream, err))
	}
	return checkup.One(k.readBack(ctx, dest, at, message))
}

// write makes the stream, if it is not there, and writes a message.
func (k *Checkup) write(ctx context.Context, dest pipeline.Destination, at time.Time, message string) error {
	put := func() error {
		b := k.sink.bodies.take(dest, []item{{at: at.UnixMilli(), message: []byte(message)}})
		defer k.sink.bodies.release(b)
		_, err := k.sink.put(ctx, dest, b, "")
		return err
	}
	err := put()
	if !is(err, missing) {
		return err
	}
	if err := k.sink.createStream(ctx, dest); err != nil {
		return err
	}
	return put()
}

// readBack looks for a message that was written, until it is there or ctx ends: reads
// of CloudWatch Logs lag behind writes.
func (k *Checkup) readBack(ctx context.Context, dest pipeline.Destination, at time.Time, message string) checkup.Finding {
	began, found := time.Now(), false
	for wait := 250 * time.Millisecond; ; wait = min(2*wait, 2*time.Second) {
		err := k.sink.read(ctx, dest, at.UnixMilli(), at.UnixMilli(), func(_ int64, m string) bool {
			found = found || m == message
			return !found
		})
		took := time.Since(began).Round(time.Millisecond)
		switch {
		case found && took > k.sink.config.InDoubtWait:
			return checkup.Warned(fmt.Sprintf("Set in_doubt_wait: %s.", (2*took).Round(time.Second)), "written to %s, and read back after %s only: in_doubt_wait is shorter", DoctorStream, took)
		case found:
			return checkup.Passed("written to the stream %s, and read back after %s", DoctorStream, took)
		case cannotRead(err):
			return checkup.Warned("See logs_GetLogEvents.", "written to the stream %s, and it cannot be read back", DoctorStream)
		}
		if pipeline.Wait(ctx, wait) != nil {
			return checkup.Warned("Try again with a longer --timeout.", "written to the stream %s, and not seen there within %s", DoctorStream, took)
		}
	}
}
