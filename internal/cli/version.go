package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// buildInfo is what "version" prints.
type buildInfo struct {
	Version  string `json:"version"`
	Commit   string `json:"commit"`
	Time     string `json:"time"`
	Modified bool   `json:"modified"`
	Go       string `json:"go"`
	OS       string `json:"os"`
	Arch     string `json:"arch"`
}

// build gathers what is known of the build: linked is the version that the
// linker set, which wins over the one that the Go tool recorded.
func build(linked string) buildInfo {
	b := buildInfo{Version: linked, Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	if b.Version == "" {
		b.Version = info.Main.Version
	}
	if b.Version == "" || b.Version == "(devel)" {
		b.Version = "devel"
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = s.Value
		case "vcs.time":
			b.Time = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}

// String returns the build on one line.
func (b buildInfo) String() string {
	s := "gapless " + b.Version + " ("
	if b.Commit != "" {
		s += "commit " + b.Commit[:min(12, len(b.Commit))]
		if b.Modified {
			s += " with changes"
		}
		s += ", "
	}
	return s + b.Go + ", " + b.OS + "/" + b.Arch + ")"
}

// newVersionCommand makes "gapless version".
func newVersionCommand(env *Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "version",
		GroupID: groupOther,
		Short:   "Print the version",
		Example: "  gapless version\n  gapless version --json",
		Args:    noArgs,
	}
	asJSON := addJSONFlag(cmd)
	cmd.RunE = func(*cobra.Command, []string) error {
		b := build(env.Version)
		if *asJSON {
			return writeJSON(env.Stdout, b)
		}
		fmt.Fprintln(env.Stdout, b)
		return nil
	}
	return cmd
}
