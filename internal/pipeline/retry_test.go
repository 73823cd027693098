package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gaplesslogs/gapless/internal/pipeline"
)

func TestBackoffGrowsAndIsCapped(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		class       pipeline.Class
		first, most time.Duration
	}{
		"transient":     {pipeline.Transient, 200 * time.Millisecond, 30 * time.Second},
		"throttled":     {pipeline.Throttled, time.Second, time.Minute},
		"unauthorized":  {pipeline.Unauthorized, 5 * time.Second, time.Minute},
		"misconfigured": {pipeline.Misconfigured, 5 * time.Second, time.Minute},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var b pipeline.Backoff
			e := pipeline.Error{Class: tt.class}
			for range 3 { // and again after each success
				for i := range 40 {
					want := tt.most
					if i < 16 {
						want = min(tt.first<<i, tt.most)
					}
					if got := b.Next(e); got < want/2 || got > want {
						t.Fatalf("wait %d is %v, want %v to %v", i, got, want/2, want)
					}
				}
				b.Reset()
			}
		})
	}
}

func TestBackoffHonoursTheServer(t *testing.T) {
	t.Parallel()
	var b pipeline.Backoff
	if got := b.Next(pipeline.Error{Class: pipeline.Throttled, RetryAfter: 5 * time.Minute}); got != 5*time.Minute {
		t.Errorf("got %v, want the 5m that the server asked for", got)
	}
}

func TestBackoffStartsAgainWithAnotherClass(t *testing.T) {
	t.Parallel()
	var b pipeline.Backoff
	for range 10 {
		b.Next(pipeline.Error{Class: pipeline.Unauthorized})
	}
	if got := b.Next(pipeline.Error{}); got > 200*time.Millisecond {
		t.Errorf("got %v for the first transient fault, want at most 200ms", got)
	}
}

func TestClassify(t *testing.T) {
	t.Parallel()
	cause := errors.New("cause")
	throttled := &pipeline.Error{Op: "put", Class: pipeline.Throttled, RetryAfter: time.Second, Hint: "wait", Err: cause}
	tests := map[string]struct {
		err  error
		want pipeline.Class
		hint string
	}{
		"unknown":     {cause, pipeline.Transient, ""},
		"classified":  {throttled, pipeline.Throttled, "wait"},
		"wrapped":     {fmt.Errorf("deliver: %w", throttled), pipeline.Throttled, "wait"},
		"buffer full": {fmt.Errorf("append: %w", pipeline.ErrBufferFull), pipeline.Throttled, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := pipeline.Classify(tt.err)
			if got.Class != tt.want || got.Hint != tt.hint || !errors.Is(got.Err, tt.err) {
				t.Errorf("got %+v, want class %v, hint %q and the whole error", got, tt.want, tt.hint)
			}
		})
	}
	if got, want := throttled.Error(), "put: cause"; got != want {
		t.Errorf("got text %q, want %q", got, want)
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		cause := errors.New("stop")
		time.AfterFunc(time.Second, func() { cancel(cause) })
		began := time.Now()
		if err := pipeline.Wait(ctx, time.Hour); !errors.Is(err, cause) || time.Since(began) != time.Second {
			t.Errorf("got %v after %v, want the cause after 1s", err, time.Since(began))
		}
		if !pipeline.Stopped(ctx, cause) || pipeline.Stopped(t.Context(), cause) {
			t.Error("Stopped does not tell an ended context from a live one")
		}
	})
}

func ExampleLimits_Clamp() {
	day := func(d int) time.Time { return time.Date(2026, 11, d, 0, 0, 0, 0, time.UTC) }
	l := pipeline.Limits{Oldest: day(10)}
	fmt.Println(l.Clamp(day(1)).Day(), l.Clamp(day(20)).Day())
	// Output: 10 20
}
