package export

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/gaplesslogs/gapless/internal/setup/stack"
)

// A template renders the CloudFormation template of one Region. A stack of
// CloudFormation is in one Region, so a stack of ours may be several templates; what
// belongs to no Region is in the first.
type template struct {
	s      stack.Stack // what is in this template
	region string
	ids    map[stack.Resource]string
	taken  names

	resources, parameters, outputs object
	notes                          []string
	remarks                        map[string][]string // before a resource
}

// renderCloudFormation implements Render.
func renderCloudFormation(s stack.Stack, o Options) (Result, error) {
	var out Result
	out.Notes = slices.Clone(s.Notes)
	all := regions(s, o.Region)
	var bodies []*template
	for i, region := range all {
		t := &template{region: region, ids: make(map[stack.Resource]string), taken: make(names), remarks: make(map[string][]string)}
		for _, r := range s.Resources {
			if at := r.ID().Region; at == region || at == "" && i == 0 {
				t.s.Resources = append(t.s.Resources, r)
			}
		}
		if err := t.render(); err != nil {
			return Result{}, err
		}
		if len(t.resources) == 0 {
			out.Notes = append(out.Notes, t.notes...)
			continue
		}
		bodies = append(bodies, t)
		out.Notes = append(out.Notes, t.notes...)
	}
	for i, t := range bodies {
		name := "gapless.yaml"
		if t.region != o.Region {
			name = "gapless-" + t.region + ".yaml"
		}
		var notes []string
		if i == 0 {
			notes = out.Notes
		}
		out.Files = append(out.Files, File{name, t.bytes(o, name, len(bodies) > 1, notes)})
	}
	if len(out.Files) == 0 {
		return Result{}, errors.New("there is nothing in the stack that CloudFormation makes")
	}
	return out, nil
}

// render fills the template.
func (t *template) render() error {
	for _, r := range t.s.Resources {
		if kind := logicalPrefix(r); kind != "" {
			t.ids[r] = t.taken.take(logicalID(kind, r.ID().Name))
		}
	}
	for _, r := range t.s.Resources {
		if err := t.resource(r); err != nil {
			return err
		}
	}
	return nil
}

// logicalPrefix begins the logical IDs of a type; empty for what has none.
func logicalPrefix(r stack.Resource) string {
	switch r.(type) {
	case *stack.Application, *stack.Auth0Stream, *stack.IndexPolicy:
		return ""
	default:
		_, name, _ := strings.Cut(fmt.Sprintf("%T", r), ".")
		return name
	}
}

// logicalID makes a logical ID of any text.
func logicalID(kind, text string) string {
	var b strings.Builder
	for word := range strings.FieldsFuncSeq(text, func(r rune) bool { return r > 0x7f || !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		b.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	id := kind + b.String()
	return id[:min(len(id), 200)] // AWS takes 255
}

// bytes returns the file.
func (t *template) bytes(o Options, name string, several bool, notes []string) []byte {
	deploy := "aws cloudformation deploy --stack-name gapless --template-file " + name + " --region " + t.region
	if slices.ContainsFunc(t.resources, func(m member) bool { return isIAM(m.value) }) {
		deploy += " --capabilities CAPABILITY_NAMED_IAM"
	}
	lines := []string{"  " + deploy, "", "Log groups and streams stay when the stack is deleted, as they hold the log."}
	if several {
		lines = append(lines, "", "This is the template of "+t.region+": a stack of CloudFormation is in one Region. What belongs to no Region is in gapless.yaml, "+
			"which is deployed first.")
	}
	var doc object
	doc = append(doc, member{"AWSTemplateFormatVersion", "2010-09-09"}, member{"Description", "What gapless needs to carry Auth0 logs into CloudWatch Logs"})
	if len(t.parameters) > 0 {
		doc = append(doc, member{"Parameters", t.parameters})
	}
	var b strings.Builder
	b.WriteString(strings.TrimPrefix(yamlText(doc, 0), "\n") + "Resources:\n")
	for _, m := range t.resources {
		for _, r := range t.remarks[m.key] {
			b.WriteString(indented(strings.TrimSuffix(comment(r), "\n"), "  ") + "\n")
		}
		b.WriteString(strings.TrimPrefix(yamlText(object{m}, 2), "\n"))
	}
	if len(t.outputs) > 0 {
		b.WriteString(strings.TrimPrefix(yamlText(object{{"Outputs", t.outputs}}, 0), "\n"))
	}
	body := b.String()
	if len(body) > 51_200 {
		lines = append(lines, "", "The template is larger than the 51,200 bytes that CloudFormation takes directly: add --s3-bucket BUCKET.")
	}
	for _, n := range notes {
		lines = append(lines, "", n)
	}
	return []byte(comment(head(CloudFormation, o, lines...)...) + body)
}

// isIAM reports whether a resource of a template is one of IAM.
func isIAM(v any) bool {
	o, _ := v.(object)
	if len(o) == 0 {
		return false
	}
	kind, _ := o[0].value.(string)
	return strings.HasPrefix(kind, "AWS::IAM::")
}

// add adds a resource. Properties that are empty are left out.
func (t *template) add(r stack.Resource, kind string, properties object, more ...member) error {
	return t.addAs(t.ids[r], r, kind, properties, more...)
}

// addAs adds a resource by its logical ID.
func (t *template) addAs(id string, r stack.Resource, kind string, properties object, more ...member) error {
	filled := object{}
	for _, m := range properties {
		if isEmpty(m.value) {
			continue
		}
		v, err := t.fill(m.value)
		if err != nil {
			return fmt.Errorf("%s: %w", r.ID(), err)
		}
		filled = append(filled, member{m.key, v})
	}
	o := object{{"Type", kind}}
	o = append(o, more...)
	t.resources = append(t.resources, member{id, append(o, member{"Properties", filled})})
	return nil
}

// isEmpty reports whether a property says nothing.
func isEmpty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case list:
		return len(v) == 0
	case object:
		return len(v) == 0
	default:
		return false
	}
}

