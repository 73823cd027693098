package app_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gaplesslogs/gapless/internal/cloudwatch"
	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/source"
	"github.com/gaplesslogs/gapless/internal/transform"
)

// TestPartsAgreeWithTheConfiguration pins what the import rules make stand in two
// places: config may know no part, and a part works without config.
func TestPartsAgreeWithTheConfiguration(t *testing.T) {
	t.Parallel()
	if diff := cmp.Diff(config.Placeholders(), transform.Placeholders()); diff != "" {
		t.Errorf("placeholders (-config +transform):\n%s", diff)
	}
	if diff := cmp.Diff(config.FieldWords(), transform.FieldWords()); diff != "" {
		t.Errorf("what a field can hold (-config +transform):\n%s", diff)
	}
	if diff := cmp.Diff(config.ReservedMembers(), transform.ReservedMembers()); diff != "" {
		t.Errorf("names that cannot be added (-config +transform):\n%s", diff)
	}
	c := config.NewTenant()
	type poll struct {
		Interval, Overlap time.Duration
		Every             int
	}
	p := source.DefaultPollConfig()
	if diff := cmp.Diff(poll{c.PollInterval, c.Overlap.Window, c.Overlap.Every}, poll{p.Interval, p.Overlap, p.OverlapEvery}); diff != "" {
		t.Errorf("defaults of the poll (-config +source):\n%s", diff)
	}
	cw := c.CloudWatch
	want := cloudwatch.Config{
		Create: cw.Create, RetentionDays: cw.RetentionDays, LogGroupClass: cw.LogGroupClass, Linger: cw.Linger, Compression: cw.Compression,
		InDoubtWait: cw.InDoubtWait, RequestTimeout: cw.RequestTimeout, TooOld: string(cw.TooOld), TooNew: string(cw.TooNew), TooLarge: string(cw.TooLarge),
	}
	if diff := cmp.Diff(want, cloudwatch.DefaultConfig()); diff != "" {
		t.Errorf("defaults of the destination (-config +cloudwatch):\n%s", diff)
	}
}
