package source

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/tidwall/gjson"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/pipeline"
)

// A piece is part of a message: a body of one of the forms in which Auth0 sends
// events, and which event source of EventBridge its envelope names.
type piece struct {
	source string // empty without an envelope
	page   event.Page
}

// errNoLogEvent is the reason for which an object is no event: nothing shows that
// it is one.
var errNoLogEvent = errors.New("no log event: it has no log_id, type or date")

// readBody reads the body of a message: the envelope of EventBridge, its detail, a
// record as it is or {"log_id", "data"}, as text or within a notification of SNS, or
// an array of these. What is none of them is unreadable; nothing is left out.
func readBody(body []byte, received time.Time) []piece {
	b := unwrap(body)
	if bytes.HasPrefix(bytes.TrimLeft(b, " \t\r\n"), []byte("[")) && bytes.Contains(b, []byte(`"detail-type"`)) && gjson.ValidBytes(b) {
		var pieces []piece
		gjson.ParseBytes(b).ForEach(func(_, v gjson.Result) bool { // each with an envelope of its own
			pieces = append(pieces, readPiece([]byte(v.Raw), received))
			return true
		})
		return pieces
	}
	return []piece{readPiece(b, received)}
}

// readPiece reads what is one envelope at the most.
func readPiece(b []byte, received time.Time) piece {
	page, err := event.ParsePage(b, received)
	if page.Empty() {
		if err == nil {
			err = event.ErrNoEvents
		}
		page.Unreadable = append(page.Unreadable, event.Unreadable{Raw: b, Reason: err.Error()})
	}
	var p piece
	if f := gjson.GetManyBytes(b, "detail-type", "source"); f[0].Exists() && f[1].Type == gjson.String {
		p.source = f[1].Str
	}
	p.page.Unreadable = page.Unreadable
	for _, e := range page.Events {
		if e.Type == "" && e.DateFrom != event.DateFromField && strings.HasPrefix(e.LogID, event.SyntheticPrefix) {
			p.page.Unreadable = append(p.page.Unreadable, event.Unreadable{Raw: e.Raw, Reason: errNoLogEvent.Error()})
			continue
		}
		p.page.Events = append(p.page.Events, e)
	}
	return p
}

// unwrap takes a body out of a notification of SNS, and out of a string of JSON,
// which is what an input transformer makes of a template in quotes.
func unwrap(b []byte) []byte {
	for range 2 {
		switch trimmed := bytes.TrimSpace(b); {
		case bytes.HasPrefix(trimmed, []byte(`"`)):
			var text string
			if json.Unmarshal(trimmed, &text) != nil {
				return b
			}
			b = []byte(text)
		case bytes.HasPrefix(trimmed, []byte("{")) && bytes.Contains(trimmed, []byte(`"TopicArn"`)):
			f := gjson.GetManyBytes(trimmed, "Type", "Message", "TopicArn")
			if f[0].Str != "Notification" || f[1].Type != gjson.String || !f[2].Exists() {
				return b
			}
			b = []byte(f[1].Str)
		default:
			return b
		}
	}
	return b
}

// sort puts what messages hold together by tenant. Messages with an event of
// nobody's are put off.
func (s *SQS) sort(ctx context.Context, messages []types.Message, received time.Time) *sqsInHand {
	b, strays := new(sqsInHand), new(strays)
	parts := make(map[*SQS]*sqsPart)
	for _, m := range messages {
		msg := sqsMessage{handle: aws.ToString(m.ReceiptHandle)}
		touched := make(map[*SQS]bool)
		part := func(to *SQS) *event.Page {
			if parts[to] == nil {
				parts[to] = &sqsPart{to: to}
				b.parts = append(b.parts, parts[to])
			}
			if !touched[to] {
				touched[to] = true
				msg.left++
				parts[to].messages = append(parts[to].messages, msg.handle)
			}
			return &parts[to].page
		}
		for _, piece := range readBody([]byte(aws.ToString(m.Body)), received) {
			msg.stray = s.queue.route(piece, part, strays) || msg.stray
		}
		if msg.stray {
			strays.handles = append(strays.handles, msg.handle)
		}
		b.messages = append(b.messages, msg)
	}
	s.putOff(ctx, strays)
	return b
}

