package app

import (
	"context"
	"errors"

	"github.com/gaplesslogs/gapless/internal/auth0"
	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/source"
)

// MaxRecent is the most events that Recent fetches.
const MaxRecent = auth0.MaxSearch

// The names of what brings events to somebody who tries rules.
const (
	FromTenant = source.PollName
	FromFile   = source.FileName
)

// Recent fetches the newest events of a tenant, the oldest of them first, see
// source.Recent. It opens no store and takes no lock, so that it works beside a
// running gapless; the access token is one of its own.
func Recent(ctx context.Context, opts Options, t config.Tenant, n int, typ string) (page event.Page, err error) {
	a := &App{opts: opts, secrets: newSecrets(opts.Secrets)}
	client, err := a.auth0Client(ctx, t, nil, a.newTenant(config.Default(), t))
	if err != nil {
		return event.Page{}, err
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	return source.Recent(ctx, client, n, typ)
}

// errRead ends the reading of a source that has told all it has.
var errRead = errors.New("read to the end")

// ReadEvents gives the pages of the files of an import to fn, and returns when
// they are read, with the error of fn if it returns one. It stores nothing.
func (im *Import) ReadEvents(ctx context.Context, fn func(event.Page) error) error {
	err := im.files.Run(ctx, "", func(_ context.Context, p event.Page) error {
		if err := fn(p); err != nil {
			return err
		}
		if p.CaughtUp {
			return errRead
		}
		return nil
	})
	if errors.Is(err, errRead) {
		return nil
	}
	return err
}
