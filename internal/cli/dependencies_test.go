package cli_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestDependenciesAreDocumented holds that docs/dependencies.md has a row for each
// module that go.mod requires directly, with its version and a reason, and for no
// other.
func TestDependenciesAreDocumented(t *testing.T) {
	t.Parallel()
	mod := read(t, filepath.Join("..", "..", "go.mod"))
	want := make(map[string]string)
	for _, m := range regexp.MustCompile(`(?m)^(?:require )?\s*([a-z0-9.-]+\.[a-z]+/\S+) (v\S+)$`).FindAllStringSubmatch(mod, -1) {
		want[m[1]] = m[2] // a line with "// indirect" does not end there
	}
	if len(want) < 10 {
		t.Fatalf("go.mod was not understood: %v", want)
	}
	got := make(map[string]string)
	for line := range strings.Lines(read(t, filepath.Join("..", "..", "docs", "dependencies.md"))) {
		cells := strings.Split(strings.TrimSpace(line), " | ")
		module, ok := strings.CutPrefix(cells[0], "| `")
		if !ok {
			continue
		}
		module = strings.TrimSuffix(module, "`")
		if len(cells) != 7 || slices.Contains(cells, "") {
			t.Errorf("the row of %s has %d cells, or an empty one", module, len(cells))
			continue
		}
		if got[module] != "" {
			t.Errorf("%s has two rows", module)
		}
		got[module] = cells[1]
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("docs/dependencies.md and go.mod differ (-go.mod +page):\n%s", d)
	}
}

// read reads a file.
func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestVulncheckSaysWhenItDidNotCheck holds that make vulncheck ends well only when
// the database was asked and knows of no hole.
func TestVulncheckSaysWhenItDidNotCheck(t *testing.T) {
	t.Parallel()
	shell, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("no sh; install a POSIX shell")
	}
	for code, want := range map[int]int{0: 0, 3: 3, 1: 4, 2: 4, 127: 4} {
		tool := filepath.Join(t.TempDir(), "govulncheck")
		text := fmt.Sprintf("#!/bin/sh\nfor a; do [ \"$a\" = -version ] && exit 0; done\nexit %d\n", code)
		if err := os.WriteFile(tool, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
		checkVulncheck(t, shell, tool, want)
	}
	checkVulncheck(t, shell, filepath.Join(t.TempDir(), "missing"), 4)
}

// checkVulncheck runs the script with a tool.
func checkVulncheck(t *testing.T, shell, tool string, want int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), shell, filepath.Join("..", "..", "scripts", "vulncheck.sh"))
	cmd.Env = append(os.Environ(), "GOVULNCHECK="+tool, "VULNDB=file:///nowhere")
	out, err := cmd.CombinedOutput()
	if exit, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok || ok && exit.ExitCode() != want || err == nil && want != 0 {
		t.Errorf("%s: %v, want code %d\n%s", tool, err, want, out)
	}
	if checked := strings.Contains(string(out), "no known hole"); checked != (want == 0) {
		t.Errorf("%s: code %d, but it says that it found no hole: %t\n%s", tool, want, checked, out)
	}
	if said := strings.Contains(string(out), "NOT CHECKED"); said != (want == 4) {
		t.Errorf("%s: code %d, but it says that it did not check: %t\n%s", tool, want, said, out)
	}
}