// route gives each event of a piece to the tenant whose it is, and reports whether
// there was one of nobody's. What is unreadable goes along with its source or, since
// nothing tells whose it is, to the first tenant.
func (q *Queue) route(p piece, part func(*SQS) *event.Page, strays *strays) (stray bool) {
	for _, e := range p.page.Events {
		to := q.owner(p.source, e)
		if to == nil {
			strays.note(p.source, tenantName(e))
			stray = true
			continue
		}
		page := part(to)
		page.Events = append(page.Events, e)
	}
	for _, u := range p.page.Unreadable {
		to := q.bySource(p.source)
		if to == nil {
			to = q.members()[0]
		}
		page := part(to)
		page.Unreadable = append(page.Unreadable, u)
	}
	return stray
}

// owner returns the tenant of an event, nil when it has none. The event source
// decides where it is known, and otherwise the tenant_name in the event.
func (q *Queue) owner(source string, e event.Event) *SQS {
	if to := q.bySource(source); to != nil {
		return to
	}
	all := q.members()
	if first := all[0]; len(all) == 1 && first.cfg.Source == "" && first.cfg.TenantName == "" {
		return first
	}
	name := tenantName(e)
	for _, t := range all {
		if name != "" && t.cfg.TenantName == name {
			return t
		}
	}
	return nil
}

// bySource returns the tenant with an event source, nil when there is none.
func (q *Queue) bySource(source string) *SQS {
	for _, t := range q.members() {
		if source != "" && t.cfg.Source == source {
			return t
		}
	}
	return nil
}

// tenantName reads the tenant_name of an event, empty without one.
func tenantName(e event.Event) string { return gjson.GetBytes(e.Raw, "tenant_name").String() }

// strays are messages with events of nobody's.
type strays struct {
	handles []string
	example string // where one of the events came from
}

// Forms of names that may be shown: what else an event says of itself is not.
var (
	shownSource = regexp.MustCompile(`^aws\.partner/auth0\.com/[A-Za-z0-9._/-]{1,200}$`)
	shownTenant = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)
)

// note remembers where a stray event came from.
func (x *strays) note(source, tenant string) {
	var parts []string
	if shownSource.MatchString(source) {
		parts = append(parts, "source "+source)
	}
	if shownTenant.MatchString(tenant) {
		parts = append(parts, "tenant_name "+tenant)
	}
	if x.example == "" {
		x.example = strings.Join(parts, ", ")
	}
}

// putOff leaves messages in the queue and out of the way, and tells of them.
func (s *SQS) putOff(ctx context.Context, x *strays) {
	if len(x.handles) == 0 {
		return
	}
	s.metrics.stray.Add(float64(len(x.handles)))
	s.hide(ctx, x.handles, sqsPutOff, sqsCall)
	from := x.example
	if from == "" {
		from = "which name neither"
	}
	s.queue.tellStray(ctx, &pipeline.Error{
		Op: "route messages of queue " + s.queue.URL, Class: pipeline.Misconfigured, Err: fmt.Errorf("%w (%s)", errStray, from),
		Hint: "Give the tenant that they belong to sqs.source or sqs.tenant_name as they say, or see to it that they do not get into this queue. They stay in it until then.",
	})
}

// errStray says that events belong to nobody.
var errStray = errors.New("events belong to no tenant that reads this queue")

// tellStray tells of strays that have come.
func (q *Queue) tellStray(ctx context.Context, e *pipeline.Error) {
	q.strayMu.Lock()
	defer q.strayMu.Unlock()
	first := q.lastStray.IsZero()
	q.lastStray = time.Now()
	if first && q.OnStray != nil {
		q.OnStray(ctx, e)
	}
}

// strayOver tells that no strays have come for so long that there are none: each
// would have come again.
func (q *Queue) strayOver(ctx context.Context) {
	q.strayMu.Lock()
	defer q.strayMu.Unlock()
	if q.lastStray.IsZero() || time.Since(q.lastStray) < 2*sqsPutOff {
		return
	}
	q.lastStray = time.Time{}
	if q.OnStray != nil {
		q.OnStray(ctx, nil)
	}
}
