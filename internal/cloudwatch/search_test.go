package cloudwatch_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gaplesslogs/gapless/internal/cloudwatch"
	"github.com/gaplesslogs/gapless/internal/emulator"
	emulated "github.com/gaplesslogs/gapless/internal/emulator/cloudwatch"
	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// TestSearchAndQuery searches a group with a pattern, and queries it.
func TestSearchAndQuery(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, faults := emulate(t, "")
		fill(t, server, "/auth0/dev", "STANDARD", 20)
		s, _ := open(t, server, config())
		from, to, group := time.Now().Add(-2*time.Hour), time.Now(), cloudwatch.Group{Name: "/auth0/dev"}
		count := func(pattern string) (n int, err error) {
			err = s.Search(t.Context(), group, cloudwatch.Streams{Name: "logs"}, pattern, from, to, func(cloudwatch.Stored) error { n++; return nil })
			return n, err
		}
		for pattern, want := range map[string]int{"": 20, `{ $.n = 3 }`: 1, `{ $.n > 9 }`: 10, `"nothing"`: 0} {
			if n, err := count(pattern); err != nil || n != want {
				t.Errorf("%q: %d events, want %d; %v", pattern, n, want, err)
			}
		}
		_, err := count(`{ $.n = `)
		expectClass(t, err, cloudwatch.ErrPattern, pipeline.Misconfigured)

		got, err := s.Query(t.Context(), []string{"/auth0/dev"}, "fields @logStream | sort @timestamp asc | limit 30", from, to, 2)
		if err != nil || len(got.Rows) != 2 || got.Scanned != 40 || got.Bytes == 0 {
			t.Errorf("query: %+v, %v", got, err)
		} else if d := cmp.Diff(cloudwatch.Field{Name: "@logStream", Value: "logs"}, got.Rows[0][0]); d != "" {
			t.Errorf("query (-want +got):\n%s", d)
		}
		_, err = s.Query(t.Context(), []string{"/auth0/dev"}, "nonsense", from, to, 0)
		expectClass(t, err, cloudwatch.ErrQueryText, pipeline.Misconfigured)
		for _, refusal := range []emulator.Fault{
			{Match: "StartQuery", Times: 1, Status: http.StatusBadRequest, Body: `{"__type":"UnknownOperationException"}`},
			{Match: "StartQuery", Times: 1, Status: http.StatusNotFound, Body: `<html>`},
			{Match: "StartQuery", Times: 1, Status: http.StatusNotImplemented},
		} {
			faults.Add(refusal)
			_, err = s.Query(t.Context(), []string{"/auth0/dev"}, "fields @message", from, to, 0)
			expectClass(t, err, cloudwatch.ErrNoInsights, pipeline.Misconfigured)
		}
	})
}

// expectClass compares an error with what it should wrap, and its class.
func expectClass(t *testing.T, err, want error, class pipeline.Class) {
	t.Helper()
	if e, ok := errors.AsType[*pipeline.Error](err); !ok || !errors.Is(err, want) || e.Class != class || e.Hint == "" {
		t.Errorf("%v (%T), want %v of class %v with a hint", err, err, want, class)
	}
}

// TestQueryIsStopped ends a query that is still running: nobody pays for the rest.
func TestQueryIsStopped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, _ := emulate(t, "")
		fill(t, server, "/auth0/dev", "STANDARD", 1)
		ctx, cancel := context.WithCancel(t.Context())
		stopped := 0
		s, _ := open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch emulated.Operation(r) {
			case "GetQueryResults":
				cancel() // Ctrl-C
			case "StopQuery":
				stopped++
			}
			server.ServeHTTP(w, r)
		}), config())
		_, err := s.Query(ctx, []string{"/auth0/dev"}, "fields @message", time.Now().Add(-time.Hour), time.Now(), 0)
		if !pipeline.Stopped(ctx, err) || stopped != 1 {
			t.Errorf("stopped %d times, %v", stopped, err)
		}
	})
}
