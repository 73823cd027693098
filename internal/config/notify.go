package config

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // an image from scratch has no time zones
)

// Notify says who is told what, and when.
type Notify struct {
	Instance   string            `yaml:"instance" example:"prod-eu" doc:"Name of this gapless in messages, where several tell the same people; at most 64 characters."`
	Repeat     time.Duration     `yaml:"repeat_every" default:"6h" min:"10m" max:"168h" doc:"How long after it was told an alert that is still on is told again. The pause doubles each time, up to a day, or to this where it is longer."`
	Thresholds NotifyThresholds  `yaml:"thresholds" doc:"From when on figures are alerts. docs/alerts.md says what each alert means, how long it has to last, and what to do."`
	Slack      []NotifySlack     `yaml:"slack" doc:"Channels of Slack, told by incoming webhooks."`
	Webhook    []NotifyWebhook   `yaml:"webhook" doc:"Servers that are told in JSON, signed on demand. docs/alerts.md has the schema."`
	SNS        []NotifySNS       `yaml:"sns" doc:"Topics of Amazon SNS, which are told in text."`
	EMF        []NotifyEMF       `yaml:"emf" doc:"Log streams of CloudWatch Logs to which figures are written in the embedded metric format, so that they become metrics of CloudWatch."`
	Heartbeat  []NotifyHeartbeat `yaml:"heartbeat" doc:"URLs that are called as long as all is well, so that whoever waits for it notices when gapless, its machine or its network is gone."`
}

// NotifyThresholds say from when on figures are alerts.
type NotifyThresholds struct {
	DeliveryLag         time.Duration `yaml:"delivery_lag" default:"15m" min:"0s" max:"720h" doc:"How long an event may wait for its delivery until delivery_lag is told; 0s turns it off. It counts from when the event was fetched, so that reading an old log is no lag."`
	DeliveryLagCritical time.Duration `yaml:"delivery_lag_critical" default:"1h" min:"0s" max:"720h" doc:"From when on delivery_lag is critical; 0s is never."`
	FetchFailing        time.Duration `yaml:"fetch_failing" default:"5m" min:"0s" max:"24h" doc:"How long a source may fail, in a way that passes by itself, until not_fetching is told; 0s turns it off. Refused credentials are told after 15 s."`
	DestinationFailing  time.Duration `yaml:"destination_failing" default:"10m" min:"0s" max:"24h" doc:"How long a destination may fail or throttle, in a way that passes by itself, until destination_failing is told; 0s turns it off. What only a person can mend is told after 15 s."`
	Quiet               time.Duration `yaml:"quiet" default:"1h" min:"0s" max:"720h" doc:"The shortest time without new events, of a tenant whose log is read well, that may be told as quiet; 0s turns it off. It is told when the pause is three times as long as any at the same time of the last four weeks as well."`
	BufferUsed          float64       `yaml:"buffer_used" default:"0.8" min:"0" max:"1" doc:"Share of max_buffer_bytes that may be used until buffer_near_full is told; 0 turns it off."`
	DiskFree            Size          `yaml:"disk_free" default:"1GiB" min:"0" doc:"Bytes of the disk of data_dir that must be free, or a tenth of the disk where that is less; below it disk_near_full is told. 0 turns it off."`
	CertificateEnds     time.Duration `yaml:"certificate_ends" default:"336h" min:"0s" max:"2160h" doc:"How long before its end the certificate of the webhook is told of; 0s turns it off. In the last two days it is critical."`
	RateLimited         time.Duration `yaml:"rate_limited" default:"10m" min:"0s" max:"24h" doc:"How long the rate limit of Auth0 may hold up reading until rate_limited is told; 0s turns it off."`
}

// A NotifyChannel is what all channels have.
type NotifyChannel struct {
	Name     string   `yaml:"name" example:"oncall" doc:"Name of the channel, unique among all; lower-case letters, digits, '.', '_' and '-'. The default is its kind: slack, webhook, sns, emf or heartbeat. What it was told is remembered under it."`
	Severity string   `yaml:"severity" enum:"info,warning,critical" example:"critical" doc:"The least severity that is told. The default is warning; of a heartbeat it is critical: alerts from there on stop it."`
	Tenants  []string `yaml:"tenants" example:"prod" doc:"Names of the tenants that are told of; all when empty. What concerns no tenant, such as a full disk, is told in any case."`
	Kinds    []string `yaml:"kinds" example:"gap,credentials_refused" doc:"Kinds of alerts that are told; all when empty. docs/alerts.md lists them."`
}

