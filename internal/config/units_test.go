package config_test

import (
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/gaplesslogs/gapless/internal/config"
)

// fixOf returns the fix of the first problem in an error.
func fixOf(err error) string {
	if bad, ok := errors.AsType[*config.InvalidError](err); ok {
		return bad.Problems[0].Fix
	}
	return ""
}

func TestParseDuration(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"0": 0, "30s": 30 * time.Second, "1h30m": 90 * time.Minute, "7d": 168 * time.Hour, "1d12h": 36 * time.Hour, "0d": 0, "1.5h": 90 * time.Minute,
	} {
		if got, err := config.ParseDuration(text); err != nil || got != want {
			t.Errorf("%q: got %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "5", "d", "-1s", "1s2d", "1.5d", "-1d", "1d-1h", "99999d", "1d2562047h47m16s", "x"} {
		if got, err := config.ParseDuration(text); err == nil {
			t.Errorf("%q: got %v, want an error", text, got)
		}
	}
}

func TestDurationRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d := time.Duration(rapid.Int64Min(0).Draw(t, "d"))
		text := config.FormatDuration(d)
		if got, err := config.ParseDuration(text); err != nil || got != d {
			t.Fatalf("%q: got %v, %v; want %v", text, got, err, d)
		}
	})
}

func TestParseSize(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]config.Size{
		"0": 0, "4096": 4096, "10GiB": 10 << 30, "500MB": 500e6, "1.5 kB": 1500, "2kib": 2048, "3TB": 3e12, "1TiB": 1 << 40, "7B": 7, "1 mib": 1 << 20,
	} {
		if got, err := config.ParseSize(text); err != nil || got != want {
			t.Errorf("%q: got %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "big", "-1", "1XB", "9223372036854775808", "8388608TiB", "1e30", "NaN", "GiB", "1.2.3MB", "-1.5GB"} {
		if got, err := config.ParseSize(text); err == nil {
			t.Errorf("%q: got %d, want an error", text, got)
		}
	}
}

func TestSizeRoundTrip(t *testing.T) {
	t.Parallel()
	for size, want := range map[config.Size]string{0: "0", 1: "1", 10 << 30: "10GiB", 5e9: "5GB", 1024: "1KiB", 1000: "1kB", 1025: "1025"} {
		if got := size.String(); got != want {
			t.Errorf("%d: got %s, want %s", int64(size), got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		s := config.Size(rapid.Int64Min(0).Draw(t, "s"))
		if got, err := config.ParseSize(s.String()); err != nil || got != s {
			t.Fatalf("%s: got %d, %v; want %d", s, got, err, s)
		}
	})
}
