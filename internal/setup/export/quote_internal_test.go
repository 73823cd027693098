package export

import (
	"context"
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	ctyfunction "github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"
	"pgregory.net/rapid"

	"github.com/gaplesslogs/gapless/internal/setup/stack"
)

// bad are texts that mean something to a reader of one format or another.
var bad = []string{
	"$(reboot)", "`id`", "${x}", "$${x}", "$", "$$", "%{if x}", "%%{", "%", `"`, `'`, `'\''`, `\`, `\n`, "!Sub ${AWS::AccountId}", "# x", ": ", "- ", "EOT", "{", "}", "{{", "}}",
	"\n", "\n\n", " ", "\t", "\r", "\x00", "\u0085", "\u2028", "é", "\ufeff", "yes", "null", "0123", "2012-10-17", "file://x", "[", "&", "*", "|-", "<<EOF", "--x", ";", "${\"", "{{account}}",
	"{{partition}}", "{{queue:q:url}}", "x", "fields @message",
}

// anyText draws texts of such pieces, and of any others.
func anyText() *rapid.Generator[string] {
	piece := rapid.OneOf(rapid.SampledFrom(bad), rapid.String())
	prose := rapid.Custom(func(t *rapid.T) string {
		word := rapid.SampledFrom([]string{"fields @message", " ", "EOT", "${x}", "%{if x}", "$", "$$", "%", "%%", `\`, `"`, "'", "#", "{{account}}", "é", ": ", "- "})
		line := rapid.Custom(func(t *rapid.T) string { return strings.Join(rapid.SliceOfN(word, 1, 4).Draw(t, "words"), "") })
		return strings.Join(rapid.SliceOfN(line, 2, 4).Draw(t, "lines"), "\n") + rapid.SampledFrom([]string{"", "\n"}).Draw(t, "end")
	})
	known := rapid.SampledFrom([]string{"a$" + stack.Account, "a$$" + stack.Partition, "x\nEOT\ny", "x\n EOT\ny$" + stack.Account, "x\n%{if y}", "x\n$${y}"})
	return rapid.OneOf(known, prose, rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(piece, 0, 6).Draw(t, "pieces"), rapid.SampledFrom([]string{"", "\n"}).Draw(t, "between"))
	}))
}

// values are what stands for tokens in these tests.
func values(p piece) string {
	switch p.token {
	case stack.Account:
		return "123456789012"
	case stack.Partition:
		return "aws"
	default:
		return "https://queue"
	}
}

// filled puts them in.
func filled(text string) string {
	var b strings.Builder
	for _, p := range pieces(text) {
		if p.token != "" {
			b.WriteString(values(p))
			continue
		}
		b.WriteString(p.text)
	}
	return b.String()
}

// TestHCLReadsBack holds that every text is data to Terraform, whatever it holds.
func TestHCLReadsBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := anyText().Draw(t, "text")
		w := &hclWriter{margin: rapid.SampledFrom([]string{"", "  "}).Draw(t, "margin")}
		w.token = func(p piece) expr { return expr(`join("", [var.v, "` + values(p) + `"])`) }
		w.line("locals {")
		w.line("b = %s", w.value(text))
		w.line("a = %s", w.value(object{{text, text}, {"list", list{text, true, 1}}}))
		w.line("}")
		src, err := w.bytes()
		if err != nil {
			t.Fatalf("%v\n%s", err, w.b.String())
		}
		f, diags := hclsyntax.ParseConfig(src, "x", hcl.InitialPos)
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		body, ok := f.Body.(*hclsyntax.Body)
		if !ok || len(body.Blocks) != 1 || len(body.Blocks[0].Body.Attributes) != 2 {
			t.Fatalf("the text broke out:\n%s", src)
		}
		plain, diags := body.Blocks[0].Body.Attributes["b"].Expr.Value(functions())
		if want := cty.NormalizeString(strings.ToValidUTF8(filled(text), "\ufffd")); diags.HasErrors() || plain.AsString() != want {
			t.Fatalf("read back %#v, want %q (%v):\n%s", plain, want, diags, src)
		}
		v, diags := body.Blocks[0].Body.Attributes["a"].Expr.Value(functions())
		if diags.HasErrors() {
			t.Fatalf("%v\n%s", diags, src)
		}
		want := cty.NormalizeString(strings.ToValidUTF8(filled(text), "\ufffd"))
		got, found := v.AsValueMap()[want]
		if !found {
			if want != "list" {
				t.Fatalf("the key is not %q:\n%s", want, src)
			}
			return
		}
		if want != "list" && got.AsString() != want {
			t.Fatalf("read back %q, want %q:\n%s", got.AsString(), want, src)
		}
	})
}

// functions are those that the expressions of tokens use.
func functions() *hcl.EvalContext {
	return &hcl.EvalContext{
		Variables: map[string]cty.Value{"var": cty.ObjectVal(map[string]cty.Value{"v": cty.StringVal("")})},
		Functions: map[string]ctyfunction.Function{"join": stdlib.JoinFunc, "chomp": stdlib.ChompFunc},
	}
}