// NotifyReport is what channels for people have besides.
type NotifyReport struct {
	Success      bool          `yaml:"success" default:"false" doc:"Also say when all goes well, each success_every: start, end, logs processed, next checkpoint."`
	SuccessEvery time.Duration `yaml:"success_every" default:"6h" min:"5m" max:"168h" doc:"Pause between two messages of success."`
	ReportAt     string        `yaml:"report_at" example:"09:00" doc:"Time of the day at which a report of the day is sent: for each tenant events fetched, delivered, rejected and skipped, lag, gaps, dead letters, and the alerts of the day. None when empty."`
	ReportZone   string        `yaml:"report_zone" default:"UTC" example:"Europe/Berlin" doc:"Time zone of report_at and of times in reports, as the tz database names it."`
}

// NotifySlack is a channel of Slack.
type NotifySlack struct {
	NotifyChannel `yaml:",inline"`
	WebhookURL    Secret `yaml:"webhook_url" required:"true" example:"env:SLACK_INCOMING_WEBHOOK_URL" doc:"Incoming webhook of a Slack app. It is a secret: who has it can write into the channel."`
	NotifyReport  `yaml:",inline"`
}

// NotifyWebhook is a server that is told in JSON.
type NotifyWebhook struct {
	NotifyChannel `yaml:",inline"`
	URL           Secret         `yaml:"url" required:"true" example:"env:GAPLESS_ALERT_URL" doc:"URL to which messages are posted; HTTPS, or HTTP to this machine. It is taken for a secret."`
	SigningKey    Secret         `yaml:"signing_key" example:"env:GAPLESS_ALERT_KEY" doc:"Key that signs the body with HMAC-SHA256 in the header Gapless-Signature; 'openssl rand -hex 32' makes one. Without it nothing is signed."`
	Headers       []NotifyHeader `yaml:"headers" doc:"Further headers of the requests, such as one with a token."`
	NotifyReport  `yaml:",inline"`
}

// NotifyHeader is a header of requests.
type NotifyHeader struct {
	Name  string `yaml:"name" required:"true" example:"Authorization" doc:"Name of the header."`
	Value Secret `yaml:"value" required:"true" example:"env:GAPLESS_ALERT_TOKEN" doc:"Value of the header, the whole of it."`
}

// NotifySNS is a topic of Amazon SNS.
type NotifySNS struct {
	NotifyChannel `yaml:",inline"`
	TopicARN      string `yaml:"topic_arn" required:"true" example:"arn:aws:sns:eu-central-1:123456789012:security" doc:"ARN of the topic, which names its Region. gapless needs sns:Publish on it, with the credentials, role and endpoint of the section aws."`
	NotifyReport  `yaml:",inline"`
}

// NotifyEMF is a log stream for metrics.
type NotifyEMF struct {
	NotifyChannel `yaml:",inline"`
	LogGroup      string        `yaml:"log_group" default:"/gapless/metrics" doc:"Log group of the metrics; of the class STANDARD. It is made when it is missing and gapless may. Not one that events of Auth0 go to."`
	LogStream     string        `yaml:"log_stream" default:"gapless" doc:"Log stream of the metrics."`
	Namespace     string        `yaml:"namespace" default:"Gapless" doc:"Namespace of the metrics in CloudWatch."`
	Region        string        `yaml:"region" example:"eu-central-1" doc:"AWS Region of the log group. The default is aws.region."`
	Every         time.Duration `yaml:"every" default:"1m" min:"10s" max:"1h" doc:"Pause between two lines of a tenant."`
}

