package cli_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"github.com/gaplesslogs/gapless/internal/cli"
	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// TestDocs holds that the generated pages of docs/ are up to date.
func TestDocs(t *testing.T) {
	t.Parallel()
	for name, want := range cli.Pages() {
		path := filepath.Join("..", "..", "docs", name)
		if *update {
			if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, string(got)); d != "" {
			t.Errorf("docs/%s is out of date; run: go test ./internal/cli -run Docs -update\n(-want +got):\n%s", name, d)
		}
	}
}

// each calls fn for every command but those that cobra adds.
func each(cmd *cobra.Command, fn func(*cobra.Command)) {
	fn(cmd)
	for _, c := range cmd.Commands() {
		if c.Name() != "help" {
			each(c, fn)
		}
	}
}

// TestEveryCommandIsDescribed holds the house rules of the commands.
func TestEveryCommandIsDescribed(t *testing.T) {
	t.Parallel()
	each(cli.Root(), func(c *cobra.Command) {
		switch {
		case c.Short == "" || strings.HasSuffix(c.Short, "."):
			t.Errorf("%s: Short is %q", c.CommandPath(), c.Short)
		case c.Example == "":
			t.Errorf("%s has no example", c.CommandPath())
		case c.RunE == nil:
			t.Errorf("%s does nothing", c.CommandPath())
		case c.HasParent() && !c.Parent().HasParent() && c.GroupID == "":
			t.Errorf("%s is in no group", c.CommandPath())
		}
	})
}

// TestExamplesParse holds that every example names a command and flags that
// exist.
func TestExamplesParse(t *testing.T) {
	t.Parallel()
	each(cli.Root(), func(c *cobra.Command) {
		for line := range strings.Lines(c.Example) {
			args := strings.Fields(line)
			if i := slices.IndexFunc(args, func(a string) bool { return a == ">" || a == "|" }); i >= 0 {
				args = args[:i]
			}
			program := slices.Index(args, "gapless")
			if program < 0 {
				continue // a comment, or a command of the shell
			}
			found, rest, err := cli.Root().Find(args[program+1:])
			if err != nil {
				t.Errorf("%s: example %q: %v", c.CommandPath(), line, err)
				continue
			}
			if err := found.ParseFlags(rest); err != nil {
				t.Errorf("%s: example %q: %v", c.CommandPath(), line, err)
			}
		}
	})
}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	interrupted, cancel := context.WithCancelCause(t.Context())
	cancel(cli.ErrInterrupted())
	base := errors.New("base")
	class := func(c pipeline.Class) error {
		return fmt.Errorf("run: %w", &pipeline.Error{Op: "x", Class: c, Hint: "Do this.", Err: base})
	}
	for _, c := range []struct {
		ctx  context.Context //nolint:containedctx // a case of the table
		err  error
		code int
		try  string
	}{
		{t.Context(), nil, 0, ""},
		{t.Context(), base, 1, ""},
		{t.Context(), context.Canceled, 1, ""},
		{interrupted, context.Canceled, 130, ""},
		{interrupted, fmt.Errorf("run: %w", cli.ErrInterrupted()), 130, ""},
		{interrupted, base, 1, ""},
		{t.Context(), cli.Fail(5, "gapless verify", base), 5, "gapless verify"},
		{t.Context(), fmt.Errorf("x: %w", cli.Fail(2, "", base)), 2, ""},
		{t.Context(), &config.InvalidError{Of: "the configuration", Problems: []*config.Error{{}}}, 3, "gapless config check"},
		{t.Context(), class(pipeline.Misconfigured), 3, "Do this."},
		{t.Context(), class(pipeline.Unauthorized), 4, "Do this."},
		{t.Context(), class(pipeline.Transient), 1, "Do this."},
		{t.Context(), class(pipeline.Throttled), 1, "Do this."},
	} {
		if got := cli.CodeOf(c.ctx, c.err); got != c.code {
			t.Errorf("%v: got code %d, want %d", c.err, got, c.code)
		}
		if got := cli.TryOf(c.err); got != c.try {
			t.Errorf("%v: got %q, want %q", c.err, got, c.try)
		}
		if !slices.Contains(cli.ExitCodes(), c.code) {
			t.Errorf("code %d is not in the table", c.code)
		}
	}
	if err := cli.Fail(5, "", base); !errors.Is(err, base) || err.Error() != "base" {
		t.Errorf("a failure hides its cause: %v", err)
	}
}

