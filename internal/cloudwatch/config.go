package cloudwatch

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// The values of Config.Compression.
const (
	// CompressGzip compresses request bodies; CloudWatch Logs takes them, and
	// an endpoint that refuses them is served without from then on.
	CompressGzip = "gzip"
	// CompressNone never compresses.
	CompressNone = "none"
)

// The policies of Config for events that cannot go as they are.
const (
	// Restamp sends an event from outside the time window with the nearest
	// timestamp that is accepted; the message keeps the true date.
	Restamp = "restamp"
	// Trim cuts what is inside "details" until the event fits.
	Trim = "trim"
	// DeadLetter keeps the event back with the reason.
	DeadLetter = "dead_letter"
)

// Config is what a user decides about the delivery to CloudWatch Logs. Start
// from DefaultConfig; Region alone has no default.
type Config struct {
	// Region is the AWS Region of the log groups, such as "eu-central-1". It is
	// never guessed; empty takes what the AWS SDK finds in AWS_REGION or the
	// profile, and it is an error when that is nothing.
	Region string `json:"region" yaml:"region"`
	// Endpoint is the URL of an emulator or a VPC endpoint for CloudWatch Logs;
	// empty for AWS.
	Endpoint string `json:"endpoint" yaml:"endpoint"`
	// Profile names a profile of the shared AWS configuration; empty for the
	// standard credential chain.
	Profile string `json:"profile" yaml:"profile"`
	// RoleARN is a role to assume with the credentials found; empty for none.
	RoleARN string `json:"role_arn" yaml:"role_arn"`
	// ExternalID goes with RoleARN when the role of another account demands it.
	ExternalID string `json:"external_id" yaml:"external_id"`
	// Create allows to create log groups and streams that are missing.
	Create bool `json:"create" yaml:"create"`
	// RetentionDays is the retention given to log groups that gapless creates:
	// 0 for ever, or a value that PutRetentionPolicy takes. Groups that exist
	// are left as they are, because a shorter retention deletes data.
	RetentionDays int `json:"retention_days" yaml:"retention_days"`
	// LogGroupClass is the class given to log groups that gapless creates:
	// STANDARD, INFREQUENT_ACCESS, ESSENTIALS or DELIVERY; empty for AWS's default.
	// A class cannot be changed later.
	LogGroupClass string `json:"log_group_class" yaml:"log_group_class"`
	// KMSKeyID is the ARN of the key given to log groups that gapless creates.
	KMSKeyID string `json:"kms_key_id" yaml:"kms_key_id"`
	// Tags are given to log groups that gapless creates; 50 at most.
	Tags map[string]string `json:"tags" yaml:"tags"`
	// Linger is how long a batch that is not full may wait for more events;
	// 0 to 1 min.
	Linger time.Duration `json:"linger" yaml:"linger"`
	// Compression of request bodies: CompressGzip or CompressNone.
	Compression string `json:"compression" yaml:"compression"`
	// TooOld is the policy for events older than CloudWatch accepts, which is
	// 14 days or the retention of the group: Restamp or DeadLetter.
	TooOld string `json:"too_old" yaml:"too_old"`
	// TooNew is the policy for events more than 2 hours ahead: Restamp or
	// DeadLetter.
	TooNew string `json:"too_new" yaml:"too_new"`
	// TooLarge is the policy for events above 1 MiB: Trim or DeadLetter.
	TooLarge string `json:"too_large" yaml:"too_large"`
	// InDoubtWait is how long after a call whose outcome is unknown its events
	// are looked for, because reads lag behind writes; 0 to 5 min, where 0 looks
	// once.
	InDoubtWait time.Duration `json:"in_doubt_wait" yaml:"in_doubt_wait"`
	// RequestTimeout bounds each call, 1 s to 5 min.
	RequestTimeout time.Duration `json:"request_timeout" yaml:"request_timeout"`
}

// DefaultConfig returns the configuration that suits most.
func DefaultConfig() Config {
	return Config{
		Create:         true,
		Linger:         200 * time.Millisecond,
		Compression:    CompressGzip,
		TooOld:         Restamp,
		TooNew:         Restamp,
		TooLarge:       Trim,
		InDoubtWait:    15 * time.Second,
		RequestTimeout: 30 * time.Second,
	}
}

// filled returns c with the defaults in place of empty texts and of a zero
// timeout.
func (c Config) filled() Config {
	def := DefaultConfig()
	for _, f := range []struct {
		to   *string
		from string
	}{{&c.Compression, def.Compression}, {&c.TooOld, def.TooOld}, {&c.TooNew, def.TooNew}, {&c.TooLarge, def.TooLarge}} {
		if *f.to == "" {
			*f.to = f.from
		}
	}
	if c.RequestTimeout == 0 {
		c.RequestTimeout = def.RequestTimeout
	}
	return c
}

