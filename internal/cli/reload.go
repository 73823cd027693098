package cli

import (
	"context"
	"os"

	"github.com/spf13/cobra"

	"github.com/gaplesslogs/gapless/internal/app"
	"github.com/gaplesslogs/gapless/internal/config"
)

// A reloader has a running App take its configuration again. Nil never does.
type reloader struct {
	wishes <-chan os.Signal
	load   app.Loader
	log    *logHandler
}

// newReloader reads the configuration as the start did: file, environment, flags.
func newReloader(cmd *cobra.Command, env *Env, flags *configFlags, log *logHandler, wishes <-chan os.Signal) *reloader {
	load := func(ctx context.Context) (*config.Config, config.Resolver, error) {
		cfg, err := flags.load(ctx, cmd, env)
		if err != nil {
			return nil, config.Resolver{}, err
		}
		return cfg, resolver(cfg, env), nil
	}
	return &reloader{wishes: wishes, load: load, log: log}
}

// wished brings the wishes.
func (r *reloader) wished() <-chan os.Signal {
	if r == nil {
		return nil
	}
	return r.wishes
}

// reload has the App take the configuration, and the log its part of it. What comes of
// it is told by the App.
func (r *reloader) reload(ctx context.Context, a *app.App) {
	if _, err := a.Reload(ctx, r.load); err != nil {
		return
	}
	log := a.Config().Log
	_ = r.log.set(log.Level, log.Format) // it was checked
}
