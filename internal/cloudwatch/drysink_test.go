package cloudwatch_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gaplesslogs/gapless/internal/cloudwatch"
	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// TestDrySinkPreparesAsTheSink holds that a dry sink says of events of every sort what
// the sink does with them: what it would send, when, and what it would not.
func TestDrySinkPreparesAsTheSink(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		events := []event.Event{
			{LogID: "old", Date: now.Add(-30 * 24 * time.Hour), Raw: []byte(`{"log_id":"old"}`)},
			{LogID: "plain", Date: now.Add(-time.Hour), Raw: []byte(`{"log_id":"plain"}`)},
			{LogID: "cut", Date: now.Add(-time.Minute), Raw: fmt.Appendf(nil, `{"log_id":"cut","details":{"body":"%s"}}`, strings.Repeat("x", 2<<20))},
			{LogID: "large", Date: now.Add(-time.Minute), Raw: fmt.Appendf(nil, `{"log_id":"large","text":"%s"}`, strings.Repeat("x", 2<<20))},
			{LogID: "bytes", Date: now, Raw: []byte("{\"log_id\":\"bytes\",\"x\":\"\xff\"}")},
			{LogID: "new", Date: now.Add(24 * time.Hour), Raw: []byte(`{"log_id":"new"}`)},
		}
		for _, tc := range []struct {
			name    string
			config  cloudwatch.Config
			want    []string
			calls   int
			receipt string
		}{
			{
				name:    "as by default",
				config:  cloudwatch.Config{TooLarge: cloudwatch.Trim},
				calls:   2, // the oldest is more than a day before the others
				want:    []string{"old restamped too_old", "plain", "cut altered too_large", "large rejected too_large", "bytes altered invalid_utf8", "new restamped too_new"},
				receipt: "rejected [3], altered [2 4]",
			},
			{
				name:    "dead letters in every case",
				config:  cloudwatch.Config{TooOld: cloudwatch.DeadLetter, TooNew: cloudwatch.DeadLetter, TooLarge: cloudwatch.DeadLetter},
				calls:   1,
				want:    []string{"old rejected too_old", "plain", "cut rejected too_large", "large rejected too_large", "bytes altered invalid_utf8", "new rejected too_new"},
				receipt: "rejected [0 2 3 5], altered [4]",
			},
		} {
			var told []cloudwatch.DryBatch
			p, err := cloudwatch.NewDrySink(tc.config, func(b cloudwatch.DryBatch) { told = append(told, b) })
			if err != nil {
				t.Fatal(err)
			}
			to := pipeline.Destination{LogGroup: "g", LogStream: "s"}
			receipt, err := p.Deliver(t.Context(), pipeline.Batch{Destination: to, Events: events})
			if err != nil || len(told) != 1 || told[0].Destination != to {
				t.Fatalf("%s: %v, told of %d batches", tc.name, err, len(told))
			}
			var got []string
			for _, e := range told[0].Events {
				words := []string{e.Event.LogID}
				for _, note := range [][2]string{{"rejected", e.Rejected}, {"altered", e.Altered}, {"restamped", e.Restamped}} {
					if note[1] != "" {
						words = append(words, note[:]...)
					}
				}
				s := strings.Join(words, " ")
				got = append(got, s)
				if (e.Message == nil) != (e.Rejected != "") || len(e.Message) > cloudwatch.MaxMessageBytes {
					t.Errorf("%s: %s has a message of %d bytes", tc.name, s, len(e.Message))
				}
				if e.Restamped == "" != e.At.Equal(e.Event.Date.Truncate(time.Millisecond)) && e.Rejected == "" {
					t.Errorf("%s: %s would go with the time %s, its date is %s", tc.name, s, e.At, e.Event.Date)
				}
			}
			if d := cmp.Diff(tc.want, got); d != "" {
				t.Errorf("%s (-want +got):\n%s", tc.name, d)
			}
			if told[0].Calls != tc.calls {
				t.Errorf("%s: %d calls, want %d", tc.name, told[0].Calls, tc.calls)
			}
			if got := "rejected " + indexes(receipt.Rejected) + ", altered " + indexes(receipt.Altered); got != tc.receipt {
				t.Errorf("%s: the receipt says %s, want %s", tc.name, got, tc.receipt)
			}
		}
	})
}

// indexes lists the events of a part of a receipt.
func indexes(list []pipeline.Rejection) string {
	var at []int
	for _, r := range list {
		at = append(at, r.Index)
	}
	return fmt.Sprint(at)
}

// TestDrySinkKnowsTheConfiguredRetention holds that a group which gapless would make
// takes nothing that is older than its retention.
func TestDrySinkKnowsTheConfiguredRetention(t *testing.T) {
	t.Parallel()
	var told cloudwatch.DryBatch
	p, err := cloudwatch.NewDrySink(cloudwatch.Config{RetentionDays: 3, TooOld: cloudwatch.DeadLetter}, func(b cloudwatch.DryBatch) { told = b })
	if err != nil {
		t.Fatal(err)
	}
	e := event.Event{LogID: "a", Date: time.Now().AddDate(0, 0, -5), Raw: []byte(`{}`)}
	if _, err := p.Deliver(t.Context(), pipeline.Batch{Destination: pipeline.Destination{LogGroup: "g", LogStream: "s"}, Events: []event.Event{e}}); err != nil {
		t.Fatal(err)
	}
	if got := told.Events[0].Rejected; got != "too_old" {
		t.Errorf("an event of 5 days ago is rejected for %q, want too_old", got)
	}
	if _, err := p.Deliver(t.Context(), pipeline.Batch{Destination: pipeline.Destination{LogGroup: "g", LogStream: "a:b"}, Events: []event.Event{e}}); pipeline.Classify(err).Class != pipeline.Misconfigured {
		t.Errorf("a name that no log stream can have: %v", err)
	}
}
