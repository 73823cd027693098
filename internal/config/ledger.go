package config

import (
	"cmp"
	"fmt"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// DigestStream is the log stream that the ledger is published to.
const DigestStream = "gapless-digest"

// Ledger is the record of what was delivered.
type Ledger struct {
	Enabled    bool          `yaml:"enabled" default:"true" doc:"Keep a ledger of what was delivered: for each destination and hour the number of events and a SHA-256 over their log_ids, timestamps and messages, chained to the hour before. Turned off, the chain ends; turned on again, a new one begins and says so. The page docs/audit.md tells what it proves."`
	SealAfter  time.Duration `yaml:"seal_after" default:"1h" min:"5m" max:"168h" doc:"How long after its end an hour is sealed, once all that was read of it is delivered. What comes later is sealed in entries of its own."`
	SigningKey Secret        `yaml:"signing_key" example:"file:/etc/gapless/ledger.pem" doc:"Ed25519 key that signs the entries, as PEM (PKCS #8) or its 32 bytes in base64; 'gapless ledger keygen' makes one. Without it entries are chained and not signed. It is read at the start and on SIGHUP."`
	Directory  string        `yaml:"directory" example:"/var/lib/gapless-ledger" doc:"Directory to publish the ledger to, as an absolute path: one file of JSON lines for each tenant and destination, to which lines are only ever added. Empty publishes to none."`
	CloudWatch bool          `yaml:"cloudwatch" default:"false" doc:"Publish the ledger to CloudWatch Logs too, to the log stream gapless-digest in the log group of each destination."`
	LogGroup   string        `yaml:"log_group" example:"/auth0/ledger" doc:"Log group for the ledger in the place of that of the destination, in the same account and Region. Needed where the log group of a destination holds placeholders other than {tenant}."`
	S3         LedgerS3      `yaml:"s3" doc:"A bucket of Amazon S3 to publish the ledger to, one object for each entry, which is never overwritten. With Object Lock nobody can delete it either."`
}

// LedgerS3 is a bucket that the ledger is published to.
type LedgerS3 struct {
	URL      string `yaml:"url" example:"s3://audit-bucket/gapless" doc:"Bucket, and what the keys of the objects begin with: s3://BUCKET/PREFIX. Objects are PREFIX/TENANT/DESTINATION/YYYY/MM/DD/….json. Empty publishes to none. It is reached with the profile and the role of aws."`
	Region   string `yaml:"region" example:"eu-central-1" doc:"AWS Region of the bucket; that of aws when empty."`
	Endpoint string `yaml:"endpoint" example:"http://127.0.0.1:9000" doc:"Base URL in the place of that of S3, for an emulator, a private endpoint or a store that works as S3 does; then the bucket is in the path. When empty that of aws.endpoint is taken, unless it is one of AWS."`
	KMSKeyID string `yaml:"kms_key_id" example:"arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab" doc:"ARN of the KMS key that encrypts the objects. When empty the bucket decides."`
}

// SplitS3URL returns bucket and prefix of a URL such as s3://BUCKET/PREFIX; ok says
// whether it is one. The prefix has no slash at its ends.
func SplitS3URL(text string) (bucket, prefix string, ok bool) {
	rest, found := strings.CutPrefix(text, "s3://")
	bucket, prefix, _ = strings.Cut(rest, "/")
	prefix = strings.Trim(prefix, "/")
	ok = found && matches(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`, bucket) && len(prefix) <= maxS3Prefix && matches(`^([A-Za-z0-9!_.*'()-]+(/[A-Za-z0-9!_.*'()-]+)*)?$`, prefix)
	return bucket, prefix, ok
}

// maxS3Prefix leaves room in the 1024 bytes of a key for what comes behind it.
const maxS3Prefix = 512

// AWSForLedger returns how to reach the bucket of the ledger.
func (c *Config) AWSForLedger() AWS {
	a := c.AWS
	if isAWSEndpoint(a.Endpoint) { // it is for one service
		a.Endpoint = ""
	}
	a.Region = cmp.Or(c.Ledger.S3.Region, a.Region)
	a.Endpoint = cmp.Or(c.Ledger.S3.Endpoint, a.Endpoint)
	return a
}

// isAWSEndpoint reports whether a base URL is of AWS.
func isAWSEndpoint(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (strings.HasSuffix(u.Hostname(), ".amazonaws.com") || strings.HasSuffix(u.Hostname(), ".amazonaws.com.cn"))
}

// checkLedgerS3 checks the bucket.
func (l *loader) checkLedgerS3(b *LedgerS3) {
	if _, _, ok := SplitS3URL(b.URL); b.URL != "" && !ok {
		l.complain("ledger.s3.url", quote(b.URL)+" is not the URL of a bucket", "Write it like s3://audit-bucket/gapless: the prefix of letters, digits, / and -_.!*'(), at most 512.")
	}
	l.checkEndpoint("ledger.s3.endpoint", b.Endpoint)
	if len(b.KMSKeyID) > 256 {
		l.complain("ledger.s3.kms_key_id", "is longer than 256 characters", "Write the ARN of the key.")
	}
}

// DigestGroup returns the log group that the ledger of a destination is published to.
func (l *Ledger) DigestGroup(tenant string, cw *CloudWatch) string {
	group := l.LogGroup
	if group == "" {
		group = cw.LogGroup
	}
	return strings.ReplaceAll(group, "{tenant}", tenant)
}

// checkLedger checks where the ledger is published to.
func (l *loader) checkLedger(c *Config) {
	k := &c.Ledger
	if k.Directory != "" && !filepath.IsAbs(k.Directory) {
		l.complain("ledger.directory", quote(k.Directory)+" is not an absolute path", "Write it from the root on, such as /var/lib/gapless-ledger.")
	}
	if k.LogGroup != "" {
		l.checkTemplate("ledger.log_group", k.LogGroup, "t", groupRules)
	}
	l.checkLedgerS3(&k.S3)
	if !k.CloudWatch || !k.Enabled {
		return
	}
	for i := range c.Tenants {
		t := &c.Tenants[i]
		check := func(path string, cw *CloudWatch) {
			if strings.Contains(k.DigestGroup(t.Name, cw), "{") {
				l.complain("ledger.log_group", fmt.Sprintf("is not set, or depends on events, and so does %slog_group", path), "Set ledger.log_group to a group without placeholders.")
			}
		}
		path := "tenants." + strconv.Itoa(i) + "."
		check(path+"cloudwatch.", &t.CloudWatch)
		for n := range t.Destinations {
			check(path+"destinations."+strconv.Itoa(n)+".", &t.Destinations[n].CloudWatch)
		}
	}
}
