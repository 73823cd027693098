package pipeline_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// quiet is a Source that has nothing to bring and says every second up to when.
type quiet struct{}

func (quiet) Name() string { return "quiet" }

func (quiet) Run(ctx context.Context, _ event.Cursor, emit pipeline.Emit) error {
	for begun := time.Now(); ; {
		if err := emit(ctx, event.Page{CaughtUp: true, Mark: event.Mark{Since: begun, Until: time.Now()}}); err != nil {
			return err
		}
		if err := pipeline.Wait(ctx, time.Second); err != nil {
			return err
		}
	}
}

// marks is a Buffer that notes the marks it is given.
type marks struct {
	pipeline.Buffer

	until []time.Time
}

func (m *marks) Append(ctx context.Context, source string, in pipeline.Intake) (pipeline.Appended, error) {
	m.until = append(m.until, in.Mark.Until)
	return m.Buffer.Append(ctx, source, in)
}

// TestMarksOfAQuietSource has a source with nothing but marks for an hour: they are
// stored often enough to be worth something, and not with each poll.
func TestMarksOfAQuietSource(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := start(t, &tape{}, &answers{})
		r.stop()
		m := &marks{Buffer: r.buffer}
		r.ingest.Source, r.ingest.Buffer = quiet{}, m
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if err := r.ingest.Run(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		if n := len(m.until); n < 6 || n > 13 {
			t.Errorf("%d transactions in an hour", n)
		}
		if age := time.Since(m.until[len(m.until)-1]); age > 10*time.Minute {
			t.Errorf("the last mark is %v old", age)
		}
	})
}
