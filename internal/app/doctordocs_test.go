package app_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/emulator/sqs"
)

// TestChecksAreDocumented holds that the table of docs/doctor.md names each check that a
// set-up with everything makes, in its order, and those that come where something is
// missing.
func TestChecksAreDocumented(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "doctor.md"))
	if err != nil {
		t.Fatal(err)
	}
	var documented []string
	for _, row := range regexp.MustCompile("(?m)^\\| (`[^|]*) \\|").FindAllStringSubmatch(string(page), -1) {
		for _, name := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(row[1], -1) {
			documented = append(documented, name[1])
		}
	}
	c := newClinic(t)
	c.pushes(webhookToken)
	c.queue = sqs.New(sqs.Options{})
	c.queue.Create("auth0", sqs.Queue{})
	c.doctor.WriteTest = true
	c.one().CloudWatch.KMSKeyID = "arn:aws:kms:us-east-1:123456789012:key/1234abcd"
	_, cert, key := certified(t, 0, 0, nil, nil)
	c.cfg.Webhook.TLS = config.TLS{CertFile: cert, KeyFile: key}
	at := -1
	for _, r := range c.examine() {
		i := slices.Index(documented, r.Check)
		if i < at {
			t.Errorf("%s is not documented, or not in its place", r.Check)
		}
		at = i
	}
	for _, name := range []string{"aws_role", "logs_CreateLogStream", "logs_CreateLogGroup", "logs_PutRetentionPolicy"} {
		if !slices.Contains(documented, name) {
			t.Errorf("%s is not documented", name)
		}
	}
}
