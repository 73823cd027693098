package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/gaplesslogs/gapless/internal/config"
)

// configFlags are the flags of the commands that read the configuration.
type configFlags struct {
	file   string
	sets   []string
	direct []*config.Flag
}

// addConfigFlags gives cmd the flags that say where its configuration comes
// from.
func addConfigFlags(cmd *cobra.Command) *configFlags {
	f := &configFlags{}
	fs := cmd.Flags()
	fs.StringVarP(&f.file, "config", "c", "", "configuration `FILE` (default: "+config.FileVariable+", or "+config.DefaultFile+" if there is one)")
	fs.StringArrayVar(&f.sets, "set", nil, "set any value, as `PATH=VALUE`; may be repeated")
	for _, d := range []struct{ name, path, usage string }{
		{"data-dir", "data_dir", "`DIRECTORY` of the buffer and the cursors"},
		{"listen", "listen", "`ADDRESS` of health and metrics, empty for none"},
		{"log-level", "log.level", "`LEVEL` of the log: debug, info, warn or error"},
		{"log-format", "log.format", "`FORMAT` of the log: auto, text or json"},
	} {
		flag := &config.Flag{Name: "--" + d.name, Path: d.path}
		fs.StringVar(&flag.Value, d.name, "", d.usage)
		f.direct = append(f.direct, flag)
	}
	_ = cmd.MarkFlagFilename("config", "yaml", "yml") // fails only for a flag that is not there
	return f
}

// load reads the configuration. Its error is for Main.
func (f *configFlags) load(ctx context.Context, cmd *cobra.Command, env *Env) (*config.Config, error) {
	o := config.LoadOptions{File: f.file, Environ: env.Environ, Sets: f.sets}
	for _, d := range f.direct {
		if cmd.Flags().Changed(d.Name[2:]) {
			o.Flags = append(o.Flags, *d)
		}
	}
	cfg, err := config.Load(ctx, o)
	if err != nil {
		return nil, fail(exitConfig, f.next(cmd), err)
	}
	return cfg, nil
}

// next names the command that helps with a configuration that is not valid.
func (f *configFlags) next(cmd *cobra.Command) string {
	if cmd.CommandPath() == "gapless config check" {
		return "gapless config schema"
	}
	if f.file != "" {
		return "gapless config check --config " + f.file
	}
	return "gapless config check"
}

// resolver returns what secret references are resolved with.
func resolver(cfg *config.Config, env *Env) config.Resolver {
	return config.Resolver{
		LookupEnv: env.LookupEnv,
		ReadFile:  config.ReadSecretFile,
		AWS:       config.NewAWSSecrets(cfg.AWS, nil),
	}
}
