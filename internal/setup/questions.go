package setup

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/gaplesslogs/gapless/internal/config"
)

// A Question is one that the wizard asks, and the flag that answers it.
type Question struct {
	// Flag is the name of the flag, without dashes.
	Flag string
	// Text is the question, without a question mark.
	Text string
	// Help says more, in sentences.
	Help string
	// Choices are the answers there are; any text when empty.
	Choices []string
	// Usage is the help of the flag; the word in backquotes stands for the answer.
	Usage string

	path   string                             // of the setting, whose checks count
	answer func(*Answers) *string             // where the answer goes
	def    func(Answers, Defaults) string     // empty: there must be an answer
	when   func(Answers) bool                 // whether it is asked, after those before it
	clean  func(string) string                // what is taken off an answer
	check  func(Answers, string) *AnswerError // besides those of the setting; may be nil
}

// Defaults are what the surroundings say about defaults.
type Defaults struct {
	// Region is the AWS Region of the environment; may be empty.
	Region string
}

// An AnswerError says what is wrong with an answer. It shows no secret.
type AnswerError struct {
	// What continues a sentence: "is not a domain".
	What string
	// Fix is a sentence; may be empty.
	Fix string
}

// Error returns the problem and the fix.
func (p *AnswerError) Error() string { return strings.TrimSpace(p.What + ". " + p.Fix) }

// always and the like are for Question.when.
func always(Answers) bool       { return true }
func pushed(a Answers) bool     { return a.Auth == AuthWebhook }
func withSecret(a Answers) bool { return a.Auth == AuthSecret }
func withKey(a Answers) bool    { return a.Auth == AuthKey }
func withCert(a Answers) bool   { return pushed(a) && a.WebhookTLS == tlsCertificate }

// fixed is a default that depends on nothing.
func fixed(text string) func(Answers, Defaults) string {
	return func(Answers, Defaults) string { return text }
}

// referenceHelp is the help of all questions for a reference to a secret.
const referenceHelp = "The secret itself is not asked for and does not go into the file. Write where it is kept: env:NAME (a variable), file:PATH, aws-secretsmanager:NAME-OR-ARN[#KEY] or aws-ssm:NAME-OR-ARN."

// Questions returns all questions, in their order.
func Questions() []Question {
	return append(append(authQuestions(), webhookQuestions()...), awsQuestions()...)
}

// authQuestions are about Auth0.
func authQuestions() []Question {
	return []Question{
		{
			Flag: "auth", Text: "How gapless gets the events of the tenant", Choices: []string{AuthSecret, AuthKey, AuthWebhook},
			Usage: "`HOW` gapless gets the events: client-secret or private-key (it reads the log), or webhook (Auth0 pushes)",
			Help: "client-secret and private-key: gapless reads the log with the Management API, as a machine-to-machine application with the permission read:logs. " +
				"A private key (Private Key JWT) is no secret that two know. webhook: nothing is read; a log stream of Auth0 pushes, and what happened before it existed does not come.",
			answer: func(a *Answers) *string { return &a.Auth }, def: fixed(AuthSecret), when: always,
		},
		{
			Flag: "domain", Text: "Auth0 domain of the tenant", Usage: "Auth0 `DOMAIN` of the tenant",
			Help: "It stands in the Auth0 Dashboard, in the settings of any application, such as dev-tenant.us.auth0.com.",
			path: "tenants.0.domain", answer: func(a *Answers) *string { return &a.Domain }, when: Answers.polls,
			clean: cleanDomain, check: func(_ Answers, s string) *AnswerError { return checkDomain(s) },
		},
		{
			Flag: "name", Text: "Name of the tenant in gapless", Usage: "`NAME` of the tenant in gapless",
			Help: "Lower-case letters, digits, '.', '_' and '-'. Cursor and buffer are kept under it, so do not change it later.",
			path: "tenants.0.name", answer: func(a *Answers) *string { return &a.Name }, when: always,
			def: func(a Answers, _ Defaults) string { return nameOf(a.Domain) },
		},
		{
			Flag: "client-id", Text: "Client ID of the machine-to-machine application", Usage: "client `ID` of the machine-to-machine application",
			Help: "In the Auth0 Dashboard, under Applications, create one of the kind Machine to Machine, authorize it for the Auth0 Management API, and give it read:logs and no other permission.",
			path: "tenants.0.client_id", answer: func(a *Answers) *string { return &a.ClientID }, when: Answers.polls,
			check: func(_ Answers, s string) *AnswerError { return checkClientID(s) },
		},
		{
			Flag: "client-secret", Text: "Where its client secret is kept", Usage: "`REFERENCE` to the client secret, such as env:AUTH0_CLIENT_SECRET",
			Help: referenceHelp, path: "tenants.0.client_secret", answer: func(a *Answers) *string { return &a.ClientSecret },
			def: fixed("env:AUTH0_CLIENT_SECRET"), when: withSecret, check: checkReference,
		},
		{
			Flag: "private-key", Text: "Where its private key is kept", Usage: "`REFERENCE` to the private key, such as env:AUTH0_PRIVATE_KEY or file:auth0.pem",
			Help: referenceHelp + " It is an RSA key in PEM; Auth0 gets its public half, under Credentials of the application.",
			path: "tenants.0.private_key", answer: func(a *Answers) *string { return &a.PrivateKey },
			def: fixed("env:AUTH0_PRIVATE_KEY"), when: withKey, check: checkReference,
		},
	}
}

