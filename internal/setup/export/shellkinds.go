package export

import (
	"strconv"

	"github.com/gaplesslogs/gapless/internal/setup/stack"
)

// resource writes the commands of one resource.
func (w *script) resource(r stack.Resource) error {
	if note, ok := outside(r); ok {
		w.notes = append(w.notes, note)
		return nil
	}
	w.title(r)
	switch r := r.(type) {
	case *stack.LogGroup:
		w.logGroup(r)
	case *stack.LogStream:
		w.create(r, "ResourceAlreadyExistsException", w.command(r.Region, "logs create-log-stream",
			member{"log-group-name", r.Group}, member{"log-stream-name", r.Name}))
	case *stack.IndexPolicy:
		w.ifOurs(r.Region, r.Group, func() {
			w.ifKnown("field indexes", func() {
				w.put(r.ID().String(), w.command(r.Region, "logs put-index-policy",
					member{"log-group-identifier", r.Group}, member{"policy-document", object{{"Fields", texts(r.Fields)}}}))
			})
		})
	case *stack.Query:
		w.query(r)
	case *stack.MetricFilter:
		w.metricFilter(r)
	case *stack.Alarm:
		w.alarm(r)
	case *stack.Dashboard:
		return w.dashboard(r)
	case *stack.EventBus:
		w.create(r, "ResourceAlreadyExistsException", w.command(r.Region, "events create-event-bus",
			member{"name", r.Source}, member{"event-source-name", r.Source}, member{"tags", tagList(r.Tags)}))
	case *stack.Queue:
		return w.queue(r)
	case *stack.Rule:
		return w.rule(r)
	default:
		return w.access(r)
	}
	return nil
}

// access writes the commands of one resource of IAM, or of what lends its identities.
func (w *script) access(r stack.Resource) error {
	switch r := r.(type) {
	case *stack.Policy:
		return w.policy(r)
	case *stack.OIDCProvider:
		w.oidc(r)
	case *stack.TrustAnchor:
		w.trustAnchor(r)
	case *stack.Role:
		return w.role(r)
	case *stack.InstanceProfile:
		w.instanceProfile(r)
	case *stack.PodIdentity:
		w.podIdentity(r)
	case *stack.AnywhereProfile:
		w.anywhereProfile(r)
	case *stack.User:
		w.create(r, "EntityAlreadyExists", w.command("", "iam create-user", member{"user-name", r.Name}, member{"tags", tagList(r.Tags)}))
		for _, p := range r.Policies {
			w.put("policy of user "+r.Name, w.command("", "iam attach-user-policy", member{"user-name", r.Name}, member{"policy-arn", p}))
		}
	case *stack.AccessKey:
		w.accessKey(r)
	default:
		return unknown(r)
	}
	return nil
}

// document sets the variable document to a JSON document, as a person reads it.
func (w *script) document(text string) error {
	v, err := parse(text)
	if err != nil {
		return err
	}
	w.line("document=%s", w.word(pretty(v)))
	return nil
}

// theDocument is the value of that variable.
const theDocument = shellText(`"$document"`)

// ifOurs writes commands that run only for a log group that gapless made: of others
// they could cut the retention. Where the stack gives its group no mark they always run.
func (w *script) ifOurs(region, group string, commands func()) {
	g, ok := groupOf(w.s, region, group)
	mark := ""
	if ok {
		mark = g.Tags[stack.ManagedBy]
	}
	if mark == "" {
		commands()
		return
	}
	w.line("owner=$(ask - %s)", w.command(region, "logs list-tags-for-resource",
		member{"resource-arn", stack.ARN("logs", region, "log-group:"+group)}, member{"query", shellText(shellWord("tags.\"" + stack.ManagedBy + "\""))}))
	w.line("if [ \"$owner\" = %s ]; then", shellWord(mark))
	w.within(commands)
	w.line("else\n\tsay kept %s\nfi", shellWord("log group "+group+" is not gapless's, and stays as it is"))
}

// ifKnown writes commands for what gapless can do without. They do not run again for an
// emulator that did not know those of the same kind; all of AWS knows them.
func (w *script) ifKnown(kind string, commands func()) {
	w.line("if known %s; then", shellWord(kind))
	w.within(func() {
		commands()
		w.line("optional=")
	})
	w.line("fi")
}