// NotifyHeartbeat is a URL that is called as long as all is well.
type NotifyHeartbeat struct {
	NotifyChannel `yaml:",inline"`
	URL           Secret        `yaml:"url" required:"true" example:"env:GAPLESS_HEARTBEAT_URL" doc:"URL that is called while the figures can be read and no alert is on that the channel's severity, tenants and kinds let through. It is taken for a secret."`
	FailURL       Secret        `yaml:"fail_url" example:"env:GAPLESS_HEARTBEAT_FAIL_URL" doc:"URL that is called in its place while it is not so. Without it nothing is called then."`
	Method        string        `yaml:"method" default:"GET" enum:"GET,POST" doc:"Method of the call."`
	Every         time.Duration `yaml:"every" default:"1m" min:"10s" max:"24h" doc:"Pause between two calls."`
}

// AlertKinds returns the kinds that a channel may choose, as package notify has them.
func AlertKinds() []string {
	return strings.Fields(`credentials_refused credentials_end certificate_ends not_fetching quiet rate_limited push_silent stray_messages
		destination_refusing destination_failing delivery_lag destination_skipping destination_removed buffer_near_full disk_near_full
		retention_risk gap dead_letters dead_letter_quota secret_unreadable tenant_not_started store_restored store_unreadable
		reload_refused verify_unclean channel_failing trouble`)
}

// RegionOfTopic returns the AWS Region in the ARN of a topic; empty when it is none.
func RegionOfTopic(arn string) string {
	if parts := strings.Split(arn, ":"); len(parts) == 6 && parts[2] == "sns" {
		return parts[3]
	}
	return ""
}

// Clock returns the hour and minute of report_at and its zone; ok is false when no report
// is wanted.
func (r NotifyReport) Clock() (hour, minute int, zone *time.Location, ok bool) {
	at, err := time.Parse("15:04", r.ReportAt)
	zone, zerr := time.LoadLocation(r.ReportZone)
	if zerr != nil {
		zone = time.UTC // Validate has told of it
	}
	return at.Hour(), at.Minute(), zone, err == nil
}

// checkNotify checks the section notify.
func (l *loader) checkNotify(c *Config) {
	n := &c.Notify
	if len(n.Instance) > 64 || strings.ContainsFunc(n.Instance, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		l.complain("notify.instance", "is not a name", "Use at most 64 characters that print.")
	}
	if t := n.Thresholds; t.DeliveryLagCritical > 0 && t.DeliveryLagCritical < t.DeliveryLag {
		l.complain("notify.thresholds.delivery_lag_critical", "is less than delivery_lag", "Set it to more, or to 0s.")
	}
	names := map[string]string{}
	for i := range n.Slack {
		path := l.checkChannel(names, "slack", i, &n.Slack[i].NotifyChannel)
		l.checkPost(path+"webhook_url", n.Slack[i].WebhookURL)
		l.checkReport(path, n.Slack[i].NotifyReport)
	}
	for i := range n.Webhook {
		w := &n.Webhook[i]
		path := l.checkChannel(names, "webhook", i, &w.NotifyChannel)
		l.checkPost(path+"url", w.URL)
		l.checkReport(path, w.NotifyReport)
		for k, h := range w.Headers {
			if h.Name != "" && !matches(`^[A-Za-z0-9-]{1,64}$`, h.Name) {
				l.complain(path+"headers."+strconv.Itoa(k)+".name", quote(h.Name)+" is not the name of a header", "Use letters, digits and '-'.")
			}
		}
	}
	for i := range n.SNS {
		path := l.checkChannel(names, "sns", i, &n.SNS[i].NotifyChannel)
		l.checkReport(path, n.SNS[i].NotifyReport)
		if arn := n.SNS[i].TopicARN; arn != "" && !matches(`^arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:\S+$`, arn) {
			l.complain(path+"topic_arn", quote(arn)+" is not the ARN of a topic", "Write it like arn:aws:sns:eu-central-1:123456789012:security.")
		}
	}
	for i := range n.EMF {
		l.checkEMF(l.checkChannel(names, "emf", i, &n.EMF[i].NotifyChannel), &n.EMF[i])
	}
	for i := range n.Heartbeat {
		path := l.checkChannel(names, "heartbeat", i, &n.Heartbeat[i].NotifyChannel)
		l.checkPost(path+"url", n.Heartbeat[i].URL)
		l.checkPost(path+"fail_url", n.Heartbeat[i].FailURL)
	}
}

