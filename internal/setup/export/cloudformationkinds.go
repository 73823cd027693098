package export

import (
	"fmt"

	"github.com/gaplesslogs/gapless/internal/setup/stack"
)

// kept are the policies of what holds the log: it is deleted only when the stack that
// made it could not be made whole.
var kept = []member{{"DeletionPolicy", "RetainExceptOnCreate"}, {"UpdateReplacePolicy", "Retain"}}

// resource adds one resource.
func (t *template) resource(r stack.Resource) error {
	if note, ok := outside(r); ok {
		t.notes = append(t.notes, note)
		return nil
	}
	switch r := r.(type) {
	case *stack.LogGroup:
		return t.logGroup(r)
	case *stack.LogStream:
		return t.add(r, "AWS::Logs::LogStream", object{{"LogGroupName", t.group(r.Region, r.Group)}, {"LogStreamName", r.Name}}, kept...)
	case *stack.IndexPolicy:
		if _, ok := groupOf(t.s, r.Region, r.Group); !ok {
			t.notes = append(t.notes, fmt.Sprintf("%s are not in here: CloudFormation has them as a property of the log group alone, "+
				"which this template does not make. aws logs put-index-policy makes them.", r.ID()))
		}
		return nil // a property of its group
	case *stack.Query:
		groups := make(list, 0, len(r.Groups))
		for _, g := range r.Groups {
			groups = append(groups, t.group(r.Region, g))
		}
		return t.add(r, "AWS::Logs::QueryDefinition", object{{"Name", r.Name}, {"LogGroupNames", groups}, {"QueryString", r.Text}})
	case *stack.MetricFilter:
		return t.metricFilter(r)
	case *stack.Alarm:
		return t.alarm(r)
	case *stack.Dashboard:
		body, err := parse(r.Body)
		if err != nil {
			return err
		}
		return t.add(r, "AWS::CloudWatch::Dashboard", object{{"DashboardName", r.Name}, {"DashboardBody", brief(body)}})
	case *stack.EventBus:
		return t.add(r, "AWS::Events::EventBus", object{{"Name", r.Source}, {"EventSourceName", r.Source}, {"Tags", tagList(r.Tags)}})
	case *stack.Queue:
		return t.queue(r)
	case *stack.Rule:
		return t.rule(r)
	default:
		return t.access(r)
	}
}

// access adds one resource of IAM, or of what lends its identities.
func (t *template) access(r stack.Resource) error {
	switch r := r.(type) {
	case *stack.Policy:
		return t.policy(r)
	case *stack.OIDCProvider:
		t.remarks[t.ids[r]] = []string{"An account has one provider for each issuer. When yours has this one, delete this resource."}
		return t.add(r, "AWS::IAM::OIDCProvider", object{
			{"Url", "https://" + r.URL}, {"ClientIdList", texts(r.Audiences)}, {"Tags", tagList(r.Tags)},
		})
	case *stack.TrustAnchor:
		t.output("TrustAnchorArn", "The trust anchor of IAM Roles Anywhere", getAtt(t.ids[r], "TrustAnchorArn"))
		return t.add(r, "AWS::RolesAnywhere::TrustAnchor", object{
			{"Name", r.Name},
			{"Enabled", true},
			{"Source", object{{"SourceType", "CERTIFICATE_BUNDLE"}, {"SourceData", object{{"X509CertificateData", r.Certificate}}}}},
			{"Tags", tagList(r.Tags)},
		})
	case *stack.Role:
		return t.role(r)
	case *stack.InstanceProfile:
		role, ok := find(t.s, func(x *stack.Role) bool { return x.Name == r.Role })
		t.remarks[t.ids[r]] = untagged(r.Tags)
		t.output("InstanceProfile", "The instance profile for EC2", ref(t.ids[r]))
		return t.add(r, "AWS::IAM::InstanceProfile", object{{"InstanceProfileName", r.Name}, {"Roles", list{t.refer(role, ok, r.Role)}}})
	case *stack.PodIdentity:
		return t.add(r, "AWS::EKS::PodIdentityAssociation", object{
			{"ClusterName", r.Cluster},
			{"Namespace", r.Namespace},
			{"ServiceAccount", r.ServiceAccount},
			{"RoleArn", t.arn(r.Role)},
			{"Tags", tagList(r.Tags)},
		})
	case *stack.AnywhereProfile:
		t.output("ProfileArn", "The profile of IAM Roles Anywhere", getAtt(t.ids[r], "ProfileArn"))
		return t.add(r, "AWS::RolesAnywhere::Profile", object{
			{"Name", r.Name}, {"Enabled", true}, {"RoleArns", t.arns(r.Roles)}, {"DurationSeconds", r.SessionSeconds}, {"Tags", tagList(r.Tags)},
		})
	case *stack.User:
		return t.add(r, "AWS::IAM::User", object{{"UserName", r.Name}, {"ManagedPolicyArns", t.arns(r.Policies)}, {"Tags", tagList(r.Tags)}})
	case *stack.AccessKey:
		return t.accessKey(r)
	default:
		return unknown(r)
	}
}

