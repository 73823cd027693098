package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/gaplesslogs/gapless/internal/app"
	"github.com/gaplesslogs/gapless/internal/notify"
)

// errUntold is the outcome of notify test when a channel could not be told.
var errUntold = errors.New("could not be told")

// newNotifyCommand makes "gapless notify".
func newNotifyCommand(env *Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "notify",
		GroupID: groupExport,
		Short:   "Try the channels that alerts go to",
		Long:    "Works with the channels of the section notify, which are told when something is\nwrong with the export, and when it is over. docs/alerts.md says of what.",
		Example: "  gapless notify test --config gapless.yaml",
		Args:    noArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newNotifyTestCommand(env))
	return cmd
}

// A channelReport is what notify test prints of a channel.
type channelReport struct {
	Channel string `json:"channel"`
	Sent    bool   `json:"sent"`
	Error   string `json:"error,omitempty"`
	Hint    string `json:"hint,omitempty"`
}

// newNotifyTestCommand makes "gapless notify test".
func newNotifyTestCommand(env *Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "test",
		Short: "Send a test through each channel, and say what came of it",
		Long: `Sends a message that says that it is a test through each channel, or through the one
that is named. A heartbeat is called with the header Gapless-About: test, which most
services take for a beat; a line in a log group for metrics makes no metric.
It works beside a gapless that runs, and without one.

When a channel cannot be told the exit code is 3 if the configuration has to be changed,
otherwise 4 if the other side refuses the credentials, otherwise 5.`,
		Example: "  gapless notify test --config gapless.yaml\n  gapless notify test --config gapless.yaml --channel slack --json",
		Args:    noArgs,
	}
	flags := addConfigFlags(cmd)
	asJSON := addJSONFlag(cmd)
	channel := cmd.Flags().String("channel", "", "try this `CHANNEL` alone")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := flags.load(cmd.Context(), cmd, env)
		if err != nil {
			return err
		}
		opts := app.Options{Config: cfg, Version: build(env.Version).Version, Secrets: resolver(cfg, env)}
		results, err := app.TestChannels(cmd.Context(), opts, *channel)
		switch {
		case errors.Is(err, app.ErrNoChannel) && *channel != "":
			return usageError(cmd, "--channel is %q: the section notify has no such channel", *channel)
		case errors.Is(err, app.ErrNoChannel):
			return fail(exitConfig, "Add a channel to the section notify: docs/alerts.md has an example of each kind.", errors.New("no channel is configured"))
		case err != nil:
			return err
		}
		return env.printChannels(results, *asJSON)
	}
	return cmd
}

// printChannels prints what came of a test, and returns the error that is the exit code.
func (e *Env) printChannels(results []notify.Result, asJSON bool) error {
	var list []channelReport
	code, hint, failed := exitNotClean, "", 0
	for _, r := range results {
		x := channelReport{Channel: r.Channel, Sent: r.Err == nil}
		if r.Err != nil {
			x.Error = r.Err.Error()
			failed++
		}
		if se, ok := errors.AsType[*notify.SendError](r.Err); ok {
			x.Hint = se.Hint
			switch {
			case se.Misconfigured:
				code = exitConfig
			case se.Refused && code != exitConfig:
				code = exitAuthorization
			}
		}
		if hint == "" {
			hint = x.Hint
		}
		list = append(list, x)
	}
	if asJSON {
		if err := writeJSON(e.Stdout, map[string]any{"channels": list}); err != nil {
			return err
		}
	} else {
		for _, x := range list {
			if x.Sent {
				fmt.Fprintf(e.Stdout, "%s  %s\n", e.paint(e.Stdout, green, "sent  "), x.Channel)
				continue
			}
			fmt.Fprintf(e.Stdout, "%s  %s: %s\n", e.paint(e.Stdout, red, "failed"), x.Channel, plainLines(x.Error))
			if x.Hint != "" {
				fmt.Fprintf(e.Stdout, "        Fix: %s\n", plainLines(x.Hint))
			}
		}
	}
	if failed == 0 {
		return nil
	}
	return fail(code, hint, fmt.Errorf("%d of %s %w", failed, plural(int64(len(list)), "channel"), errUntold))
}
