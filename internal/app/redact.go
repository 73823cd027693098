package app

import (
	"context"
	"fmt"

	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/pipeline"
	"github.com/gaplesslogs/gapless/internal/transform"
)

// redact has a tenant's events redacted, and the pieces that are none, if its
// configuration asks for it. It comes last of the transforms: what follows is the
// disk.
func (a *App) redact(ctx context.Context, t config.Tenant, in *pipeline.Ingest) error {
	r, err := a.redactor(ctx, t.Redact)
	if r == nil || err != nil {
		return err
	}
	in.Transforms = append(in.Transforms, r.Transform)
	in.RedactUnreadable = r.Unreadable
	return nil
}

// redactor makes the redaction of a section of the configuration, nil when it asks
// for none.
func (a *App) redactor(ctx context.Context, c config.Redact) (*transform.Redactor, error) {
	if c.IsZero() {
		return nil, nil //nolint:nilnil // there may be none
	}
	key, err := a.secrets.resolve(ctx, c.Key)
	if err != nil {
		return nil, misconfigured("read redact.key", err)
	}
	r, err := transform.NewRedactor(redactConfig(c, key))
	if err != nil {
		return nil, misconfigured("read the rules of redact", err)
	}
	return r, nil
}

// redactConfig returns the rules of a tenant, by their names in its configuration.
func redactConfig(c config.Redact, key string) transform.RedactConfig {
	out := transform.RedactConfig{Presets: c.Presets, Key: []byte(key)}
	for i := range c.Rules {
		r := &c.Rules[i]
		out.Rules = append(out.Rules, transform.RedactRule{
			Name: fmt.Sprintf("redact.rules.%d", i), Paths: r.AllPaths(), Kinds: r.AllKinds(), Keys: r.Keys,
			Types: r.Types, Action: r.Action, Length: r.Length, With: r.With,
		})
	}
	return out
}
