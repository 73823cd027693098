package export

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gaplesslogs/gapless/internal/setup/stack"
)

// terraformFile is the name of the configuration.
const terraformFile = "gapless.tf"

// A terraform renders a Terraform configuration for releases 5 and 6 of its AWS
// provider. Regions have providers of their own, as release 5 knows no argument region.
type terraform struct {
	*hclWriter

	s     stack.Stack
	o     Options
	addrs map[stack.Resource]string
	// tags are those that the first resource has; others with the same name them.
	tags  map[string]string
	vars  map[string]variable // by token
	taken names               // of variables
	used  names               // addresses
	// outputs are what a person needs to know of what was made.
	outputs []output
	notes   []string
}

// A variable stands for a value that only Auth0 knows.
type variable struct{ name, about string }

// An output of Terraform or CloudFormation.
type output struct {
	name, about string
	value       any
	secret      bool
}

// renderTerraform implements Render.
func renderTerraform(s stack.Stack, o Options) (Result, error) {
	t := &terraform{
		hclWriter: &hclWriter{}, s: s, o: o,
		addrs: make(map[stack.Resource]string), vars: make(map[string]variable), taken: make(names), used: make(names),
	}
	t.token = t.expression
	t.name()
	t.notes = slices.Clone(s.Notes)
	for _, r := range s.Resources {
		if err := t.resource(r); err != nil {
			return Result{}, err
		}
	}
	body := t.b.String()
	t.b.Reset()
	t.comment(head(Terraform, o, t.headLines()...)...)
	t.settings()
	t.declare(body)
	t.b.WriteString(body)
	t.printOutputs()
	content, err := t.bytes()
	if err != nil {
		return Result{}, err
	}
	return Result{Files: []File{{terraformFile, content}}, Notes: t.notes}, nil
}

// headLines are what a person must know of the configuration.
func (t *terraform) headLines() []string {
	lines := []string{
		"  terraform init && terraform plan && terraform apply",
		"",
		"The blocks lifecycle refuse a plan that takes away a log group or stream, which hold the log; skip_destroy leaves a group " +
			"where it is even when its block is deleted. What is there already is taken over with terraform import.",
	}
	for _, n := range t.notes {
		lines = append(lines, "", n)
	}
	return lines
}

// terraformType returns the type that a resource has in Terraform; empty for none.
func terraformType(r stack.Resource) string {
	switch r.(type) {
	case *stack.LogGroup:
		return "aws_cloudwatch_log_group"
	case *stack.LogStream:
		return "aws_cloudwatch_log_stream"
	case *stack.IndexPolicy:
		return "aws_cloudwatch_log_index_policy"
	case *stack.Query:
		return "aws_cloudwatch_query_definition"
	case *stack.MetricFilter:
		return "aws_cloudwatch_log_metric_filter"
	case *stack.Alarm:
		return "aws_cloudwatch_metric_alarm"
	case *stack.Dashboard:
		return "aws_cloudwatch_dashboard"
	case *stack.Policy:
		return "aws_iam_policy"
	case *stack.OIDCProvider:
		return "aws_iam_openid_connect_provider"
	case *stack.TrustAnchor:
		return "aws_rolesanywhere_trust_anchor"
	case *stack.Role:
		return "aws_iam_role"
	case *stack.InstanceProfile:
		return "aws_iam_instance_profile"
	case *stack.PodIdentity:
		return "aws_eks_pod_identity_association"
	case *stack.AnywhereProfile:
		return "aws_rolesanywhere_profile"
	case *stack.User:
		return "aws_iam_user"
	case *stack.AccessKey:
		return "aws_iam_access_key"
	case *stack.EventBus:
		return "aws_cloudwatch_event_bus"
	case *stack.Queue:
		return "aws_sqs_queue"
	case *stack.Rule:
		return "aws_cloudwatch_event_rule"
	default:
		return ""
	}
}

// name gives every resource its address, and finds the tags that most have.
func (t *terraform) name() {
	for _, r := range t.s.Resources {
		kind := terraformType(r)
		if kind == "" {
			continue
		}
		t.addrs[r] = t.used.take(kind + "." + identifier(r.ID().Name))
		if tags := tagsOf(r); t.tags == nil && len(tags) > 0 {
			t.tags = tags
		}
	}
}

// identifier makes a name of Terraform of any text.
func identifier(text string) string {
	id := strings.ToLower(slug(text, '_'))
	if id == "" || id[0] >= '0' && id[0] <= '9' {
		id = "_" + id
	}
	return id
}

// tagsOf returns the tags of a resource.
func tagsOf(r stack.Resource) map[string]string {
	switch r := r.(type) {
	case *stack.LogGroup:
		return r.Tags
	case *stack.Policy:
		return r.Tags
	case *stack.Alarm:
		return r.Tags
	case *stack.Queue:
		return r.Tags
	default:
		return nil
	}
}

