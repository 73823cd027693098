package app

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/store"
)

// ErrDestinationInUse says that a destination is configured, so that what waits for
// it is going to be delivered.
var ErrDestinationInUse = errors.New("this destination is configured")

// DropDestination deletes the events of a tenant that wait for a destination that is
// not configured any more, and returns how many and how many bytes; without really it
// only counts them. It fails with ErrInUse while a process holds the data directory.
func DropDestination(ctx context.Context, cfg *config.Config, tenant, name string, really bool) (events, bytes int64, err error) {
	for _, t := range cfg.Tenants {
		if t.Name == tenant && slices.ContainsFunc(t.Destinations, func(d config.Destination) bool { return d.Name == name }) || name == "" {
			return 0, 0, fmt.Errorf("%s of tenant %s: %w", name, tenant, ErrDestinationInUse)
		}
	}
	if !really {
		err = reading(ctx, cfg, func(r *store.Reader) error {
			figures, err := r.Status(ctx)
			for _, f := range figures {
				for _, s := range f.Sinks {
					if f.Tenant == tenant && s.Name == name {
						events, bytes = s.BufferedEvents, s.BufferedBytes
					}
				}
			}
			return err
		})
		return events, bytes, err
	}
	if err := reading(ctx, cfg, func(*store.Reader) error { return nil }); err != nil {
		return 0, 0, err
	}
	s, err := openStore(ctx, cfg)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return s.DropSink(ctx, tenant, name)
}
