package export

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/gaplesslogs/gapless/internal/setup/stack"
)

// The formats.
const (
	Terraform      = "terraform"
	CloudFormation = "cloudformation"
	AWSCLI         = "aws-cli"
	IAMJSON        = "iam-json"
)

// Formats returns the names of the formats.
func Formats() []string { return []string{Terraform, CloudFormation, AWSCLI, IAMJSON} }

// AccountPlaceholder stands in plain documents where the account is not known.
const AccountPlaceholder = "ACCOUNT_ID"

// Options are what a person decides about an export.
type Options struct {
	// Version is that of gapless, for the heads of files.
	Version string
	// Region is where what belongs to no Region is made from.
	Region string
	// Account is the number of the AWS account, and Partition its partition. Plain
	// documents hold them, a placeholder and the partition of Region when empty; the
	// Terraform configuration and the script refuse other accounts than Account.
	Account, Partition string
	// Elsewhere says that the files are for an endpoint that is not AWS's, which may not
	// know all that AWS does.
	Elsewhere bool
}

// A File is one file of an export.
type File struct {
	Name    string
	Content []byte
}

// A Result is an export.
type Result struct {
	// Files are in the order of their use. The first is the one that a person wants
	// who wants one.
	Files []File
	// Notes tell what the files leave to a person, as sentences. Formats with comments
	// have them in the head of the first file too.
	Notes []string
}

// Render writes a stack down. It is deterministic. Its errors tell what cannot be said
// in the format.
func Render(format string, s stack.Stack, o Options) (Result, error) {
	render, ok := map[string]func(stack.Stack, Options) (Result, error){
		Terraform: renderTerraform, CloudFormation: renderCloudFormation, AWSCLI: renderScript, IAMJSON: renderDocuments,
	}[format]
	if !ok {
		return Result{}, fmt.Errorf("export stack: unknown format %q; known are %s", format, strings.Join(Formats(), ", "))
	}
	r, err := render(s, o)
	if err != nil {
		return Result{}, fmt.Errorf("export stack as %s: %w", format, err)
	}
	return r, nil
}

// unknown is the error for a type of resource that a renderer has not heard of.
func unknown(r stack.Resource) error { return fmt.Errorf("nothing is known of %s (%T)", r.ID(), r) }

// outside tells why a resource of Auth0 is in no export, and how a person comes by it.
func outside(r stack.Resource) (note string, ok bool) {
	switch r := r.(type) {
	case *stack.Application:
		return fmt.Sprintf("%s is not in here, as it is made in Auth0: gapless setup apply makes it, or in Auth0's dashboard "+
			"Applications > Create Application > Machine to Machine, authorized for the Auth0 Management API with %s alone.",
			r.ID(), strings.Join(r.Scopes, ", ")), true
	case *stack.Auth0Stream:
		return fmt.Sprintf("%s is not in here, as it is made in Auth0: gapless setup apply makes it, or in Auth0's dashboard "+
			"Monitoring > Streams > Create Stream, of type %s.", r.ID(), map[string]string{
			"http": "Custom Webhook", "eventbridge": "Amazon EventBridge",
		}[r.Type]), true
	default:
		return "", false
	}
}

// head returns the lines that begin a file: what made it, and what is left to do.
func head(format string, o Options, lines ...string) []string {
	made := "Made by gapless " + o.Version + ": gapless setup export --format " + format
	return append([]string{made, ""}, lines...)
}

// comment returns lines behind #, of which none can end early. They are wrapped, but
// for commands, which begin with two spaces.
func comment(lines ...string) string {
	var b strings.Builder
	for _, line := range lines {
		if line == "" {
			b.WriteString("#\n")
			continue
		}
		if strings.HasPrefix(line, "  ") {
			b.WriteString("#   " + strings.TrimSpace(printable(line)) + "\n")
			continue
		}
		at := 0
		for word := range strings.FieldsSeq(printable(line)) {
			switch {
			case at == 0:
				b.WriteString("#")
			case at+1+len(word) > 96:
				b.WriteString("\n#")
				at = 0
			}
			b.WriteString(" " + word)
			at += 1 + len(word)
		}
		b.WriteString("\n")
	}
	return b.String()
}

// printable puts spaces in the place of what could end a line, or change what a
// terminal shows.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s)
}

// shown puts the tokens of a text into words.
func shown(text string) string {
	var b strings.Builder
	for _, p := range pieces(text) {
		switch {
		case p.token == "":
			b.WriteString(p.text)
		case p.ref.value == "":
			b.WriteString(strings.ToUpper(strings.Trim(p.token, "{}")))
		default:
			b.WriteString(strings.ToUpper(slug(p.ref.value, '_')))
		}
	}
	return b.String()
}
