package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
)

// newEmulateCommand makes "gapless emulate".
func newEmulateCommand(env *Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "emulate",
		GroupID: groupExport,
		Short:   "Run the emulated tenant and CloudWatch Logs endpoint alone",
		Long: `Starts an emulated Auth0 tenant and an emulated CloudWatch Logs endpoint, for
tests and trials of any software that speaks to either. Each request is logged on
a line to standard error. Faults can be scripted over HTTP: POST them to
/_emulator/faults of either; /_emulator/stats counts what was asked. The tenant
pushes the log streams of type http that are created over its API; what is to go
wrong with that is PUT to its /_emulator/push-faults, as shares from 0 to 1:
duplicates, holes, reordered, bursts, repeats, truncated, broken, not_json, slow.
A second application of the tenant may make others, their grants and log streams
over its API, as setup does.`,
		Example: "  gapless emulate --events 500 --rate 1\n  gapless emulate --json --data ./emulated --duration 1h\n  gapless emulate --access-key AKIDEXAMPLE:example-secret --tenant-cert tenant.pem",
		Args:    noArgs,
	}
	flags := addStageFlags(cmd)
	flags.addEmulateFlags(cmd)
	asJSON := cmd.Flags().Bool("json", false, "print one line of JSON with the addresses when ready")
	quiet := cmd.Flags().Bool("quiet", false, "log no requests")
	cmd.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		if err := flags.check(cmd); err != nil {
			return err
		}
		level := "info"
		if *quiet {
			level = "warn"
		}
		logger, err := newLogger(env.Stderr, level, "text")
		if err != nil {
			return err
		}
		s, err := startStage(cmd.Context(), cmd, flags, logger)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, s.close(cmd.Context())) }()
		if *asJSON {
			line := s.ready()
			line.AdminClientID, line.AdminClientSecret = stageAdminID, stageAdminKey
			if err := writeJSONLine(env.Stdout, line); err != nil {
				return err
			}
		} else {
			fmt.Fprintf(env.Stdout, "tenant      %s  client_id %s, client_secret %s, %d events, then %g a second\n            for setup: client_id %s, client_secret %s\ncloudwatch  %s  %s, any Region\n",
				s.tenantURL, stageClientID, stageSecret, s.tenant.Len(), flags.rate, stageAdminID, stageAdminKey, s.cloudwatchURL, flags.whichKeys())
		}
		waitFor(cmd.Context(), flags.duration)
		return nil
	}
	return cmd
}

// waitFor waits until ctx ends or, if d is not zero, for d.
func waitFor(ctx context.Context, d time.Duration) {
	if d > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d)
		defer cancel()
	}
	<-ctx.Done()
}