// run runs a command in process and returns what it printed.
func run(t *testing.T, environ []string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = cli.Main(t.Context(), args, cli.Env{Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs, Environ: environ})
	return code, out.String(), errs.String()
}

// TestNoCommandPrintsASecret runs the commands that read the configuration with
// secrets in every layer, in right and in wrong configurations.
func TestNoCommandPrintsASecret(t *testing.T) {
	t.Parallel()
	const canary = "cAnArY0123456789"
	path := filepath.Join(t.TempDir(), "g.yaml")
	text := "data_dir: /data\ntenants:\n  - name: a\n    domain: a.example.com\n    client_id: a\n    client_secret: " + canary + "\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	environ := []string{"GAPLESS_TENANTS_1_NAME=b", "GAPLESS_TENANTS_1_DOMAIN=b.example.com", "GAPLESS_TENANTS_1_CLIENT_ID=b", "GAPLESS_TENANTS_1_CLIENT_SECRET=" + canary}
	for _, command := range [][]string{{"check"}, {"check", "--json"}, {"print"}, {"print", "--origin"}, {"print", "--json"}} {
		for _, wrong := range []string{"", "tenants.0.private_key=" + canary, "tenants.0.client_secrt=" + canary, "tenants.0.client_secret:" + canary, "listen=bad"} {
			args := append([]string{"config"}, command...)
			args = append(args, "--config", path)
			want := 0
			if wrong != "" {
				args, want = append(args, "--set", wrong), 3
			}
			code, stdout, stderr := run(t, environ, args...)
			if code != want {
				t.Errorf("%q: code %d, want %d\n%s", args, code, want, stderr)
			}
			if strings.Contains(stdout+stderr, canary) {
				t.Errorf("%q prints the secret:\n%s%s", args, stdout, stderr)
			}
		}
	}
}

func TestLogger(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ level, format, want string }{
		{"info", "auto", `"msg":"hello"`}, // a buffer is no terminal
		{"debug", "json", `"msg":"hello"`},
		{"warn", "text", ""},
		{"info", "text", "msg=hello"},
	} {
		var out bytes.Buffer
		logger, err := cli.NewLogger(&out, c.level, c.format)
		if err != nil {
			t.Fatal(err)
		}
		logger.Info("hello")
		if got := out.String(); !strings.Contains(got, c.want) || (c.want == "") != (got == "") {
			t.Errorf("%s, %s: got %q", c.level, c.format, got)
		}
	}
	if _, err := cli.NewLogger(nil, "loud", "text"); err == nil {
		t.Error("an unknown level was taken")
	}
}

func TestNoColourElsewhere(t *testing.T) {
	t.Parallel()
	f, err := os.Create(filepath.Join(t.TempDir(), "f"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	if got := cli.Paint(cli.Env{}, f, "x"); got != "x" {
		t.Errorf("got %q in a file", got)
	}
}

func TestLookupEnv(t *testing.T) {
	t.Parallel()
	env := cli.Env{Environ: []string{"A=1", "A=2", "AB=3", "EMPTY="}}
	if v, ok := env.LookupEnv("A"); v != "2" || !ok {
		t.Errorf("A: got %q, %v", v, ok)
	}
	if v, ok := env.LookupEnv("EMPTY"); v != "" || !ok {
		t.Errorf("EMPTY: got %q, %v", v, ok)
	}
	if _, ok := env.LookupEnv("B"); ok {
		t.Error("B is set")
	}
}

func TestShellWord(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"gapless.yaml": "gapless.yaml", "./a/b-c_d": "./a/b-c_d", "": "''", "a b": "'a b'", "it's": `'it'\''s'`, "$HOME": "'$HOME'", "~/x": "'~/x'",
	} {
		if got := cli.ShellWord(in); got != want {
			t.Errorf("ShellWord(%q) = %s, want %s", in, got, want)
		}
	}
}

func TestFit(t *testing.T) {
	t.Parallel()
	for columns, want := range map[int]string{-2: "…", 0: "…", 1: "…", 4: "a·c…", 5: "a·cde", 80: "a·cde"} {
		if got := cli.Fit("a·cde", columns); got != want {
			t.Errorf("Fit(%d) = %q, want %q", columns, got, want)
		}
	}
}
