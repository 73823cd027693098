package config

import (
	"strings"
	"time"
)

// Config is the whole configuration. The doc tags are its reference; package
// doc explains how the tags are used.
type Config struct {
	DataDir         string        `yaml:"data_dir" default:"" doc:"Directory of the buffer, the cursors and the dead letters. One process at a time may use it. The default is the first of: the directory that systemd names in STATE_DIRECTORY; /var/lib/gapless when running as root; the user's state directory (XDG_STATE_HOME or ~/.local/state, on macOS ~/Library/Application Support, on Windows %LocalAppData%) with /gapless added. It never depends on the working directory, because a start with an empty directory exports everything again."`
	Listen          string        `yaml:"listen" default:"127.0.0.1:8080" doc:"Address of /healthz, /readyz and /metrics, as host:port; port 0 picks a free one. Empty turns the listener off."`
	Log             Log           `yaml:"log" doc:"What gapless writes about itself, to standard error."`
	MaxBufferBytes  Size          `yaml:"max_buffer_bytes" default:"10GiB" min:"16MiB" doc:"Bytes of undelivered events of a tenant on disk beyond which its sources wait. Of a tenant with several destinations they are counted for each."`
	MaxLetterBytes  Size          `yaml:"max_dead_letter_bytes" default:"1GiB" min:"1MiB" doc:"Bytes of dead letters of a tenant from 80 % of which on it counts as in trouble, so that a person replays or drops them in time. No letter is ever refused or deleted for it: what is beyond it counts against max_buffer_bytes, and sources wait when both are full."`
	DedupWindow     time.Duration `yaml:"dedup_window" default:"72h" min:"1h" max:"720h" doc:"How long a log_id is remembered after its event was stored, so that the same event is not stored twice."`
	ShutdownTimeout time.Duration `yaml:"shutdown_timeout" default:"20s" min:"1s" max:"10m" doc:"How long a stop may take; calls under way are cut short after it. Events that are not delivered by then stay in the buffer."`
	AWS             AWS           `yaml:"aws" doc:"How to reach AWS. Credentials come from the standard chain of the AWS SDK: environment, shared profile, web identity, container, instance."`
	Secrets         Secrets       `yaml:"secrets" doc:"How secrets that are kept elsewhere are followed when they are rotated."`
	Webhook         Webhook       `yaml:"webhook" doc:"Where Auth0 pushes events to: the listener for log streams of the type http (Custom Webhook). It is apart from listen, because it is there for others to reach. Each tenant that is pushed to has a webhook.token; its URL is https://HOST/v1/tenants/NAME/logs."`
	Tenants         []Tenant      `yaml:"tenants" doc:"The Auth0 tenants to export; at least one."`
	Setup           Setup         `yaml:"setup" doc:"What 'gapless setup' makes in AWS and Auth0. No other command reads it: run goes on as if it were not there. The page docs/setup.md is the walk-through."`
	History         History       `yaml:"history" doc:"What passed lately, kept to look at: events and what became of them, deliveries, runs. It lies in history.db in data_dir, apart from the buffer, and nothing of the export hangs on it. See the operations guide on the history."`
	Dashboard       Dashboard     `yaml:"dashboard" doc:"Who may look at the page of listen, and who may act on it. Without users and oidc there is no login: on loopback everybody on the machine may look and act, and on an address that others can reach the page shows figures alone."`
	Notify          Notify        `yaml:"notify" doc:"Who is told when something is wrong with the export, and when it is over. Without any channel alerts are seen in gapless status, on the page and in the metrics alone. The page docs/alerts.md has all of them."`
	Ledger          Ledger        `yaml:"ledger" doc:"The record of what was delivered, for auditors."`
	Tracing         Tracing       `yaml:"tracing" doc:"Traces of the way of pages and batches, for a collector of OpenTelemetry; off by default. They hold no events. See the operations guide on traces."`
	Verify          Verify        `yaml:"verify" doc:"When everything is verified by itself, see docs/verify.md."`

	origins map[string]Origin // by path; what is missing has its default
	source  *source           // of the file, for excerpts; nil without one
}