// expression returns the expression for a token.
func (t *terraform) expression(p piece) expr {
	switch p.token {
	case stack.Account:
		return "data.aws_caller_identity.current.account_id"
	case stack.Partition:
		return "data.aws_partition.current.partition"
	}
	attribute := map[reference]string{
		{kind: stack.KindTrustAnchor, value: "arn"}:     "arn",
		{kind: stack.KindAnywhereProfile, value: "arn"}: "arn",
		{kind: stack.KindQueue, value: "url"}:           "url",
		{kind: stack.KindAccessKey, value: "id"}:        "id",
		{kind: stack.KindAccessKey, value: "secret"}:    "secret",
	}[reference{kind: p.ref.kind, value: p.ref.value}]
	if r, ok := referred(t.s, p.ref); ok && attribute != "" {
		return expr(t.addrs[r] + "." + attribute)
	}
	v, ok := t.vars[p.token]
	if !ok {
		v = variable{
			name:  t.taken.take(identifier(p.ref.name + " " + p.ref.value)),
			about: fmt.Sprintf("%s of the %s %s", strings.ReplaceAll(p.ref.value, "_", " "), p.ref.kind, p.ref.name),
		}
		t.vars[p.token] = v
	}
	return expr("var." + v.name)
}

// settings writes what the configuration needs of Terraform, and its providers.
func (t *terraform) settings() {
	t.line("\nterraform {\nrequired_version = \">= 1.3\"\n\nrequired_providers {")
	t.attr("aws", object{{"source", "hashicorp/aws"}, {"version", t.release()}})
	t.line("}\n}")
	for i, region := range regions(t.s, t.o.Region) {
		t.line("\nprovider \"aws\" {")
		if i > 0 {
			t.attr("alias", identifier(region))
		}
		t.attr("region", region)
		if t.o.Account != "" {
			t.attr("allowed_account_ids", list{t.o.Account})
		}
		t.line("}")
	}
}

// release is which releases of the provider have all that the configuration asks for.
// Source: its changelog.
func (t *terraform) release() string {
	_, protected := find(t.s, func(g *stack.LogGroup) bool { return g.Protected })
	if protected {
		return ">= 6.25, < 7" // deletion_protection_enabled
	}
	return ">= 5.100, < 7" // the oldest that this was tried with
}

// insightsCount makes a resource where the variable logs_insights says so: the provider
// asks an endpoint that does not know the call again and again.
const insightsCount = "var.logs_insights ? 1 : 0"

// declare writes what body uses: data sources, variables and the common tags.
func (t *terraform) declare(body string) {
	if strings.Contains(body, "data.aws_caller_identity.current.") {
		t.line("\ndata \"aws_caller_identity\" \"current\" {}")
	}
	if strings.Contains(body, "data.aws_partition.current.") {
		t.line("\ndata \"aws_partition\" \"current\" {}")
	}
	if len(t.tags) > 0 {
		t.line("\nlocals {")
		t.attr("tags", pairs(t.tags))
		t.line("}")
	}
	if strings.Contains(body, insightsCount) {
		t.line("\nvariable \"logs_insights\" {\ntype = bool")
		t.attr("description", "Make field indexes and saved queries. Endpoints other than AWS's may not know them.")
		t.attr("default", !t.o.Elsewhere)
		t.line("}")
	}
	tokens := make([]string, 0, len(t.vars))
	for token := range t.vars {
		tokens = append(tokens, token)
	}
	slices.Sort(tokens)
	for _, token := range tokens {
		v := t.vars[token]
		t.line("\nvariable %q {\ntype = string", v.name)
		t.attr("description", v.about)
		if strings.Contains(token, "secret") {
			t.attr("sensitive", true)
		}
		t.line("}")
	}
}

// printOutputs writes the outputs.
func (t *terraform) printOutputs() {
	used := make(names)
	for _, o := range t.outputs {
		t.line("\noutput %q {", used.take(o.name))
		t.attr("description", o.about)
		t.attr("value", o.value)
		if o.secret {
			t.attr("sensitive", true)
		}
		t.line("}")
	}
}

// reference returns a value that names a resource of the stack where it can.
func (t *terraform) reference(r stack.Resource, found bool, attribute, otherwise string) any {
	if addr := t.addrs[r]; found && addr != "" {
		return expr(addr + "." + attribute)
	}
	return otherwise
}

// arn returns an ARN as the attribute of the resource that it names, so that this is
// made first, where it is in the stack.
func (t *terraform) arn(arn string) any {
	r, ok := byARN(t.s, arn)
	return t.reference(r, ok, "arn", arn)
}

// arns does so for a list.
func (t *terraform) arns(arns []string) list {
	out := make(list, 0, len(arns))
	for _, a := range arns {
		out = append(out, t.arn(a))
	}
	return out
}

// document returns the expression of a JSON document.
func (t *terraform) document(text string) (any, error) {
	v, err := parse(text)
	if err != nil {
		return nil, err
	}
	return t.encoded(t.named(v)), nil
}

// encoded returns the expression of a value as JSON.
func (t *terraform) encoded(v any) expr { return expr("jsonencode(" + t.value(v) + ")") }

// named puts references in the place of ARNs within a document.
func (t *terraform) named(v any) any {
	switch v := v.(type) {
	case string:
		return t.arn(v)
	case list:
		out := make(list, 0, len(v))
		for _, x := range v {
			out = append(out, t.named(x))
		}
		return out
	case object:
		out := make(object, 0, len(v))
		for _, m := range v {
			out = append(out, member{m.key, t.named(m.value)})
		}
		return out
	default:
		return v
	}
}
