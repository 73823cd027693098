package stack

import (
	"cmp"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/gaplesslogs/gapless/internal/config"
)

// permissions returns the policy of what gapless calls, and nothing else: what
// docs/security.md says, for this configuration.
func permissions(cfg *config.Config, o *Options, s *Stack) (document, error) {
	grants := map[string][]string{} // actions by resource
	grant := func(resource string, actions ...string) {
		for _, a := range actions {
			if !slices.Contains(grants[resource], a) {
				grants[resource] = append(grants[resource], a)
			}
		}
	}
	for _, t := range targets(cfg) {
		t.grant(o, grant)
		t.grantLedger(cfg, o, grant)
		t.grantReads(cfg, o, grant)
	}
	grantBucket(cfg, o, grant)
	grantNotify(cfg, o, s, grant)
	queues, err := readQueues(cfg, o)
	if err != nil {
		return document{}, err
	}
	for _, arn := range queues {
		grant(arn, "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility")
	}
	for _, ref := range cfg.RemoteReferences() {
		resource, action := secretARN(ref, cfg.AWS.Region)
		grant(resource, action)
	}
	if len(cfg.RemoteReferences()) > 0 {
		s.note("Where a secret in AWS is encrypted with a key of your own, allow kms:Decrypt on that key as well: setup cannot see which.")
	}
	d := bundle(grants)
	text, err := d.text()
	if err != nil {
		return document{}, err
	}
	if n := visible(text); n > maxPolicy {
		return document{}, fmt.Errorf("the policy would be %d characters long, and a policy of AWS takes %d: let tenants share log groups, or set up some at a time with --tenant and another setup.name", n, maxPolicy)
	}
	return d, nil
}

// grant allows what the delivery to a destination calls.
func (t *target) grant(o *Options, grant func(resource string, actions ...string)) {
	if t.aws.RoleARN != "" && !o.AsDestination {
		grant(t.aws.RoleARN, "sts:AssumeRole")
		return
	}
	group := ARN("logs", t.aws.Region, "log-group:"+wildcard(t.group))
	actions := []string{"logs:PutLogEvents", "logs:DescribeLogStreams"}
	if t.class() != ClassInfrequent { // which has no GetLogEvents
		actions = append(actions, "logs:GetLogEvents")
	}
	groupIsMade := t.madeHere(o) && o.wants(PartGroups)
	if t.cw.Create && (!groupIsMade || templated(t.stream)) {
		actions = append(actions, "logs:CreateLogStream")
	}
	if t.cw.Create && !groupIsMade {
		actions = append(actions, "logs:CreateLogGroup")
		if t.cw.RetentionDays != 0 {
			actions = append(actions, "logs:PutRetentionPolicy")
		}
		if len(t.cw.Tags) > 0 {
			grant(group, "logs:TagResource")
			actions = append(actions, "logs:TagResource")
		}
	}
	grant(group+":*", actions...)
}

// grantLedger allows what publishing the ledger beside a destination calls: it makes its
// log stream by itself.
func (t *target) grantLedger(cfg *config.Config, o *Options, grant func(resource string, actions ...string)) {
	if !cfg.Ledger.Enabled || !cfg.Ledger.CloudWatch || t.aws.RoleARN != "" && !o.AsDestination {
		return
	}
	tenant, _, _ := strings.Cut(t.name, "/")
	group := ARN("logs", t.aws.Region, "log-group:"+wildcard(cfg.Ledger.DigestGroup(tenant, t.cw)))
	actions := []string{"logs:PutLogEvents", "logs:DescribeLogStreams", "logs:GetLogEvents"}
	if t.cw.Create {
		actions = append(actions, "logs:CreateLogStream")
		if cfg.Ledger.LogGroup != "" {
			actions = append(actions, "logs:CreateLogGroup")
		}
	}
	grant(group+":*", actions...)
}

// grantBucket allows what publishing the ledger to S3 calls: to write, to see whether what
// is there already is the same, and to find the last entry behind which a new chain begins.
func grantBucket(cfg *config.Config, o *Options, grant func(resource string, actions ...string)) {
	l := &cfg.Ledger
	bucket, prefix, ok := config.SplitS3URL(l.S3.URL)
	if !ok || !l.Enabled || o.AsDestination != (cfg.AWS.RoleARN != "") { // the role reaches it, if there is one
		return
	}
	arn := "arn:" + Partition + ":s3:::" + bucket
	if prefix != "" {
		prefix += "/"
	}
	grant(arn+"/"+prefix+"*", "s3:PutObject", "s3:GetObject")
	grant(arn, "s3:ListBucket")
	if strings.HasPrefix(l.S3.KMSKeyID, "arn:") {
		grant(l.S3.KMSKeyID, "kms:GenerateDataKey", "kms:Decrypt")
	}
}