// Log says what gapless writes about itself.
type Log struct {
	Level  string `yaml:"level" default:"info" enum:"debug,info,warn,error" doc:"The least severe messages to write."`
	Format string `yaml:"format" default:"auto" enum:"auto,text,json" doc:"Form of a message. auto is text on a terminal and json elsewhere."`
}

// Secrets says how references to secrets are followed.
type Secrets struct {
	Refresh time.Duration `yaml:"refresh" default:"5m" min:"0s" max:"24h" doc:"How often client secrets, private keys and webhook tokens in AWS (aws-secretsmanager:, aws-ssm:) are read again while gapless runs; at least 10s. Those in files are read every 10s. With 0s none is read by the clock, but credentials when Auth0 refuses them, at most once a minute, and all on SIGHUP. Variables of the environment cannot change while a process runs. The key of redaction is read at the start and on SIGHUP alone."`
}

// Webhook is the listener that Auth0 pushes to.
type Webhook struct {
	Listen       string   `yaml:"listen" example:"0.0.0.0:8443" doc:"Address that the log streams of Auth0 reach, as host:port; port 0 picks a free one. Empty turns the webhook off."`
	TLS          TLS      `yaml:"tls" doc:"The certificate of the webhook. Auth0 refuses self-signed ones. Without it the listener speaks plain HTTP, which is allowed on loopback, and elsewhere with plaintext."`
	Plaintext    bool     `yaml:"plaintext" default:"false" doc:"Speak plain HTTP on an address that other machines can reach, because a proxy in front ends TLS. Whoever can listen in between reads the token and the events."`
	MaxBodyBytes Size     `yaml:"max_body_bytes" default:"8MiB" min:"64KiB" max:"256MiB" doc:"The largest body of a request, after decompression. Up to four bodies above 256 KiB are read at once, each of which may need some times its largest record in memory."`
	Allow        []string `yaml:"allow" example:"18.197.9.11/32,18.198.229.148/32" doc:"Networks that requests may come from, as CIDR prefixes or single addresses; all when empty. Auth0 publishes its own at https://cdn.auth0.com/ip-ranges.json. It is the peer of the connection that counts, so behind a proxy let the proxy do this."`
}

// TLS names the files of a certificate.
type TLS struct {
	CertFile string `yaml:"cert_file" example:"/etc/gapless/tls/fullchain.pem" doc:"PEM file with the certificate and those that lead to its root. It and key_file are read again when they change."`
	KeyFile  string `yaml:"key_file" example:"/etc/gapless/tls/privkey.pem" doc:"PEM file with the private key of the certificate."`
}

// AWS says how to reach AWS.
type AWS struct {
	Region     string `yaml:"region" example:"eu-central-1" doc:"AWS Region of the log groups. When empty it comes from AWS_REGION or the shared profile; it is never guessed."`
	Endpoint   string `yaml:"endpoint" example:"http://127.0.0.1:4566" doc:"Base URL that replaces those of the AWS services, for an emulator or a private endpoint."`
	Profile    string `yaml:"profile" example:"audit" doc:"Profile of the shared AWS configuration files."`
	RoleARN    string `yaml:"role_arn" example:"arn:aws:iam::123456789012:role/gapless" doc:"Role to assume before CloudWatch Logs or SQS is called. Secret references are read without it."`
	ExternalID string `yaml:"external_id" example:"gapless-dev-tenant" doc:"External ID to send when the role is assumed."`
}

