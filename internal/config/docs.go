package config

import (
	"fmt"
	"strings"
)

// docsHead opens docs/config.md.
const docsHead = `# Configuration

<!-- Generated from the structs of internal/config. To change it, change their tags and run: go test ./internal/cli -run Docs -update -->

A value comes from one of four layers; later wins: defaults, the file, the environment, flags.

- **File**: YAML. It is the one given by ` + "`--config`" + `, or by the variable ` + "`GAPLESS_CONFIG`" + `, or ` + "`gapless.yaml`" + ` in the working directory if it exists. Unknown keys are errors. ` + "`gapless config schema`" + ` prints a JSON Schema for editors.
- **Environment**: the name of each variable stands below. Replace the 0 to set a value of another tenant; positions count from 0. For a single tenant ` + "`GAPLESS_TENANT_...`" + ` means the same as ` + "`GAPLESS_TENANTS_0_...`" + `. A variable that begins with ` + "`GAPLESS_`" + ` and stands for nothing is an error, unless a secret refers to it or Kubernetes set it for a Service.
- **Flags**: ` + "`--set path=value`" + ` for every value, such as ` + "`--set tenants.0.domain=dev-tenant.us.auth0.com`" + `, and flags of their own for the common ones.

` + "`gapless config check`" + ` names every problem with its line and what to do; ` + "`gapless config print --origin`" + ` shows what is in force and where it comes from.

The least that works:

` + "```yaml" + `
aws:
  region: eu-central-1
tenants:
  - name: dev-tenant
    domain: dev-tenant.us.auth0.com
    client_id: abc
    client_secret: env:AUTH0_CLIENT_SECRET
` + "```" + `

## Kinds of values

| kind | how to write it |
| --- | --- |
| duration | a number with a unit, or several: ` + "`200ms`, `30s`, `1h30m`, `72h`, `7d`, `1d12h`" + ` |
| size | bytes, or a number with a unit: ` + "`4096`, `500MB` (powers of 1,000), `10GiB`" + ` (powers of 1,024) |
| secret | the value itself, or where it is kept: ` + "`env:NAME`, `file:PATH`, `aws-secretsmanager:NAME-OR-ARN`, `aws-secretsmanager:NAME-OR-ARN#JSON-KEY`, `aws-ssm:NAME-OR-ARN`" + `. Values are never printed. The line break at the end of a file does not count. Paths are relative to the working directory. Secrets in AWS are read with the process's own credentials, not with ` + "`aws.role_arn`" + ` |
| list | in the file a list; in a variable or flag ` + "`value,value`" + ` |
| map | in the file keys and values; in a variable or flag ` + "`key=value,key=value`" + ` |
`

// Markdown returns docs/config.md: every setting with its variable, default,
// range and meaning.
func Markdown() string {
	var b strings.Builder
	b.WriteString(docsHead)
	sectionDocs(&b, fields(), "", "Top level", "")
	return b.String()
}

// sectionDocs writes the settings of a section, and then its sections.
func sectionDocs(b *strings.Builder, fs []field, prefix, title, doc string) {
	fmt.Fprintf(b, "\n## %s\n", title)
	if doc != "" {
		b.WriteString("\n" + doc + "\n")
	}
	for i := range fs {
		if f := &fs[i]; f.children == nil {
			leafDocs(b, f, prefix+f.name)
		}
	}
	for i := range fs {
		f := &fs[i]
		switch f.kind {
		case kindStruct:
			doc := f.doc
			if short := f.shorthand(); short != nil {
				doc += " A list in the place of the section is its `" + short.name + "`, and so is the variable `" + EnvName(prefix+f.name) + "`."
			}
			sectionDocs(b, f.children, prefix+f.name+".", "`"+shown(prefix+f.name)+"`", doc)
		case kindList:
			sectionDocs(b, f.children, prefix+f.name+".0.", "`"+shown(prefix+f.name+".0")+"`", f.doc)
		default: // a value, written above
		}
	}
}

// shown writes a path with [] for any position.
func shown(path string) string {
	return strings.ReplaceAll(path, ".0", "[]")
}

// leafDocs writes one setting.
func leafDocs(b *strings.Builder, f *field, path string) {
	fmt.Fprintf(b, "\n### `%s`\n\n%s\n\n", shown(path), f.doc)
	facts := []string{f.kindName()}
	switch {
	case f.required:
		facts = append(facts, "required")
	case f.def != "":
		facts = append(facts, "default `"+f.def+"`")
	}
	if len(f.enum) > 0 {
		facts = append(facts, "one of `"+strings.Join(f.enum, "`, `")+"`")
	}
	if f.min != "" {
		facts = append(facts, "at least `"+f.min+"`")
	}
	if f.max != "" {
		facts = append(facts, "at most `"+f.max+"`")
	}
	if f.example != "" {
		facts = append(facts, "for example `"+f.example+"`")
	}
	fmt.Fprintf(b, "- %s\n- variable `%s`\n", strings.Join(facts, "; "), EnvName(path))
}

// kindName names the kind of a field for a person.
func (f *field) kindName() string {
	switch f.kind {
	case kindBool:
		return "true or false"
	case kindInt:
		return "whole number"
	case kindFloat:
		return "number"
	case kindDuration:
		return "duration"
	case kindSize:
		return "size"
	case kindSecret:
		return "secret"
	case kindMap:
		return "map"
	case kindTexts:
		return "list"
	case kindSecrets:
		return "list of secrets"
	default:
		return "text"
	}
}
