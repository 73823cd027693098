package stack

import (
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/golang-jwt/jwt/v5"

	"github.com/gaplesslogs/gapless/internal/config"
)

// ReadLogs is the one permission on the Management API that gapless needs.
const ReadLogs = "read:logs"

// The types of log streams of Auth0 that gapless takes events from.
const (
	StreamHTTP        = "http"
	StreamEventBridge = "eventbridge"
)

// PartnerPrefix begins the names of all partner event sources of Auth0.
const PartnerPrefix = "aws.partner/auth0.com"

// What queues are made like. Messages are kept as long as SQS can; the visibility
// timeout is that which gapless asks for itself; as many receives are forgiven as the
// operations guide advises.
const (
	queueRetention  = 1_209_600
	queueVisibility = 120
	queueReceives   = 20
)

// addPush adds what is made in Auth0, and what brings its events to a queue.
func addPush(cfg *config.Config, o Options, s *Stack) error {
	if err := o.checkPush(); err != nil {
		return err
	}
	pushes := false
	for i := range cfg.Tenants {
		t := &cfg.Tenants[i]
		p := pusher{cfg: cfg, o: &o, t: t, name: auth0Name(cfg, o.Name, t), s: s}
		if t.Polls() {
			p.application()
		}
		made, err := p.push()
		if err != nil {
			return fmt.Errorf("tenant %s: %w", t.Name, err)
		}
		pushes = pushes || made
	}
	if !pushes && o.Push == PushWebhook && o.wants(PartAuth0) {
		return errors.New("push is webhook, and no tenant has both a domain and a webhook.token: set them, or push: none")
	}
	return nil
}

// checkPush refuses options of pushing that cannot work.
func (o *Options) checkPush() error {
	switch o.Push {
	case "", PushNone, PushEventBridge:
	case PushWebhook:
		if o.wants(PartAuth0) {
			return checkWebhookURL(o.WebhookURL)
		}
	default:
		return fmt.Errorf("push %q is unknown: it is %s, %s or %s", o.Push, PushNone, PushWebhook, PushEventBridge)
	}
	return nil
}

// checkWebhookURL checks the URL under which Auth0 reaches the webhook. Auth0 itself
// takes https alone; the emulated tenant may push to plain HTTP on loopback.
func checkWebhookURL(text string) error {
	const fix = "write where Auth0 reaches webhook.listen, such as https://gapless.example.com"
	u, err := url.Parse(text)
	switch {
	case text == "":
		return errors.New("the URL of the webhook is missing: " + fix)
	case err != nil || u.Hostname() == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		return errors.New("the URL of the webhook is no base URL: " + fix)
	case u.Scheme == "https", u.Scheme == "http" && loopback(u.Hostname()):
		return nil
	default:
		return fmt.Errorf("the URL of the webhook begins with %s://, and Auth0 pushes to https:// alone: %s", u.Scheme, fix)
	}
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// auth0Name is what the application and the log stream are called. Tenants of gapless
// that are one tenant of Auth0 have streams of their own.
func auth0Name(cfg *config.Config, name string, t *config.Tenant) string {
	same := func(other config.Tenant) bool { return other.Domain == t.Domain && other.Name != t.Name }
	if slices.ContainsFunc(cfg.Tenants, same) {
		return name + "-" + t.Name
	}
	return name
}

// pusher adds the resources of one tenant.
type pusher struct {
	cfg  *config.Config
	o    *Options
	t    *config.Tenant
	name string // of what is made in Auth0
	s    *Stack
}

// note adds a sentence about the tenant.
func (p *pusher) note(format string, args ...any) {
	p.s.Notes = append(p.s.Notes, "Tenant "+p.t.Name+": "+fmt.Sprintf(format, args...))
}

// application adds the application that reads the log.
func (p *pusher) application() {
	if !p.o.wants(PartAuth0) {
		return
	}
	app := &Application{
		Tenant: p.t.Name, Name: p.name, ClientID: p.t.ClientID,
		Audience: p.audience(), Scopes: []string{ReadLogs},
	}
	if !p.t.PrivateKey.IsZero() {
		key, err := p.publicKey()
		if err != nil {
			p.note("the application is left out, as it is to have the public half of private_key, and that cannot be read: %v.", err)
			return
		}
		app.PublicKey = key
	}
	p.s.Resources = append(p.s.Resources, app)
}

// audience is that of the tenant's Management API.
func (p *pusher) audience() string {
	switch {
	case p.t.Audience != "":
		return p.t.Audience
	case strings.Contains(p.t.Domain, "://"):
		return strings.TrimSuffix(p.t.Domain, "/") + "/api/v2/"
	default:
		return "https://" + p.t.Domain + "/api/v2/"
	}
}

// errHidden says that secrets are not read.
var errHidden = errors.New("no secret is read here")

// reveal returns the value of a secret.
func (p *pusher) reveal(secret config.Secret) (string, error) {
	if p.o.Reveal == nil {
		return "", errHidden
	}
	return p.o.Reveal(secret)
}

// publicKey derives the public key from the private one. The parser's own error is
// left out: it must not quote a secret.
func (p *pusher) publicKey() (string, error) {
	text, err := p.reveal(p.t.PrivateKey)
	if err != nil {
		return "", err
	}
	key, err := jwt.ParseRSAPrivateKeyFromPEM([]byte(text))
	if err != nil {
		return "", errors.New("it is no RSA key in PEM")
	}
	return publicPEM(&key.PublicKey)
}

// publicPEM writes a public key as Auth0 takes it.
func publicPEM(key *rsa.PublicKey) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return "", fmt.Errorf("write public key: %w", err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), nil
}