// TestYAMLReadsBack holds it for CloudFormation's templates.
func TestYAMLReadsBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := strings.ToValidUTF8(anyText().Draw(t, "text"), "\ufffd")
		key := "k" + text
		src := yamlText(object{{"First", object{{key, text}, {"List", list{text, object{{"A", text}}, list{text}}}}}, {"Last", 1}}, 0)
		var got map[string]any
		if err := yaml.Unmarshal([]byte(src), &got); err != nil {
			t.Fatalf("%v\n%s", err, src)
		}
		want := map[string]any{
			"First": map[string]any{key: text, "List": []any{text, map[string]any{"A": text}, []any{text}}},
			"Last":  uint64(1),
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Fatalf("(-want +got)\n%s\n%s", d, src)
		}
	})
}

// TestFunctionsReadBack holds that texts with tokens, joined as CloudFormation does,
// are as they were.
func TestFunctionsReadBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := anyText().Draw(t, "text")
		q := &stack.Queue{Region: "r", Name: "q"}
		tmpl := &template{s: stack.Stack{Resources: []stack.Resource{q}}, ids: map[stack.Resource]string{q: "Queue"}}
		v, err := tmpl.text(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := evaluated(t, v); got != filled(text) {
			t.Fatalf("%v gives %q, want %q", v, got, filled(text))
		}
	})
	tmpl := &template{}
	if _, err := tmpl.text("x {{resolve:ssm:/secret}}"); err == nil {
		t.Error("a dynamic reference was let through")
	}
}

// evaluated does what CloudFormation does with a function. In Fn::Sub ${!x} is ${x}.
func evaluated(t *rapid.T, v any) string {
	o, ok := v.(object)
	if !ok {
		text, _ := v.(string)
		return text
	}
	switch o[0].key {
	case "Ref":
		return map[any]string{"AWS::AccountId": "123456789012", "AWS::Partition": "aws", "Queue": "https://queue"}[o[0].value]
	case "Fn::Join":
		args, _ := o[0].value.(list)
		parts, _ := args[1].(list)
		var b strings.Builder
		for _, p := range parts {
			b.WriteString(evaluated(t, p))
		}
		return b.String()
	case "Fn::Sub":
		text, _ := o[0].value.(string)
		out := strings.NewReplacer("${AWS::AccountId}", "123456789012", "${AWS::Partition}", "aws", "${Queue}", "https://queue").Replace(text)
		if strings.Contains(out, "${") {
			t.Fatalf("CloudFormation would read %q", text)
		}
		return out
	default:
		t.Fatalf("unknown function %s", o[0].key)
		return ""
	}
}

// TestShellReadsBack holds that a shell hands every text on as it is.
func TestShellReadsBack(t *testing.T) {
	t.Parallel()
	shell, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("NOT RUN: there is no sh; install a POSIX shell")
	}
	rapid.Check(t, func(t *rapid.T) {
		w := &script{known: map[string]string{stack.Account: "account", stack.Partition: "partition", stack.Ref(stack.KindQueue, "q", "url"): "queue"}, taken: make(names)}
		noNUL := anyText().Filter(func(s string) bool { return !strings.Contains(s, "\x00") && utf8.ValidString(s) })
		texts := rapid.SliceOfN(noNUL, 5, 5).Draw(t, "texts")
		var src strings.Builder
		src.WriteString("set -eu\naccount=123456789012 partition=aws queue=https://queue\n")
		var want strings.Builder
		for _, text := range texts {
			src.WriteString("printf '%s\\0' " + w.word(text) + "\n")
			want.WriteString(filled(text) + "\x00")
			doc := compact(object{{text, list{text}}})
			src.WriteString("printf '%s\\0' " + w.word(doc) + "\n")
			want.WriteString(filled(doc) + "\x00")
			var back map[string]any
			if err := json.Unmarshal([]byte(filled(doc)), &back); err != nil {
				t.Fatalf("%v: %s", err, filled(doc))
			}
		}
		cmd := exec.CommandContext(context.Background(), shell)
		cmd.Stdin = strings.NewReader(src.String())
		cmd.Env = []string{"LC_ALL=C"}
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v\n%s", err, src.String())
		}
		if got := string(out); got != want.String() {
			t.Fatalf("read back\n%q\nwant\n%q", got, want.String())
		}
	})
}

// TestCommentsEndWhereTheyShould holds that no text ends a comment.
func TestCommentsEndWhereTheyShould(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := anyText().Draw(t, "text")
		for line := range strings.SplitSeq(strings.TrimSuffix(comment(text, "  "+text, text), "\n"), "\n") {
			if line != "" && line[0] != '#' || strings.ContainsAny(line, "\r\v\f\u0085\u2028\u2029\x00") {
				t.Fatalf("%q is no comment", line)
			}
		}
	})
}

// TestPieces holds that a text is the sum of its pieces.
func TestPieces(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := anyText().Draw(t, "text")
		var b strings.Builder
		for _, p := range pieces(text) {
			b.WriteString(p.token + p.text)
		}
		if b.String() != text {
			t.Fatalf("%q became %q", text, b.String())
		}
	})
}

// TestArguments holds what reaches the AWS CLI of every command of a script: each word
// is an option, and what it has to say cannot be taken for the address of a value.
func TestArguments(t *testing.T) {
	t.Parallel()
	w := &script{known: map[string]string{}, taken: make(names)}
	for _, text := range []string{"file:///etc/passwd", "fileb://x", "https://example.com"} {
		w.err = nil
		if w.option("description", text); w.err == nil {
			t.Errorf("the AWS CLI would read %s", text)
		}
	}
	w.err = nil
	if got := w.option("description", "--profile evil"); got != "--description='--profile evil'" || w.err != nil {
		t.Errorf("%s, %v", got, w.err)
	}
}