// An emptyText is a property that must be there and is empty.
type emptyText struct{}

// A function is a value that CloudFormation computes, and has no tokens.
type function object

// fill puts functions in the place of tokens.
func (t *template) fill(v any) (any, error) {
	switch v := v.(type) {
	case function:
		return object(v), nil
	case emptyText:
		return "", nil
	case string:
		return t.text(v)
	case list:
		out := make(list, 0, len(v))
		for _, x := range v {
			x, err := t.fill(x)
			if err != nil {
				return nil, err
			}
			out = append(out, x)
		}
		return out, nil
	case object:
		out := make(object, 0, len(v))
		for _, m := range v {
			if hasTokens(m.key) {
				return nil, fmt.Errorf("CloudFormation cannot compute the key %q of a document", shown(m.key))
			}
			x, err := t.fill(m.value)
			if err != nil {
				return nil, err
			}
			out = append(out, member{m.key, x})
		}
		return out, nil
	default:
		return v, nil
	}
}

// text returns a text with functions in the place of its tokens.
func (t *template) text(text string) (any, error) {
	parts := pieces(text)
	for _, p := range parts {
		if p.token == "" && strings.Contains(p.text, "{{resolve:") {
			return nil, errors.New("CloudFormation would read {{resolve:…}} as a reference to a secret; use another text")
		}
	}
	if !hasTokens(text) {
		return text, nil
	}
	if len(parts) == 1 {
		return t.token(parts[0]), nil
	}
	var sub strings.Builder
	joined := list{}
	simple := true
	for i, p := range parts {
		if p.token == "" {
			simple = simple && !strings.Contains(p.text, "${") && (i+1 == len(parts) || !strings.HasSuffix(p.text, "$"))
			sub.WriteString(p.text)
			joined = append(joined, p.text)
			continue
		}
		f := t.token(p)
		joined = append(joined, f)
		sub.WriteString("${" + subName(f) + "}")
	}
	if simple {
		return object{{"Fn::Sub", sub.String()}}, nil
	}
	return object{{"Fn::Join", list{"", joined}}}, nil // Fn::Sub would read the text itself
}

// subName returns how Fn::Sub names a Ref or Fn::GetAtt.
func subName(f object) string {
	if parts, ok := f[0].value.(list); ok {
		return fmt.Sprintf("%s.%s", parts...)
	}
	return fmt.Sprint(f[0].value)
}

func ref(name string) object                  { return object{{"Ref", name}} }
func getAtt(id, attribute string) object      { return object{{"Fn::GetAtt", list{id, attribute}}} }
func (t *template) has(r stack.Resource) bool { return t.ids[r] != "" }

// token returns the function for a token.
func (t *template) token(p piece) object {
	switch p.token {
	case stack.Account:
		return ref("AWS::AccountId")
	case stack.Partition:
		return ref("AWS::Partition")
	}
	if r, ok := referred(t.s, p.ref); ok && t.has(r) {
		switch id := t.ids[r]; [2]string{string(p.ref.kind), p.ref.value} {
		case [2]string{string(stack.KindTrustAnchor), "arn"}:
			return getAtt(id, "TrustAnchorArn")
		case [2]string{string(stack.KindAnywhereProfile), "arn"}:
			return getAtt(id, "ProfileArn")
		case [2]string{string(stack.KindQueue), "url"}, [2]string{string(stack.KindAccessKey), "id"}:
			return ref(id)
		case [2]string{string(stack.KindAccessKey), "secret"}:
			return getAtt(id, "SecretAccessKey")
		}
	}
	name := logicalID("", p.ref.name+" "+p.ref.value)
	if !slices.ContainsFunc(t.parameters, func(m member) bool { return m.key == name }) {
		about := fmt.Sprintf("%s of the %s %s", strings.ReplaceAll(p.ref.value, "_", " "), p.ref.kind, p.ref.name)
		o := object{{"Type", "String"}, {"Description", about}}
		if strings.Contains(p.ref.value, "secret") {
			o = append(o, member{"NoEcho", true})
		}
		t.parameters = append(t.parameters, member{name, o})
	}
	return ref(name)
}
