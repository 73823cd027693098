package cloudwatch_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gaplesslogs/gapless/internal/cloudwatch"
	"github.com/gaplesslogs/gapless/internal/event"
)

func TestPreview(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	const day = 24 * time.Hour
	restamp, aside := cloudwatch.DefaultConfig(), cloudwatch.DefaultConfig()
	aside.TooOld, aside.TooNew, aside.TooLarge = cloudwatch.DeadLetter, cloudwatch.DeadLetter, cloudwatch.DeadLetter
	short := restamp
	short.RetentionDays = 3
	large := `{"log_id":"a","details":{"x":"` + strings.Repeat("x", cloudwatch.MaxMessageBytes) + `"}}`
	for name, c := range map[string]struct {
		at     time.Duration // from now
		config cloudwatch.Config
		raw    string
		want   cloudwatch.Preview // without the message, and the time where it is restamped
	}{
		"now":                  {-time.Second, aside, `{"a": 1.0}`, cloudwatch.Preview{At: now.Add(-time.Second)}},
		"old":                  {-15 * day, restamp, `{}`, cloudwatch.Preview{Restamped: "too_old"}},
		"old, set aside":       {-15 * day, aside, `{}`, cloudwatch.Preview{Rejected: "too_old"}},
		"old for a group":      {-4 * day, short, `{}`, cloudwatch.Preview{Restamped: "too_old"}},
		"not old elsewhere":    {-4 * day, restamp, `{}`, cloudwatch.Preview{At: now.Add(-4 * day)}},
		"ahead":                {3 * time.Hour, restamp, `{}`, cloudwatch.Preview{Restamped: "too_new"}},
		"ahead, set aside":     {3 * time.Hour, aside, `{}`, cloudwatch.Preview{Rejected: "too_new"}},
		"too large":            {0, restamp, large, cloudwatch.Preview{At: now, Altered: "too_large"}},
		"too large, set aside": {0, aside, large, cloudwatch.Preview{Rejected: "too_large"}},
		"no UTF-8":             {0, restamp, "{\"a\":\"\xff\"}", cloudwatch.Preview{At: now, Altered: "invalid_utf8"}},
	} {
		got := cloudwatch.NewPreview(event.Event{LogID: "a", Date: now.Add(c.at), Raw: []byte(c.raw)}, c.config, now)
		if sent := got.Rejected == ""; sent != (len(got.Message) > 0) || sent == got.At.IsZero() {
			t.Errorf("%s: %+v", name, got)
		}
		if got.Altered == "" && got.Rejected == "" && string(got.Message) != c.raw || len(got.Message) > cloudwatch.MaxMessageBytes {
			t.Errorf("%s: the message is %.100s", name, got.Message)
		}
		if got.Restamped != "" {
			if got.At.Sub(now).Abs() >= c.at.Abs() {
				t.Errorf("%s: at %v", name, got.At)
			}
			got.At = time.Time{}
		}
		got.Message = nil
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
}
