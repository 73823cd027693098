package export

import (
	_ "embed"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/gaplesslogs/gapless/internal/setup/stack"
)

// scriptFile is the name of the script.
const scriptFile = "gapless-setup.sh"

// scriptFunctions are what a script begins with.
//
//go:embed script.sh
var scriptFunctions string

// A script renders a script of the AWS CLI for any POSIX shell.
type script struct {
	s stack.Stack
	o Options
	b strings.Builder
	// known are the variables that hold the values of tokens.
	known map[string]string
	taken names
	// wanted are the variables that a person sets.
	wanted []string
	notes  []string
	err    error
	// margin stands before commands within an if.
	margin string
}

// renderScript implements Render.
func renderScript(s stack.Stack, o Options) (Result, error) {
	w := &script{s: s, o: o, taken: make(names), notes: slices.Clone(s.Notes)}
	w.known = map[string]string{stack.Account: "account", stack.Partition: "partition"}
	for _, r := range s.Resources {
		if err := w.resource(r); err != nil {
			return Result{}, err
		}
		if w.err != nil {
			return Result{}, fmt.Errorf("%s: %w", r.ID(), w.err)
		}
	}
	lines := []string{
		"  sh " + scriptFile, "",
		"It makes what is missing, and may be run again. Log groups that are there and were not made by gapless stay as they are, " +
			"and tags are given only to what is made. It needs the AWS CLI, release 1 or 2, and credentials; AWS_ENDPOINT_URL leads it to an emulator.",
	}
	for _, n := range w.notes {
		lines = append(lines, "", n)
	}
	var b strings.Builder
	b.WriteString("#!/bin/sh\n" + comment(head(AWSCLI, o, lines...)...) + "\n" + scriptFunctions)
	for _, v := range w.wanted {
		b.WriteString(v)
	}
	region := shellWord(o.Region)
	b.WriteString("\naccount=$(aws sts get-caller-identity --region=" + region + " --query Account --output text)\n" +
		"partition=$(aws sts get-caller-identity --region=" + region + " --query Arn --output text | cut -d: -f2)\n" +
		"safe 'the account' \"$account\"\nsafe 'the partition' \"$partition\"\n")
	if o.Account != "" {
		b.WriteString("[ \"$account\" = " + shellWord(o.Account) + " ] || fail \"these are credentials of account $account, and the script is for \"" + shellWord(o.Account) + "\n")
	}
	b.WriteString(w.b.String())
	b.WriteString("\n[ \"$lacked\" = 0 ] || printf 'gapless-setup: %s left out, as the endpoint does not know them: %s\\n' \"$lacked\" \"$lacking\" >&2\n")
	b.WriteString("[ \"$left\" = 0 ] || fail 'not all could be done: see above'\n")
	return Result{Files: []File{{scriptFile, []byte(b.String())}}, Notes: w.notes}, nil
}

// shellWord quotes a text without tokens. No character means anything between the
// quotes but the quote itself.
func shellWord(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// word quotes a text for the shell, with the variables of its tokens.
func (w *script) word(text string) string {
	var b strings.Builder
	for _, p := range pieces(text) {
		if p.token != "" {
			b.WriteString(`"$` + w.variable(p) + `"`)
			continue
		}
		b.WriteString(shellWord(p.text))
	}
	if b.Len() == 0 {
		return "''"
	}
	return b.String()
}

// variable returns the name of the variable that holds the value of a token. One that
// nothing in the script sets is asked of the environment.
func (w *script) variable(p piece) string {
	if name, ok := w.known[p.token]; ok {
		return name
	}
	name := w.taken.take(strings.ToUpper(identifier(p.ref.name + " " + p.ref.value)))
	about := fmt.Sprintf("%s of the %s %s", strings.ReplaceAll(p.ref.value, "_", " "), p.ref.kind, p.ref.name)
	w.wanted = append(w.wanted, fmt.Sprintf("\n[ -n \"${%s:-}\" ] || fail %s\nsafe %s \"$%s\"\n", name, shellWord("set "+name+" to the "+about), shellWord(name), name))
	w.notes = append(w.notes, "Set the variable "+name+" to the "+about+".")
	w.known[p.token] = name
	return name
}

// set names a variable that is set from here on to the value of a token.
func (w *script) set(token, name string) string {
	if v, ok := w.known[token]; ok {
		return v
	}
	name = w.taken.take(name)
	w.known[token] = name
	return name
}

// fromElsewhere are texts that the AWS CLI takes for the address of a value.
var fromElsewhere = regexp.MustCompile(`^(file|fileb|https?)://`)

// A shellText is a value that is quoted already.
type shellText string

// option returns a flag; nothing when the value is empty. The value stands behind =, so
// that one with a dash in front is none of its own.
func (w *script) option(name string, value any) string {
	switch v := value.(type) {
	case shellText:
		return "--" + name + "=" + string(v)
	case string:
		if v == "" {
			return ""
		}
		if fromElsewhere.MatchString(v) {
			w.err = fmt.Errorf("the AWS CLI would read %q of --%s from there; use another text", v, name)
		}
		return "--" + name + "=" + w.word(v)
	case int:
		return fmt.Sprintf("--%s=%d", name, v)
	case nil:
		return "--" + name
	default:
		if isEmpty(v) {
			return ""
		}
		return "--" + name + "=" + w.word(compact(v))
	}
}

// command returns a command of the AWS CLI with its options, each member one.
func (w *script) command(region, name string, options ...member) string {
	parts := []string{"aws " + name}
	if region != "" {
		parts = append(parts, "--region="+shellWord(region))
	}
	for _, m := range options {
		if o := w.option(m.key, m.value); o != "" {
			parts = append(parts, o)
		}
	}
	return strings.Join(parts, " \\\n\t"+w.margin)
}

// line writes a line as it stands.
func (w *script) line(format string, args ...any) { fmt.Fprintf(&w.b, w.margin+format+"\n", args...) }

// within writes commands further in.
func (w *script) within(commands func()) {
	w.margin += "\t"
	commands()
	w.margin = strings.TrimSuffix(w.margin, "\t")
}

// title begins the lines of a resource.
func (w *script) title(r stack.Resource) { w.b.WriteString("\n" + comment(shown(r.ID().String()))) }

// create writes a command that makes a resource; code is AWS's error for one that is
// there, an extended regular expression.
func (w *script) create(r stack.Resource, code, command string) {
	w.line("create %s %s %s", shellWord(shown(r.ID().String())), shellWord(code), command)
}

// put writes a command that may be run again.
func (w *script) put(what, command string) { w.line("put %s %s", shellWord(what), command) }

// named returns a query of JMESPath for a member of what has a name in a list.
func named(list, key, name, member string) shellText {
	return shellText(shellWord(list + "[?" + key + "==" + literal(name) + "] | [0]." + member))
}

// literal returns a text as JMESPath has it.
func literal(text string) string { return "`" + strings.ReplaceAll(compact(text), "`", `\u0060`) + "`" }
