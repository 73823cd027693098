package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/gaplesslogs/gapless/internal/app"
	"github.com/gaplesslogs/gapless/internal/ledger"
)

// newLedgerCommand makes "gapless ledger".
func newLedgerCommand(env *Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "ledger",
		GroupID: groupExport,
		Short:   "Show the ledger of what was delivered, and make its keys",
		Long: `The ledger has an entry for each hour and destination: how many events were
delivered, a SHA-256 over them, and the hash of the entry before. 'gapless verify
--digest' checks it against the destination. The page docs/audit.md tells what it proves.`,
		Example: "  gapless ledger list --config gapless.yaml",
		Args:    cobra.ArbitraryArgs,
		RunE:    showHelp,
	}
	cmd.AddCommand(newLedgerListCommand(env), newLedgerShowCommand(env), newLedgerExportCommand(env), newLedgerKeygenCommand(env), newLedgerPublicKeyCommand(env))
	return cmd
}

// newLedgerListCommand makes "gapless ledger list".
func newLedgerListCommand(env *Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "Show where the ledgers stand",
		Long:    "Shows the last entry of each ledger. Note its hash down where nobody who can change the ledger can change it: 'gapless verify --digest --head HASH' then proves that nothing before it was changed.",
		Example: "  gapless ledger list --config gapless.yaml --json",
		Args:    noArgs,
	}
	flags, asJSON := addConfigFlags(cmd), addJSONFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := flags.load(cmd.Context(), cmd, env)
		if err != nil {
			return err
		}
		list, err := app.LedgerHeads(cmd.Context(), cfg)
		if err != nil {
			return err
		}
		if *asJSON {
			return writeJSON(env.Stdout, append([]app.LedgerHead{}, list...))
		}
		for _, h := range list {
			until := "not sealed yet"
			if !h.SealedUntil.IsZero() {
				until = "sealed until " + clockOf(h.SealedUntil)
			}
			fmt.Fprintf(env.Stdout, "%s, %s: %s, %s\n", plainLines(h.Tenant), plainLines(h.Destination), entries(h.Entries), until)
			if h.Head.Hash != "" {
				fmt.Fprintf(env.Stdout, "  head: entry %d of chain %s, hash %s\n", h.Head.Seq, h.Head.Chain, h.Head.Hash)
			}
		}
		return nil
	}
	return cmd
}

// entries counts entries.
func entries(n int64) string {
	if n == 1 {
		return "1 entry"
	}
	return fmt.Sprintf("%d entries", n)
}

// ledgerOf are the flags that name a ledger.
type ledgerOf struct{ tenant, destination *string }

// addLedgerFlags gives cmd the flags that name a ledger.
func addLedgerFlags(cmd *cobra.Command) ledgerOf {
	return ledgerOf{
		cmd.Flags().String("tenant", "", "name of the `TENANT`; needed if several are configured"),
		cmd.Flags().String("destination", app.MainDestination, "`NAME` of one of the tenant's destinations, "+app.MainDestination+" for the main one"),
	}
}

// newLedgerShowCommand makes "gapless ledger show".
func newLedgerShowCommand(env *Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "show",
		Short:   "Show the hours of a ledger",
		Long:    "Shows the entries of a ledger in the store, one on a line: hours, counts, and the beginning of digest and hash.",
		Example: "  gapless ledger show --config gapless.yaml --tenant dev-tenant",
		Args:    noArgs,
	}
	flags, of := addConfigFlags(cmd), addLedgerFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return eachLine(env, cmd, flags, of, func(line []byte) error {
			e, err := ledger.Parse(line)
			if err != nil {
				return fmt.Errorf("read the ledger: %w", err)
			}
			from, until := "-", "-"
			if !e.From.IsZero() {
				from = clockOf(e.From)
			}
			if !e.Until.IsZero() {
				until = clockOf(e.Until)
			}
			_, err = fmt.Fprintf(env.Stdout, "%6d  %-5s  %-20s  %-20s  %8d  %-12.12s  %-12.12s\n", e.Seq, e.Kind, from, until, e.Count, e.Digest, e.Hash)
			return err
		})
	}
	return cmd
}