// Tenant is one Auth0 tenant and where its events go.
type Tenant struct {
	Name           string        `yaml:"name" required:"true" example:"dev-tenant" doc:"Name of the tenant in gapless: lower-case letters, digits, '.', '_' and '-', at most 64, unique. Cursor and buffer are kept under it, so do not change it later."`
	Domain         string        `yaml:"domain" example:"dev-tenant.us.auth0.com" doc:"Auth0 domain, canonical or custom. A base URL such as http://127.0.0.1:4010 is taken too. Required, unless the tenant has a webhook: then it may be empty, and the tenant is not read but pushed to alone."`
	Audience       string        `yaml:"audience" example:"https://dev-tenant.us.auth0.com/api/v2/" doc:"Audience of the Management API token. The default is https://DOMAIN/api/v2/; behind a custom domain set it to that of the canonical domain."`
	ClientID       string        `yaml:"client_id" example:"abc" doc:"Client ID of a machine-to-machine application that has the permission read:logs. Required with domain."`
	ClientSecret   Secret        `yaml:"client_secret" example:"env:AUTH0_CLIENT_SECRET" doc:"Client secret of the application. Set this or private_key."`
	PrivateKey     Secret        `yaml:"private_key" example:"file:/run/secrets/auth0.pem" doc:"RSA private key in PEM of an application that authenticates by private_key_jwt. Set this or client_secret."`
	PrivateKeyID   string        `yaml:"private_key_id" example:"2c9f..." doc:"Key ID (kid) that Auth0 knows the key by; optional."`
	PrivateKeyAlg  string        `yaml:"private_key_alg" default:"RS256" enum:"RS256,RS384,PS256" doc:"Algorithm that signs with the private key."`
	StartFrom      string        `yaml:"start_from" default:"earliest" example:"24h" doc:"Where a tenant without a cursor begins: earliest (all that Auth0 still keeps), latest, an RFC 3339 time or a date, a duration such as 24h or 7d (that long ago), or a log_id (the events after it). Ignored once there is a cursor."`
	Retention      string        `yaml:"auth0_retention" default:"24h" example:"professional" doc:"How long Auth0 keeps the tenant's log: a duration from 1h to 365d, or the plan: starter (1 day), essentials (5), professional (10) or enterprise (30). The default is the shortest, which errs on the safe side: gapless warns earlier than it must. A value that is too long hides a gap. See the operations guide on gaps and retention."`
	PollInterval   time.Duration `yaml:"poll_interval" default:"1s" min:"100ms" max:"1h" doc:"Pause between polls once everything has been read. It is made longer where the rate limit demands it. The default of a tenant that is pushed to as well is 30s, as the poll is the check then; while the push is silent the pause is 1s at most."`
	RateShare      float64       `yaml:"rate_share" default:"0.5" min:"0.01" max:"1" doc:"Share of the Management API rate limit that gapless may use; the rest is for the other clients of the tenant."`
	RequestTimeout time.Duration `yaml:"request_timeout" default:"30s" min:"1s" max:"5m" doc:"Time limit of one request to Auth0."`
	Overlap        Overlap       `yaml:"overlap" doc:"Reading again, now and then, the end of what has been read. It finds events that Auth0 indexed late; those already stored are dropped."`
	Webhook        TenantWebhook `yaml:"webhook" doc:"Events that Auth0 pushes, beside those that are read or instead of them. An event that comes both ways is exported once."`
	SQS            SQS           `yaml:"sqs" doc:"A queue of Amazon SQS that brings events of the tenant, beside those that are read or instead of them: Auth0's EventBridge stream with a rule that sends to the queue. See the operations guide on EventBridge through SQS."`
	Filter         Filter        `yaml:"filter" doc:"Which events go on; all of them when nothing is set. An event must pass every rule that is set, and one that does not is counted by reason. A change holds for what is read from then on. The page docs/rules.md explains it with examples."`
	Redact         Redact        `yaml:"redact" doc:"What is taken out of the events of the tenant before they touch the disk. See the guide on rules."`
	CloudWatch     CloudWatch    `yaml:"cloudwatch" doc:"Where the events of the tenant go."`
	Destinations   []Destination `yaml:"destinations" doc:"Where else the events of the tenant go, beside cloudwatch: to a second account or Region, say. Each destination gets every event that the tenant's own filter and redaction let through, has rules of its own on top, and progress of its own. The guide on rules tells more."`
}

// A Destination is where else the events of a tenant go.
type Destination struct {
	Name       string     `yaml:"name" required:"true" example:"audit" doc:"Name of the destination in gapless: lower-case letters, digits, '.', '_' and '-', at most 64, unique within the tenant, and not cloudwatch. What waits for it is kept under it, so do not change it later."`
	WhenFull   string     `yaml:"when_full" default:"wait" enum:"wait,skip" doc:"What happens when max_buffer_bytes of events wait for this destination: wait has the sources wait, and with them all destinations; skip leaves events out of this one, for good, counts them as skipped for buffer_full and tells of it as trouble."`
	Filter     Filter     `yaml:"filter" doc:"Which of the tenant's events go to this destination; all of them when nothing is set. It is applied when they leave, and so to what waits."`
	Redact     Redact     `yaml:"redact" doc:"What is taken out of events on their way to this destination, on top of the tenant's redaction. The buffer and the dead letters have them without it."`
	CloudWatch CloudWatch `yaml:",inline"`
}