// webhookQuestions are about the listener that Auth0 pushes to.
func webhookQuestions() []Question {
	return []Question{
		{
			Flag: "webhook-token", Text: "Where the token of the log stream is kept", Usage: "`REFERENCE` to the token of the log stream, such as env:GAPLESS_WEBHOOK_TOKEN",
			Help: referenceHelp + " It is what Auth0 calls the Authorization Token; 'openssl rand -hex 32' makes one.",
			path: "tenants.0.webhook.token", answer: func(a *Answers) *string { return &a.WebhookToken },
			def: fixed("env:GAPLESS_WEBHOOK_TOKEN"), when: pushed, check: checkReference,
		},
		{
			Flag: "webhook-listen", Text: "Address that Auth0 reaches, as host:port", Usage: "`ADDRESS` that Auth0 pushes to",
			path: "webhook.listen", answer: func(a *Answers) *string { return &a.WebhookListen }, def: fixed("0.0.0.0:8443"), when: pushed,
			Help: "The log stream of Auth0 needs an https URL whose certificate is not self-signed.",
		},
		{
			Flag: "webhook-tls", Text: "What ends TLS there", Choices: []string{tlsCertificate, tlsProxy},
			Usage: "`WHAT` ends TLS at the webhook: certificate (gapless itself) or proxy",
			Help:  "certificate: gapless itself, with a certificate and its key in PEM. proxy: a load balancer or proxy in front, which gapless trusts.",
			path:  "webhook.tls", answer: func(a *Answers) *string { return &a.WebhookTLS }, def: fixed(tlsCertificate), when: pushed,
		},
		{
			Flag: "cert-file", Text: "File of the certificate", Usage: "`FILE` of the webhook's certificate",
			Help: "PEM, with the certificates that lead to its root. It is read again when it changes.",
			path: "webhook.tls.cert_file", answer: func(a *Answers) *string { return &a.CertFile }, def: fixed("/etc/gapless/tls/fullchain.pem"), when: withCert,
		},
		{
			Flag: "key-file", Text: "File of its private key", Usage: "`FILE` of the key of the webhook's certificate", Help: "PEM.",
			path: "webhook.tls.key_file", answer: func(a *Answers) *string { return &a.KeyFile }, def: fixed("/etc/gapless/tls/privkey.pem"), when: withCert,
		},
	}
}

