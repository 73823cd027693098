package stack

import "github.com/gaplesslogs/gapless/internal/config"

// addIndexes adds the field indexes of the groups.
func addIndexes(_ *config.Config, _ Options, _ *Stack) error { return nil }