// Validate says which fields cannot work, and why. Empty texts and a zero
// timeout stand for their defaults.
func (c Config) Validate() error {
	c = c.filled()
	var errs []error
	bad := func(field, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s: %s", field, fmt.Sprintf(format, args...)))
	}
	oneOf := func(field, value string, allowed ...string) {
		if !slices.Contains(allowed, value) {
			bad(field, "%q is none of %s", value, strings.Join(allowed, ", "))
		}
	}
	oneOf("compression", c.Compression, CompressGzip, CompressNone)
	oneOf("too_old", c.TooOld, Restamp, DeadLetter)
	oneOf("too_new", c.TooNew, Restamp, DeadLetter)
	oneOf("too_large", c.TooLarge, Trim, DeadLetter)
	oneOf("log_group_class", c.LogGroupClass, "", "STANDARD", "INFREQUENT_ACCESS", "ESSENTIALS", "DELIVERY")
	if c.RetentionDays != 0 && !slices.Contains(retentionDays, c.RetentionDays) {
		bad("retention_days", "%d is not a retention of CloudWatch Logs; take 0 (for ever) or one of %v", c.RetentionDays, retentionDays)
	}
	if c.InDoubtWait < 0 || c.InDoubtWait > 5*time.Minute {
		bad("in_doubt_wait", "%v is not between 0 and 5m", c.InDoubtWait)
	}
	if c.Linger < 0 || c.Linger > time.Minute {
		bad("linger", "%v is not between 0 and 1m", c.Linger)
	}
	if c.RequestTimeout < time.Second || c.RequestTimeout > 5*time.Minute {
		bad("request_timeout", "%v is not between 1s and 5m", c.RequestTimeout)
	}
	if c.ExternalID != "" && c.RoleARN == "" {
		bad("external_id", "it goes with role_arn, which is empty")
	}
	if c.RoleARN != "" && !strings.HasPrefix(c.RoleARN, "arn:") {
		bad("role_arn", "%q is no ARN; it looks like arn:aws:iam::123456789012:role/gapless", c.RoleARN)
	}
	if err := validEndpoint(c.Endpoint); err != nil {
		errs = append(errs, err)
	}
	errs = append(errs, validTags(c.Tags)...)
	return errors.Join(errs...)
}

// validEndpoint checks the URL of an endpoint.
func validEndpoint(endpoint string) error {
	if endpoint == "" {
		return nil
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return errors.New("endpoint: it must be a URL such as http://127.0.0.1:4566")
	}
	return nil
}

// tagForm is what tag keys and values are made of.
// https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_CreateLogGroup.html
var tagForm = regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$`)

// validTags checks the tags of a log group.
func validTags(tags map[string]string) []error {
	var errs []error
	if len(tags) > 50 {
		errs = append(errs, fmt.Errorf("tags: %d are more than the 50 that a log group takes", len(tags)))
	}
	for k, v := range tags {
		switch {
		case k == "" || utf8.RuneCountInString(k) > 128 || !tagForm.MatchString(k):
			errs = append(errs, fmt.Errorf("tags: %q is no key of a tag; 1 to 128 letters, digits, spaces and _.:/=+-@", k))
		case utf8.RuneCountInString(v) > 256 || !tagForm.MatchString(v):
			errs = append(errs, fmt.Errorf("tags: the value of %q is none; 0 to 256 letters, digits, spaces and _.:/=+-@", k))
		}
	}
	return errs
}

// groupForm and streamForm are what names are made of.
// https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_CreateLogStream.html
var (
	groupForm  = regexp.MustCompile(`^[.\-_/#A-Za-z0-9]{1,512}$`)
	streamForm = regexp.MustCompile(`^[^:*]{1,512}$`)
)

// ValidGroup says why a name cannot be that of a log group.
func ValidGroup(name string) error {
	if !groupForm.MatchString(name) || strings.HasPrefix(name, "aws/") {
		return fmt.Errorf("log group %q: a name has 1 to 512 letters, digits and . - _ / # and does not start with aws/", name)
	}
	return nil
}

// ValidStream says why a name cannot be that of a log stream.
func ValidStream(name string) error {
	if !utf8.ValidString(name) || !streamForm.MatchString(name) {
		return fmt.Errorf("log stream %q: a name has 1 to 512 characters and neither : nor *", name)
	}
	return nil
}