// Polls reports whether the tenant's log is read from Auth0.
func (t *Tenant) Polls() bool { return t.Domain != "" }

// PushedPollInterval is the default of PollInterval of a tenant that is pushed to.
const PushedPollInterval = 30 * time.Second

// Pushed reports whether somebody brings the tenant's events, by any way.
func (t *Tenant) Pushed() bool { return len(t.Webhook.All()) > 0 || t.SQS.QueueURL != "" }

// Origin says in words where the events of the tenant come from.
func (t *Tenant) Origin() string {
	var from []string
	if t.Polls() {
		from = append(from, t.Domain)
	}
	if len(t.Webhook.All()) > 0 {
		from = append(from, "webhook")
	}
	if t.SQS.QueueURL != "" {
		from = append(from, "queue")
	}
	return strings.Join(from, " and ")
}

// TenantWebhook is how a tenant's log stream identifies itself.
type TenantWebhook struct {
	Token  Secret   `yaml:"token" example:"env:GAPLESS_WEBHOOK_TOKEN" doc:"What the log stream sends as its Authorization header: the Authorization Token of its settings. A long random text; 'openssl rand -hex 32' makes one. With it the tenant is pushed to at webhook.listen."`
	Tokens []Secret `yaml:"tokens" example:"file:/run/secrets/webhook-old,file:/run/secrets/webhook-new" doc:"In the place of token: up to two of which either is taken, to change from one to the other without a pause."`
}

// All returns the tokens; none when the tenant is not pushed to.
func (w *TenantWebhook) All() []Secret {
	if w.Token.IsZero() {
		return w.Tokens
	}
	return append([]Secret{w.Token}, w.Tokens...)
}

// Overlap says how a tenant's newest events are read again.
type Overlap struct {
	Window time.Duration `yaml:"window" default:"30s" min:"0s" max:"1h" doc:"How far back to read again. 0s turns the overlap off."`
	Every  int           `yaml:"every" default:"10" min:"1" max:"100000" doc:"Read again after this many polls that found nothing new to page through."`
}

// SQS is a queue that brings events of a tenant.
type SQS struct {
	QueueURL   string `yaml:"queue_url" example:"https://sqs.eu-central-1.amazonaws.com/123456789012/auth0" doc:"URL of a standard queue. Empty reads none. Several tenants may share one; each of them then needs source or tenant_name."`
	Region     string `yaml:"region" example:"eu-central-1" doc:"AWS Region of the queue. The default is the one in queue_url, or else aws.region."`
	Endpoint   string `yaml:"endpoint" example:"https://vpce-0a1b.sqs.eu-central-1.vpce.amazonaws.com" doc:"Base URL that replaces the scheme and host of queue_url, for a private endpoint. aws.endpoint is not used for the queue."`
	Receivers  int    `yaml:"receivers" default:"4" min:"1" max:"64" doc:"How many receivers ask the queue for messages at once. Each holds 10 messages at most, and makes three calls a minute while the queue is empty."`
	Source     string `yaml:"source" example:"aws.partner/auth0.com/dev-tenant-946f0c5c-0000-0000-0000-000000000000/auth0.logs" doc:"Partner event source of the tenant's log stream. Messages of this source are the tenant's. When both this and tenant_name are empty, everything in the queue is."`
	TenantName string `yaml:"tenant_name" example:"dev-tenant" doc:"The tenant_name that the tenant's events carry. Messages whose source is no tenant's, or that come without an envelope, are told apart by it."`
}

// Redact says what is taken out of a tenant's events.
type Redact struct {
	Presets []string     `yaml:"presets" example:"auth0-pii,no-secrets" doc:"Sets of rules: auth0-pii (the fields that Auth0's own log streams can obfuscate), gdpr-minimal, no-secrets. They come after rules. The guide on rules lists what each holds."`
	Key     Secret       `yaml:"key" example:"env:GAPLESS_REDACT_KEY" doc:"Key of the action hash, of 16 bytes or more; 'openssl rand -hex 32' makes one. With another key the same person gets another hash."`
	Rules   []RedactRule `yaml:"rules" doc:"Rules in their order: where two hit the same value the first wins, but for drop, which always does."`
}

