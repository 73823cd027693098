package export

import (
	"maps"
	"strings"

	"github.com/gaplesslogs/gapless/internal/setup/stack"
)

// resource writes one resource.
func (t *terraform) resource(r stack.Resource) error {
	if note, ok := outside(r); ok {
		t.notes = append(t.notes, note)
		return nil
	}
	switch r := r.(type) {
	case *stack.LogGroup:
		t.logGroup(r)
	case *stack.LogStream:
		t.logStream(r)
	case *stack.IndexPolicy:
		t.open(r)
		t.attr("count", expr(insightsCount))
		t.attr("log_group_name", t.group(r.Region, r.Group))
		t.attr("policy_document", t.encoded(object{{"Fields", texts(r.Fields)}}))
		t.line("}")
	case *stack.Query:
		t.query(r)
	case *stack.MetricFilter:
		t.metricFilter(r)
	case *stack.Alarm:
		t.alarm(r)
	case *stack.Dashboard:
		return t.documented(r, "dashboard_name", r.Name, "dashboard_body", r.Body)
	case *stack.EventBus:
		t.open(r)
		t.attr("name", r.Source)
		t.attr("event_source_name", r.Source)
		t.tagged(r.Tags)
		t.line("}")
	case *stack.Queue:
		return t.queue(r)
	case *stack.Rule:
		return t.rule(r)
	default:
		return t.access(r)
	}
	return nil
}

// access writes one resource of IAM, or of what lends its identities.
func (t *terraform) access(r stack.Resource) error {
	switch r := r.(type) {
	case *stack.Policy:
		t.output("policy_arn", "The policy that gapless needs", r, "arn", false)
		return t.documented(r, "name", r.Name, "policy", r.Document, member{"description", r.Description}, member{"tags", r.Tags})
	case *stack.OIDCProvider:
		t.oidc(r)
	case *stack.TrustAnchor:
		t.trustAnchor(r)
	case *stack.Role:
		return t.role(r)
	case *stack.InstanceProfile:
		role, ok := find(t.s, func(x *stack.Role) bool { return x.Name == r.Role })
		t.open(r)
		t.attr("name", r.Name)
		t.attr("role", t.reference(role, ok, "name", r.Role))
		t.tagged(r.Tags)
		t.line("}")
		t.output("instance_profile", "The instance profile for EC2", r, "name", false)
	case *stack.PodIdentity:
		t.open(r)
		t.attr("cluster_name", r.Cluster)
		t.attr("namespace", r.Namespace)
		t.attr("service_account", r.ServiceAccount)
		t.attr("role_arn", t.arn(r.Role))
		t.tagged(r.Tags)
		t.line("}")
	case *stack.AnywhereProfile:
		t.open(r)
		t.attr("name", r.Name)
		t.attr("enabled", true)
		t.attr("role_arns", t.arns(r.Roles))
		t.attr("duration_seconds", r.SessionSeconds)
		t.tagged(r.Tags)
		t.line("}")
		t.output("profile_arn", "The profile of IAM Roles Anywhere, for aws_signing_helper", r, "arn", false)
	case *stack.User:
		t.open(r)
		t.attr("name", r.Name)
		t.tagged(r.Tags)
		t.line("}")
		t.attach("aws_iam_user_policy_attachment", "user", r, r.Policies)
	case *stack.AccessKey:
		t.accessKey(r)
	default:
		return unknown(r)
	}
	return nil
}

// open begins the block of a resource, under remarks.
func (t *terraform) open(r stack.Resource, remarks ...string) {
	kind, name, _ := strings.Cut(t.addrs[r], ".")
	t.line("")
	t.comment(remarks...)
	t.line("resource %q %q {", kind, name)
	t.provider(r.ID().Region)
}

// provider names the provider of another Region.
func (t *terraform) provider(region string) {
	if region != "" && region != t.o.Region {
		t.attr("provider", expr("aws."+identifier(region)))
	}
}

// tagged writes tags.
func (t *terraform) tagged(tags map[string]string) {
	if len(tags) > 0 && maps.Equal(tags, t.tags) {
		t.attr("tags", expr("local.tags"))
		return
	}
	t.attr("tags", pairs(tags))
}