// checkChannel checks what all channels have, and gives one without a name that of its
// kind. It returns the path, with a dot at its end.
func (l *loader) checkChannel(names map[string]string, kind string, i int, ch *NotifyChannel) string {
	path := "notify." + kind + "." + strconv.Itoa(i) + "."
	if ch.Name == "" {
		ch.Name = kind
	}
	if other, taken := names[ch.Name]; taken {
		l.complain(path+"name", fmt.Sprintf("is %s, like that of %s", quote(ch.Name), other), "Give each channel a name of its own.")
	} else {
		names[ch.Name] = strings.TrimSuffix(path, ".")
	}
	if !matches(namePattern, ch.Name) {
		l.complain(path+"name", quote(ch.Name)+" is not a name", "Use 1 to 64 lower-case letters, digits, '.', '_' and '-'.")
	}
	l.checkChoices(path+"kinds", ch.Kinds, AlertKinds())
	var tenants []string
	for i := range l.cfg.Tenants {
		tenants = append(tenants, l.cfg.Tenants[i].Name)
	}
	if len(tenants) > 0 {
		l.checkChoices(path+"tenants", ch.Tenants, tenants)
	}
	return path
}

// checkReport checks what channels for people have.
func (l *loader) checkReport(path string, r NotifyReport) {
	if _, _, _, ok := r.Clock(); !ok && r.ReportAt != "" || r.ReportAt != "" && !matches(`^\d\d:\d\d$`, r.ReportAt) {
		l.complain(path+"report_at", quote(r.ReportAt)+" is not a time of the day", "Write it like 09:00.")
	}
	if _, err := time.LoadLocation(r.ReportZone); err != nil || r.ReportZone == "" || r.ReportZone == "Local" {
		l.complain(path+"report_zone", quote(r.ReportZone)+" is not a time zone", "Write it like Europe/Berlin or UTC.")
	}
}

// checkPost checks a URL that is written as it is; what a reference leads to is checked
// when it is used. It is never quoted.
func (l *loader) checkPost(path string, s Secret) {
	if s.literal == nil {
		return
	}
	u, err := url.Parse(*s.literal)
	ok := err == nil && isHTTP(u) && u.User == nil
	if ok && u.Scheme == "http" {
		ip := net.ParseIP(u.Hostname())
		ok = u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
	}
	if !ok {
		l.complain(path, "is not a URL with https", "Write it like https://hooks.example.com/..., or better a reference: env:NAME.")
	}
}

// checkEMF checks where metrics go.
func (l *loader) checkEMF(path string, e *NotifyEMF) {
	if !matches(`^[.\-_/#A-Za-z0-9]{1,512}$`, e.LogGroup) {
		l.complain(path+"log_group", "is not the name of a log group", "Use 1 to 512 letters, digits and the characters '.', '-', '_', '/' and '#'.")
	}
	if !matches(`^[^:*]{1,512}$`, e.LogStream) {
		l.complain(path+"log_stream", "is not the name of a log stream", "Use 1 to 512 characters without ':' and '*'.")
	}
	if !matches(`^[0-9A-Za-z.\-_/#:]{1,255}$`, e.Namespace) || strings.HasPrefix(e.Namespace, "AWS/") {
		l.complain(path+"namespace", "is not a namespace of metrics", "Use 1 to 255 letters, digits and the characters '.', '-', '_', '/', '#' and ':'; AWS/ is Amazon's own.")
	}
	uses := func(cw CloudWatch) bool { return cw.LogGroup == e.LogGroup }
	for _, t := range l.cfg.Tenants {
		if uses(t.CloudWatch) || slices.ContainsFunc(t.Destinations, func(d Destination) bool { return uses(d.CloudWatch) }) {
			l.complain(path+"log_group", "is where events of "+quote(t.Name)+" go", "Choose another, such as /gapless/metrics: verify would find lines there that are no events.")
		}
	}
}
