package stack

// The kinds of what brings events from Auth0.
const (
	KindApplication Kind = "Auth0 application"
	KindAuth0Stream Kind = "Auth0 log stream"
	KindEventBus    Kind = "event bus"
	KindQueue       Kind = "queue"
	KindRule        Kind = "event rule"
)

// Application is a machine-to-machine application of an Auth0 tenant with a grant on
// its Management API. Once made it has the value "client_id".
type Application struct {
	// Tenant is the name of the tenant in gapless.
	Tenant, Name string
	// ClientID is the one that the configuration has. An application with it stands in
	// the place of this one, whoever made it.
	ClientID string
	// Audience is that of the Management API.
	Audience string
	// Scopes are the permissions granted.
	Scopes []string
	// PublicKey is PEM, for private_key_jwt; empty for a client secret.
	PublicKey string
}

// ID implements Resource.
func (c *Application) ID() ID { return ID{Kind: KindApplication, Name: c.Tenant + "/" + c.Name} }

// Part implements Resource.
func (*Application) Part() string { return PartAuth0 }

// Attributes implements Resource.
func (c *Application) Attributes() []Attribute {
	var a attributes
	a.text("audience", c.Audience)
	a.list("scopes", c.Scopes)
	a.text("public_key", c.PublicKey)
	return a.sorted()
}

// Auth0Stream is a log stream of an Auth0 tenant. Once made it has the value "id", and
// that of EventBridge "partner_event_source".
type Auth0Stream struct {
	Tenant, Name string
	// Type is http or eventbridge.
	Type string
	// Endpoint and Authorization are for http: the URL, and the token that it sends.
	Endpoint, Authorization string
	// AWSAccount and AWSRegion are for eventbridge.
	AWSAccount, AWSRegion string
	// Categories are those that it sends; all when empty.
	Categories []string
	// PIIFields are masked or hashed as PIIMethod says; none when empty.
	PIIFields []string
	PIIMethod string
}

// ID implements Resource.
func (s *Auth0Stream) ID() ID { return ID{Kind: KindAuth0Stream, Name: s.Tenant + "/" + s.Name} }

// Part implements Resource.
func (*Auth0Stream) Part() string { return PartAuth0 }

// Attributes implements Resource.
func (s *Auth0Stream) Attributes() []Attribute {
	var a attributes
	a.fixed("type", s.Type)
	a.text("endpoint", s.Endpoint)
	if s.Authorization != "" {
		a = append(a, Attribute{Path: "authorization", Value: s.Authorization, Secret: true})
	}
	a.fixed("aws_account", s.AWSAccount)
	a.fixed("aws_region", s.AWSRegion)
	a.list("categories", s.Categories)
	a.list("pii_fields", s.PIIFields)
	a.text("pii_method", s.PIIMethod)
	return a.sorted()
}

// EventBus is the bus of a partner event source. Events that the source is sent before
// it has one are lost.
type EventBus struct {
	Region string
	// Source is the name of the partner event source, and that of the bus.
	Source string
	Tags   map[string]string
}

// ID implements Resource.
func (b *EventBus) ID() ID { return ID{KindEventBus, b.Region, b.Source} }

// Part implements Resource.
func (*EventBus) Part() string { return PartQueue }

// Attributes implements Resource.
func (b *EventBus) Attributes() []Attribute {
	var a attributes
	a.pairs("tags", b.Tags)
	return a.sorted()
}

// Queue is a queue of SQS. Once made it has the value "url".
type Queue struct {
	Region, Name string
	// RetentionSeconds is how long a message is kept, up to 1,209,600 (14 days).
	RetentionSeconds int
	// VisibilitySeconds is how long a received message is hidden.
	VisibilitySeconds int
	// DeadLetterQueue is the name of a queue of the stack, which is given what was
	// received MaxReceives times; empty for none.
	DeadLetterQueue string
	MaxReceives     int
	// Policy is the JSON of who may send, canonical; empty for nobody else.
	Policy string
	Tags   map[string]string
}

// ARN is the ARN of the queue.
func (q *Queue) ARN() string { return ARN("sqs", q.Region, q.Name) }

// ID implements Resource.
func (q *Queue) ID() ID { return ID{KindQueue, q.Region, q.Name} }

// Part implements Resource.
func (*Queue) Part() string { return PartQueue }

// Attributes implements Resource.
func (q *Queue) Attributes() []Attribute {
	var a attributes
	a.number("retention_seconds", q.RetentionSeconds)
	a.number("visibility_seconds", q.VisibilitySeconds)
	a.text("dead_letter_queue", q.DeadLetterQueue)
	a.number("max_receives", q.MaxReceives)
	a.text("policy", q.Policy)
	a.pairs("tags", q.Tags)
	return a.sorted()
}

// Rule sends the events of a bus to a queue.
type Rule struct {
	// Bus is the name of the bus.
	Region, Bus, Name string
	// Pattern is the event pattern, canonical JSON.
	Pattern string
	// Queue and DeadLetterQueue are names of queues of the stack.
	Queue, DeadLetterQueue string
	Tags                   map[string]string
}

// ID implements Resource.
func (r *Rule) ID() ID { return ID{KindRule, r.Region, r.Name} }

// Part implements Resource.
func (*Rule) Part() string { return PartQueue }

// Attributes implements Resource.
func (r *Rule) Attributes() []Attribute {
	var a attributes
	a.fixed("bus", r.Bus)
	a.text("pattern", r.Pattern)
	a.text("queue", r.Queue)
	a.text("dead_letter_queue", r.DeadLetterQueue)
	a.pairs("tags", r.Tags)
	return a.sorted()
}
