package config

import (
	"fmt"
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