// push adds the log stream, and what takes its events; made says that there is one.
func (p *pusher) push() (made bool, err error) {
	switch p.o.Push {
	case PushWebhook:
		return p.webhook(), nil
	case PushEventBridge:
		return p.eventBridge()
	default:
		return false, nil
	}
}

// stream is the log stream of the tenant.
func (p *pusher) stream(kind string) *Auth0Stream {
	s := &Auth0Stream{
		Tenant: p.t.Name, Name: p.name, Type: kind,
		Categories: p.o.Categories, PIIFields: p.o.PIIFields,
	}
	if len(s.PIIFields) > 0 {
		if s.PIIMethod = p.o.PIIMethod; s.PIIMethod == "" {
			s.PIIMethod = "mask"
		}
		if p.t.Polls() {
			p.note("the log stream obfuscates, and what gapless reads itself does not: an event keeps the form in which it came first. Use redact as well.")
		}
	}
	return s
}

// webhook adds a log stream to webhook.listen.
func (p *pusher) webhook() bool {
	tokens := p.t.Webhook.All()
	switch {
	case len(tokens) == 0:
		p.note("it has no webhook.token, so no log stream is made.")
		return false
	case !p.t.Polls():
		p.note("without a domain setup cannot make its log stream; make it in the Auth0 Dashboard (Monitoring, Streams, Custom Webhook).")
		return false
	case !p.o.wants(PartAuth0):
		return true
	}
	s := p.stream(StreamHTTP)
	s.Endpoint = strings.TrimSuffix(p.o.WebhookURL, "/") + "/v1/tenants/" + url.PathEscape(p.t.Name) + "/logs"
	token, err := p.reveal(tokens[len(tokens)-1]) // the newer one, while there are two
	if err != nil {
		p.note("the authorization of the log stream is left out, as webhook.token cannot be read: %v.", err)
	}
	s.Authorization = token
	p.s.Resources = append(p.s.Resources, s)
	return true
}

