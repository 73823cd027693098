package config_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gaplesslogs/gapless/internal/config"
)

// FuzzStartFrom holds that what is taken for a start is exactly one thing, within
// its bounds.
func FuzzStartFrom(f *testing.F) {
	for _, s := range []string{"earliest", "latest", "24h", "1.5d", "2w", "2026-11-01", "2026-11-01T00:00:00+09:00", "90020261123", "-1h", "9999999999999999999h", "1e9d", "٣d", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := config.ParseStartFrom(text)
		if err != nil {
			return
		}
		set := 0
		for _, is := range []bool{s.Earliest, s.Latest, !s.Time.IsZero(), s.Ago != 0, s.LogID != ""} {
			if is {
				set++
			}
		}
		if set != 1 || s.Ago < 0 || s.Time.After(time.Now()) {
			t.Errorf("%q is %+v", text, s)
		}
	})
}

// FuzzUnits holds that a duration or size which is taken is not negative, and
// means the same when it is written again.
func FuzzUnits(f *testing.F) {
	for _, s := range []string{"7d", "1d12h", "0", "200ms", "10GiB", "1.5 MB", "4096", "8EiB", "1e30kB", "NaN", "Inf TB", "0x10", "-1", "65535d2562047h"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if d, err := config.ParseDuration(text); err == nil {
			if again, err := config.ParseDuration(config.FormatDuration(d)); d < 0 || err != nil || again != d {
				t.Errorf("%q is %s, and then %s (%v)", text, d, again, err)
			}
		}
		if s, err := config.ParseSize(text); err == nil {
			if again, err := config.ParseSize(s.String()); s < 0 || err != nil || again != s {
				t.Errorf("%q is %s, and then %s (%v)", text, s, again, err)
			}
		}
	})
}

// FuzzSecret holds that nothing shows a secret: no form of printing it, and no
// error of resolving what AWS or a file gives for it.
func FuzzSecret(f *testing.F) {
	f.Add("a-secret-of-some-length", `{"key":"a-secret-of-some-length"}`)
	f.Add("aws-secretsmanager:name#key", `{"key":7,"other":"a-secret-of-some-length"}`)
	f.Add("file:/run/secret", "a-secret-of-some-length\r\n")
	f.Add("env:NAME", "")
	f.Add("${NAME}", "{")
	f.Fuzz(func(t *testing.T, text, value string) {
		s, err := config.ParseSecret(text)
		if err != nil {
			return
		}
		reference := s.String()
		shown := fmt.Sprintf("%v %+v %#v %s %q %d %x", s, s, s, s, s, s, s)
		if reference == config.Redacted && len(text) > len(config.Redacted) && strings.Contains(shown, text) {
			t.Errorf("%q is shown: %s", text, shown)
		}
		_, err = s.Resolve(t.Context(), config.Resolver{
			LookupEnv: func(string) (string, bool) { return value, true },
			ReadFile:  func(string) ([]byte, error) { return []byte(value), nil },
			AWS:       vault(value),
		})
		if err != nil && len(value) > 8 && strings.Contains(err.Error(), value) && !strings.Contains(text, value) {
			t.Errorf("%q is shown: %v", value, err)
		}
		if again, err := config.ParseSecret(reference); reference != "" && reference != config.Redacted && (err != nil || !again.Equal(s)) {
			t.Errorf("%q is %q when it is read again (%v)", reference, again, err)
		} else if reference == config.Redacted && !errors.Is(err, config.ErrSecretRedacted) {
			t.Errorf("asterisks were taken for a secret: %v", err)
		}
	})
}

// vault is a keeper of secrets that gives one value for every name.
type vault string

// SecretValue implements config.RemoteSecrets.
func (v vault) SecretValue(context.Context, string) (string, error) { return string(v), nil }

// Parameter implements config.RemoteSecrets.
func (v vault) Parameter(context.Context, string) (string, error) { return string(v), nil }
