package cloudwatch_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	logs "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"

	"github.com/gaplesslogs/gapless/internal/cloudwatch"
	"github.com/gaplesslogs/gapless/internal/emulator"
	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// fill makes a group with so many events in each of two streams, 70 ms apart.
func fill(t *testing.T, h http.Handler, group, class string, n int) {
	t.Helper()
	client := admin(h)
	in := &logs.CreateLogGroupInput{LogGroupName: &group, LogGroupClass: types.LogGroupClass(class)}
	if _, err := client.CreateLogGroup(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	for _, stream := range []string{"logs", "other/1"} {
		if _, err := client.CreateLogStream(t.Context(), &logs.CreateLogStreamInput{LogGroupName: &group, LogStreamName: &stream}); err != nil {
			t.Fatal(err)
		}
		put := &logs.PutLogEventsInput{LogGroupName: &group, LogStreamName: &stream}
		for i := range n {
			if len(put.LogEvents) == 2000 { // a call takes 1 MiB
				if _, err := client.PutLogEvents(t.Context(), put); err != nil {
					t.Fatal(err)
				}
				put.LogEvents = nil
			}
			at := time.Now().Add(-time.Hour).Add(time.Duration(7*i) * time.Second / 100)
			put.LogEvents = append(put.LogEvents, types.InputLogEvent{Timestamp: aws.Int64(at.UnixMilli()), Message: aws.String(fmt.Sprintf(`{"stream":%q,"n":%d,"pad":"%s"}`, stream, i, strings.Repeat("x", 400)))})
		}
		if _, err := client.PutLogEvents(t.Context(), put); err != nil {
			t.Fatal(err)
		}
	}
}

// TestReadBack reads groups of every class that can be read: all events of the streams
// and the time that are asked for, each once, whatever fails meanwhile.
func TestReadBack(t *testing.T) {
	t.Parallel()
	for _, class := range []string{"STANDARD", "INFREQUENT_ACCESS"} {
		t.Run(class, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server, faults := emulate(t, "")
				const n = 5500 // of two streams: more than a query returns
				fill(t, server, "/auth0/dev", class, n)
				s, _ := open(t, server, config())
				groups, err := s.Groups(t.Context(), "/auth0/")
				if err != nil || len(groups) != 1 || groups[0].Class != class {
					t.Fatalf("groups: %+v, %v", groups, err)
				}
				for _, op := range []string{"FilterLogEvents", "StartQuery", "GetQueryResults"} {
					faults.Add(emulator.Fault{Match: op, Times: 2, Status: http.StatusBadRequest, Body: `{"__type":"ThrottlingException","message":"Rate exceeded"}`})
					faults.Add(emulator.Fault{Match: op, Times: 1, Kind: emulator.FaultCut})
				}
				began := time.Now().Add(-2 * time.Hour)
				for _, c := range []struct {
					streams  cloudwatch.Streams
					from, to time.Time
					want     int
				}{
					{cloudwatch.Streams{}, began, time.Now(), 2 * n},
					{cloudwatch.Streams{Name: "logs"}, began, time.Now(), n},
					{cloudwatch.Streams{Prefix: "other/"}, began, time.Now(), n},
					{cloudwatch.Streams{Name: "absent"}, began, time.Now(), 0},
					{cloudwatch.Streams{}, began, began.Add(time.Second), 0},
				} {
					ids, last := make(map[string]bool), time.Time{}
					err := s.Read(t.Context(), groups[0], c.streams, c.from, c.to, func(e cloudwatch.Stored) error {
						if ids[e.ID] || e.At.Before(last) || len(e.Message) < 400 || e.Ingested.IsZero() || !strings.HasPrefix(e.Stream, c.streams.Prefix) {
							t.Errorf("an event %+v after %v, known: %t", e, last, ids[e.ID])
						}
						ids[e.ID], last = true, e.At
						return nil
					})
					if err != nil || len(ids) != c.want {
						t.Errorf("%+v: %d events, want %d; %v", c.streams, len(ids), c.want, err)
					}
				}
				if err := s.Read(t.Context(), cloudwatch.Group{Name: "absent", Class: class}, cloudwatch.Streams{}, began, time.Now(), nil); err != nil {
					t.Errorf("a group that is not there: %v", err)
				}
			})
		})
	}
}

// TestRestamps judges timestamps by when an event was taken.
func TestRestamps(t *testing.T) {
	t.Parallel()
	taken := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	const day = 24 * time.Hour
	for _, c := range []struct {
		name      string
		config    cloudwatch.Config
		date, at  time.Time
		retention time.Duration
		want      bool
	}{
		{"too old for all groups", cloudwatch.Config{}, taken.Add(-30 * day), taken.Add(-14 * day), 0, true},
		{"too old for the group", cloudwatch.Config{}, taken.Add(-8 * day), taken.Add(-7*day + 5*time.Minute), 7 * day, true},
		{"not moved to an edge", cloudwatch.Config{}, taken.Add(-30 * day), taken.Add(-13*day - 8*time.Hour), 0, false},
		{"not too old", cloudwatch.Config{}, taken.Add(-2 * day), taken.Add(-day + time.Hour), 0, false},
		{"moved back", cloudwatch.Config{}, taken.Add(-2 * day), taken.Add(-14 * day), 0, false},
		{"the policy is another", cloudwatch.Config{TooOld: cloudwatch.DeadLetter}, taken.Add(-30 * day), taken.Add(-14 * day), 0, false},
		{"too new", cloudwatch.Config{}, taken.Add(5 * time.Hour), taken.Add(2 * time.Hour), 0, true},
		{"too new, by another policy", cloudwatch.Config{TooNew: cloudwatch.DeadLetter}, taken.Add(5 * time.Hour), taken.Add(2 * time.Hour), 0, false},
	} {
		if got := c.config.Restamps(c.date, c.at, taken, c.retention); got != c.want {
			t.Errorf("%s: %t, want %t", c.name, got, c.want)
		}
	}
	if got := (cloudwatch.Config{}).LatestStamp(taken.Add(-30*day), taken, 0); got.Before(taken.Add(-14*day)) || got.After(taken.Add(-13*day)) {
		t.Errorf("the latest timestamp is %v", got)
	}
	if got := (cloudwatch.Config{}).LatestStamp(taken.Add(-day), taken, 0); !got.Equal(taken.Add(-day)) {
		t.Errorf("the latest timestamp is %v", got)
	}
}

// TestReadIsForbidden reads with rights that do not reach: the error says which one is
// missing.
func TestReadIsForbidden(t *testing.T) {
	t.Parallel()
	server, _ := emulate(t, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"logs:DescribeLogGroups","Resource":"*"}]}`)
	s, _ := open(t, server, config())
	for _, class := range []string{"STANDARD", "INFREQUENT_ACCESS"} {
		err := s.Read(t.Context(), cloudwatch.Group{Name: "/auth0/dev", Class: class}, cloudwatch.Streams{}, time.Now().Add(-time.Hour), time.Now(), nil)
		e, ok := errors.AsType[*pipeline.Error](err)
		if !ok || e.Class != pipeline.Unauthorized || !strings.Contains(e.Hint, map[string]string{"STANDARD": "logs:FilterLogEvents", "INFREQUENT_ACCESS": "logs:StartQuery"}[class]) {
			t.Errorf("%s: %v", class, err)
		}
	}
}
