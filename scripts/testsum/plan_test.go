package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPasses(t *testing.T) {
	t.Parallel()
	plain := []string{"-plain", "^(TestA|TestB)$", "-in", "./a ./b", "-timeout=5m", "./..."}
	for name, tt := range map[string]struct {
		args []string
		race bool
		want [][]string
	}{
		"all with the detector": {[]string{"-v", "./..."}, true, [][]string{{"-race", unwatched, "-v", "./..."}}},
		"without a compiler":    {plain, false, [][]string{{"-timeout=5m", "./..."}}},
		"some without it": {plain, true, [][]string{
			{"-race", unwatched, "-skip", "^(TestA|TestB)$", "-timeout=5m", "./..."},
			{"-run", "^(TestA|TestB)$", "-timeout=5m", "./a", "./b"},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, readPlan(tt.args).passes(tt.race)); diff != "" {
				t.Errorf("passes (-want +got):\n%s", diff)
			}
		})
	}
}
