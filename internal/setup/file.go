package setup

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/gaplesslogs/gapless/internal/config"
)

// fileHead opens the file. It holds no answer: what a person typed is quoted, or it
// is not there.
const fileHead = `# The configuration of gapless, written by "gapless init".
#
# docs/config.md says what each setting means, and which others there are. One that
# is commented out shows its default, or an example. Secrets are referred to, as
# env:NAME, file:PATH, aws-secretsmanager:NAME-OR-ARN[#KEY] or aws-ssm:NAME-OR-ARN.
`

// commentWidth is how wide comments are, without their indent.
const commentWidth = 84

// File returns the configuration file for the answers. It is valid if each of them
// has been taken by Question.Set.
func (a Answers) File() []byte {
	w := &writer{}
	w.out.WriteString(fileHead)
	at := places()[a.Where]
	w.process(at)
	w.aws(a, at)
	if pushed(a) {
		w.webhook(a)
	}
	w.tenant(a)
	w.setup(at)
	if a.Slack {
		w.slack(a, at)
	}
	return []byte(w.out.String())
}

// A writer writes a commented file.
type writer struct{ out strings.Builder }

// comment writes text as comment lines.
func (w *writer) comment(indent, text string) {
	for _, line := range wrap(text, commentWidth) {
		w.out.WriteString(indent + "# " + line + "\n")
	}
}

// wrap breaks a text into lines of at most width bytes where it has spaces.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		switch {
		case line == "":
			line = word
		case len(line)+1+len(word) > width:
			lines = append(lines, line)
			line = word
		default:
			line += " " + word
		}
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}

// split returns the indent and the key of a path: two spaces for each section, four
// for what is in a list.
func split(path string) (indent, key string) {
	parts := strings.Split(path, ".")
	return strings.Repeat("  ", len(parts)-1), parts[len(parts)-1]
}

// about writes the comment of a setting: the first sentence of its documentation,
// and a note.
func (w *writer) about(path, note string) {
	indent, _ := split(path)
	d, _ := config.Describe(path)
	w.comment(indent, strings.TrimSpace(d.Summary+" "+note))
}

// section opens a section.
func (w *writer) section(path, note string) {
	indent, key := split(path)
	if indent == "" {
		w.out.WriteString("\n")
	}
	w.about(path, note)
	w.out.WriteString(indent + key + ":\n")
}

// set writes a setting with its comment. What stands in the place of a dash begins
// the element of the list.
func (w *writer) set(path, value, note string) {
	indent, key := split(path)
	w.about(path, note)
	w.out.WriteString(indent + key + ": " + scalar(value) + "\n")
}

// off writes a setting that is commented out, with a value to show.
func (w *writer) off(path, value, note string) {
	indent, key := split(path)
	w.about(path, note)
	w.out.WriteString(indent + "#" + key + ": " + value + "\n")
}

// scalar writes a value: numbers and true as they are, all else as text.
func scalar(value string) string {
	if regexp.MustCompile(`^(\d{1,9}|true)$`).MatchString(value) {
		return value
	}
	return config.YAMLText(value)
}

// process writes the settings of the process.
func (w *writer) process(at place) {
	w.out.WriteString("\n")
	if at.dataDir == "" {
		w.off("data_dir", "/var/lib/gapless", "The default is a directory of your own, whatever the working directory is.")
	} else {
		w.set("data_dir", at.dataDir, at.disk)
	}
	w.out.WriteString("\n")
	switch {
	case at.noListen:
		w.set("listen", "", "Empty: gapless does not stay.")
	case at.listen != "":
		w.set("listen", at.listen, "It asks for no password: let only the platform's probes and your monitoring reach it.")
	default:
		w.off("listen", "127.0.0.1:8080", "Empty turns it off.")
	}
}

// aws writes how to reach AWS.
func (w *writer) aws(a Answers, at place) {
	w.section("aws", at.identity)
	w.set("aws.region", a.Region, "")
	w.off("aws.role_arn", "arn:aws:iam::123456789012:role/gapless", "")
}

// webhook writes the listener that is pushed to.
func (w *writer) webhook(a Answers) {
	w.section("webhook", "")
	w.set("webhook.listen", a.WebhookListen, "")
	if a.WebhookTLS == tlsProxy {
		w.set("webhook.plaintext", "true", "")
		return
	}
	w.section("webhook.tls", "")
	w.set("webhook.tls.cert_file", a.CertFile, "")
	w.set("webhook.tls.key_file", a.KeyFile, "")
}

