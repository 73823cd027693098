package cloudwatch_test

import (
	"testing"

	"github.com/gaplesslogs/gapless/internal/cloudwatch"
	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/pipeline/pipelinetest"
)

func TestSinkKeepsTheContract(t *testing.T) {
	t.Parallel()
	variants := map[string]func(*cloudwatch.Config){
		"defaults": func(*cloudwatch.Config) {},
		"plain":    func(c *cloudwatch.Config) { c.Compression = cloudwatch.CompressNone },
		"dead letters": func(c *cloudwatch.Config) {
			c.TooOld, c.TooNew, c.TooLarge = "dead_letter", "dead_letter", "dead_letter"
		},
	}
	for name, change := range variants {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pipelinetest.TestSink(t, func(t *testing.T) (pipeline.Sink, func() []pipelinetest.Stored) {
				t.Helper()
				c := newCloud()
				s, _ := open(t, c, config(change))
				return s, c.stored
			})
		})
	}
	t.Run("short retention, plain", func(t *testing.T) {
		t.Parallel()
		pipelinetest.TestSink(t, func(t *testing.T) (pipeline.Sink, func() []pipelinetest.Stored) {
			t.Helper()
			c := newCloud()
			s, _ := open(t, c, config(func(c *cloudwatch.Config) { c.RetentionDays, c.Compression = 3, cloudwatch.CompressNone }))
			return s, c.stored
		})
	})
}