// documented writes a resource that is hardly more than a JSON document.
func (t *terraform) documented(r stack.Resource, name, value, key, document string, more ...member) error {
	doc, err := t.document(document)
	if err != nil {
		return err
	}
	t.open(r)
	t.attr(name, value)
	for _, m := range more {
		if tags, ok := m.value.(map[string]string); ok {
			t.tagged(tags)
			continue
		}
		t.attr(m.key, m.value)
	}
	t.attr(key, doc)
	t.line("}")
	return nil
}

// output adds an attribute of a resource to the outputs.
func (t *terraform) output(name, about string, r stack.Resource, attribute string, secret bool) {
	t.outputs = append(t.outputs, output{name, about, expr(t.addrs[r] + "." + attribute), secret})
}

// keep refuses plans that take a resource away.
func (t *terraform) keep() { t.line("\nlifecycle {\nprevent_destroy = true\n}") }

// group names a log group.
func (t *terraform) group(region, name string) any {
	g, ok := groupOf(t.s, region, name)
	return t.reference(g, ok, "name", name)
}

func (t *terraform) logGroup(g *stack.LogGroup) {
	t.open(g)
	t.attr("name", g.Name)
	if g.RetentionDays > 0 {
		t.attr("retention_in_days", g.RetentionDays)
	}
	t.attr("log_group_class", classOf(g))
	t.attr("kms_key_id", g.KMSKey)
	if g.Protected {
		t.attr("deletion_protection_enabled", true)
	}
	t.attr("skip_destroy", true)
	t.tagged(g.Tags)
	t.keep()
	t.line("}")
}

func (t *terraform) logStream(s *stack.LogStream) {
	t.open(s)
	t.attr("name", s.Name)
	t.attr("log_group_name", t.group(s.Region, s.Group))
	t.keep()
	t.line("}")
}

func (t *terraform) query(q *stack.Query) {
	t.open(q)
	t.attr("count", expr(insightsCount))
	t.attr("name", q.Name)
	groups := make(list, 0, len(q.Groups))
	for _, g := range q.Groups {
		groups = append(groups, t.group(q.Region, g))
	}
	t.attr("log_group_names", groups)
	t.margin = "    "
	t.attr("query_string", q.Text)
	t.margin = ""
	t.line("}")
}

func (t *terraform) metricFilter(f *stack.MetricFilter) {
	t.open(f)
	t.attr("name", f.Name)
	t.attr("log_group_name", t.group(f.Region, f.Group))
	t.line("pattern = %s", t.text(f.Pattern)) // also when it is empty, which matches all
	t.line("\nmetric_transformation {")
	t.attr("name", f.Metric)
	t.attr("namespace", f.Namespace)
	t.attr("value", "1")
	t.attr("default_value", "0")
	t.line("}\n}")
}

func (t *terraform) alarm(a *stack.Alarm) {
	t.open(a)
	t.attr("alarm_name", a.Name)
	t.attr("alarm_description", a.Description)
	t.attr("namespace", a.Namespace)
	t.attr("metric_name", a.Metric)
	t.attr("statistic", "Sum")
	t.attr("period", a.PeriodSeconds)
	t.attr("evaluation_periods", 1)
	t.attr("threshold", a.Threshold)
	t.attr("comparison_operator", "GreaterThanOrEqualToThreshold")
	t.attr("treat_missing_data", "notBreaching")
	t.attr("alarm_actions", texts(a.Topics))
	t.attr("ok_actions", texts(a.Topics))
	t.tagged(a.Tags)
	t.line("}")
}

func (t *terraform) oidc(p *stack.OIDCProvider) {
	t.open(p, "An account has one provider for each issuer, which others may use too. When yours has this one, compare client_id_list, and:",
		"  terraform import "+t.addrs[p]+" ARN")
	t.attr("url", "https://"+p.URL)
	t.attr("client_id_list", texts(p.Audiences))
	t.tagged(p.Tags)
	t.line("}")
}

func (t *terraform) trustAnchor(a *stack.TrustAnchor) {
	t.open(a)
	t.attr("name", a.Name)
	t.attr("enabled", true)
	t.line("\nsource {\nsource_type = \"CERTIFICATE_BUNDLE\"\n\nsource_data {")
	t.margin = "        "
	t.attr("x509_certificate_data", a.Certificate)
	t.margin = ""
	t.line("}\n}\n")
	t.tagged(a.Tags)
	t.line("}")
	t.output("trust_anchor_arn", "The trust anchor of IAM Roles Anywhere, for aws_signing_helper", a, "arn", false)
}