func (w *script) logGroup(g *stack.LogGroup) {
	w.create(g, "ResourceAlreadyExistsException", w.command(g.Region, "logs create-log-group",
		member{"log-group-name", g.Name}, member{"log-group-class", classOf(g)}, member{"kms-key-id", g.KMSKey}, member{"tags", pairs(g.Tags)}))
	if g.RetentionDays == 0 && !g.Protected {
		return
	}
	w.ifOurs(g.Region, g.Name, func() {
		if g.RetentionDays > 0 {
			w.put("retention of "+g.Name, w.command(g.Region, "logs put-retention-policy",
				member{"log-group-name", g.Name}, member{"retention-in-days", g.RetentionDays}))
		}
		if g.Protected {
			w.ifKnown("deletion protection", func() {
				w.put("deletion protection of "+g.Name, w.command(g.Region, "logs put-log-group-deletion-protection",
					member{"log-group-identifier", g.Name}, member{"deletion-protection-enabled", nil}))
			})
		}
	})
}

func (w *script) query(q *stack.Query) {
	w.ifKnown("saved queries", func() {
		w.line("id=$(ask \"$unknown\" %s)", w.command(q.Region, "logs describe-query-definitions",
			member{"query-definition-name-prefix", q.Name}, member{"query", named("queryDefinitions", "name", q.Name, "queryDefinitionId")}))
		w.put(q.ID().String(), w.command(q.Region, "logs put-query-definition",
			member{"name", q.Name}, member{"log-group-names", texts(q.Groups)}, member{"query-string", q.Text})+` ${id:+"--query-definition-id=$id"}`)
	})
}

func (w *script) metricFilter(f *stack.MetricFilter) {
	pattern := shellText(w.word(f.Pattern)) // also an empty one, which matches all
	if fromElsewhere.MatchString(f.Pattern) {
		w.option("filter-pattern", f.Pattern) // complains
	}
	w.put(f.ID().String(), w.command(f.Region, "logs put-metric-filter",
		member{"log-group-name", f.Group}, member{"filter-name", f.Name}, member{"filter-pattern", pattern},
		member{"metric-transformations", list{object{
			{"metricName", f.Metric}, {"metricNamespace", f.Namespace}, {"metricValue", "1"}, {"defaultValue", 0},
		}}}))
}

func (w *script) alarm(a *stack.Alarm) {
	w.put(a.ID().String(), w.command(a.Region, "cloudwatch put-metric-alarm",
		member{"alarm-name", a.Name}, member{"alarm-description", a.Description}, member{"namespace", a.Namespace}, member{"metric-name", a.Metric},
		member{"statistic", "Sum"}, member{"period", a.PeriodSeconds}, member{"evaluation-periods", 1}, member{"threshold", a.Threshold},
		member{"comparison-operator", "GreaterThanOrEqualToThreshold"}, member{"treat-missing-data", "notBreaching"},
		member{"alarm-actions", texts(a.Topics)}, member{"ok-actions", texts(a.Topics)}, member{"tags", tagList(a.Tags)}))
}

func (w *script) dashboard(d *stack.Dashboard) error {
	if err := w.document(d.Body); err != nil {
		return err
	}
	w.put(d.ID().String(), w.command(w.o.Region, "cloudwatch put-dashboard",
		member{"dashboard-name", d.Name}, member{"dashboard-body", theDocument}))
	return nil
}

func (w *script) policy(p *stack.Policy) error {
	if err := w.document(p.Document); err != nil {
		return err
	}
	w.create(p, "EntityAlreadyExists", w.command("", "iam create-policy", member{"policy-name", p.Name},
		member{"description", p.Description}, member{"policy-document", theDocument}, member{"tags", tagList(p.Tags)}))
	w.line("policy %s %s \"$document\"", shellWord(p.Name), w.word(stack.PolicyARN(p.Name)))
	return nil
}

func (w *script) oidc(p *stack.OIDCProvider) {
	// The AWS CLI fetches addresses of values in other places; not of this one.
	w.create(p, "EntityAlreadyExists", w.command("", "iam create-open-id-connect-provider",
		member{"url", shellText(shellWord("https://" + p.URL))}, member{"client-id-list", texts(p.Audiences)}, member{"tags", tagList(p.Tags)}))
	for _, a := range p.Audiences {
		arn := member{"open-id-connect-provider-arn", oidcARN(p)}
		w.line("audience=$(ask - %s)", w.command("", "iam get-open-id-connect-provider", arn,
			member{"query", shellText(shellWord("contains(ClientIDList, " + literal(a) + ")"))}))
		w.line("if [ \"$audience\" != true ]; then")
		w.within(func() {
			w.put("audience "+a+" of "+p.ID().String(), w.command("", "iam add-client-id-to-open-id-connect-provider", arn, member{"client-id", a}))
		})
		w.line("fi")
	}
}