// untagged says that a type takes no tags in CloudFormation.
func untagged(tags map[string]string) []string {
	if len(tags) == 0 {
		return nil
	}
	return []string{"CloudFormation gives no tags to this type."}
}

// refer returns the Ref of a resource in this template, or its name.
func (t *template) refer(r stack.Resource, found bool, otherwise string) any {
	if found && t.has(r) {
		return function(ref(t.ids[r]))
	}
	return otherwise
}

// group names a log group.
func (t *template) group(region, name string) any {
	g, ok := groupOf(t.s, region, name)
	return t.refer(g, ok, name)
}

// arn returns an ARN as an attribute of the resource that it names, where this is in
// the template.
func (t *template) arn(arn string) any {
	r, ok := byARN(t.s, arn)
	if !ok || !t.has(r) {
		return arn
	}
	if _, isPolicy := r.(*stack.Policy); isPolicy {
		return function(ref(t.ids[r]))
	}
	return function(getAtt(t.ids[r], "Arn"))
}

// arns does so for a list.
func (t *template) arns(arns []string) list {
	out := make(list, 0, len(arns))
	for _, a := range arns {
		out = append(out, t.arn(a))
	}
	return out
}

// named puts attributes in the place of ARNs within a document.
func (t *template) named(v any) any {
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

// document reads a JSON document.
func (t *template) document(text string) (any, error) {
	v, err := parse(text)
	if err != nil {
		return nil, err
	}
	return t.named(v), nil
}

// output adds an output.
func (t *template) output(name, about string, value object) {
	used := make(names)
	for _, m := range t.outputs {
		used.take(m.key)
	}
	t.outputs = append(t.outputs, member{used.take(name), object{{"Description", about}, {"Value", value}}})
}

func (t *template) logGroup(g *stack.LogGroup) error {
	properties := object{{"LogGroupName", g.Name}}
	if g.RetentionDays > 0 {
		properties = append(properties, member{"RetentionInDays", g.RetentionDays})
	}
	properties = append(properties, member{"LogGroupClass", classOf(g)}, member{"KmsKeyId", g.KMSKey})
	if g.Protected {
		properties = append(properties, member{"DeletionProtectionEnabled", true})
	}
	if p, ok := find(t.s, func(p *stack.IndexPolicy) bool { return p.Region == g.Region && p.Group == g.Name }); ok {
		properties = append(properties, member{"FieldIndexPolicies", list{object{{"Fields", texts(p.Fields)}}}})
	}
	return t.add(g, "AWS::Logs::LogGroup", append(properties, member{"Tags", tagList(g.Tags)}), kept...)
}

func (t *template) metricFilter(f *stack.MetricFilter) error {
	pattern := any(f.Pattern)
	if f.Pattern == "" {
		pattern = emptyText{} // matches all, and must be there
	}
	return t.add(f, "AWS::Logs::MetricFilter", object{
		{"FilterName", f.Name},
		{"LogGroupName", t.group(f.Region, f.Group)},
		{"FilterPattern", pattern},
		{"MetricTransformations", list{object{
			{"MetricNamespace", f.Namespace}, {"MetricName", f.Metric}, {"MetricValue", "1"}, {"DefaultValue", 0},
		}}},
	})
}

func (t *template) alarm(a *stack.Alarm) error {
	return t.add(a, "AWS::CloudWatch::Alarm", object{
		{"AlarmName", a.Name},
		{"AlarmDescription", a.Description},
		{"Namespace", a.Namespace},
		{"MetricName", a.Metric},
		{"Statistic", "Sum"},
		{"Period", a.PeriodSeconds},
		{"EvaluationPeriods", 1},
		{"Threshold", a.Threshold},
		{"ComparisonOperator", "GreaterThanOrEqualToThreshold"},
		{"TreatMissingData", "notBreaching"},
		{"AlarmActions", texts(a.Topics)},
		{"OKActions", texts(a.Topics)},
		{"Tags", tagList(a.Tags)},
	})
}

func (t *template) policy(p *stack.Policy) error {
	doc, err := t.document(p.Document)
	if err != nil {
		return err
	}
	t.remarks[t.ids[p]] = untagged(p.Tags)
	t.output("PolicyArn", "The policy that gapless needs", ref(t.ids[p]))
	return t.add(p, "AWS::IAM::ManagedPolicy", object{
		{"ManagedPolicyName", p.Name}, {"Description", p.Description}, {"PolicyDocument", doc},
	})
}

func (t *template) role(r *stack.Role) error {
	doc, err := t.document(r.Trust)
	if err != nil {
		return err
	}
	t.output("RoleArn", "The role that gapless runs as", getAtt(t.ids[r], "Arn"))
	return t.add(r, "AWS::IAM::Role", object{
		{"RoleName", r.Name},
		{"Description", r.Description},
		{"AssumeRolePolicyDocument", doc},
		{"ManagedPolicyArns", t.arns(r.Policies)},
		{"Tags", tagList(r.Tags)},
	})
}

// accessKey adds the key of a user. Its secret goes to Secrets Manager, as outputs of a
// stack are open to all who may describe it.
func (t *template) accessKey(k *stack.AccessKey) error {
	user, ok := find(t.s, func(u *stack.User) bool { return u.Name == k.User })
	id := t.ids[k]
	if err := t.add(k, "AWS::IAM::AccessKey", object{{"UserName", t.refer(user, ok, k.User)}}); err != nil {
		return err
	}
	secret := t.taken.take("Secret" + id)
	t.remarks[secret] = []string{"The secret of the access key, which outputs would show to all who may describe the stack."}
	t.output("AccessKeySecretArn", "The secret of Secrets Manager that holds the access key", ref(secret))
	return t.addAs(secret, k, "AWS::SecretsManager::Secret", object{
		{"Description", "Access key of the user " + k.User},
		{"SecretString", function{{"Fn::Sub", `{"access_key_id":"${` + id + `}","secret_access_key":"${` + id + `.SecretAccessKey}"}`}}},
	})
}

func (t *template) queue(q *stack.Queue) error {
	properties := object{{"QueueName", q.Name}}
	if q.RetentionSeconds > 0 {
		properties = append(properties, member{"MessageRetentionPeriod", q.RetentionSeconds})
	}
	if q.VisibilitySeconds > 0 {
		properties = append(properties, member{"VisibilityTimeout", q.VisibilitySeconds})
	}
	if q.DeadLetterQueue != "" {
		properties = append(properties, member{"RedrivePolicy", object{
			{"deadLetterTargetArn", t.arn(stack.ARN("sqs", q.Region, q.DeadLetterQueue))}, {"maxReceiveCount", q.MaxReceives},
		}})
	}
	t.output("QueueUrl"+logicalID("", q.Name), "The URL of the queue "+q.Name, ref(t.ids[q]))
	if err := t.add(q, "AWS::SQS::Queue", append(properties, member{"Tags", tagList(q.Tags)})); err != nil || q.Policy == "" {
		return err
	}
	doc, err := t.document(q.Policy)
	if err != nil {
		return err
	}
	return t.addAs(t.taken.take("Policy"+t.ids[q]), q, "AWS::SQS::QueuePolicy", object{
		{"Queues", list{function(ref(t.ids[q]))}}, {"PolicyDocument", doc},
	})
}

func (t *template) rule(r *stack.Rule) error {
	doc, err := t.document(r.Pattern)
	if err != nil {
		return err
	}
	target := object{{"Id", targetID}, {"Arn", t.arn(stack.ARN("sqs", r.Region, r.Queue))}}
	if r.DeadLetterQueue != "" {
		target = append(target, member{"DeadLetterConfig", object{{"Arn", t.arn(stack.ARN("sqs", r.Region, r.DeadLetterQueue))}}})
	}
	bus, ok := busOf(t.s, r)
	return t.add(r, "AWS::Events::Rule", object{
		{"Name", r.Name},
		{"EventBusName", t.refer(bus, ok, r.Bus)},
		{"EventPattern", doc},
		{"State", "ENABLED"},
		{"Targets", list{target}},
		{"Tags", tagList(r.Tags)},
	})
}
