package store_test

import (
	"errors"
	"testing"

	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/store"
)

// TestLimitsChange fills a buffer and raises max_buffer_bytes while the store is open:
// what was refused has room.
func TestLimitsChange(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s, err := store.Open(ctx, store.Config{Dir: t.TempDir(), MaxBytes: 100})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	b, err := s.Buffer(ctx, "dev")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Append(ctx, "poll", newIntake(1, 2, 200)); err != nil { // the first fits always
		t.Fatal(err)
	}
	if _, err := b.Append(ctx, "poll", newIntake(3, 4, 200)); !errors.Is(err, pipeline.ErrBufferFull) {
		t.Fatalf("appended to a full buffer: %v", err)
	}
	if err := s.SetLimits(ctx, store.Limits{MaxBytes: 1 << 20}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Append(ctx, "poll", newIntake(3, 4, 200)); err != nil {
		t.Errorf("the raised limit does not hold: %v", err)
	}
}