func (w *script) trustAnchor(a *stack.TrustAnchor) {
	arn := w.set(stack.Ref(stack.KindTrustAnchor, a.Name, "arn"), "anchor_"+identifier(a.Name))
	look := func() string {
		return w.command(a.Region, "rolesanywhere list-trust-anchors", member{"query", named("trustAnchors", "name", a.Name, "trustAnchorArn")})
	}
	w.lookedUp(a, arn, "-", look, func() string {
		return w.command(a.Region, "rolesanywhere create-trust-anchor", member{"name", a.Name}, member{"enabled", nil},
			member{"source", object{{"sourceType", "CERTIFICATE_BUNDLE"}, {"sourceData", object{{"x509CertificateData", a.Certificate}}}}},
			member{"tags", lowerTags(a.Tags)})
	})
}

// lookedUp writes the commands of a resource whose name does not tell what AWS calls
// it: look asks for that, into a variable, and the resource is made where there is none.
func (w *script) lookedUp(r stack.Resource, variable, missing string, look, create func() string) {
	what := shellWord(r.ID().String())
	w.line("%s=$(ask %s %s)\nif [ -z \"$%s\" ]; then", variable, shellWord(missing), look(), variable)
	w.within(func() {
		w.create(r, "-", create())
		w.line("%s=$(ask - %s)", variable, look())
	})
	w.line("else\n\tsay there %s\nfi\nsafe %s \"$%s\"", what, what, variable)
}

// lowerTags is a list of tags as IAM Roles Anywhere has them.
func lowerTags(m map[string]string) list {
	out := make(list, 0, len(m))
	for _, p := range pairs(m) {
		out = append(out, object{{"key", p.key}, {"value", p.value}})
	}
	return out
}

func (w *script) role(r *stack.Role) error {
	if err := w.document(r.Trust); err != nil {
		return err
	}
	w.create(r, "EntityAlreadyExists", w.command("", "iam create-role", member{"role-name", r.Name},
		member{"description", r.Description}, member{"assume-role-policy-document", theDocument}, member{"tags", tagList(r.Tags)}))
	w.put("trust of role "+r.Name, w.command("", "iam update-assume-role-policy", member{"role-name", r.Name}, member{"policy-document", theDocument}))
	for _, p := range r.Policies {
		w.put("policy of role "+r.Name, w.command("", "iam attach-role-policy", member{"role-name", r.Name}, member{"policy-arn", p}))
	}
	return nil
}

func (w *script) instanceProfile(p *stack.InstanceProfile) {
	w.create(p, "EntityAlreadyExists", w.command("", "iam create-instance-profile",
		member{"instance-profile-name", p.Name}, member{"tags", tagList(p.Tags)}))
	w.line("role=$(ask - %s)", w.command("", "iam get-instance-profile", member{"instance-profile-name", p.Name},
		member{"query", shellText("'InstanceProfile.Roles[0].RoleName'")}))
	w.line("if [ \"$role\" != %s ]; then", shellWord(p.Role))
	w.within(func() {
		w.put("role of instance profile "+p.Name, w.command("", "iam add-role-to-instance-profile",
			member{"instance-profile-name", p.Name}, member{"role-name", p.Role}))
	})
	w.line("fi")
}

func (w *script) podIdentity(p *stack.PodIdentity) {
	w.create(p, "ResourceInUseException", w.command(p.Region, "eks create-pod-identity-association",
		member{"cluster-name", p.Cluster}, member{"namespace", p.Namespace}, member{"service-account", p.ServiceAccount},
		member{"role-arn", p.Role}, member{"tags", pairs(p.Tags)}))
}

func (w *script) anywhereProfile(p *stack.AnywhereProfile) {
	arn := w.set(stack.Ref(stack.KindAnywhereProfile, p.Name, "arn"), "profile_"+identifier(p.Name))
	look := func() string {
		return w.command(p.Region, "rolesanywhere list-profiles", member{"query", named("profiles", "name", p.Name, "profileArn")})
	}
	w.lookedUp(p, arn, "-", look, func() string {
		return w.command(p.Region, "rolesanywhere create-profile", member{"name", p.Name}, member{"enabled", nil},
			member{"role-arns", texts(p.Roles)}, member{"duration-seconds", p.SessionSeconds}, member{"tags", lowerTags(p.Tags)})
	})
}

