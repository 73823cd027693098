package cli

import (
	"context"
	"fmt"
	"strings"

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
	return "gapless config check" + f.repeated(cmd)
}

// repeated returns the flags with which another command finds the same
// configuration and the same data, with a space before each. What --set says may
// be a secret and is not repeated.
func (f *configFlags) repeated(cmd *cobra.Command) string {
	var s strings.Builder
	for _, name := range []string{"config", "data-dir"} {
		if flag := cmd.Flags().Lookup(name); flag.Changed {
			fmt.Fprintf(&s, " --%s %s", name, shellWord(flag.Value.String()))
		}
	}
	return s.String()
}

// shellWord quotes a word if a shell would read it as something else.
func shellWord(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-+:@%,=", r)
	}
	if s != "" && strings.TrimFunc(s, plain) == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// resolver returns what secret references are resolved with.
func resolver(cfg *config.Config, env *Env) config.Resolver {
	return config.Resolver{
		LookupEnv: env.LookupEnv,
		ReadFile:  config.ReadSecretFile,
		AWS:       config.NewAWSSecrets(cfg.AWS, nil),
	}
}