// RedactRule says what becomes of the values that it hits.
type RedactRule struct {
	Path   string   `yaml:"path" example:"details..email" doc:"Path of the values: names with dots between, * for any name, .. for any depth, [0] or [*] for elements, double quotes around odd names. A name reaches through arrays and into JSON within strings. Upper and lower case are apart."`
	Paths  []string `yaml:"paths" example:"user_name,details.request.body.password" doc:"Several paths, in the place of path."`
	Kind   string   `yaml:"kind" enum:"email,ip,phone,jwt,bearer" doc:"Kind of the values, which are found anywhere in an event, also within longer texts, in the place of path."`
	Kinds  []string `yaml:"kinds" example:"email,phone" doc:"Several kinds, in the place of kind."`
	Keys   bool     `yaml:"keys" default:"false" doc:"Look for the kinds in the names of members too."`
	Types  []string `yaml:"types" example:"s,f*" doc:"Event types that the rule is for, with * and ?; all when empty."`
	Action string   `yaml:"action" required:"true" enum:"drop,mask,hash,truncate,replace" example:"mask" doc:"What to do: drop takes the value out, mask keeps its shape, hash puts its HMAC-SHA-256 with key there, truncate keeps length characters, replace puts with there."`
	Length int      `yaml:"length" default:"0" min:"0" max:"1000000" doc:"How many characters truncate keeps; at least 1."`
	With   string   `yaml:"with" example:"[removed]" doc:"The text that replace puts there; *** when empty."`
}

// CloudWatch is a tenant's destination in CloudWatch Logs.
type CloudWatch struct {
	LogGroup       string            `yaml:"log_group" default:"/auth0/{tenant}" doc:"Log group. It may hold {tenant}; of an event {date} (UTC day), {year}, {month}, {day}, {hour}, {type}, {category}, {severity}, {organization} (organization_id), {client} (client_id) and {connection} (its name). What an event does not have is 'none'. See the guide on rules."`
	LogStream      string            `yaml:"log_stream" default:"logs" example:"{category}/{date}" doc:"Log stream within the group; it may hold the same placeholders."`
	MaxStreams     int               `yaml:"max_streams" default:"200" min:"1" max:"10000" doc:"How many combinations of values other than dates the templates may make at a time, if they hold {type}, {organization}, {client} or {connection}. In further ones these become 'other', until one has not been used for a day."`
	Fields         map[string]string `yaml:"fields" example:"severity=severity,title=type_title,stage=text:prod" doc:"Members to put in front of those of each message, by name: tenant, type_title, category, severity, source, or text: with a constant text. A name that the event has itself is left to it. At most 20. Without fields and copy a message is the event as received."`
	Copy           map[string]string `yaml:"copy" example:"request_ip=details.request.ip,error=details.error.message" doc:"Values of the event to put in front of the message a second time, by name and path: texts (the first 256 bytes), numbers, true and false. Logs Insights discovers the first 200 fields of an event only. At most 20."`
	Create         bool              `yaml:"create" default:"true" doc:"Create the group and the stream when they are missing."`
	RetentionDays  int               `yaml:"retention_days" default:"0" enum:"0,1,3,5,7,14,30,60,90,120,150,180,365,400,545,731,1096,1827,2192,2557,2922,3288,3653" doc:"Retention of a group that gapless creates, in days; 0 is for ever. A group that exists keeps its own, because a shorter one deletes data."`
	LogGroupClass  string            `yaml:"log_group_class" enum:"STANDARD,INFREQUENT_ACCESS,ESSENTIALS" doc:"Class of a group that gapless creates; AWS never lets it change. When empty AWS takes STANDARD."`
	KMSKeyID       string            `yaml:"kms_key_id" example:"arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab" doc:"ARN of the KMS key of a group that gapless creates."`
	Tags           map[string]string `yaml:"tags" example:"team=security,stage=prod" doc:"Tags of a group that gapless creates; at most 50."`
	Linger         time.Duration     `yaml:"linger" default:"200ms" min:"0s" max:"1m" doc:"How long a batch that is not full waits for more events."`
	InFlight       int               `yaml:"in_flight" default:"4" min:"1" max:"64" doc:"How many batches may be on their way at once."`
	Compression    string            `yaml:"compression" default:"gzip" enum:"gzip,none" doc:"Compression of request bodies. An endpoint that refuses gzip is sent plain bodies from then on."`
	InDoubtWait    time.Duration     `yaml:"in_doubt_wait" default:"15s" min:"0s" max:"5m" doc:"How long after a call whose outcome is not known its events are looked for before they are sent again: reads of CloudWatch Logs lag behind writes. 0s looks once."`
	RequestTimeout time.Duration     `yaml:"request_timeout" default:"30s" min:"1s" max:"5m" doc:"Time limit of one request to CloudWatch Logs."`
	TooOld         Policy            `yaml:"too_old" default:"restamp" enum:"restamp,dead_letter" doc:"What to do with an event older than CloudWatch Logs takes (14 days, or the retention of the group): restamp sends it with the oldest timestamp that is accepted, dead_letter keeps it aside."`
	TooNew         Policy            `yaml:"too_new" default:"restamp" enum:"restamp,dead_letter" doc:"What to do with an event more than 2 hours in the future: restamp sends it with the newest timestamp that is accepted, dead_letter keeps it aside."`
	TooLarge       Policy            `yaml:"too_large" default:"trim" enum:"trim,dead_letter" doc:"What to do with an event above 1 MiB: trim sends what fits, marked as trimmed, dead_letter keeps it aside."`
	Region         string            `yaml:"region" example:"us-east-1" doc:"Overrides aws.region for this destination."`
	Endpoint       string            `yaml:"endpoint" example:"https://vpce-0a1b.logs.eu-central-1.vpce.amazonaws.com" doc:"Overrides aws.endpoint for this destination."`
	RoleARN        string            `yaml:"role_arn" example:"arn:aws:iam::210987654321:role/gapless" doc:"Overrides aws.role_arn, and with it aws.external_id, for this destination."`
	ExternalID     string            `yaml:"external_id" example:"gapless-dev-tenant" doc:"Overrides aws.external_id for this destination."`
}