// slack writes the channel of Slack that the old extension had.
func (w *writer) slack(a Answers, at place) {
	note := "The URL of the incoming webhook is a secret: keep it in the variable."
	if at.once {
		note += " A run that ends by itself tells nobody: its exit code does."
	}
	w.section("notify", note)
	w.out.WriteString("  slack:\n    - webhook_url: " + slackReference + "\n")
	fmt.Fprintf(&w.out, "      success: %t\n", a.SlackSuccess)
	if a.ReportAt != "" {
		w.out.WriteString("      report_at: \"" + a.ReportAt + "\"\n")
	} else {
		w.out.WriteString("      #report_at: \"09:00\"\n")
	}
}

// setup writes what "gapless setup" makes an identity for.
func (w *writer) setup(at place) {
	w.out.WriteString("\n")
	d, _ := config.Describe("setup")
	w.comment("", d.Summary+" run_on says where gapless runs, and so which identity of AWS it has: docs/setup.md.")
	if at.needs != "" {
		w.out.WriteString("#setup: {run_on: " + at.runOn + ", " + at.needs + "}\n")
		return
	}
	w.out.WriteString("setup:\n  run_on: " + at.runOn + "\n")
}

// tenant writes the tenant.
func (w *writer) tenant(a Answers) {
	w.section("tenants", "")
	w.out.WriteString("  - name: " + config.YAMLText(a.Name) + " # do not change it later: cursor and buffer are kept under it\n")
	if a.polls() {
		w.poll(a)
	} else {
		w.section("tenants.0.webhook", "")
		w.set("tenants.0.webhook.token", a.WebhookToken, "")
	}
	w.filter(a)
	w.out.WriteString("\n")
	w.comment("    ", "What is taken out of events before they touch the disk: docs/rules.md.")
	w.out.WriteString("    #redact: {presets: [no-secrets]}\n\n")
	w.destination(a)
}

// poll writes how the tenant's log is read.
func (w *writer) poll(a Answers) {
	w.set("tenants.0.domain", a.Domain, "")
	w.set("tenants.0.client_id", a.ClientID, "")
	if a.Auth == AuthKey {
		w.set("tenants.0.private_key", a.PrivateKey, "")
		w.off("tenants.0.private_key_id", "2c9f...", "")
	} else {
		w.set("tenants.0.client_secret", a.ClientSecret, "")
	}
	if a.StartFrom == "" {
		w.off("tenants.0.start_from", "earliest", "")
	} else {
		w.set("tenants.0.start_from", a.StartFrom, "")
	}
	w.off("tenants.0.auth0_retention", "professional", "The default, 24h, is the shortest: gapless then warns earlier than it must.")
}

// filter writes the filter that the old extension had, or an example of one.
func (w *writer) filter(a Answers) {
	w.out.WriteString("\n")
	if a.MinLevel == "" && len(a.Types) == 0 {
		w.comment("    ", "Which events go on; all of them when nothing is set: docs/rules.md.")
		w.out.WriteString("    #filter: {types: {deny: [seccft]}}\n")
		return
	}
	w.section("tenants.0.filter", "")
	if a.MinLevel != "" {
		w.set("tenants.0.filter.min_level", a.MinLevel, "")
	}
	if len(a.Types) > 0 {
		w.about("tenants.0.filter.types", "")
		quoted := make([]string, len(a.Types))
		for i, code := range a.Types {
			quoted[i] = config.YAMLText(code)
		}
		w.out.WriteString("      types: [" + strings.Join(quoted, ", ") + "]\n")
	}
}

// destination writes where the events go.
func (w *writer) destination(a Answers) {
	const path = "tenants.0.cloudwatch"
	w.section(path, "")
	w.set(path+".log_group", a.LogGroup, "{tenant} stands for the name of the tenant.")
	if a.LogStream == "" {
		w.off(path+".log_stream", "logs", "")
	} else {
		w.set(path+".log_stream", a.LogStream, "")
	}
	needs := ""
	if a.RetentionDays != "0" {
		needs = "This needs the permission logs:PutRetentionPolicy."
	}
	w.set(path+".retention_days", a.RetentionDays, needs)
	w.off(path+".tags", "{team: security}", "")
}
