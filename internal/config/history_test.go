package config_test

import (
	"strings"
	"testing"
	"time"

	"github.com/gaplesslogs/gapless/internal/config"
)

// TestHistory has what is kept of what passed bounded, and off with 0s.
func TestHistory(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		keep time.Duration
		off  bool
		bad  bool
	}{{keep: 168 * time.Hour}, {keep: 0, off: true}, {keep: time.Minute, bad: true}, {keep: time.Hour}} {
		cfg := config.Default()
		cfg.History.Keep = c.keep
		err := cfg.Validate() // it lacks a tenant
		if bad := strings.Contains(err.Error(), "history.keep"); bad != c.bad {
			t.Errorf("%v: refused %t, want %t", c.keep, bad, c.bad)
		}
		if cfg.History.Off() != c.off {
			t.Errorf("%v: off %t", c.keep, !c.off)
		}
	}
}
