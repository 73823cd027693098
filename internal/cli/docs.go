package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/setup/stack"
)

// docsHead opens docs/cli.md.
const docsHead = `# Commands

<!-- Generated from the commands of internal/cli. To change it, change them and run: go test ./internal/cli -run Docs -update -->

Every command has ` + "`--help`" + `. What a command was asked for goes to standard output; messages, logs and errors go to
standard error. Colours appear on a terminal only, and not when ` + "`NO_COLOR`" + ` is set. An error has two lines:

` + "```" + `
Error: what failed, and why
Try: what to type next
` + "```" + `

The first Ctrl-C (or SIGTERM) lets a command finish what is under way; the second ends it at once. Either way nothing is
lost: what was not delivered is in the buffer.

## Exit codes

| code | meaning |
| --- | --- |
`

// newDocsCommand makes the hidden "gapless docs".
func newDocsCommand(env *Env) *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:     "docs",
		GroupID: groupOther,
		Short:   "Write the generated pages cli.md, config.md and setup-queries.md",
		Example: "  gapless docs --dir docs",
		Args:    noArgs,
		Hidden:  true,
	}
	cmd.Flags().StringVar(&dir, "dir", "docs", "directory to write to")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		for _, page := range pages(cmd.Root()) {
			path := filepath.Join(dir, page.name)
			if err := os.WriteFile(path, []byte(page.text), 0o644); err != nil { //nolint:gosec // a page for everyone to read
				return fmt.Errorf("write docs: %w", err)
			}
			fmt.Fprintln(env.Stdout, path)
		}
		return nil
	}
	return cmd
}

// A page is a generated file of docs/.
type page struct{ name, text string }

// pages returns the generated pages.
func pages(root *cobra.Command) []page {
	return []page{{"cli.md", commandDocs(root)}, {"config.md", config.Markdown()}, {"setup-queries.md", stack.QueriesMarkdown()}}
}

// commandDocs returns docs/cli.md.
func commandDocs(root *cobra.Command) string {
	root.InitDefaultHelpCmd()
	var b strings.Builder
	b.WriteString(docsHead)
	for _, c := range exitCodes() {
		fmt.Fprintf(&b, "| %d | %s |\n", c.code, c.meaning)
	}
	eachCommand(root, func(c *cobra.Command) { writeCommand(&b, c) })
	return b.String()
}

// eachCommand calls fn for every command that the help shows.
func eachCommand(cmd *cobra.Command, fn func(*cobra.Command)) {
	fn(cmd)
	for _, c := range cmd.Commands() {
		if !c.Hidden && c.Name() != "help" {
			eachCommand(c, fn)
		}
	}
}

// writeCommand writes the section of one command.
func writeCommand(b *strings.Builder, c *cobra.Command) {
	c.InitDefaultHelpFlag()
	about := c.Long
	if about == "" {
		about = c.Short + "."
	}
	fmt.Fprintf(b, "\n## %s\n\n%s\n\n```\n%s\n```\n", c.CommandPath(), codeBlocks(about), useLine(c))
	if c.Example != "" {
		fmt.Fprintf(b, "\nFor example:\n\n```sh\n%s\n```\n", unindent(c.Example))
	}
	flags := ownFlags(c)
	if len(flags) > 0 {
		b.WriteString("\n| flag | default | meaning |\n| --- | --- | --- |\n")
	}
	for _, f := range flags {
		_, usage := pflag.UnquoteUsage(f)
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", flagName(f), flagDefault(f), usage)
	}
}

// useLine returns how a command is typed.
func useLine(c *cobra.Command) string {
	if c.HasAvailableSubCommands() {
		return c.CommandPath() + " COMMAND"
	}
	if len(ownFlags(c)) == 0 {
		return strings.TrimSuffix(c.UseLine(), " [flags]")
	}
	return c.UseLine()
}

// ownFlags returns the flags of a command but --help, in the order of their
// names.
func ownFlags(c *cobra.Command) []*pflag.Flag {
	var flags []*pflag.Flag
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden && f.Name != "help" {
			flags = append(flags, f)
		}
	})
	return flags
}

// flagName returns how a flag is typed, with the kind of its value.
func flagName(f *pflag.Flag) string {
	name := "--" + f.Name
	if f.Shorthand != "" {
		name = "-" + f.Shorthand + ", " + name
	}
	if kind, _ := pflag.UnquoteUsage(f); kind != "" {
		name += " " + kind
	}
	return name
}

// flagDefault returns the default of a flag, empty when there is none to speak
// of.
func flagDefault(f *pflag.Flag) string {
	switch f.DefValue {
	case "", "false", "[]", "0", "0s":
		return ""
	default:
		return "`" + f.DefValue + "`"
	}
}

// unindent takes the two spaces of cobra's examples away.
func unindent(s string) string {
	return strings.ReplaceAll(strings.TrimPrefix(s, "  "), "\n  ", "\n")
}

// codeBlocks turns the indented parts of a help text into code blocks.
func codeBlocks(s string) string {
	return strings.ReplaceAll(s, "\n  ", "\n    ")
}