// accessKey makes a key where the user has none, and puts it into a file that its owner
// alone reads.
func (w *script) accessKey(k *stack.AccessKey) {
	w.line("file=${GAPLESS_KEY_FILE:-%s}", shellWord("access-key-of-"+slug(k.User, '-')+".json"))
	w.line("keys=$(ask - %s)", w.command("", "iam list-access-keys", member{"user-name", k.User}, member{"query", shellText("'AccessKeyMetadata[0].AccessKeyId'")}))
	w.line("if [ -n \"$keys\" ]; then\n\tsay there %s", shellWord(k.ID().String()))
	w.line("else\n\t[ ! -e \"$file\" ] || fail \"$file is there already; set GAPLESS_KEY_FILE to another name\"")
	w.line("\t(umask 077 && : >\"$file\")")
	w.line("\t%s >\"$file\" ||\n\t\t{ rm -f \"$file\"; fail 'could not make the access key'; }",
		w.command("", "iam create-access-key", member{"user-name", k.User}, member{"output", shellText("json")}))
	w.line("\tsay made %s\": in $file\"\nfi", shellWord(k.ID().String()))
}

func (w *script) queue(q *stack.Queue) error {
	url := w.set(stack.Ref(stack.KindQueue, q.Name, "url"), "queue_"+identifier(q.Name))
	attributes := object{}
	if q.RetentionSeconds > 0 {
		attributes = append(attributes, member{"MessageRetentionPeriod", str(q.RetentionSeconds)})
	}
	if q.VisibilitySeconds > 0 {
		attributes = append(attributes, member{"VisibilityTimeout", str(q.VisibilitySeconds)})
	}
	if q.DeadLetterQueue != "" {
		attributes = append(attributes, member{"RedrivePolicy", compact(object{
			{"deadLetterTargetArn", stack.ARN("sqs", q.Region, q.DeadLetterQueue)}, {"maxReceiveCount", q.MaxReceives},
		})})
	}
	if q.Policy != "" {
		v, err := parse(q.Policy)
		if err != nil {
			return err
		}
		attributes = append(attributes, member{"Policy", compact(v)})
	}
	look := func() string {
		return w.command(q.Region, "sqs get-queue-url", member{"queue-name", q.Name}, member{"query", shellText("QueueUrl")})
	}
	const missing = `[A-Za-z.]*NonExistentQueue|QueueDoesNotExist`
	w.lookedUp(q, url, missing, look, func() string {
		return w.command(q.Region, "sqs create-queue", member{"queue-name", q.Name}, member{"tags", pairs(q.Tags)})
	})
	if len(attributes) > 0 {
		w.put("attributes of queue "+q.Name, w.command(q.Region, "sqs set-queue-attributes",
			member{"queue-url", shellText(`"$` + url + `"`)}, member{"attributes", attributes}))
	}
	return nil
}

func (w *script) rule(r *stack.Rule) error {
	if err := w.document(r.Pattern); err != nil {
		return err
	}
	w.put(shown(r.ID().String()), w.command(r.Region, "events put-rule", member{"name", r.Name}, member{"event-bus-name", r.Bus},
		member{"event-pattern", theDocument}, member{"state", "ENABLED"}, member{"tags", tagList(r.Tags)}))
	target := object{{"Id", targetID}, {"Arn", stack.ARN("sqs", r.Region, r.Queue)}}
	if r.DeadLetterQueue != "" {
		target = append(target, member{"DeadLetterConfig", object{{"Arn", stack.ARN("sqs", r.Region, r.DeadLetterQueue)}}})
	}
	w.line("refused=$(ask - %s)", w.command(r.Region, "events put-targets", member{"rule", r.Name}, member{"event-bus-name", r.Bus},
		member{"targets", list{target}}, member{"query", shellText("FailedEntryCount")}))
	w.line("[ \"$refused\" = 0 ] || fail %s\nsay set %s", shellWord("AWS refused the target of rule "+r.Name), shellWord("target of rule "+r.Name))
	return nil
}

// str returns a number as AWS has it in attributes of queues.
func str(n int) string { return strconv.Itoa(n) }