// newLedgerExportCommand makes "gapless ledger export".
func newLedgerExportCommand(env *Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "export",
		Short:   "Print a ledger as JSON lines, for an auditor",
		Long:    "Prints the entries of a ledger in the store in their canonical form, as 'gapless verify --digest --from FILE' takes them.",
		Example: "  gapless ledger export --config gapless.yaml --tenant dev-tenant > ledger.jsonl",
		Args:    noArgs,
	}
	flags, of := addConfigFlags(cmd), addLedgerFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return eachLine(env, cmd, flags, of, func(line []byte) error {
			_, err := fmt.Fprintf(env.Stdout, "%s\n", line)
			return err
		})
	}
	return cmd
}

// eachLine calls each for the lines of the ledger that flags name.
func eachLine(env *Env, cmd *cobra.Command, flags *configFlags, of ledgerOf, each func([]byte) error) error {
	cfg, err := flags.load(cmd.Context(), cmd, env)
	if err != nil {
		return err
	}
	tenant, err := pickTenant(cmd, cfg, *of.tenant)
	if err != nil {
		return err
	}
	return app.LedgerEntries(cmd.Context(), cfg, tenant, *of.destination, each)
}

// newLedgerKeygenCommand makes "gapless ledger keygen".
func newLedgerKeygenCommand(env *Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "keygen FILE",
		Short: "Make a key that signs the ledger",
		Long: `Makes an Ed25519 key, writes it to a file that its owner alone can read, and prints the
public key. It never overwrites a file. Name the file in ledger.signing_key, or put its
content into AWS Secrets Manager, and give the public key to those who check.`,
		Example: "  gapless ledger keygen ledger.pem > ledger.pub.pem",
		Args:    cobra.MaximumNArgs(1),
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return usageError(cmd, "name the FILE to write the key to")
		}
		key, text, err := ledger.Generate()
		if err != nil {
			return err
		}
		f, err := os.OpenFile(filepath.Clean(args[0]), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if errors.Is(err, fs.ErrExist) {
			return fail(exitUsage, "Choose another name, or move the file away if no ledger was signed with it.", fmt.Errorf("write the key: %w", err))
		}
		if err != nil {
			return fail(exitUsage, "", fmt.Errorf("write the key: %w", err))
		}
		_, err = f.Write(text)
		if err := errors.Join(err, f.Close()); err != nil {
			return fmt.Errorf("write the key: %w", err)
		}
		return printPublicKey(env, key)
	}
	return cmd
}

// printPublicKey prints the public key, and its name for a person.
func printPublicKey(env *Env, key *ledger.Key) error {
	text, err := key.Public().PEM()
	if err != nil {
		return err
	}
	fmt.Fprintf(env.Stderr, "key id: %s\n", key.ID)
	if _, err := env.Stdout.Write(text); err != nil {
		return fmt.Errorf("print the key: %w", err)
	}
	return nil
}

// errUnsigned says that no key is configured.
var errUnsigned = errors.New("ledger.signing_key is not set")

// newLedgerPublicKeyCommand makes "gapless ledger public-key".
func newLedgerPublicKeyCommand(env *Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "public-key",
		Short:   "Print the public key of ledger.signing_key",
		Long:    "Prints the key that checks what ledger.signing_key signs, as PEM. It is no secret.",
		Example: "  gapless ledger public-key --config gapless.yaml > ledger.pub.pem",
		Args:    noArgs,
	}
	flags := addConfigFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := flags.load(cmd.Context(), cmd, env)
		if err != nil {
			return err
		}
		key, err := app.LedgerKey(cmd.Context(), cfg, resolver(cfg, env))
		if err != nil {
			return err
		}
		if key == nil {
			return fail(exitConfig, "gapless ledger keygen ledger.pem", errUnsigned)
		}
		return printPublicKey(env, key)
	}
	return cmd
}
