package source_test

import (
	"testing"
	"time"

	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/pipeline/pipelinetest"
	"github.com/gaplesslogs/gapless/internal/source"
)

func TestPollKeepsTheContract(t *testing.T) {
	t.Parallel()
	for name, shape := range map[string]func(*fakeAuth0){
		"real ids":        func(*fakeAuth0) {},
		"opaque ids":      func(s *fakeAuth0) { s.knownOnly = true },
		"short pages":     func(s *fakeAuth0) { s.served = 40 },
		"no links":        func(s *fakeAuth0) { s.noLink = true },
		"inclusive from":  func(s *fakeAuth0) { s.inclusive = true },
		"inclusive alone": func(s *fakeAuth0) { s.inclusive, s.noLink, s.knownOnly = true, true, true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pipelinetest.TestSource(t, func(*testing.T) pipelinetest.Upstream {
				api := new(fakeAuth0)
				shape(api)
				history(api, 450, 300*time.Millisecond, time.Minute, api.knownOnly)
				return pipelinetest.Upstream{
					New: func() pipeline.Source {
						return source.NewPoll(source.DefaultPollConfig(), api, source.Deps{})
					},
					Want: api.ids(),
				}
			})
		})
	}
}