// grantReads allows what reading a destination calls besides the export: for the scheduled
// verification, and for whoever setup.reads names. GetQueryResults, StopQuery and
// DescribeLogGroups know no single log group.
func (t *target) grantReads(cfg *config.Config, o *Options, grant func(resource string, actions ...string)) {
	pages, insights := cfg.Reads("verify", "backfill", "tail"), cfg.Reads("query")
	if !pages && !insights || t.aws.RoleARN != "" && !o.AsDestination {
		return
	}
	group := ARN("logs", t.aws.Region, "log-group:"+wildcard(t.group)) + ":*"
	if pages && t.class() != ClassInfrequent {
		grant(group, "logs:FilterLogEvents")
	}
	if insights || t.class() == ClassInfrequent {
		grant(group, "logs:StartQuery")
		grant("*", "logs:GetQueryResults")
	}
	if insights {
		grant("*", "logs:StopQuery")
	}
	if templated(t.group) {
		grant("*", "logs:DescribeLogGroups")
	}
}

// grantNotify allows what the channels of notify in AWS call, with the role of the section
// aws where there is one.
func grantNotify(cfg *config.Config, o *Options, s *Stack, grant func(resource string, actions ...string)) {
	n, role := cfg.Notify, cfg.AWS.RoleARN
	if len(n.SNS)+len(n.EMF) == 0 {
		return
	}
	switch {
	case role != "" && !o.AsDestination:
		grant(role, "sts:AssumeRole")
		return
	case o.AsDestination && (role == "" || accountOf(role) != o.Account):
		return // they belong to the account of gapless, or to another one
	}
	for _, c := range n.SNS {
		grant(c.TopicARN, "sns:Publish")
	}
	if len(n.SNS) > 0 {
		s.note("Where a topic of notify.sns is encrypted with a key of your own, allow kms:GenerateDataKey and kms:Decrypt on that key as well: setup cannot see which.")
	}
	for _, c := range n.EMF {
		grant(ARN("logs", cmp.Or(c.Region, cfg.AWS.Region), "log-group:"+c.LogGroup)+":*", "logs:PutLogEvents", "logs:CreateLogStream", "logs:CreateLogGroup")
	}
}

// wildcard puts a wildcard in the place of placeholders.
func wildcard(name string) string {
	return regexp.MustCompile(`\{[^{}]*\}(\{[^{}]*\})*`).ReplaceAllString(name, "*")
}

// readQueues returns the ARNs of the queues that tenants read.
func readQueues(cfg *config.Config, o *Options) ([]string, error) {
	var arns []string
	for i := range cfg.Tenants {
		if q := cfg.Tenants[i].SQS.QueueURL; q != "" {
			arns = append(arns, queueARN(q, cfg.AWSForSQS(cfg.Tenants[i]).Region))
		}
	}
	if o.Push != PushEventBridge || !o.wants(PartQueue) {
		return arns, nil
	}
	var pushed Stack // what addPush will make
	if err := addPush(cfg, *o, &pushed); err != nil {
		return nil, err
	}
	dead := map[string]bool{}
	for _, q := range Of[*Queue](pushed) {
		dead[q.DeadLetterQueue] = true
	}
	for _, q := range Of[*Queue](pushed) {
		if !dead[q.Name] {
			arns = append(arns, q.ARN())
		}
	}
	return arns, nil
}

// queueARN returns the ARN of the queue of a URL, which ends with account and name.
func queueARN(queueURL, region string) string {
	u, err := url.Parse(queueURL)
	if err != nil {
		return ARN("sqs", region, "*") // which validation does not let happen
	}
	parts := strings.Split(strings.Trim(u.Path, "/"), "/")
	name := parts[len(parts)-1]
	if len(parts) < 2 {
		return ARN("sqs", region, name)
	}
	return strings.ReplaceAll(ARN("sqs", region, name), Account, parts[len(parts)-2])
}

// secretARN returns what a reference to a secret in AWS names, and the action that
// reads it. AWS appends a hyphen and six characters to the name of a secret.
func secretARN(ref config.Secret, region string) (resource, action string) {
	kind, target, _ := strings.Cut(ref.String(), ":")
	isARN := strings.HasPrefix(target, "arn:")
	if kind == "aws-ssm" {
		if isARN {
			return target, "ssm:GetParameter"
		}
		name, _, _ := strings.Cut(target, ":") // a version or label may follow
		return ARN("ssm", region, "parameter/"+strings.TrimPrefix(name, "/")), "ssm:GetParameter"
	}
	target, _, _ = strings.Cut(target, "#")
	if !isARN {
		return ARN("secretsmanager", region, "secret:"+target+"-??????"), "secretsmanager:GetSecretValue"
	}
	if !regexp.MustCompile(`-[A-Za-z0-9]{6}$`).MatchString(target) {
		target += "-??????"
	}
	return target, "secretsmanager:GetSecretValue"
}

// bundle makes a statement for all resources that the same is allowed on.
func bundle(grants map[string][]string) document {
	resources := map[string][]string{}
	for _, r := range slices.Sorted(maps.Keys(grants)) {
		key := strings.Join(slices.Sorted(slices.Values(grants[r])), " ")
		resources[key] = append(resources[key], r)
	}
	d := document{Version: policyVersion}
	for _, key := range slices.Sorted(maps.Keys(resources)) {
		d.Statement = append(d.Statement, statement{Effect: "Allow", Action: strings.Fields(key), Resource: resources[key]})
	}
	return d
}
