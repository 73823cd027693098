package config_test

import (
	"strings"
	"testing"

	"github.com/gaplesslogs/gapless/internal/config"
)

// TestDescribe finds settings, sections and what is in lists, and nothing else.
func TestDescribe(t *testing.T) {
	t.Parallel()
	d, ok := config.Describe("tenants.0.cloudwatch.retention_days")
	if !ok || d.Default != "0" || d.Summary != "Retention of a group that gapless creates, in days; 0 is for ever." || !strings.HasPrefix(d.Doc, d.Summary+" A group") {
		t.Errorf("%+v, %v", d, ok)
	}
	if d, ok := config.Describe("aws"); !ok || d.Summary != "How to reach AWS." {
		t.Errorf("%+v, %v", d, ok)
	}
	if d, ok := config.Describe("tenants[3].client_id"); !ok || d.Example != "abc" {
		t.Errorf("%+v, %v", d, ok)
	}
	for _, path := range []string{"", "aws.regio", "aws.region.x", "tenants.x.name", "0"} {
		if d, ok := config.Describe(path); ok {
			t.Errorf("%q is described as %+v", path, d)
		}
	}
}