// eventBridge adds a log stream to EventBridge, its bus, a rule and the queue.
//
// The bus comes right behind the stream: until a partner event source has one, what
// it is sent is dropped.
func (p *pusher) eventBridge() (bool, error) {
	if !p.t.Polls() {
		p.note("without a domain setup cannot make its log stream to EventBridge.")
		return false, nil
	}
	region := p.cfg.AWSForSQS(*p.t).Region
	if region == "" {
		return false, errors.New("the Region of the queue is not known: set sqs.region or aws.region")
	}
	source, err := p.source()
	if err != nil {
		return false, err
	}
	queue, rule := queueName(p.o.Name, p.t.Name), ruleName(p.o.Name, p.t.Name)
	policy, err := queuePolicy(ARN("sqs", region, queue), ARN("events", region, "rule/"+source+"/"+rule))
	if err != nil {
		return false, err
	}
	deadPolicy, err := queuePolicy(ARN("sqs", region, queue+deadSuffix), ARN("events", region, "rule/"+source+"/"+rule))
	if err != nil {
		return false, err
	}
	stream := p.stream(StreamEventBridge)
	stream.AWSAccount, stream.AWSRegion = Account, region
	p.s.Resources = append(p.s.Resources, stream,
		&EventBus{Region: region, Source: source, Tags: p.tags()},
		&Queue{Region: region, Name: queue + deadSuffix, RetentionSeconds: queueRetention, VisibilitySeconds: queueVisibility, Policy: deadPolicy, Tags: p.tags()},
		&Queue{
			Region: region, Name: queue, RetentionSeconds: queueRetention, VisibilitySeconds: queueVisibility,
			DeadLetterQueue: queue + deadSuffix, MaxReceives: queueReceives, Policy: policy, Tags: p.tags(),
		},
		&Rule{
			Region: region, Bus: source, Name: rule, Pattern: `{"source":[{"prefix":"` + PartnerPrefix + `"}]}`,
			Queue: queue, DeadLetterQueue: queue + deadSuffix, Tags: p.tags(),
		})
	p.tellQueue(queue)
	return true, nil
}

// source is the partner event source: the one that Auth0 tells when it makes the log
// stream, or where that is left out the one that the configuration has.
func (p *pusher) source() (string, error) {
	switch {
	case p.o.wants(PartAuth0):
		return Ref(KindAuth0Stream, p.t.Name+"/"+p.name, "partner_event_source"), nil
	case p.t.SQS.Source != "" || !p.o.wants(PartQueue):
		return p.t.SQS.Source, nil
	default:
		return "", errors.New("the partner event source of its log stream is not known: set sqs.source, or let setup make the log stream (part auth0)")
	}
}

// tellQueue says where the configuration does not read the queue that is made.
func (p *pusher) tellQueue(queue string) {
	if u, err := url.Parse(p.t.SQS.QueueURL); p.t.SQS.QueueURL != "" && (err != nil || !strings.HasSuffix(u.Path, "/"+queue)) {
		p.note("sqs.queue_url names another queue than %s, which setup makes.", queue)
	}
}

// tags are those of what is made in AWS.
func (p *pusher) tags() map[string]string {
	tags := map[string]string{}
	maps.Copy(tags, p.o.Tags)
	tags[ManagedBy] = p.o.Name
	return tags
}

// deadSuffix ends the name of a dead-letter queue.
const deadSuffix = "-dead"

// The longest names that SQS (less the suffix) and EventBridge take.
const (
	maxQueueName = 80 - len(deadSuffix)
	maxRuleName  = 64
)

// queueName is the name of the queue of a tenant.
func queueName(name, tenant string) string {
	return bounded(name+"-"+strings.ReplaceAll(tenant, ".", "-"), tenant, maxQueueName)
}

// ruleName is the name of the rule of a tenant.
func ruleName(name, tenant string) string { return bounded(name+"-"+tenant, tenant, maxRuleName) }

// bounded returns text, or what of it fits with a hash of the tenant's name behind it.
// A text in which dots were replaced has the hash too, as two tenants could share it.
func bounded(text, tenant string, most int) string {
	if len(text) <= most && strings.HasSuffix(text, tenant) {
		return text
	}
	sum := sha256.Sum256([]byte(tenant))
	hash := "-" + hex.EncodeToString(sum[:4])
	return text[:min(len(text), most-len(hash))] + hash
}

// policyDocument is a policy of a queue, in the order in which it is written.
type policyDocument struct {
	Version   string
	Statement []queueStatement
}

type queueStatement struct {
	Sid, Effect string
	Principal   struct{ Service string }
	Action      string
	Resource    string
	Condition   struct {
		ArnEquals map[string]string
	}
}

// queuePolicy lets a rule of EventBridge send to a queue, and nobody else.
func queuePolicy(queue, rule string) (string, error) {
	st := queueStatement{Sid: "EventBridgeRule", Effect: "Allow", Action: "sqs:SendMessage", Resource: queue}
	st.Principal.Service = "events.amazonaws.com"
	st.Condition.ArnEquals = map[string]string{"aws:SourceArn": rule}
	text, err := json.Marshal(policyDocument{Version: "2012-10-17", Statement: []queueStatement{st}})
	if err != nil {
		return "", fmt.Errorf("write policy of the queue: %w", err)
	}
	return string(text), nil
}
