package config_test

import (
	"errors"
	"testing"
	"time"

	"github.com/gaplesslogs/gapless/internal/config"
)

func TestParseRetention(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	for text, want := range map[string]time.Duration{
		"starter": day, "essentials": 5 * day, "professional": 10 * day, "enterprise": 30 * day,
		"24h": day, "10d": 10 * day, "1d12h": 36 * time.Hour, "1h": time.Hour, "365d": 365 * day,
		config.NewTenant().Retention: day,
	} {
		if got, err := config.ParseRetention(text); got != want || err != nil {
			t.Errorf("%q is %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "free", "Starter", "10", "-1d", "59m", "366d", "0s", "month"} {
		got, err := config.ParseRetention(text)
		if e, ok := errors.AsType[*config.Error](err); !ok || e.Path != "auth0_retention" || e.Fix == "" {
			t.Errorf("%q is %v, %v, want an error that says what to write", text, got, err)
		}
	}
}
