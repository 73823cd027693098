package config

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// The limits of names in CloudWatch Logs, from Amazon's service model
// (LogGroupName, LogStreamName, Tags, KmsKeyId).
const (
	maxName     = 512
	maxTags     = 50
	maxTagKey   = 128
	maxTagValue = 256
	maxKMSKey   = 256
)

// Placeholders returns the names that log_group and log_stream may hold in
// braces.
func Placeholders() []string {
	return []string{"tenant", "date", "year", "month", "day", "hour", "type", "category", "severity", "organization", "client", "connection"}
}

// maxValue is the most characters that a value of an event adds to a name.
const maxValue = 64

// shortValues and longValues are what the placeholders but {tenant} may become.
func shortValues(tenant string) *strings.Replacer { return replacer(tenant, "s") }

func longValues(tenant string) *strings.Replacer {
	return replacer(tenant, strings.Repeat("s", maxValue))
}

// replacer puts a value in the place of each placeholder.
func replacer(tenant, value string) *strings.Replacer {
	pairs := []string{"{tenant}", tenant, "{date}", "2006-01-02", "{year}", "2006", "{month}", "01", "{day}", "02", "{hour}", "15", "{severity}", "critical"}
	for _, name := range Placeholders() {
		pairs = append(pairs, "{"+name+"}", value) // of two for the same the first counts
	}
	return strings.NewReplacer(pairs...)
}

// mainName is a name that no further destination may have: that of the section of
// the main one.
const mainName = "cloudwatch"

// checkDestinations checks where else the events of a tenant go. path ends with a
// dot.
func (l *loader) checkDestinations(path string, t *Tenant) {
	names := map[string]int{}
	places := map[string]string{l.place(t, l.cfg.AWSFor(*t), &t.CloudWatch): mainName}
	for i := range t.Destinations {
		d := &t.Destinations[i]
		at := path + strconv.Itoa(i) + "."
		first, dup := names[d.Name]
		switch {
		case d.Name == "": // it is missing, which was told
		case !matches(namePattern, d.Name) || strings.Trim(d.Name, ".") == "":
			l.complain(at+"name", quote(d.Name)+" is not a name", "Use 1 to 64 lower-case letters, digits, '.', '_' and '-'.")
		case d.Name == mainName:
			l.complain(at+"name", "is that of the tenant's main destination", "Choose another, such as audit.")
		case dup:
			l.complain(at+"name", fmt.Sprintf("is %s, like that of %s%d", quote(d.Name), path, first), "Give each destination of a tenant a name of its own.")
		default:
			names[d.Name] = i
		}
		l.checkFilter(at+"filter.", &d.Filter)
		l.checkRedact(at+"redact.", d.Redact)
		l.checkCloudWatch(at, t.Name, &d.CloudWatch)
		place := l.place(t, l.cfg.AWSForDestination(*d), &d.CloudWatch)
		if other, taken := places[place]; taken {
			l.complain(at+"log_group", fmt.Sprintf("and log_stream are those of %s, in the same account and Region: events would lie there twice", quote(other)),
				"Write another log_group or log_stream, or the region, role_arn or endpoint of another place.")
		} else {
			places[place] = d.Name
		}
	}
}

// place says where events lie: the same text, the same place.
func (*loader) place(t *Tenant, aws AWS, cw *CloudWatch) string {
	name := func(template string) string { return strings.ReplaceAll(template, "{tenant}", t.Name) }
	return strings.Join([]string{aws.Region, strings.TrimRight(aws.Endpoint, "/"), aws.RoleARN, name(cw.LogGroup), name(cw.LogStream)}, "\n")
}

// checkCloudWatch checks a destination of a tenant. path ends with a dot.
func (l *loader) checkCloudWatch(path, tenant string, cw *CloudWatch) {
	l.checkTemplate(path+"log_group", cw.LogGroup, tenant, groupRules)
	l.checkTemplate(path+"log_stream", cw.LogStream, tenant, streamRules)
	l.checkEndpoint(path+"endpoint", cw.Endpoint)
	l.checkRole(path+"role_arn", cw.RoleARN)
	if len(cw.KMSKeyID) > maxKMSKey {
		l.complain(path+"kms_key_id", "is longer than 256 characters", "Write the ARN of the key.")
	}
	l.checkTags(path+"tags", cw.Tags)
	l.checkShape(path, cw)
}

// groupRules returns what is wrong with the name of a log group, empty for
// nothing.
func groupRules(name string) (problem, fix string) {
	switch {
	case !matches(`^[.\-_/#A-Za-z0-9]*$`, name):
		return "holds characters that no log group may have", "Use letters, digits and . - _ / # only."
	case strings.HasPrefix(name, "aws/"):
		return "begins with aws/, which AWS keeps for itself", "Choose another beginning, such as /auth0/."
	default:
		return "", ""
	}
}

// streamRules is groupRules for log streams.
func streamRules(name string) (problem, fix string) {
	if strings.ContainsAny(name, ":*") {
		return "holds a ':' or a '*', which no log stream may have", "Use another character, such as '/'."
	}
	return "", ""
}

// checkTemplate checks a name that may hold placeholders.
func (l *loader) checkTemplate(path, text, tenant string, rules func(string) (string, string)) {
	if text == "" {
		l.complain(path, "is empty", "Write a name, such as auth0-{tenant}.")
		return
	}
	placeholder := regexp.MustCompile(`\{([^{}]*)\}`)
	for _, m := range placeholder.FindAllStringSubmatch(text, -1) {
		if !slices.Contains(Placeholders(), m[1]) {
			fix := "Known are {" + strings.Join(Placeholders(), "}, {") + "}."
			if best := nearest(m[1], Placeholders()); best != "" {
				fix = "Did you mean {" + best + "}? " + fix
			}
			l.complain(path, quote(m[0])+" is no known placeholder", fix)
			return
		}
	}
	if strings.ContainsAny(placeholder.ReplaceAllString(text, ""), "{}") {
		l.complain(path, "holds a brace without its partner", "Write placeholders like {tenant}.")
		return
	}
	if !matches(namePattern, tenant) {
		tenant = "t" // it has a problem of its own
	}
	sample := shortValues(tenant).Replace(text)
	if problem, fix := rules(sample); problem != "" {
		l.complain(path, problem, fix)
		return
	}
	if len(longValues(tenant).Replace(text)) > maxName {
		l.complain(path, fmt.Sprintf("makes a name of more than %d characters", maxName), "Write a shorter one.")
	}
}

// checkTags checks the tags of a group.
func (l *loader) checkTags(path string, tags map[string]string) {
	if len(tags) > maxTags {
		l.complain(path, fmt.Sprintf("has %d tags; AWS takes %d", len(tags), maxTags), "Remove some.")
	}
	const chars = `\p{L}\p{Z}\p{N}_.:/=+\-@`
	for _, k := range sortedKeys(tags) {
		switch {
		case len([]rune(k)) > maxTagKey || !matches(`^[`+chars+`]+$`, k) || strings.HasPrefix(strings.ToLower(k), "aws:"):
			l.complain(path+"."+k, "is not a tag key that AWS takes", "Use 1 to 128 letters, digits, spaces and _ . : / = + - @, not beginning with aws:.")
		case len([]rune(tags[k])) > maxTagValue || !matches(`^[`+chars+`]*$`, tags[k]):
			l.complain(path+"."+k, "has a value that AWS does not take", "Use at most 256 letters, digits, spaces and _ . : / = + - @.")
		}
	}
}