// awsQuestions are about the destination and the place.
func awsQuestions() []Question {
	return []Question{
		{
			Flag: "region", Text: "AWS Region of the log group", Usage: "AWS `REGION` of the log group (default: AWS_REGION)",
			Help: "Such as eu-central-1 or ap-northeast-1.",
			path: "aws.region", answer: func(a *Answers) *string { return &a.Region }, when: always,
			def: func(_ Answers, d Defaults) string { return d.Region }, check: func(_ Answers, s string) *AnswerError { return checkRegion(s) },
		},
		{
			Flag: "log-group", Text: "Log group", Usage: "log `GROUP`, with {tenant} for the name",
			Help: "It is made if it is missing and gapless may. {tenant} stands for the name above, and further placeholders are in docs/rules.md.",
			path: "tenants.0.cloudwatch.log_group", answer: func(a *Answers) *string { return &a.LogGroup }, def: fixed("/auth0/{tenant}"), when: always,
		},
		{
			Flag: "retention-days", Text: "How many days a log group that gapless makes keeps the events; 0 is for ever", Usage: "`DAYS` that a log group made by gapless keeps events; 0 is for ever",
			Help: "A group that exists keeps its own retention. AWS takes certain numbers only: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653. More than 0 needs the permission logs:PutRetentionPolicy.",
			path: "tenants.0.cloudwatch.retention_days", answer: func(a *Answers) *string { return &a.RetentionDays }, def: fixed("0"), when: always,
		},
		{
			Flag: "where", Text: "Where gapless will run", Choices: placeNames(), Usage: "`WHERE` gapless will run: " + strings.Join(placeNames(), ", "),
			Help:   "It decides where the data lie, who reaches the listener, and how gapless gets AWS credentials without a key that never expires. " + placeHelp(),
			answer: func(a *Answers) *string { return &a.Where }, def: fixed("here"), when: always, check: checkPlace,
		},
	}
}

// placeHelp says what each place is.
func placeHelp() string {
	var parts []string
	for _, name := range placeNames() {
		parts = append(parts, name+": "+places()[name].title)
	}
	return strings.Join(parts, "; ") + "."
}

// Default returns what holds when the question is not answered, given the answers
// so far; empty when there must be an answer. What a has already is the default.
func (q *Question) Default(a Answers, d Defaults) string {
	if has := *q.answer(&a); has != "" {
		return has
	}
	if q.def == nil {
		return ""
	}
	return q.def(a, d)
}

// Asked reports whether the question makes sense after the answers so far.
func (q *Question) Asked(a Answers) bool { return q.when(a) }

// Set checks an answer and puts it into a. The error is a *AnswerError; a is then left
// as it was.
func (q *Question) Set(ctx context.Context, a *Answers, text string) error {
	next, p := q.put(*a, text)
	if p == nil && q.path != "" {
		p = problemAt(ctx, next, q.path)
	}
	if p != nil {
		return p
	}
	*a = next
	return nil
}

// put returns the answers with one more, and what is wrong with it besides what the
// checks of its setting say.
func (q *Question) put(a Answers, text string) (Answers, *AnswerError) {
	text = strings.TrimSpace(text)
	if q.clean != nil {
		text = q.clean(text)
	}
	*q.answer(&a) = text
	switch {
	case text == "":
		return a, &AnswerError{"is missing", ""}
	case !printable(text):
		return a, &AnswerError{"holds a character that does not print", "Write it anew; it may have been copied along."}
	case len(q.Choices) > 0 && !slices.Contains(q.Choices, text):
		return a, &AnswerError{"is none of the choices", "Write one of: " + strings.Join(q.Choices, ", ") + "."}
	case q.check != nil:
		return a, q.check(a, text)
	default:
		return a, nil
	}
}

// problemAt returns what the checks of the configuration say of a setting, with
// something valid in the place of what has not been answered.
func problemAt(ctx context.Context, a Answers, path string) *AnswerError {
	found := problemsOf(ctx, a)
	if p := found[path]; p != nil {
		return p
	}
	return found[""] // of the file as a whole
}

// problemsOf returns the problems of the configuration by their paths.
func problemsOf(ctx context.Context, a Answers) map[string]*AnswerError {
	found := map[string]*AnswerError{}
	_, err := load(ctx, a.complete().File())
	bad, ok := errors.AsType[*config.InvalidError](err)
	switch {
	case ok:
		for _, p := range bad.Problems {
			found[p.Path] = &AnswerError{p.Problem, p.Fix}
		}
	case err != nil:
		found[""] = &AnswerError{"cannot be checked: " + err.Error(), ""}
	}
	return found
}

// printable reports whether a text is one that a person could have typed.
func printable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}