// A Policy says what to do with an event that CloudWatch Logs cannot take as it
// is.
type Policy string

// The policies. Which of them a setting takes stands with the setting.
const (
	Restamp    Policy = "restamp"     // send it with the nearest timestamp that is accepted
	DeadLetter Policy = "dead_letter" // keep it aside
	Trim       Policy = "trim"        // send as much of it as fits
)

// AWSForSQS returns how to reach the queue of a tenant: the aws section, with the
// Region of the queue. The endpoint is that of the queue's URL when it is empty.
func (c *Config) AWSForSQS(t Tenant) AWS {
	a := c.AWS
	a.Endpoint = t.SQS.Endpoint
	if in := RegionOfQueue(t.SQS.QueueURL); in != "" {
		a.Region = in
	}
	if t.SQS.Region != "" {
		a.Region = t.SQS.Region
	}
	return a
}

// AWSFor returns how to reach AWS for a tenant: the aws section with the
// tenant's overrides. A tenant with a role of its own does not inherit the
// external ID, which belongs to the other role.
func (c *Config) AWSFor(t Tenant) AWS { return c.awsWith(&t.CloudWatch) }

// AWSForDestination is AWSFor for a further destination: it inherits the aws section,
// and nothing of the tenant's cloudwatch section.
func (c *Config) AWSForDestination(d Destination) AWS { return c.awsWith(&d.CloudWatch) }

// awsWith returns the aws section with overrides.
func (c *Config) awsWith(cw *CloudWatch) AWS {
	a := c.AWS
	if cw.RoleARN != "" {
		a.RoleARN, a.ExternalID = cw.RoleARN, ""
	}
	override := func(to *string, from string) {
		if from != "" {
			*to = from
		}
	}
	override(&a.Region, cw.Region)
	override(&a.Endpoint, cw.Endpoint)
	override(&a.ExternalID, cw.ExternalID)
	return a
}
