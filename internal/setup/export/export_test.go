package export_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gaplesslogs/gapless/internal/setup/export"
	"github.com/gaplesslogs/gapless/internal/setup/stack"
)

// options are those of most tests.
func options() export.Options { return export.Options{Version: "1.2.3", Region: region} }

// render renders a stack that can be rendered.
func render(t *testing.T, format string, s stack.Stack, o export.Options) export.Result {
	t.Helper()
	r, err := export.Render(format, s, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// textOf returns all files of an export.
func textOf(r export.Result) string {
	var b strings.Builder
	for _, f := range r.Files {
		b.Write(f.Content)
	}
	return b.String()
}

// TestGolden holds that exports are deterministic, and shows them.
func TestGolden(t *testing.T) {
	t.Parallel()
	for _, format := range export.Formats() {
		r := render(t, format, everything(t), options())
		if again := render(t, format, everything(t), options()); !cmp.Equal(r, again) {
			t.Errorf("%s differs from run to run", format)
		}
		for _, f := range r.Files {
			path := filepath.Join("testdata", format, f.Name)
			if *update {
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, f.Content, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(string(want), string(f.Content)); d != "" {
				t.Errorf("%s (-want +got; go test -update rewrites it):\n%s", path, d)
			}
		}
	}
}

// TestEveryKindIsRendered holds that no renderer drops a resource in silence: each type
// of package stack is in the stack of this test, and each resource in each format, or
// named in a note.
func TestEveryKindIsRendered(t *testing.T) {
	t.Parallel()
	want := make(map[string]bool)
	packages, err := parser.ParseDir(token.NewFileSet(), filepath.Join("..", "stack"), nil, 0) //nolint:staticcheck // no types are needed
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(packages["stack"], func(n ast.Node) bool {
		f, ok := n.(*ast.FuncDecl)
		if ok && f.Recv != nil && f.Name.Name == "Attributes" {
			if star, ok := f.Recv.List[0].Type.(*ast.StarExpr); ok {
				if name, ok := star.X.(*ast.Ident); ok {
					want[name.Name] = true
				}
			}
		}
		return true
	})
	s, have := everything(t), make(map[string]bool)
	for _, r := range s.Resources {
		have[kindName(r)] = true
	}
	if d := cmp.Diff(slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(have))); d != "" || len(want) < 19 {
		t.Fatalf("kinds of package stack (-) and of this test (+):\n%s", d)
	}
	for _, format := range []string{export.Terraform, export.CloudFormation, export.AWSCLI} {
		all := render(t, format, s, options())
		for i, r := range s.Resources {
			// Without the resource, the export must be another one.
			less := stack.Stack{Notes: s.Notes, Resources: slices.Delete(slices.Clone(s.Resources), i, i+1)}
			if textOf(render(t, format, less, options())) == textOf(all) {
				t.Errorf("%s says nothing of %s", format, r.ID())
			}
		}
	}
}

// An unheard is a resource of a type that no renderer knows.
type unheard struct{ stack.Resource }

func (unheard) ID() stack.ID { return stack.ID{Kind: "new kind", Name: "x"} }

func TestUnknownKindsAreRefused(t *testing.T) {
	t.Parallel()
	s := stack.Stack{Resources: []stack.Resource{unheard{}}}
	for _, format := range []string{export.Terraform, export.CloudFormation, export.AWSCLI} {
		if _, err := export.Render(format, s, options()); err == nil || !strings.Contains(err.Error(), "new kind x") {
			t.Errorf("%s: %v", format, err)
		}
	}
	if _, err := export.Render("pulumi", s, options()); err == nil || !strings.Contains(err.Error(), "terraform, cloudformation, aws-cli, iam-json") {
		t.Error(err)
	}
}

func TestSecretsStayOut(t *testing.T) {
	t.Parallel()
	for _, format := range export.Formats() {
		if text := textOf(render(t, format, everything(t), options())); strings.Contains(text, "very-secret") {
			t.Errorf("%s shows the token of a log stream", format)
		}
	}
}

// TestElsewhere leaves out, by default, what endpoints other than AWS's may not know.
func TestElsewhere(t *testing.T) {
	t.Parallel()
	for _, elsewhere := range []bool{false, true} {
		o := options()
		o.Elsewhere = elsewhere
		result := render(t, export.Terraform, everything(t), o)
		_, after, found := strings.Cut(string(result.Files[0].Content), "variable \"logs_insights\" {")
		block, _, _ := strings.Cut(after, "}")
		if want := fmt.Sprintf("default     = %v\n", !elsewhere); !found || !strings.Contains(block, want) {
			t.Errorf("elsewhere %v: the variable is {%s}, want %s", elsewhere, block, want)
		}
	}
}
