package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// newCompletionCommand makes "gapless completion".
func newCompletionCommand(env *Env) *cobra.Command {
	shells := []string{"bash", "zsh", "fish", "powershell"}
	return &cobra.Command{
		Use:     "completion {bash|zsh|fish|powershell}",
		GroupID: groupOther,
		Short:   "Print the completion script of a shell",
		Long: `Prints a script that makes a shell complete the commands and flags of gapless.

  bash        source <(gapless completion bash)
  zsh         gapless completion zsh > "${fpath[1]}/_gapless"
  fish        gapless completion fish > ~/.config/fish/completions/gapless.fish
  powershell  gapless completion powershell | Out-String | Invoke-Expression`,
		Example:   "  gapless completion bash > gapless.bash",
		ValidArgs: shells,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError(cmd, "name one shell: %s", strings.Join(shells, ", "))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			root, w := cmd.Root(), env.Stdout
			switch args[0] {
			case "bash":
				return wrapCompletion(root.GenBashCompletionV2(w, true))
			case "zsh":
				return wrapCompletion(root.GenZshCompletion(w))
			case "fish":
				return wrapCompletion(root.GenFishCompletion(w, true))
			case "powershell":
				return wrapCompletion(root.GenPowerShellCompletionWithDesc(w))
			default:
				return usageError(cmd, "unknown shell %q; there are %s", args[0], strings.Join(shells, ", "))
			}
		},
	}
}

// wrapCompletion adds what failed to an error.
func wrapCompletion(err error) error {
	if err != nil {
		return fmt.Errorf("print completion: %w", err)
	}
	return nil
}