func (t *terraform) role(r *stack.Role) error {
	err := t.documented(r, "name", r.Name, "assume_role_policy", r.Trust, member{"description", r.Description}, member{"tags", r.Tags})
	if err != nil {
		return err
	}
	t.attach("aws_iam_role_policy_attachment", "role", r, r.Policies)
	t.output("role_arn", "The role that gapless runs as", r, "arn", false)
	return nil
}

// attach writes the attachments of policies to a role or user.
func (t *terraform) attach(kind, to string, r stack.Resource, policies []string) {
	_, name, _ := strings.Cut(t.addrs[r], ".")
	for _, p := range policies {
		_, n, _ := strings.Cut(t.used.take(kind+"."+name), ".")
		t.line("\nresource %q %q {", kind, n)
		t.attr(to, expr(t.addrs[r]+".name"))
		t.attr("policy_arn", t.arn(p))
		t.line("}")
	}
}

func (t *terraform) accessKey(k *stack.AccessKey) {
	user, ok := find(t.s, func(u *stack.User) bool { return u.Name == k.User })
	t.open(k, "The secret is in Terraform's state in plain text. It is read with:", "  terraform output -raw secret_access_key")
	t.attr("user", t.reference(user, ok, "name", k.User))
	t.line("}")
	t.output("access_key_id", "The id of the access key", k, "id", false)
	t.output("secret_access_key", "The secret of the access key", k, "secret", true)
}

func (t *terraform) queue(q *stack.Queue) error {
	t.open(q)
	t.attr("name", q.Name)
	if q.RetentionSeconds > 0 {
		t.attr("message_retention_seconds", q.RetentionSeconds)
	}
	if q.VisibilitySeconds > 0 {
		t.attr("visibility_timeout_seconds", q.VisibilitySeconds)
	}
	if q.DeadLetterQueue != "" {
		t.attr("redrive_policy", t.encoded(object{
			{"deadLetterTargetArn", t.queueARN(q.Region, q.DeadLetterQueue)},
			{"maxReceiveCount", q.MaxReceives},
		}))
	}
	t.tagged(q.Tags)
	t.line("}")
	t.output("queue_url_"+identifier(q.Name), "The URL of the queue "+q.Name, q, "url", false)
	if q.Policy == "" {
		return nil
	}
	doc, err := t.document(q.Policy)
	if err != nil {
		return err
	}
	_, name, _ := strings.Cut(t.addrs[q], ".")
	t.line("\nresource \"aws_sqs_queue_policy\" %q {", name)
	t.provider(q.Region)
	t.attr("queue_url", expr(t.addrs[q]+".url"))
	t.attr("policy", doc)
	t.line("}")
	return nil
}

// queueARN returns the ARN of a queue of the stack.
func (t *terraform) queueARN(region, name string) any { return t.arn(stack.ARN("sqs", region, name)) }

func (t *terraform) rule(r *stack.Rule) error {
	doc, err := t.document(r.Pattern)
	if err != nil {
		return err
	}
	bus, ok := busOf(t.s, r)
	t.open(r)
	t.attr("name", r.Name)
	t.attr("event_bus_name", t.reference(bus, ok, "name", r.Bus))
	t.attr("event_pattern", doc)
	t.tagged(r.Tags)
	t.line("}")
	_, name, _ := strings.Cut(t.addrs[r], ".")
	t.line("\nresource \"aws_cloudwatch_event_target\" %q {", name)
	t.provider(r.Region)
	t.attr("rule", expr(t.addrs[r]+".name"))
	t.attr("event_bus_name", expr(t.addrs[r]+".event_bus_name"))
	t.attr("target_id", targetID)
	t.attr("arn", t.queueARN(r.Region, r.Queue))
	if r.DeadLetterQueue != "" {
		t.line("\ndead_letter_config {")
		t.attr("arn", t.queueARN(r.Region, r.DeadLetterQueue))
		t.line("}")
	}
	t.line("}")
	return nil
}

// targetID tells the target of a rule apart; a rule has one.
const targetID = "gapless"