// load reads a configuration file that is not written yet, with nothing of the
// surroundings.
func load(ctx context.Context, file []byte) (*config.Config, error) {
	cfg, err := config.Load(ctx, config.LoadOptions{
		File:     config.DefaultFile,
		ReadFile: func(string) ([]byte, error) { return file, nil },
		Environ:  []string{"HOME=/home/gapless", `LOCALAPPDATA=C:\gapless`}, // for the default of data_dir
	})
	if err != nil {
		return nil, fmt.Errorf("check answers: %w", err)
	}
	return cfg, nil
}

// cleanDomain takes off what a person copies along from a browser.
func cleanDomain(s string) string {
	if u, err := url.Parse(s); err == nil && u.Scheme == "https" && u.Path == "/" && u.RawQuery == "" && u.User == nil {
		return u.Host
	}
	return strings.TrimPrefix(s, "https://")
}

// checkDomain refuses the address of the Dashboard, which is no tenant's.
func checkDomain(s string) *AnswerError {
	if strings.HasPrefix(strings.ToLower(s), "manage.auth0.com") {
		return &AnswerError{"is the Dashboard, not the tenant", "The domain stands in the settings of any application, such as dev-tenant.us.auth0.com."}
	}
	return nil
}

// nameOf makes a tenant's name of its domain: the first label. It is empty when
// that is no name.
func nameOf(domain string) string {
	if i := strings.Index(domain, "://"); i >= 0 {
		domain = domain[i+3:]
	}
	label, _, _ := strings.Cut(strings.ToLower(domain), ".")
	if !regexp.MustCompile(`^[a-z0-9_-]{1,64}$`).MatchString(label) {
		return ""
	}
	return label
}

// longestClientID is above the 32 characters of the client IDs that Auth0 gives, and
// below the 64 of its secrets.
const longestClientID = 48

// checkClientID refuses a client secret, which is a slip of the clipboard away.
func checkClientID(s string) *AnswerError {
	switch {
	case strings.ContainsAny(s, " \t"):
		return &AnswerError{"holds a space", "Write the client ID alone."}
	case len(s) > longestClientID:
		return &AnswerError{"is longer than a client ID, and may be the secret", "Write the client ID, which has 32 characters. If it was the secret, it has been on your screen: rotate it in the Dashboard."}
	default:
		return nil
	}
}

// pasted is what is said of a secret in clear.
func pasted() *AnswerError {
	return &AnswerError{
		"is no reference, and a secret in clear does not go into the file",
		"Keep the secret in a variable, a file or AWS, and write env:NAME, file:PATH, aws-secretsmanager:NAME-OR-ARN[#KEY] or aws-ssm:NAME-OR-ARN. If this was the secret, it may now stand on your screen or in the history of your shell: rotate it in the Dashboard.",
	}
}

// checkReference takes references to secrets alone. It quotes nothing.
func checkReference(_ Answers, s string) *AnswerError {
	// What is no reference at all the check of the setting tells of.
	if ref, err := config.ParseSecret(s); err == nil && ref.String() == config.Redacted {
		return pasted()
	}
	if name, ok := strings.CutPrefix(s, "env:"); ok {
		if !regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`).MatchString(name) || looksRandom(name) {
			return &AnswerError{"names no variable", "Write env: and the name of a variable, such as env:AUTH0_CLIENT_SECRET. If a secret stands behind it, rotate it in the Dashboard."}
		}
	}
	return nil
}

// looksRandom reports whether a word is rather a secret than a name: Auth0's have 64
// characters of all kinds.
func looksRandom(word string) bool {
	has := func(class string) bool { return regexp.MustCompile(class).MatchString(word) }
	return len(word) >= 32 && has(`[a-z]`) && has(`[A-Z]`) && has(`[0-9]`)
}

// checkRegion checks the form of a Region; which ones there are changes.
func checkRegion(s string) *AnswerError {
	if !regexp.MustCompile(`^[a-z]{2,4}(-[a-z]+)+-\d{1,2}$`).MatchString(s) {
		return &AnswerError{"is not an AWS Region", "Write it like eu-central-1, without a zone's letter at the end."}
	}
	return nil
}

// checkPlace refuses places that nobody can push to.
func checkPlace(a Answers, s string) *AnswerError {
	if pushed(a) && places()[s].once {
		return &AnswerError{"is no place that Auth0 can push to: nothing listens there", "Choose another place, or another way to get the events (auth)."}
	}
	return nil
}
