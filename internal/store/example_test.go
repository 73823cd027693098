package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/store"
)

// An event on its way through the store: appended by a source, taken by
// delivery, settled with what became of it.
func Example() {
	dir, err := os.MkdirTemp("", "gapless")
	if err == nil {
		err = errors.Join(carryOne(context.Background(), dir), os.RemoveAll(dir))
	}
	if err != nil {
		fmt.Println(err)
	}
	// Output:
	// stored 1, duplicates 0
	// stored 0, duplicates 1
	// {"log_id":"1"} to /auth0/dev-tenant
	// cursor 1, buffered 0
}

// carryOne carries one event through a store.
func carryOne(ctx context.Context, dir string) (err error) {
	s, err := store.Open(ctx, store.Config{Dir: dir})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	b, err := s.Buffer(ctx, "dev-tenant")
	if err != nil {
		return err
	}
	e := event.Event{LogID: "1", Date: time.Date(2026, 11, 1, 10, 0, 0, 0, time.UTC), Type: "s", Raw: []byte(`{"log_id":"1"}`)}
	to := pipeline.Destination{LogGroup: "/auth0/dev-tenant", LogStream: "logs"}
	in := pipeline.Intake{Entries: []pipeline.Entry{{Event: e, Destination: to}}, Cursor: "1", CaughtUp: true}
	for range 2 { // the second time it is known
		done, err := b.Append(ctx, "poll", in)
		if err != nil {
			return err
		}
		fmt.Printf("stored %d, duplicates %d\n", done.Stored, done.Duplicates)
	}
	batch, err := b.Next(ctx, pipeline.Limits{MaxEvents: 10_000, MaxBytes: 1 << 20, EventOverhead: 26, MaxSpan: 24 * time.Hour})
	if err != nil {
		return err
	}
	fmt.Printf("%s to %s\n", batch.Events[0].Raw, batch.Destination.LogGroup)
	if err := b.Settle(ctx, batch, pipeline.Receipt{}); err != nil {
		return err
	}
	status, err := s.Status(ctx)
	if err == nil {
		fmt.Printf("cursor %s, buffered %d\n", status[0].Cursors[0].Cursor, status[0].BufferedEvents)
	}
	return err
}
